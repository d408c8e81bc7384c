/* SPDX-License-Identifier: MIT */
/* Which cases the operations are tested on: program specializations, and shapes for each of them. */
#ifndef RWKV6_SRC_CONFORM_SELECTION_H
#define RWKV6_SRC_CONFORM_SELECTION_H

#include "conform/case.h"

/* What a device program is compiled for. Each costs a compilation, so a run takes a selection. */
typedef struct conform_specialization {
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
} conform_specialization;

#define CONFORM_ALL_SPECIALIZATIONS (8 * 8 * 5 * 3)

typedef enum conform_extent {
  /* 9, in which each two of type, decay form, K and V meet in each combination of three values */
  CONFORM_QUICK,
  /* 24, in which each two of K, V, type, type of w and decay form meet in each combination of their values, K with V excepted:
   * 24 of their 64 pairs occur, K = V among them */
  CONFORM_PAIRWISE,
  CONFORM_FULL /* every combination */
} conform_extent;

size_t conform_select_specializations(conform_extent extent, conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS]);
const char *conform_specialization_name(const conform_specialization *specialization, char text[96]);

/* Cases of a specialization that an extent takes. */
#define CONFORM_CASES 8

/*
 * Case number `index` of a specialization, the same at each call with the same seed. `work` bounds tokens * heads * K * V. Few
 * have an explicit chunk length, as programs are compiled for it: each from 1 to 16 occurs, in CONFORM_QUICK one.
 */
conform_case conform_select_case(const conform_specialization *specialization, int64_t index, conform_extent extent,
                                 uint64_t seed, double work);

#endif
