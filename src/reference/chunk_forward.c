/* SPDX-License-Identifier: MIT */
/*
 * Forward, chunk by chunk, as products of small matrices (docs/algorithm.md, "Chunk mode"). For a chunk of tokens b..c-1 with
 * the state S_b before it, prod(i..j) the decay of tokens i to j per key channel:
 *
 *     o_i = scale * ((r_i * prod(b..i-1))^T S_b + sum_{j<i} A_ij v_j + (sum_ch r_i u k_i) v_i)
 *     A_ij = sum_ch r_i k_j prod(j+1..i-1)
 *     S_c = diag(prod(b..c-1)) S_b + sum_j (k_j * prod(j+1..c-1)) v_j^T
 */
#include "reference/chunk.h"
#include "reference/reference.h"
#include "reference/scratch.h"

/* C: tokens of a chunk. */
typedef struct work {
  strand strand;
  int64_t C, K, V;
  real *state;      /* [K][V] */
  real *r, *k;      /* [C][K] */
  real *d;          /* [C][K], decay factors */
  real *v, *o;      /* [C][V] */
  real *u;          /* [K] */
  real *from_start; /* [C + 1][K], chunk_decay_products */
  real *to_end;     /* [C][K] */
  real *between;    /* [C][K], chunk_extend_between */
  real *scores;     /* [C]: row i of A */
  real *query;      /* [K]: r_i * prod(b..i-1) */
  double *carry;    /* [2][K]: of the factors and of whole chunks, see round_decay */
} work;

static size_t lay_out(work *w, const rwkv6_problem *problem, void *workspace) {
  scratch s = {workspace, 0};
  const int64_t C = w->C = rwkv6_reference_chunk_length(problem);
  const int64_t K = w->K = problem->key_dim;
  const int64_t V = w->V = problem->value_dim;
  w->state = scratch_take(&s, K, V, sizeof(real));
  w->r = scratch_take(&s, C, K, sizeof(real));
  w->k = scratch_take(&s, C, K, sizeof(real));
  w->d = scratch_take(&s, C, K, sizeof(real));
  w->v = scratch_take(&s, C, V, sizeof(real));
  w->o = scratch_take(&s, C, V, sizeof(real));
  w->u = scratch_take(&s, 1, K, sizeof(real));
  w->from_start = scratch_take(&s, C + 1, K, sizeof(real));
  w->to_end = scratch_take(&s, C, K, sizeof(real));
  w->between = scratch_take(&s, C, K, sizeof(real));
  w->scores = scratch_take(&s, 1, C, sizeof(real));
  w->query = scratch_take(&s, 1, K, sizeof(real));
  w->carry = scratch_take(&s, 2, K, sizeof(double));
  return s.used;
}

/* scores[j] = A_ij for all j < i. */
static void score_row(const work *w, int64_t i) {
  const int64_t K = w->K;
  if (i > 0) chunk_start_between(w->between + (i - 1) * K, K);
  for (int64_t j = 0; j < i; ++j) {
    real *between = w->between + j * K;
    w->scores[j] = dot3(w->r + i * K, between, w->k + j * K, K);
    chunk_extend_between(between, w->d + i * K, K);
  }
}

static void output_row(const work *w, int64_t i) {
  const int64_t K = w->K, V = w->V;
  const real scale = (real)w->strand.call->problem->scale;
  const real *r = w->r + i * K, *from_start = w->from_start + i * K;
  real *o = w->o + i * V;
  for (int64_t ch = 0; ch < K; ++ch) w->query[ch] = r[ch] * from_start[ch];
  scale_row(o, dot3(r, w->u, w->k + i * K, K), w->v + i * V, V);
  add_row_times_matrix(o, w->scores, w->v, i, V);
  add_row_times_matrix(o, w->query, w->state, K, V);
  for (int64_t c = 0; c < V; ++c) o[c] *= scale;
}

static void forward_chunk(const work *w, int64_t begin, int64_t C) {
  const int64_t K = w->K, V = w->V;
  load_rows(w->r, &w->strand, RWKV6_TENSOR_R, begin, C, K);
  load_rows(w->k, &w->strand, RWKV6_TENSOR_K, begin, C, K);
  load_rows(w->v, &w->strand, RWKV6_TENSOR_V, begin, C, V);
  load_decays(w->d, w->carry, &w->strand, begin, C);
  chunk_decay_products(w->from_start, w->to_end, w->carry + K, w->d, C, K);
  for (int64_t i = 0; i < C; ++i) {
    score_row(w, i);
    output_row(w, i);
  }
  chunk_hand_over(w->state, w->from_start + C * K, w->k, w->to_end, w->v, w->scores, C, K, V);
  store_rows(&w->strand, RWKV6_TENSOR_O, begin, C, w->o, V);
}

static void forward_strand(const work *w) {
  const int64_t length = w->strand.length;
  load_state(w->state, &w->strand, RWKV6_TENSOR_INITIAL_STATE);
  for (int64_t i = 0; i < 2 * w->K; ++i) w->carry[i] = 0;
  for (int64_t begin = 0; begin < length; begin += w->C) {
    forward_chunk(w, begin, length - begin < w->C ? length - begin : w->C);
  }
  store_state(&w->strand, RWKV6_TENSOR_FINAL_STATE, w->state);
}

size_t RWKV6_REAL_NAME(chunk_forward_workspace)(const rwkv6_problem *problem) {
  work w;
  return lay_out(&w, problem, NULL);
}

void RWKV6_REAL_NAME(chunk_forward)(const rwkv6_reference_call *call) {
  work w;
  lay_out(&w, call->problem, call->workspace);
  for (int64_t head = 0; head < call->problem->heads; ++head) {
    load_bonus(w.u, call, head);
    for (int64_t n = 0; n < call->problem->sequences; ++n) {
      w.strand = strand_of(call, n, head);
      if (w.strand.state >= 0) forward_strand(&w);
    }
  }
}
