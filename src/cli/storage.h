/* SPDX-License-Identifier: MIT */
/* Between the float32 of the files and the storage types of a problem. */
#ifndef RWKV6_SRC_CLI_STORAGE_H
#define RWKV6_SRC_CLI_STORAGE_H

#include "rwkv6/rwkv6.h"

/* Rounds `count` values to fp32, fp16 or bf16 storage, to nearest even. `stored` holds count elements of dtype. */
void cli_storage_encode(const float *values, int64_t count, rwkv6_dtype dtype, void *stored);

/* Widens `count` stored elements to float, exactly. */
void cli_storage_decode(const void *stored, int64_t count, rwkv6_dtype dtype, float *values);

/* What one value becomes when it is stored and read again. From double to fp16 and bf16 it is rounded once only. */
double cli_storage_round(double value, rwkv6_dtype dtype);

#endif
