/* SPDX-License-Identifier: MIT */
/*
 * Forward, token by token. For each sequence and head, with a state S of K x V (docs/algorithm.md, "Recurrent mode"):
 *
 *     o_t = scale * (r_t^T S_{t-1} + (sum_ch r_t u k_t) v_t)
 *     S_t = diag(d_t) S_{t-1} + k_t v_t^T
 *
 * Tokens come in blocks: the rows of all heads are converted in the order in which they lie in memory, then one head after
 * the other works through the block, so that its state stays in the nearest cache. In a block one pass over the state does
 * two tokens: with S = S_{t-1}, and r', k', v', d' those of token t + 1,
 *
 *     o_{t+1} = scale * ((r' d)^T S + (sum_ch r' k) v + (sum_ch r' u k') v')
 *     S_{t+1} = diag(d d') S + (k d') v^T + k' v'^T
 */
#include "reference/decay.h"
#include "reference/matrix.h"
#include "reference/reference.h"
#include "reference/scratch.h"

enum { BLOCK = 32, FLUSH_EVERY = 4 * BLOCK }; /* tokens; BLOCK is even */

typedef struct work {
  strand strand; /* of one sequence; its head is not used */
  int64_t H, K, V;
  real *state;   /* [H][K][V] */
  real *r, *k;   /* [H][BLOCK][K] */
  real *d;       /* [H][BLOCK][K], decay factors; once joined, every second row is that of two tokens */
  real *v, *o;   /* [H][BLOCK][V] */
  real *u;       /* [H][K] */
  double *carry; /* [H][2][K]: of the factors and of their products, see round_decay */
} work;

static size_t lay_out(work *w, const rwkv6_problem *problem, void *workspace) {
  scratch s = {workspace, 0};
  const int64_t H = w->H = problem->heads;
  const int64_t K = w->K = problem->key_dim;
  const int64_t V = w->V = problem->value_dim;
  w->state = scratch_take(&s, H, K * V, sizeof(real));
  w->r = scratch_take(&s, H, BLOCK * K, sizeof(real));
  w->k = scratch_take(&s, H, BLOCK * K, sizeof(real));
  w->d = scratch_take(&s, H, BLOCK * K, sizeof(real));
  w->v = scratch_take(&s, H, BLOCK * V, sizeof(real));
  w->o = scratch_take(&s, H, BLOCK * V, sizeof(real));
  w->u = scratch_take(&s, H, K, sizeof(real));
  w->carry = scratch_take(&s, H, 2 * K, sizeof(double));
  return s.used;
}

/* rows[H][BLOCK][channels] = the tensor at positions begin .. begin + count - 1. */
static void load_heads(const work *w, real *rows, rwkv6_tensor_id id, int64_t begin, int64_t count, int64_t channels) {
  strand s = w->strand;
  for (int64_t t = 0; t < count; ++t) {
    for (s.head = 0; s.head < w->H; ++s.head) {
      load_rows(rows + (s.head * BLOCK + t) * channels, &s, id, begin + t, 1, channels);
    }
  }
}

static void store_outputs(const work *w, int64_t begin, int64_t count) {
  strand s = w->strand;
  for (int64_t t = 0; t < count; ++t) {
    for (s.head = 0; s.head < w->H; ++s.head) {
      store_rows(&s, RWKV6_TENSOR_O, begin + t, 1, w->o + (s.head * BLOCK + t) * w->V, w->V);
    }
  }
}

/* The rows of one head in a block. */
typedef struct head_rows {
  real *r, *k, *d, *v, *o;
  const real *u;
  double *carry;
} head_rows;

static head_rows rows_of_head(const work *w, int64_t head) {
  const int64_t key_rows = head * BLOCK * w->K, value_rows = head * BLOCK * w->V;
  const head_rows rows = {w->r + key_rows,   w->k + key_rows,    w->d + key_rows,           w->v + value_rows,
                          w->o + value_rows, w->u + head * w->K, w->carry + head * 2 * w->K};
  return rows;
}

/* Gives the last token of an odd count a partner that changes nothing. */
static void add_partner(const work *w, const head_rows *x, int64_t count) {
  for (int64_t i = count * w->K; i < (count + 1) * w->K; ++i) {
    x->r[i] = x->k[i] = 0;
    x->d[i] = 1;
  }
  for (int64_t i = count * w->V; i < (count + 1) * w->V; ++i) x->v[i] = 0;
}

/* o of the tokens t and t + 1 = all that does not go through the state: the terms with v and v' in the equations on top. */
static void start_outputs(const work *w, const head_rows *x, int64_t t) {
  const int64_t K = w->K, V = w->V;
  const real *r = x->r + t * K, *k = x->k + t * K, *v = x->v + t * V;
  real *o = x->o + t * V;
  scale_row(o, dot3(r, x->u, k, K), v, V);
  scale_row(o + V, dot3(r + K, x->u, k + K, K), v + V, V);
  add_scaled_row(o + V, dot(r + K, k, K), v, V);
}

/* r' = r' d, k = k d' and d' = d d': from here on the two tokens go through the state as one. */
static INNER_LOOP void join_decays(real *restrict r_next, real *restrict k, const real *restrict d, real *restrict d_next,
                                   double *restrict carry, int64_t K) {
  for (int64_t ch = 0; ch < K; ++ch) {
    r_next[ch] *= d[ch];
    k[ch] *= d_next[ch];
    d_next[ch] = round_decay((double)d[ch] * d_next[ch], &carry[ch]);
  }
}

/*
 * Two joined tokens and one key row of the state: o += r S, o' += r' S, S = d S + k v + k' v'. r, k, d point to the row's
 * value of the first token; that of the second is K further, and so is the decay d of both.
 */
static INNER_LOOP void step_row(real *restrict o, real *restrict o_next, real *restrict S, const real *restrict v,
                                const real *restrict v_next, const real *r, const real *k, const real *d, int64_t K,
                                int64_t V) {
  const real r0 = r[0], r0_next = r[K], k0 = k[0], k0_next = k[K], d0 = d[K];
  for (int64_t c = 0; c < V; ++c) {
    const real s0 = S[c];
    o[c] += r0 * s0;
    o_next[c] += r0_next * s0;
    S[c] = d0 * s0 + (k0 * v[c] + k0_next * v_next[c]);
  }
}

/* The same for two neighbouring key rows S and T, so that v and o are touched once for both. */
static INNER_LOOP void step_two_rows(real *restrict o, real *restrict o_next, real *restrict S, real *restrict T,
                                     const real *restrict v, const real *restrict v_next, const real *r, const real *k,
                                     const real *d, int64_t K, int64_t V) {
  const real r0 = r[0], r0_next = r[K], k0 = k[0], k0_next = k[K], d0 = d[K];
  const real r1 = r[1], r1_next = r[K + 1], k1 = k[1], k1_next = k[K + 1], d1 = d[K + 1];
  for (int64_t c = 0; c < V; ++c) {
    const real s0 = S[c], s1 = T[c], vc = v[c], vc_next = v_next[c];
    o[c] += r0 * s0 + r1 * s1;
    o_next[c] += r0_next * s0 + r1_next * s1;
    S[c] = d0 * s0 + (k0 * vc + k0_next * vc_next);
    T[c] = d1 * s1 + (k1 * vc + k1_next * vc_next);
  }
}

/* One head through a block, one or two key rows of its state at a time. */
static void step_block(const work *w, const head_rows *x, real *state, int64_t count) {
  const int64_t K = w->K, V = w->V;
  for (int64_t row = 0; row < K; row += 2) {
    real *S = state + row * V;
    for (int64_t t = 0; t < count; t += 2) {
      real *o = x->o + t * V, *v = x->v + t * V;
      const int64_t at = t * K + row;
      if (row + 1 < K)
        step_two_rows(o, o + V, S, S + V, v, v + V, x->r + at, x->k + at, x->d + at, K, V);
      else
        step_row(o, o + V, S, v, v + V, x->r + at, x->k + at, x->d + at, K, V);
    }
  }
}

static void forward_head(const work *w, int64_t head, int64_t count) {
  const int64_t K = w->K;
  const head_rows x = rows_of_head(w, head);
  real *state = w->state + head * K * w->V;
  decays_from_w(x.d, x.carry, w->strand.call->problem->decay, count, K);
  const real scale = (real)w->strand.call->problem->scale;
  for (int64_t i = 0; i < count * K; ++i) x.r[i] *= scale;
  if (count % 2) add_partner(w, &x, count);
  for (int64_t t = 0; t < count; t += 2) {
    start_outputs(w, &x, t);
    join_decays(x.r + (t + 1) * K, x.k + t * K, x.d + t * K, x.d + (t + 1) * K, x.carry + K, K);
  }
  step_block(w, &x, state, count);
}

static void forward_block(const work *w, int64_t begin, int64_t count) {
  load_heads(w, w->r, RWKV6_TENSOR_R, begin, count, w->K);
  load_heads(w, w->k, RWKV6_TENSOR_K, begin, count, w->K);
  load_heads(w, w->d, RWKV6_TENSOR_W, begin, count, w->K);
  load_heads(w, w->v, RWKV6_TENSOR_V, begin, count, w->V);
  for (int64_t head = 0; head < w->H; ++head) forward_head(w, head, count);
  if (begin % FLUSH_EVERY == 0) flush_matrix(w->state, w->H * w->K * w->V);
  store_outputs(w, begin, count);
}

static void forward_sequence(const work *w) {
  const int64_t length = w->strand.length, state_size = w->K * w->V;
  strand s = w->strand;
  for (int64_t i = 0; i < w->H * 2 * w->K; ++i) w->carry[i] = 0;
  for (s.head = 0; s.head < w->H; ++s.head) {
    load_state(w->state + s.head * state_size, &s, RWKV6_TENSOR_INITIAL_STATE);
  }
  for (int64_t begin = 0; begin < length; begin += BLOCK) {
    forward_block(w, begin, length - begin < BLOCK ? length - begin : BLOCK);
  }
  for (s.head = 0; s.head < w->H; ++s.head) {
    store_state(&s, RWKV6_TENSOR_FINAL_STATE, w->state + s.head * state_size);
  }
}

size_t RWKV6_REAL_NAME(recurrent_forward_workspace)(const rwkv6_problem *problem) {
  work w;
  return lay_out(&w, problem, NULL);
}

void RWKV6_REAL_NAME(recurrent_forward)(const rwkv6_reference_call *call) {
  work w;
  lay_out(&w, call->problem, call->workspace);
  for (int64_t head = 0; head < w.H; ++head) load_bonus(w.u + head * w.K, call, head);
  for (int64_t n = 0; n < call->problem->sequences; ++n) {
    w.strand = strand_of(call, n, 0);
    if (w.strand.state >= 0) forward_sequence(&w);
  }
}
