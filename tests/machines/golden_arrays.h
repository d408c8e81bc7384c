/* SPDX-License-Identifier: MIT */
/* tests/golden as C arrays, made at build time by golden_arrays.py. */
#ifndef RWKV6_TESTS_MACHINES_GOLDEN_ARRAYS_H
#define RWKV6_TESTS_MACHINES_GOLDEN_ARRAYS_H

#include "tensor.h"

typedef struct golden_arrays {
  const char *name;
  int64_t tokens, sequences, heads;
  int32_t key_dim, value_dim;
  double scale;
  rwkv6_decay decay;
  rwkv6_dtype dtype, w_dtype; /* what the values were rounded to */
  int reverse;
  const int64_t *cu_seqlens; /* [sequences + 1] or NULL */
  int64_t elements[RWKV6_TENSOR_COUNT];
  const uint32_t *bits[RWKV6_TENSOR_COUNT]; /* of fp32 values; NULL: not there */
} golden_arrays;

/* The last has no name. */
extern const golden_arrays golden_arrays_table[];

/* FNV-1a, by whole words, over what Python's struct module makes of half precision: all 65536 fp16 numbers but NaN as bits of
 * fp32, and the fp16 bits of fp32 numbers i * 2654435761 (mod 2^32), i < 2^17, but NaN. */
extern const uint64_t golden_widened_halves;
extern const uint64_t golden_rounded_floats;

#endif
