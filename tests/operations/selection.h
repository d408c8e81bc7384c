/* SPDX-License-Identifier: MIT */
/* Which cases the operations are tested on: program specializations, and shapes for each of them. */
#ifndef RWKV6_TESTS_OPERATIONS_SELECTION_H
#define RWKV6_TESTS_OPERATIONS_SELECTION_H

#include "case.h"

/* What a device program is compiled for. Each costs a compilation, so a run takes a selection. */
typedef struct test_specialization {
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
} test_specialization;

#define TEST_ALL_SPECIALIZATIONS (8 * 8 * 5 * 3)

/*
 * full: every combination. Otherwise 24, in which each two of K, V, type, type of w and decay form meet in each combination of
 * their values, K with V excepted: 24 of their 64 pairs occur, K = V among them.
 */
size_t test_select_specializations(bool full, test_specialization selected[TEST_ALL_SPECIALIZATIONS]);
const char *test_specialization_name(const test_specialization *specialization, char text[96]);

/* Case number `index` of a specialization, the same at each call. `work` bounds tokens * heads * K * V. */
test_case test_select_case(const test_specialization *specialization, int64_t index, double work);

#endif
