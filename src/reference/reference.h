/* SPDX-License-Identifier: MIT */
/*
 * RWKV-6 attention in scalar C, to be read before the kernels. Every file of this folder but call.c is compiled twice:
 * with `real` = float it is the CPU path, with `real` = double it is the reference of all tests (RWKV6_REAL_DOUBLE).
 *
 * The caller has checked everything: problem resolved (problem.h), tensors present, workspace large enough.
 */
#ifndef RWKV6_SRC_REFERENCE_REFERENCE_H
#define RWKV6_SRC_REFERENCE_REFERENCE_H

#include "problem.h"

/* One tensor as the reference sees it: any storage type with any real; strides in elements (u, du, states: packed, unused). */
typedef struct rwkv6_view {
  void *data; /* NULL: does not take part */
  rwkv6_dtype dtype;
  int64_t token_stride;
  int64_t head_stride;
} rwkv6_view;

typedef struct rwkv6_reference_call {
  const rwkv6_problem *problem;
  rwkv6_view view[RWKV6_TENSOR_COUNT]; /* outputs may have dtype RWKV6_FP64; with a pool, both states are views of it */
  const int32_t *slots; /* [sequences]: which state of the pool is a sequence's, -1: leave it out; NULL: no pool */
  void *workspace;      /* at least what ..._workspace says, aligned to 64 bytes; contents undefined */
} rwkv6_reference_call;

/* Fills the views from the tensors of a public call, with the storage types and strides of the problem. */
void rwkv6_reference_views(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                           rwkv6_reference_call *call);

/* Tokens per chunk that chunk_* use: the problem's, or the automatic choice, and never more than the longest sequence. */
int64_t rwkv6_reference_chunk_length(const rwkv6_problem *problem);

#define RWKV6_REFERENCE_DECLARE(operation, suffix)                                                                             \
  size_t rwkv6_##operation##_workspace_##suffix(const rwkv6_problem *problem);                                                 \
  void rwkv6_##operation##_##suffix(const rwkv6_reference_call *call);

RWKV6_REFERENCE_DECLARE(recurrent_forward, float)
RWKV6_REFERENCE_DECLARE(recurrent_backward, float)
RWKV6_REFERENCE_DECLARE(chunk_forward, float)
RWKV6_REFERENCE_DECLARE(chunk_backward, float)
RWKV6_REFERENCE_DECLARE(recurrent_forward, double)
RWKV6_REFERENCE_DECLARE(recurrent_backward, double)
RWKV6_REFERENCE_DECLARE(chunk_forward, double)
RWKV6_REFERENCE_DECLARE(chunk_backward, double)

#undef RWKV6_REFERENCE_DECLARE

#endif
