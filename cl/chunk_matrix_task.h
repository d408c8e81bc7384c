/* SPDX-License-Identifier: MIT */
/* Phase 1 of chunk_forward_matrix.cl: r~, k^, D and A of a sub-chunk of 16 tokens and a block of 64 key channels. */
#ifndef CHUNK_MATRIX_TASK_H
#define CHUNK_MATRIX_TASK_H

#include "chunk_matrix_tiles.h"

static inline float2 widen_pair_d(pair_d x) {
  return (float2)(widen_d(x.x), widen_d(x.y));
}

/* One task: what was loaded, and its places in the tiles. */
typedef struct task_t {
  local const pair_d *r, *k; /* rows of pairs, KEY_ROW / 2 apart */
  local const pair_w *w;
  local float *r_tile, *factors, *keys;
  float2 d[SUB], D, log_sum, u;
  float in_scale;
  int lane, present; /* tokens; 0 for a channel that is not there */
} task_t;

/* r and k are 0 where they are not there, so that nothing but w has to be left out. */
static inline float2 load_r(const task_t *x, int t) {
  return widen_pair_d(x->r[t * KEY_ROW / 2]);
}

static inline float2 load_k(const task_t *x, int t) {
  return x->in_scale * widen_pair_d(x->k[t * KEY_ROW / 2]);
}

static inline float fast_factor(float w) {
#if SPLIT || DECAY == DECAY_FACTOR
  return decay_factor(w);
#else
  return engine_exp(decay_log(w));
#endif
}

/* The factors, their product and the sum of their logarithms, over the tokens that are there. */
static inline void find_decays(task_t *x) {
  x->D = 1.0f;
  x->log_sum = 0.0f;
  UNROLL for (int t = 0; t < SUB; t++) {
    const pair_w w = x->w[t * KEY_ROW / 2];
    const float w0 = widen_w(w.x), w1 = widen_w(w.y);
    const float2 d = (float2)(fast_factor(w0), fast_factor(w1)), log_d = (float2)(decay_log(w0), decay_log(w1));
    x->d[t] = t < x->present ? d : (float2)(1.0f);
    x->log_sum += t < x->present ? log_d : (float2)(0.0f);
    x->D *= x->d[t];
  }
}

static inline void store_pair(local float *tile, int stride, int t, const task_t *x, float2 value) {
  *(local float2 *)(tile + t * stride + 2 * x->lane) = (float2)(operand(value.x), operand(value.y));
}

/* k^ of 8 tokens with a row for each channel, channels in the order of the state's columns, tokens 0 2 4 6 1 3 5 7. */
static inline void store_keys(const task_t *x, int first, const float2 *k) {
  local float *row0 = x->keys + state_column(2 * x->lane) * TOKEN_STRIDE + first;
  local float *row1 = x->keys + state_column(2 * x->lane + 1) * TOKEN_STRIDE + first;
  UNROLL for (int odd = 0; odd < 2; odd++) {
    *(local float4 *)(row0 + 4 * odd) =
        (float4)(operand(k[odd].x), operand(k[odd + 2].x), operand(k[odd + 4].x), operand(k[odd + 6].x));
    *(local float4 *)(row1 + 4 * odd) =
        (float4)(operand(k[odd].y), operand(k[odd + 2].y), operand(k[odd + 4].y), operand(k[odd + 6].y));
  }
}

/* r k^T of the tiles, [16 tokens i x 8 tokens j] for j below 8 and above. */
static inline void multiply_rows(float sum[2][4], const task_t *x, local const float *factors, const place_t *p) {
  for (int q = 0; q < 8; q++) sum[q / 4][q & 3] = 0.0f;
  UNROLL for (int step = 0; step < 8; step += 2) {
    operand_t r[2], k;
    load_rows(&r[0], x->r_tile + 8 * step, KEY_STRIDE, p);
    load_rows(&r[1], x->r_tile + 8 * step + 8, KEY_STRIDE, p);
    UNROLL for (int column = 0; column < 2; column++) {
      load_columns(&k, factors + 8 * column * BLOCK_STRIDE + 8 * step, BLOCK_STRIDE, p);
      multiply(sum[column], &r[0], &k, 0, p);
      multiply(sum[column], &r[1], &k, 2, p);
    }
  }
}

static inline int row_of(const place_t *p, int q) {
  return p->engine.row + (q & 2) * 4;
}

static inline int column_of(const place_t *p, int q) {
  return q / 4 * 8 + 2 * p->engine.pair + (q & 1);
}

/* The way of matrix products with quotients, for moderate decays. */
static inline void factor_task(float A[2][4], const task_t *x, const place_t *p) {
  float2 k[SUB], before = 1.0f, inverse = 1.0f; /* c_t, 1 / c_t */
  UNROLL for (int t = 0; t < SUB; t++) {
    k[t] = load_k(x, t);
    store_pair(x->r_tile, KEY_STRIDE, t, x, load_r(x, t) * before);
    store_pair(x->keys, BLOCK_STRIDE, t, x, x->u * k[t] * inverse);
    before *= x->d[t];
    inverse = (float2)(engine_inverse(before.x), engine_inverse(before.y));
    k[t] *= inverse;
    store_pair(x->factors, BLOCK_STRIDE, t, x, k[t]);
    k[t] *= x->D;
  }
  engine_barrier();
  float diagonal[2][4];
  multiply_rows(A, x, x->factors, p);
  multiply_rows(diagonal, x, x->keys, p);
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = row_of(p, q), j = column_of(p, q);
    A[q / 4][q & 3] = i > j ? A[q / 4][q & 3] : i == j ? diagonal[q / 4][q & 3] : 0.0f;
  }
  engine_barrier();
  store_keys(x, 0, k);
  store_keys(x, 8, k + 8);
}

/* Adds products of the tiles to A where `size` says so: 0 the diagonal, else pairs that meet in a block of 2 size tokens. */
static inline void add_products(float A[2][4], const task_t *x, int size, const place_t *p) {
  float sum[2][4];
  multiply_rows(sum, x, x->factors, p);
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = row_of(p, q), j = column_of(p, q);
    const bool mine = size ? (i ^ j) / size == 1 && i > j : i == j;
    A[q / 4][q & 3] += mine ? sum[q / 4][q & 3] : 0.0f;
  }
}

/* From products of decays within blocks of `size` tokens to those within blocks of twice as many. */
static inline void join_blocks(float2 *r, float2 *k, float2 *d, int size) {
  UNROLL for (int t = 0; t < SUB; t++) {
    if (t & size)
      r[t] *= d[t / size - 1];
    else
      k[t] *= d[t / size + 1];
  }
  UNROLL for (int m = 0; m < SUB / 2; m++) if (m < SUB / size / 2) d[m] = d[2 * m] * d[2 * m + 1];
}

/* The exact way, for every decay. */
static inline void tree_task(float A[2][4], task_t *x, const place_t *p) {
  float2 r[SUB], k[SUB];
  UNROLL for (int t = 0; t < SUB; t++) {
    r[t] = load_r(x, t);
    k[t] = load_k(x, t);
    store_pair(x->r_tile, KEY_STRIDE, t, x, r[t]);
    store_pair(x->factors, BLOCK_STRIDE, t, x, x->u * k[t]);
  }
  for (int q = 0; q < 8; q++) A[q / 4][q & 3] = 0.0f;
  engine_barrier();
  add_products(A, x, 0, p);
  UNROLL for (int size = 1; size < SUB; size *= 2) {
    engine_barrier();
    UNROLL for (int t = 0; t < SUB; t++) {
      store_pair(x->r_tile, KEY_STRIDE, t, x, r[t]);
      store_pair(x->factors, BLOCK_STRIDE, t, x, k[t]);
    }
    engine_barrier();
    add_products(A, x, size, p);
    join_blocks(r, k, x->d, size);
  }
  engine_barrier();
  UNROLL for (int t = 0; t < SUB; t++) store_pair(x->r_tile, KEY_STRIDE, t, x, r[t]);
  store_keys(x, 0, k);
  store_keys(x, 8, k + 8);
}

/* k^ alone. */
static inline void decay_keys(const task_t *x) {
  float2 k[SUB], after = 1.0f;
  UNROLL for (int t = SUB - 1; t >= 0; t--) {
    k[t] = load_k(x, t) * after;
    after *= x->d[t];
  }
  store_keys(x, 0, k);
  store_keys(x, 8, k + 8);
}

/* A factor under 2^-100 counts as 0, as in decay.h. */
static inline void store_decay(const tiles_t *tiles, int at, float product, float log_sum) {
  const float2 decay = chunk_decay(product < 0x1p-100f ? 0.0f : product, log_sum);
#if SPLIT
  tiles->keep[at] = decay.x;
  tiles->change[at] = decay.y;
#else
  tiles->keep[at] = decay.x + decay.y;
#endif
}

static inline void store_triangle(local float *to, float A[2][4], const place_t *p) {
  UNROLL for (int q = 0; q < 8; q += 2) {
    local float *at = to + row_of(p, q) * PAIR_STRIDE + column_of(p, q);
    *(local float2 *)at = (float2)(A[q / 4][q & 3], A[q / 4][(q & 3) + 1]);
  }
}

static inline void do_task(const tiles_t *tiles, const inputs_t *in, const place_t *p, global const float *u, int n, int count,
                           bool with_r) {
  const int task = task_of(p, n), sub = task / BLOCKS, block = (int)((uint)task % BLOCKS), c = block * 64 + 2 * p->engine.lane;
  const bool real = task < TASKS && c < KEY_DIM;
  if (ENGINE_INDEPENDENT && task >= TASKS) return;
  const int from = (task < TASKS ? sub * SUB * KEY_ROW : 0) + c;
  task_t x;
  x.r = (local const pair_d *)(tiles->r_raw + (with_r ? from : 0));
  x.k = (local const pair_d *)(tiles->k_raw + from);
  x.w = (local const pair_w *)(tiles->w_raw + from);
  x.r_tile = tiles->r + sub * SUB * KEY_STRIDE + block * 64;
  x.factors = tiles->factors + task * FACTOR_FLOATS;
  x.keys = tiles->k + task * TASK_FLOATS;
  x.in_scale = in->in_scale;
  x.lane = p->engine.lane;
  x.present = real ? count - sub * SUB : 0;
  find_decays(&x);
  if (with_r) {
    float A[2][4];
    x.u = (float2)(real ? u[c] : 0.0f, real ? u[c + 1] : 0.0f);
    if (engine_all(x.D.x >= MODERATE && x.D.y >= MODERATE, &p->engine))
      factor_task(A, &x, p);
    else
      tree_task(A, &x, p);
    store_triangle(tiles->A + task * SUB * PAIR_STRIDE, A, p);
  } else {
    decay_keys(&x);
  }
  store_decay(tiles, sub * KEY_ROW + state_column(c), x.D.x, x.log_sum.x);
  store_decay(tiles, sub * KEY_ROW + state_column(c + 1), x.D.y, x.log_sum.y);
}

#endif
