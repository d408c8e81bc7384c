/* SPDX-License-Identifier: MIT */
/*
 * The numbers of a case. Each input has a pool of random values, and element i of set s is pool[(s * extent + i) % period],
 * gaps of strides included: the period is a prime, so no two rows of a tensor are alike, no two sets either, and any part of
 * any set can be told without keeping it.
 */
#ifndef RWKV6_SRC_CLI_BENCH_DATA_H
#define RWKV6_SRC_CLI_BENCH_DATA_H

#include "cli/bench/case.h"
#include "tensor.h"

typedef struct bench_data {
  rwkv6_problem problem; /* resolved; its cu_seqlens is the array below or NULL */
  rwkv6_operation operation;
  int64_t *cu_seqlens;            /* owned */
  void *pool[RWKV6_TENSOR_COUNT]; /* of inputs: [period] in their storage type; owned */
  int64_t period[RWKV6_TENSOR_COUNT];
} bench_data;

/* The problem and nothing else yet. Free with bench_data_free, also after a failure. */
rwkv6_status bench_data_problem(const bench_case *timed, bench_data *data, rwkv6_error *error);

/* The pools, for so many sets. */
rwkv6_status bench_data_draw(const bench_case *timed, int64_t sets, bench_data *data, rwkv6_error *error);

void bench_data_free(bench_data *data);

/* What `count` elements of an input from `index` on are, as a part of the pool: returns the place of the first in the pool, and
 * in `count` how many follow one another there. */
int64_t bench_data_piece(const bench_data *data, rwkv6_tensor_id id, int64_t set, int64_t index, int64_t *count);

/* Copies elements of an input. */
void bench_data_copy(const bench_data *data, rwkv6_tensor_id id, int64_t set, int64_t index, int64_t count, void *to);

/* Where a head of a row (a token; of a state, a sequence) begins in a set, in elements. */
int64_t bench_data_place(const bench_data *data, rwkv6_tensor_id id, int64_t row, int64_t head);

/* Bytes of one set without gaps: of one tensor, and of all tensors that take part. */
uint64_t bench_data_bytes(const bench_data *data, rwkv6_tensor_id id);
uint64_t bench_data_all_bytes(const bench_data *data);

#endif
