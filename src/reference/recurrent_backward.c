/* SPDX-License-Identifier: MIT */
/*
 * Backward, token by token (docs/algorithm.md, "Recurrent mode, backward"). With do_t already multiplied by scale, and G_t the
 * gradient of S_t:
 *
 *     dr_t = S_{t-1} do_t  + u k_t (v_t . do_t)
 *     dk_t = G_t v_t       + u r_t (v_t . do_t)
 *     dv_t = G_t^T k_t     + (sum_ch r_t u k_t) do_t
 *     dw_t = d_t <S_{t-1}, G_t>                        per key channel; log form
 *     du   = sum_t r_t k_t (v_t . do_t)
 *     G_{t-1} = diag(d_t) G_t + r_t do_t^T
 *
 * Needs S_{t-1} from the last token to the first: a state now and then is kept (checkpoint.h); inside a block of tokens the
 * states are rebuilt one key row at a time, so that the row's states of all tokens of the block are a small array.
 */
#include "reference/checkpoint.h"
#include "reference/gradient_rows.h"

enum { BLOCK = 16 };

typedef struct work {
  strand strand;
  int64_t K, V;
  gradient_rows rows; /* of one block */
  checkpoints states; /* a step is a block */
  real *gradient;     /* [K][V]: G */
  real *before;       /* [BLOCK + 1][V]: one key row of S before each token of a block, and after the last */
  double *carry;      /* [K], of the sweeps forward in time; rows.carry is that of the sweep back */
} work;

static int64_t blocks_of(int64_t length) {
  return length / BLOCK + (length % BLOCK != 0);
}

static size_t lay_out(work *w, const rwkv6_problem *problem, void *workspace) {
  scratch s = {workspace, 0};
  w->K = problem->key_dim;
  w->V = problem->value_dim;
  gradient_rows_lay_out(&w->rows, &s, problem, BLOCK);
  checkpoints_lay_out(&w->states, &s, blocks_of(rwkv6_problem_longest(problem)), w->K * w->V);
  w->gradient = scratch_take(&s, w->K, w->V, sizeof(real));
  w->before = scratch_take(&s, BLOCK + 1, w->V, sizeof(real));
  w->carry = scratch_take(&s, 1, w->K, sizeof(double));
  return s.used;
}

static int64_t tokens_of(const work *w, int64_t block) {
  const int64_t rest = w->strand.length - block * BLOCK;
  return rest < BLOCK ? rest : BLOCK;
}

/* One key row, one token: S = d S + k v. */
static void advance_row(real *restrict S, const real *restrict v, real k, real d, int64_t V) {
  for (int64_t c = 0; c < V; ++c) S[c] = d * S[c] + k * v[c];
}

static void advance_block(void *work_, int64_t block, real *state) {
  const work *w = work_;
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V, begin = block * BLOCK, count = tokens_of(w, block);
  load_rows(g->k, &w->strand, RWKV6_TENSOR_K, begin, count, K);
  load_rows(g->v, &w->strand, RWKV6_TENSOR_V, begin, count, V);
  load_decays(g->d, w->carry, &w->strand, begin, count);
  for (int64_t row = 0; row < K; ++row) {
    for (int64_t t = 0; t < count; ++t) {
      advance_row(state + row * V, g->v + t * V, g->k[t * K + row], g->d[t * K + row], V);
    }
  }
  flush_matrix(state, K * V);
}

/* after = d before + k v */
static void step_row(real *restrict after, const real *restrict before, const real *restrict v, real k, real d, int64_t V) {
  for (int64_t c = 0; c < V; ++c) after[c] = d * before[c] + k * v[c];
}

/* dv += k G, then G = d G + r do. */
static void gradient_row(real *restrict dv, real *restrict G, const real *restrict do_, real r, real k, real d, int64_t V) {
  for (int64_t c = 0; c < V; ++c) {
    dv[c] += k * G[c];
    G[c] = d * G[c] + r * do_[c];
  }
}

/* One key row through a block: forward in time with its row of the state, S[V], then back with its row of the gradient, G[V].
 */
static void backward_row(const work *w, int64_t count, int64_t row, const real *S, real *G) {
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V;
  memcpy(w->before, S, (size_t)V * sizeof(real));
  for (int64_t t = 0; t < count; ++t) {
    const int64_t at = t * K + row;
    real *before = w->before + t * V;
    g->dr[at] += dot(before, g->do_ + t * V, V);
    step_row(before + V, before, g->v + t * V, g->k[at], g->d[at], V);
  }
  for (int64_t t = count; t-- > 0;) {
    const int64_t at = t * K + row;
    g->dk[at] += dot(G, g->v + t * V, V);
    g->dw[at] = g->d[at] * dot(w->before + t * V, G, V);
    gradient_row(g->dv + t * V, G, g->do_ + t * V, g->r[at], g->k[at], g->d[at], V);
  }
}

static void backward_block(void *work_, int64_t block, real *state) {
  const work *w = work_;
  const int64_t begin = block * BLOCK, count = tokens_of(w, block);
  gradient_rows_load(&w->rows, &w->strand, begin, count);
  gradient_rows_bonus(&w->rows, count);
  for (int64_t row = 0; row < w->K; ++row) {
    backward_row(w, count, row, state + row * w->V, w->gradient + row * w->V);
  }
  flush_matrix(w->gradient, w->K * w->V);
  gradient_rows_store(&w->rows, &w->strand, begin, count);
}

static void backward_strand(work *w) {
  for (int64_t i = 0; i < w->K; ++i) w->carry[i] = w->rows.carry[i] = 0;
  load_state(w->states.state, &w->strand, RWKV6_TENSOR_INITIAL_STATE);
  load_state(w->gradient, &w->strand, RWKV6_TENSOR_DFINAL_STATE);
  checkpoints_run(&w->states, blocks_of(w->strand.length));
  store_state(&w->strand, RWKV6_TENSOR_DINITIAL_STATE, w->gradient);
}

size_t RWKV6_REAL_NAME(recurrent_backward_workspace)(const rwkv6_problem *problem) {
  work w;
  return lay_out(&w, problem, NULL);
}

void RWKV6_REAL_NAME(recurrent_backward)(const rwkv6_reference_call *call) {
  work w;
  lay_out(&w, call->problem, call->workspace);
  w.states.work = &w;
  w.states.advance = advance_block;
  w.states.backward = backward_block;
  for (int64_t head = 0; head < call->problem->heads; ++head) {
    gradient_rows_start_head(&w.rows, call, head);
    for (int64_t n = 0; n < call->problem->sequences; ++n) {
      w.strand = strand_of(call, n, head);
      backward_strand(&w);
    }
    gradient_rows_end_head(&w.rows, call, head);
  }
}
