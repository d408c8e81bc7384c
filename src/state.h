/* SPDX-License-Identifier: MIT */
/* What rwkv6_state_* and rwkv6_opencl_state_* check alike. */
#ifndef RWKV6_SRC_STATE_H
#define RWKV6_SRC_STATE_H

#include "error.h"

/* A state in a pool, in elements. */
typedef struct rwkv6_state_range {
  int64_t first, elements;
} rwkv6_state_range;

/* Where slot `slot` of the problem's pool is; `name` is what the caller calls it. */
rwkv6_status rwkv6_state_place(const rwkv6_problem *problem, const char *name, int32_t slot, rwkv6_state_range *range,
                               rwkv6_error *error);

/* Given and aligned. */
rwkv6_status rwkv6_state_pointer_check(const char *name, const void *pointer, rwkv6_error *error);

#endif
