/* SPDX-License-Identifier: MIT */
/* How far a result may be from the reference. */
#ifndef RWKV6_SRC_CONFORM_BARS_H
#define RWKV6_SRC_CONFORM_BARS_H

#include "registry.h"

/*
 * The bar for the relative error of an output tensor of `problem` (checked, with its storage types): a variant of that
 * arithmetic stays under it, for every decay and length.
 */
double conform_bar(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_arithmetic arithmetic);

/* The same for sums in fp32 and a tensor that is stored in fp32. */
double conform_bar_fp32(const rwkv6_problem *problem, rwkv6_tensor_id id);

#endif
