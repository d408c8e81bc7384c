/* SPDX-License-Identifier: MIT */
/* What both backward operations do alike: the rows of a run of tokens (a block or a chunk) in and out, and the bonus term. */
#ifndef RWKV6_SRC_REFERENCE_GRADIENT_ROWS_H
#define RWKV6_SRC_REFERENCE_GRADIENT_ROWS_H

#include "reference/decay.h"
#include "reference/matrix.h"
#include "reference/scratch.h"

/* L: the most tokens in a run. */
typedef struct gradient_rows {
  int64_t K, V;
  real *r, *k;        /* [L][K] */
  real *d;            /* [L][K], decay factors */
  real *v, *do_;      /* [L][V]; do_ is multiplied by scale, so that no formula has to name it */
  real *dr, *dk, *dw; /* [L][K]; dw of the log form until it is stored */
  real *dv;           /* [L][V] */
  real *v_do;         /* [L]: v_t . do_t */
  real *u;            /* [K] */
  double *du;         /* [K]: a sum over all tokens of all sequences, hence in double */
  double *carry;      /* [K], see round_decay */
} gradient_rows;

static inline void gradient_rows_lay_out(gradient_rows *g, scratch *s, const rwkv6_problem *problem, int64_t L) {
  const int64_t K = g->K = problem->key_dim;
  const int64_t V = g->V = problem->value_dim;
  g->r = scratch_take(s, L, K, sizeof(real));
  g->k = scratch_take(s, L, K, sizeof(real));
  g->d = scratch_take(s, L, K, sizeof(real));
  g->v = scratch_take(s, L, V, sizeof(real));
  g->do_ = scratch_take(s, L, V, sizeof(real));
  g->dr = scratch_take(s, L, K, sizeof(real));
  g->dk = scratch_take(s, L, K, sizeof(real));
  g->dw = scratch_take(s, L, K, sizeof(real));
  g->dv = scratch_take(s, L, V, sizeof(real));
  g->v_do = scratch_take(s, 1, L, sizeof(real));
  g->u = scratch_take(s, 1, K, sizeof(real));
  g->du = scratch_take(s, 1, K, sizeof(double));
  g->carry = scratch_take(s, 1, K, sizeof(double));
}

static inline void gradient_rows_load(const gradient_rows *g, const strand *s, int64_t begin, int64_t count) {
  load_rows(g->r, s, RWKV6_TENSOR_R, begin, count, g->K);
  load_rows(g->k, s, RWKV6_TENSOR_K, begin, count, g->K);
  load_rows(g->v, s, RWKV6_TENSOR_V, begin, count, g->V);
  load_rows(g->do_, s, RWKV6_TENSOR_DO, begin, count, g->V);
  load_decays(g->d, g->carry, s, begin, count);
  const real scale = (real)s->call->problem->scale;
  for (int64_t i = 0; i < count * g->V; ++i) g->do_[i] *= scale;
}

/* What the bonus term of the outputs gives, all of it inside one token. Sets dr, dk, dv; the rest is added to them. */
static inline void gradient_rows_bonus(const gradient_rows *g, int64_t count) {
  const int64_t K = g->K, V = g->V;
  for (int64_t t = 0; t < count; ++t) {
    const real *r = g->r + t * K, *k = g->k + t * K, *do_ = g->do_ + t * V;
    const real v_do = g->v_do[t] = dot(g->v + t * V, do_, V);
    scale_row(g->dv + t * V, dot3(r, g->u, k, K), do_, V);
    for (int64_t ch = 0; ch < K; ++ch) {
      g->dr[t * K + ch] = g->u[ch] * k[ch] * v_do;
      g->dk[t * K + ch] = g->u[ch] * r[ch] * v_do;
      g->du[ch] += r[ch] * k[ch] * v_do;
    }
  }
}

/* Overwrites k. */
static inline void gradient_rows_store(const gradient_rows *g, const strand *s, int64_t begin, int64_t count) {
  decay_gradient(g->dw, s, begin, count, g->d, g->k);
  store_rows(s, RWKV6_TENSOR_DR, begin, count, g->dr, g->K);
  store_rows(s, RWKV6_TENSOR_DK, begin, count, g->dk, g->K);
  store_rows(s, RWKV6_TENSOR_DV, begin, count, g->dv, g->V);
  store_rows(s, RWKV6_TENSOR_DW, begin, count, g->dw, g->K);
}

static inline void gradient_rows_start_head(const gradient_rows *g, const rwkv6_reference_call *call, int64_t head) {
  load_bonus(g->u, call, head);
  for (int64_t ch = 0; ch < g->K; ++ch) g->du[ch] = 0;
}

static inline void gradient_rows_end_head(const gradient_rows *g, const rwkv6_reference_call *call, int64_t head) {
  for (int64_t ch = 0; ch < g->K; ++ch) {
    const real sum = (real)g->du[ch];
    store_row(&call->view[RWKV6_TENSOR_DU], head * g->K + ch, &sum, 1);
  }
}

#endif
