/* SPDX-License-Identifier: MIT */
/*
 * Forward, token by token. For each sequence and head, with a state S of K x V (docs/algorithm.md, "Recurrent mode"):
 *
 *     o_t = scale * (r_t^T S_{t-1} + (sum_ch r_t u k_t) v_t)
 *     S_t = diag(d_t) S_{t-1} + k_t v_t^T
 *
 * One head's state is worked on at a time, so that it stays in the nearest cache, and tokens come in blocks whose rows are
 * converted to `real` once. Key rows do not depend on each other: four of them go through all tokens of a block together.
 */
#include "reference/decay.h"
#include "reference/matrix.h"
#include "reference/reference.h"
#include "reference/scratch.h"

enum { BLOCK = 16 };

typedef struct work {
  strand strand;
  int64_t K, V;
  real *state;   /* [K][V] */
  real *r, *k;   /* [BLOCK][K] */
  real *d;       /* [BLOCK][K], decay factors */
  real *v, *o;   /* [BLOCK][V] */
  real *u;       /* [K] */
  double *carry; /* [K], see load_decays */
} work;

static size_t lay_out(work *w, const rwkv6_problem *problem, void *workspace) {
  scratch s = {workspace, 0};
  w->K = problem->key_dim;
  w->V = problem->value_dim;
  w->state = scratch_take(&s, w->K, w->V, sizeof(real));
  w->r = scratch_take(&s, BLOCK, w->K, sizeof(real));
  w->k = scratch_take(&s, BLOCK, w->K, sizeof(real));
  w->d = scratch_take(&s, BLOCK, w->K, sizeof(real));
  w->v = scratch_take(&s, BLOCK, w->V, sizeof(real));
  w->o = scratch_take(&s, BLOCK, w->V, sizeof(real));
  w->u = scratch_take(&s, 1, w->K, sizeof(real));
  w->carry = scratch_take(&s, 1, w->K, sizeof(double));
  return s.used;
}

/* One token, one key row: o += r S, then S = d S + k v. */
static void step_row(real *restrict o, real *restrict S, const real *restrict v, real r, real k, real d, int64_t V) {
  for (int64_t c = 0; c < V; ++c) {
    o[c] += r * S[c];
    S[c] = d * S[c] + k * v[c];
  }
}

/* The same for four key rows, so that v and o are touched once for the four. r, k, d point to the first row's value. */
static void step_four_rows(real *restrict o, real *restrict S0, real *restrict S1, real *restrict S2, real *restrict S3,
                           const real *restrict v, const real *r, const real *k, const real *d, int64_t V) {
  const real r0 = r[0], r1 = r[1], r2 = r[2], r3 = r[3];
  const real k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3];
  const real d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
  for (int64_t c = 0; c < V; ++c) {
    const real vc = v[c];
    o[c] += (r0 * S0[c] + r1 * S1[c]) + (r2 * S2[c] + r3 * S3[c]);
    S0[c] = d0 * S0[c] + k0 * vc;
    S1[c] = d1 * S1[c] + k1 * vc;
    S2[c] = d2 * S2[c] + k2 * vc;
    S3[c] = d3 * S3[c] + k3 * vc;
  }
}

/* All `count` tokens of a block through the state; o holds its bonus term already. */
static void step_block(const work *w, int64_t count) {
  const int64_t K = w->K, V = w->V;
  int64_t row = 0;
  for (; row + 4 <= K; row += 4) {
    real *S = w->state + row * V;
    for (int64_t t = 0; t < count; ++t) {
      const int64_t at = t * K + row;
      step_four_rows(w->o + t * V, S, S + V, S + 2 * V, S + 3 * V, w->v + t * V, w->r + at, w->k + at, w->d + at, V);
    }
  }
  for (; row < K; ++row) {
    for (int64_t t = 0; t < count; ++t) {
      const int64_t at = t * K + row;
      step_row(w->o + t * V, w->state + row * V, w->v + t * V, w->r[at], w->k[at], w->d[at], V);
    }
  }
}

static void forward_block(const work *w, int64_t begin, int64_t count) {
  const int64_t K = w->K, V = w->V;
  load_rows(w->r, &w->strand, RWKV6_TENSOR_R, begin, count, K);
  load_rows(w->k, &w->strand, RWKV6_TENSOR_K, begin, count, K);
  load_rows(w->v, &w->strand, RWKV6_TENSOR_V, begin, count, V);
  load_decays(w->d, w->carry, &w->strand, begin, count);
  for (int64_t t = 0; t < count; ++t) {
    scale_row(w->o + t * V, dot3(w->r + t * K, w->u, w->k + t * K, K), w->v + t * V, V);
  }
  step_block(w, count);
  flush_matrix(w->state, K * V);
  const real scale = (real)w->strand.call->problem->scale;
  for (int64_t i = 0; i < count * V; ++i) w->o[i] *= scale;
  store_rows(&w->strand, RWKV6_TENSOR_O, begin, count, w->o, V);
}

static void forward_strand(const work *w) {
  const int64_t length = w->strand.length;
  load_state(w->state, &w->strand, RWKV6_TENSOR_INITIAL_STATE);
  for (int64_t i = 0; i < w->K; ++i) w->carry[i] = 0;
  for (int64_t begin = 0; begin < length; begin += BLOCK) {
    forward_block(w, begin, length - begin < BLOCK ? length - begin : BLOCK);
  }
  store_state(&w->strand, RWKV6_TENSOR_FINAL_STATE, w->state);
}

size_t RWKV6_REAL_NAME(recurrent_forward_workspace)(const rwkv6_problem *problem) {
  work w;
  return lay_out(&w, problem, NULL);
}

void RWKV6_REAL_NAME(recurrent_forward)(const rwkv6_reference_call *call) {
  work w;
  lay_out(&w, call->problem, call->workspace);
  for (int64_t head = 0; head < call->problem->heads; ++head) {
    load_bonus(w.u, call, head);
    for (int64_t n = 0; n < call->problem->sequences; ++n) {
      w.strand = strand_of(call, n, head);
      forward_strand(&w);
    }
  }
}
