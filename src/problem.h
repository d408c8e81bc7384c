/* SPDX-License-Identifier: MIT */
/* Checking a problem and filling in what it leaves at 0. */
#ifndef RWKV6_SRC_PROBLEM_H
#define RWKV6_SRC_PROBLEM_H

#include "tensor.h"

/*
 * Checks every field of `problem` (a longer one, of a newer header, is taken if what we do not know is 0) and writes a complete
 * copy to `resolved`: strides filled in, cu_seqlens still the caller's pointer. All extents in bytes are proven to fit int64_t
 * and size_t.
 */
rwkv6_status rwkv6_problem_resolve(const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_problem *resolved,
                                   rwkv6_error *error);

/* Elements of one state of a problem, of which nothing but sizes is checked; `copy` receives it with all fields. */
rwkv6_status rwkv6_problem_state(const rwkv6_problem *problem, rwkv6_problem *copy, int64_t *elements, rwkv6_error *error);

/* First token and length of sequence n of a resolved problem. */
typedef struct rwkv6_sequence {
  int64_t begin;
  int64_t length;
} rwkv6_sequence;

static inline rwkv6_sequence rwkv6_problem_sequence(const rwkv6_problem *problem, int64_t n) {
  if (problem->cu_seqlens) {
    const rwkv6_sequence ragged = {problem->cu_seqlens[n], problem->cu_seqlens[n + 1] - problem->cu_seqlens[n]};
    return ragged;
  }
  const int64_t length = problem->tokens / problem->sequences;
  const rwkv6_sequence equal = {n * length, length};
  return equal;
}

/* Tokens of the longest sequence; 0 if all are empty. */
int64_t rwkv6_problem_longest(const rwkv6_problem *problem);

/* Where a tensor of a call lies: at an address of the host, or at an offset in a buffer of a device. */
typedef struct rwkv6_place {
  bool given;
  const void *space; /* NULL: host memory; else the buffer. What lies in different spaces cannot overlap */
  int64_t begin;     /* of the first element, in bytes: an address, or the offset in the buffer */
} rwkv6_place;

/* What a call handed in against what the plan's problem wants: present, absent, aligned, not overlapping. `workspace` (may be
 * NULL) has `workspace_bytes`, which nothing else may touch either. */
rwkv6_status rwkv6_places_check(const rwkv6_problem *problem, rwkv6_operation operation,
                                const rwkv6_place places[RWKV6_TENSOR_COUNT], const rwkv6_place *workspace,
                                int64_t workspace_bytes, rwkv6_error *error);

/* Values in host memory, of all tensors that are read: the slots of a pool, and with RWKV6_CHECK_VALUES everything. */
rwkv6_status rwkv6_values_check(const rwkv6_problem *problem, rwkv6_operation operation,
                                const void *const data[RWKV6_TENSOR_COUNT], rwkv6_error *error);

/* Slots [sequences]: -1, or in range and given once. */
rwkv6_status rwkv6_slots_check(const rwkv6_problem *problem, const int32_t *slots, rwkv6_error *error);

/* All of the above for a call with host pointers, from a whole struct. */
rwkv6_status rwkv6_tensors_check(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                                 rwkv6_error *error);

#endif
