/* SPDX-License-Identifier: MIT */
/*
 * Backward, chunk by chunk (docs/algorithm.md, "Chunk mode, backward"). With do_t already multiplied by scale, S_b the state
 * before the chunk of tokens b..c-1 and G_c the gradient of the state after it:
 *
 *     A_ij = sum_ch r_i k_j prod(j+1..i-1)        B_ij = v_j . do_i
 *     dr_i = prod(b..i-1) * (S_b do_i)   + sum_{j<i} B_ij k_j prod(j+1..i-1) + u k_i B_ii
 *     dk_j = prod(j+1..c-1) * (G_c v_j)  + sum_{i>j} B_ij r_i prod(j+1..i-1) + u r_j B_jj
 *     dv_j = (k_j * prod(j+1..c-1))^T G_c + sum_{i>j} A_ij do_i + (sum_ch r_j u k_j) do_j
 *     G_b  = diag(prod(b..c-1)) G_c + sum_i (r_i * prod(b..i-1)) do_i^T
 *
 * dw_t of the log form is the sum of four parts, each with d_t in it once and none a difference:
 *
 *     1  prod(b..c-1) * sum_v S_b G_c                              the same for every t
 *     2  sum_{i>t} r_i prod(b..i-1) (S_b do_i)                     a suffix sum
 *     3  sum_{j<t} k_j prod(j+1..c-1) (G_c v_j)                    a prefix sum
 *     4  sum_{j<t<i} B_ij r_i k_j prod(j+1..i-1)                   pairs inside the chunk
 */
#include "reference/checkpoint.h"
#include "reference/chunk.h"
#include "reference/gradient_rows.h"

/* C: tokens of a chunk. */
typedef struct work {
  strand strand;
  int64_t C, K, V;
  gradient_rows rows; /* of one chunk */
  checkpoints states; /* a step is a chunk */
  real *gradient;     /* [K][V]: G */
  real *from_start;   /* [C + 1][K], chunk_decay_products */
  real *to_end;       /* [C][K] */
  real *between;      /* [C][K], chunk_extend_between */
  real *column;       /* [C], for chunk_hand_over */
  real *sum;          /* [K]: a running sum of dw */
  real *key;          /* [K]: k_j * prod(j+1..c-1) */
  double *carry;      /* [2][K], see round_decay: of factors and of whole chunks, in the sweeps forward in time */
  double *carry_back; /* [K]: of whole chunks in the sweep back; that of factors is rows.carry */
} work;

static int64_t chunks_of(const work *w, int64_t length) {
  return length / w->C + (length % w->C != 0);
}

static size_t lay_out(work *w, const rwkv6_problem *problem, void *workspace) {
  scratch s = {workspace, 0};
  const int64_t C = w->C = rwkv6_reference_chunk_length(problem);
  const int64_t K = w->K = problem->key_dim;
  const int64_t V = w->V = problem->value_dim;
  gradient_rows_lay_out(&w->rows, &s, problem, C);
  checkpoints_lay_out(&w->states, &s, chunks_of(w, rwkv6_problem_longest(problem)), K * V);
  w->gradient = scratch_take(&s, K, V, sizeof(real));
  w->from_start = scratch_take(&s, C + 1, K, sizeof(real));
  w->to_end = scratch_take(&s, C, K, sizeof(real));
  w->between = scratch_take(&s, C, K, sizeof(real));
  w->column = scratch_take(&s, 1, C, sizeof(real));
  w->sum = scratch_take(&s, 1, K, sizeof(real));
  w->key = scratch_take(&s, 1, K, sizeof(real));
  w->carry = scratch_take(&s, 2, K, sizeof(double));
  w->carry_back = scratch_take(&s, 1, K, sizeof(double));
  return s.used;
}

static int64_t tokens_of(const work *w, int64_t chunk) {
  const int64_t rest = w->strand.length - chunk * w->C;
  return rest < w->C ? rest : w->C;
}

static void advance_chunk(void *work_, int64_t chunk, real *state) {
  const work *w = work_;
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V, begin = chunk * w->C, C = tokens_of(w, chunk);
  load_rows(g->k, &w->strand, RWKV6_TENSOR_K, begin, C, K);
  load_rows(g->v, &w->strand, RWKV6_TENSOR_V, begin, C, V);
  load_decays(g->d, w->carry, &w->strand, begin, C);
  chunk_decay_products(w->from_start, w->to_end, w->carry + K, g->d, C, K);
  chunk_hand_over(state, w->from_start + C * K, g->k, w->to_end, g->v, w->column, C, K, V);
}

/* dr of all tokens from the state before the chunk; part 1 of dw, which sets it, and part 2. */
static void from_state_before(const work *w, int64_t C, const real *state) {
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V;
  const real *total = w->from_start + C * K;
  for (int64_t ch = 0; ch < K; ++ch) {
    const real *S = state + ch * V;
    const real part1 = total[ch] * dot(S, w->gradient + ch * V, V);
    real part2 = 0;
    for (int64_t t = C; t-- > 0;) {
      const int64_t at = t * K + ch;
      const real dr = w->from_start[at] * dot(S, g->do_ + t * V, V);
      g->dr[at] += dr;
      g->dw[at] = part1 + part2;
      part2 += g->r[at] * dr;
    }
  }
}

/* dk and dv of all tokens from the gradient of the state after the chunk; part 3 of dw. */
static void from_gradient_after(const work *w, int64_t C) {
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V;
  for (int64_t ch = 0; ch < K; ++ch) w->sum[ch] = 0;
  for (int64_t t = 0; t < C; ++t) {
    for (int64_t ch = 0; ch < K; ++ch) {
      const int64_t at = t * K + ch;
      const real dk = w->to_end[at] * dot(w->gradient + ch * V, g->v + t * V, V);
      g->dk[at] += dk;
      g->dw[at] += w->sum[ch];
      w->sum[ch] += g->k[at] * dk;
      w->key[ch] = g->k[at] * w->to_end[at];
    }
    add_row_times_matrix(g->dv + t * V, w->key, w->gradient, K, V);
  }
}

/*
 * What the pair (i, j) with B_ij = b adds to dr_i and dk_j. Before it, sum holds part 4 of all pairs of i with tokens before
 * j: those have j between them, so they belong to dw_j.
 */
static void pair_backward(const real *restrict r_i, const real *restrict k_j, const real *restrict between, real b,
                          real *restrict dr_i, real *restrict dk_j, real *restrict dw_j, real *restrict sum, int64_t K) {
  for (int64_t ch = 0; ch < K; ++ch) {
    const real dr = b * between[ch] * k_j[ch];
    dr_i[ch] += dr;
    dk_j[ch] += b * between[ch] * r_i[ch];
    dw_j[ch] += sum[ch];
    sum[ch] += r_i[ch] * dr;
  }
}

/* All pairs of token i with earlier tokens of the chunk. */
static void pairs_backward(const work *w, int64_t i) {
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, V = w->V;
  const real *r_i = g->r + i * K, *do_i = g->do_ + i * V;
  for (int64_t ch = 0; ch < K; ++ch) w->sum[ch] = 0;
  if (i > 0) chunk_start_between(w->between + (i - 1) * K, K);
  for (int64_t j = 0; j < i; ++j) {
    real *between = w->between + j * K;
    const real *k_j = g->k + j * K;
    const real b = dot(g->v + j * V, do_i, V);
    add_scaled_row(g->dv + j * V, dot3(r_i, between, k_j, K), do_i, V);
    pair_backward(r_i, k_j, between, b, g->dr + i * K, g->dk + j * K, g->dw + j * K, w->sum, K);
    chunk_extend_between(between, g->d + i * K, K);
  }
}

static void backward_chunk(void *work_, int64_t chunk, real *state) {
  const work *w = work_;
  const gradient_rows *g = &w->rows;
  const int64_t K = w->K, begin = chunk * w->C, C = tokens_of(w, chunk);
  gradient_rows_load(g, &w->strand, begin, C);
  chunk_decay_products(w->from_start, w->to_end, w->carry_back, g->d, C, K);
  gradient_rows_bonus(g, C);
  from_state_before(w, C, state);
  from_gradient_after(w, C);
  for (int64_t i = 0; i < C; ++i) pairs_backward(w, i);
  chunk_hand_over(w->gradient, w->from_start + C * K, g->r, w->from_start, g->do_, w->column, C, K, w->V);
  gradient_rows_store(g, &w->strand, begin, C);
}

static void backward_strand(work *w) {
  for (int64_t ch = 0; ch < w->K; ++ch) w->carry[ch] = w->carry[w->K + ch] = w->carry_back[ch] = w->rows.carry[ch] = 0;
  load_state(w->states.state, &w->strand, RWKV6_TENSOR_INITIAL_STATE);
  load_state(w->gradient, &w->strand, RWKV6_TENSOR_DFINAL_STATE);
  checkpoints_run(&w->states, chunks_of(w, w->strand.length));
  store_state(&w->strand, RWKV6_TENSOR_DINITIAL_STATE, w->gradient);
}

size_t RWKV6_REAL_NAME(chunk_backward_workspace)(const rwkv6_problem *problem) {
  work w;
  return lay_out(&w, problem, NULL);
}

void RWKV6_REAL_NAME(chunk_backward)(const rwkv6_reference_call *call) {
  work w;
  lay_out(&w, call->problem, call->workspace);
  w.states.work = &w;
  w.states.advance = advance_chunk;
  w.states.backward = backward_chunk;
  for (int64_t head = 0; head < call->problem->heads; ++head) {
    gradient_rows_start_head(&w.rows, call, head);
    for (int64_t n = 0; n < call->problem->sequences; ++n) {
      w.strand = strand_of(call, n, head);
      backward_strand(&w);
    }
    gradient_rows_end_head(&w.rows, call, head);
  }
}
