/* SPDX-License-Identifier: MIT */
/* Rows of channels between storage of any type and arrays of `real`, and the order in which tokens are visited. */
#ifndef RWKV6_SRC_REFERENCE_ROWS_H
#define RWKV6_SRC_REFERENCE_ROWS_H

#include <string.h>

#include "half.h"
#include "reference/real.h"
#include "reference/reference.h"

/* `offset` in elements. */
static inline void load_row(real *row, const rwkv6_view *view, int64_t offset, int64_t channels) {
  const float *fp32 = (const float *)view->data + offset;
  const double *fp64 = (const double *)view->data + offset;
  const uint16_t *bits = (const uint16_t *)view->data + offset;
  if (view->dtype == REAL_DTYPE) {
    memcpy(row, (const real *)view->data + offset, (size_t)channels * sizeof(real));
  } else if (view->dtype == RWKV6_FP32) {
    for (int64_t c = 0; c < channels; ++c) row[c] = fp32[c];
  } else if (view->dtype == RWKV6_BF16) {
    for (int64_t c = 0; c < channels; ++c) row[c] = rwkv6_bf16_to_float(bits[c]);
  } else if (view->dtype == RWKV6_FP16) {
    for (int64_t c = 0; c < channels; ++c) row[c] = rwkv6_fp16_to_float(bits[c]);
  } else {
    for (int64_t c = 0; c < channels; ++c) row[c] = (real)fp64[c];
  }
}

static inline void store_row(const rwkv6_view *view, int64_t offset, const real *row, int64_t channels) {
  float *fp32 = (float *)view->data + offset;
  double *fp64 = (double *)view->data + offset;
  uint16_t *bits = (uint16_t *)view->data + offset;
  if (view->dtype == REAL_DTYPE) {
    memcpy((real *)view->data + offset, row, (size_t)channels * sizeof(real));
  } else if (view->dtype == RWKV6_FP32) {
    for (int64_t c = 0; c < channels; ++c) fp32[c] = (float)row[c];
  } else if (view->dtype == RWKV6_BF16) {
    for (int64_t c = 0; c < channels; ++c) bits[c] = rwkv6_float_to_bf16((float)row[c]);
  } else if (view->dtype == RWKV6_FP16) {
    for (int64_t c = 0; c < channels; ++c) bits[c] = rwkv6_float_to_fp16((float)row[c]);
  } else {
    for (int64_t c = 0; c < channels; ++c) fp64[c] = row[c];
  }
}

/*
 * One sequence of one head. Positions count from 0 in the order of the recurrence, so that nothing past the two functions
 * below knows of `reverse`: position 0 of a reversed sequence is its last token.
 */
typedef struct strand {
  const rwkv6_reference_call *call;
  int64_t state; /* which one of a tensor of states: the sequence's number, or its slot in a pool; -1: leave the sequence out */
  int64_t head;
  int64_t length;
  int64_t first_token;
  int64_t token_step; /* 1, or -1 in reverse */
} strand;

static inline strand strand_of(const rwkv6_reference_call *call, int64_t sequence, int64_t head) {
  const rwkv6_sequence tokens = rwkv6_problem_sequence(call->problem, sequence);
  strand s = {call, call->slots ? call->slots[sequence] : sequence, head, tokens.length, tokens.begin, 1};
  if (call->problem->reverse) {
    s.first_token = tokens.begin + tokens.length - 1;
    s.token_step = -1;
  }
  return s;
}

static inline int64_t row_offset(const strand *s, const rwkv6_view *view, int64_t position) {
  return (s->first_token + s->token_step * position) * view->token_stride + s->head * view->head_stride;
}

/* rows[count][channels] = the tensor at positions begin .. begin + count - 1. */
static inline void load_rows(real *rows, const strand *s, rwkv6_tensor_id id, int64_t begin, int64_t count, int64_t channels) {
  const rwkv6_view *view = &s->call->view[id];
  for (int64_t i = 0; i < count; ++i) load_row(rows + i * channels, view, row_offset(s, view, begin + i), channels);
}

static inline void store_rows(const strand *s, rwkv6_tensor_id id, int64_t begin, int64_t count, const real *rows,
                              int64_t channels) {
  const rwkv6_view *view = &s->call->view[id];
  for (int64_t i = 0; i < count; ++i) store_row(view, row_offset(s, view, begin + i), rows + i * channels, channels);
}

/* state[K][V] = this strand's slice of a state tensor, or 0 where the tensor does not take part. */
static inline void load_state(real *state, const strand *s, rwkv6_tensor_id id) {
  const rwkv6_problem *p = s->call->problem;
  const int64_t size = (int64_t)p->key_dim * p->value_dim;
  const rwkv6_view *view = &s->call->view[id];
  if (view->data) {
    load_row(state, view, (s->state * p->heads + s->head) * size, size);
  } else {
    for (int64_t i = 0; i < size; ++i) state[i] = 0;
  }
}

static inline void store_state(const strand *s, rwkv6_tensor_id id, const real *state) {
  const rwkv6_problem *p = s->call->problem;
  const int64_t size = (int64_t)p->key_dim * p->value_dim;
  const rwkv6_view *view = &s->call->view[id];
  if (view->data) store_row(view, (s->state * p->heads + s->head) * size, state, size);
}

/* u[K] of a head. */
static inline void load_bonus(real *u, const rwkv6_reference_call *call, int64_t head) {
  const int64_t key_dim = call->problem->key_dim;
  load_row(u, &call->view[RWKV6_TENSOR_U], head * key_dim, key_dim);
}

#endif
