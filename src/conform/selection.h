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
  int64_t chunk_length; /* 0: automatic */
  int32_t work_group;   /* as in a case; 0: what kernels prefer */
} conform_specialization;

#define CONFORM_ALL_SPECIALIZATIONS (8 * 8 * 5 * 3 + 24 + 3)

/* In each extent every two of K, V, type, type of w, decay form, whether there is an explicit chunk length and whether
 * work-groups are small meet in each combination of their values, but where it is said. */
typedef enum conform_extent {
  CONFORM_QUICK,    /* 10, with three values of K and V */
  CONFORM_PAIRWISE, /* 2 x 24, with eight values of K and V, of whose 64 pairs 24 occur, K = V among them, and 3 with 80 */
  /* 987: every combination of the first five, the 24 with a chunk length, smaller work-groups or both, and the 3 with 80 */
  CONFORM_FULL
} conform_extent;

size_t conform_select_specializations(conform_extent extent, conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS]);
const char *conform_specialization_name(const conform_specialization *specialization, char text[96]);

typedef struct conform_selected {
  conform_case test;
  size_t specialization; /* its number in conform_select_specializations */
} conform_selected;

/*
 * The cases of an extent, by specialization, the same for the same seed; returns their number, and the caller frees them. Every
 * two values of all that a case is made of (but its seed) meet in one of them: distribution with length, strides with
 * sequences, the presence of each optional tensor with each of the others, and so on. `work` bounds tokens * heads * K * V of
 * each, and pairs that are more are left out. From CONFORM_LEAST_WORK_OF_LONG on there are long cases in addition, beyond that
 * bound.
 */
size_t conform_select_cases(conform_extent extent, uint64_t seed, double work, conform_selected **cases);

/* Enough for every pair of values in any extent. */
#define CONFORM_WORK 2e6
#define CONFORM_LEAST_WORK_OF_LONG 1e5

#endif
