/* SPDX-License-Identifier: MIT */
/* What the makers of chunk_forward_matrix.cl do: r~, k^, D and A of a sub-chunk of 16 tokens and a block of 32 key channels. */
#ifndef CHUNK_MATRIX_TASK_H
#define CHUNK_MATRIX_TASK_H

#include "chunk_matrix_feed.h"

#define OWN (SUB / 2) /* tokens of a work-item: 0 to 7 of the sub-chunk, or, in the upper half of the sub-group, 8 to 15 */

static inline float2 widen_pair_d(pair_d x) {
  return (float2)(widen_d(x.x), widen_d(x.y));
}

/* One task: what was loaded, and its places in the tiles. A work-item has two channels. */
typedef struct task_t {
  local const pair_d *r, *k; /* rows of pairs, KEY_ROW / 2 apart, from its own first token on */
  local const pair_w *w;
  local float *r_tile, *factors, *keys;
  float2 d[OWN], own, other; /* products over its own tokens and over the other half's */
  float2 log_sum;            /* of all 16 */
  float in_scale;
  int first, column; /* its first token and first channel, within the task */
  int present;       /* tokens of its own; 0 for a channel that is not there */
  bool mine;
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

/* Where w is the logarithm, the 0 of tokens that are not there is a factor of 1. */
static inline bool counts(const task_t *x, int t) {
  return DECAY == DECAY_LOG || t < x->present;
}

static inline float2 other_half(float2 value, const place_t *p) {
  return (float2)(engine_swap(value.x, &p->engine), engine_swap(value.y, &p->engine));
}

/* The factors, their product and the sum of their logarithms, over the tokens that are there. One rounding more than operands
 * have is nothing to them, so their product may come from the sum. */
static inline void find_decays(task_t *x, const place_t *p) {
  const bool from_sum = !SPLIT && DECAY != DECAY_FACTOR;
  x->own = 1.0f;
  x->log_sum = 0.0f;
  UNROLL for (int t = 0; t < OWN; t++) {
    const pair_w w = x->w[t * KEY_ROW / 2];
    const float w0 = widen_w(w.x), w1 = widen_w(w.y);
    const float2 d = (float2)(fast_factor(w0), fast_factor(w1)), log_d = (float2)(decay_log(w0), decay_log(w1));
    x->d[t] = counts(x, t) ? d : (float2)(1.0f);
    x->log_sum += counts(x, t) ? log_d : (float2)(0.0f);
    if (!from_sum) x->own *= x->d[t];
  }
  const float2 other_sum = other_half(x->log_sum, p);
  if (from_sum) {
    x->own = (float2)(engine_exp(x->log_sum.x), engine_exp(x->log_sum.y));
    x->other = (float2)(engine_exp(other_sum.x), engine_exp(other_sum.y));
  } else {
    x->other = other_half(x->own, p);
  }
  x->log_sum += other_sum;
}

static inline void store_pair(local float *tile, int stride, int t, const task_t *x, float2 value) {
  if (x->mine) *(local float2 *)(tile + (x->first + t) * stride + x->column) = (float2)(operand(value.x), operand(value.y));
}

/* k^ with a row for each channel, channels in the order of the state's columns, tokens 0 2 4 6 1 3 5 7. */
static inline void store_keys(const task_t *x, const float2 *k) {
  local float *row0 = x->keys + state_column(x->column) * TOKEN_STRIDE + x->first;
  local float *row1 = x->keys + state_column(x->column + 1) * TOKEN_STRIDE + x->first;
  if (!x->mine) return;
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
  UNROLL for (int step = 0; step < BLOCK / 8; step += 2) {
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

/* The sum over channels of a tile's rows, in every column of [16 tokens x 8]. */
static inline void sum_rows(float sum[4], local const float *tile, const place_t *p) {
  operand_t ones, x;
  UNROLL for (int q = 0; q < 4; q++) {
    sum[q] = 0.0f;
    set_operand(&ones, q, 1.0f);
  }
  split(&ones);
  UNROLL for (int step = 0; step < BLOCK / 8; step++) {
    load_rows(&x, tile + 8 * step, BLOCK_STRIDE, p);
    multiply(sum, &x, &ones, 0, p);
  }
}

static inline int row_of(const place_t *p, int q) {
  return p->engine.row + (q & 2) * 4;
}

static inline int column_of(const place_t *p, int q) {
  return q / 4 * 8 + 2 * p->engine.pair + (q & 1);
}

/* The way of matrix products with quotients, for moderate decays. */
static inline void factor_task(float A[2][4], const task_t *x, float2 u, const place_t *p) {
  float2 k[OWN], before = x->first ? x->other : (float2)(1.0f), inverse; /* c_t, 1 / c_t */
  const float2 D = x->own * x->other;
  UNROLL for (int t = 0; t < OWN; t++) {
    if (t == 0) inverse = (float2)(engine_inverse(before.x), engine_inverse(before.y));
    k[t] = load_k(x, t);
    store_pair(x->r_tile, KEY_STRIDE, t, x, load_r(x, t) * before);
    store_pair(x->keys, BLOCK_STRIDE, t, x, load_r(x, t) * (u * k[t]));
    before *= x->d[t];
    inverse = (float2)(engine_inverse(before.x), engine_inverse(before.y));
    k[t] *= inverse;
    store_pair(x->factors, BLOCK_STRIDE, t, x, k[t]);
    k[t] *= D;
  }
  engine_barrier();
  float diagonal[4];
  multiply_rows(A, x, x->factors, p);
  sum_rows(diagonal, x->keys, p);
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = row_of(p, q), j = column_of(p, q);
    A[q / 4][q & 3] = i > j ? A[q / 4][q & 3] : i == j ? diagonal[q & 3] : 0.0f;
  }
  engine_barrier();
  store_keys(x, k);
}

/* Adds products of the tiles to A for pairs that meet in a block of 2 size tokens. */
static inline void add_products(float A[2][4], const task_t *x, int size, const place_t *p) {
  float sum[2][4];
  multiply_rows(sum, x, x->factors, p);
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = row_of(p, q), j = column_of(p, q);
    const bool mine = (i ^ j) / size == 1 && i > j;
    A[q / 4][q & 3] += mine ? sum[q / 4][q & 3] : 0.0f;
  }
}

/* From products of decays within blocks of `size` tokens to those within blocks of twice as many. */
static inline void join_blocks(float2 *r, float2 *k, float2 *d, int size) {
  UNROLL for (int t = 0; t < OWN; t++) {
    if (t & size)
      r[t] *= d[t / size - 1];
    else
      k[t] *= d[t / size + 1];
  }
  UNROLL for (int m = 0; m < OWN / 2; m++) if (m < OWN / size / 2) d[m] = d[2 * m] * d[2 * m + 1];
}

/* The exact way, for every decay. */
static inline void tree_task(float A[2][4], task_t *x, float2 u, const place_t *p) {
  float2 r[OWN], k[OWN];
  UNROLL for (int t = 0; t < OWN; t++) {
    r[t] = load_r(x, t);
    k[t] = load_k(x, t);
    store_pair(x->keys, BLOCK_STRIDE, t, x, r[t] * (u * k[t]));
  }
  engine_barrier();
  float diagonal[4];
  sum_rows(diagonal, x->keys, p);
  UNROLL for (int q = 0; q < 8; q++) A[q / 4][q & 3] = row_of(p, q) == column_of(p, q) ? diagonal[q & 3] : 0.0f;
  UNROLL for (int size = 1; size < SUB; size *= 2) {
    if (size > 1) engine_barrier();
    UNROLL for (int t = 0; t < OWN; t++) {
      store_pair(x->r_tile, KEY_STRIDE, t, x, r[t]);
      store_pair(x->factors, BLOCK_STRIDE, t, x, k[t]);
    }
    engine_barrier();
    add_products(A, x, size, p);
    if (size < OWN) join_blocks(r, k, x->d, size);
  }
  engine_barrier();
  UNROLL for (int t = 0; t < OWN; t++) {
    if (x->first)
      r[t] *= x->other;
    else
      k[t] *= x->other;
    store_pair(x->r_tile, KEY_STRIDE, t, x, r[t]);
  }
  store_keys(x, k);
}

/* k^ alone. */
static inline void decay_keys(const task_t *x) {
  float2 k[OWN], after = x->first ? (float2)(1.0f) : x->other;
  UNROLL for (int t = OWN - 1; t >= 0; t--) {
    k[t] = load_k(x, t) * after;
    after *= x->d[t];
  }
  store_keys(x, k);
}

/* A factor under 2^-100 counts as 0, as in decay.h. */
static inline void store_decay(const products_t *products, int at, float product, float log_sum) {
  const float2 decay = chunk_decay(product < 0x1p-100f ? 0.0f : product, log_sum);
#if SPLIT
  products->keep[at] = decay.x;
  products->change[at] = decay.y;
#else
  products->keep[at] = decay.x + decay.y;
#endif
}

static inline void store_triangle(local float *to, float A[2][4], const place_t *p) {
  UNROLL for (int q = 0; q < 8; q += 2) {
    local float *at = to + row_of(p, q) * PAIR_STRIDE + column_of(p, q);
    *(local float2 *)at = (float2)(A[q / 4][q & 3], A[q / 4][(q & 3) + 1]);
  }
}

/* Task n of this sub-group, from raw tile `raw` with `count` tokens. */
static inline void do_task(const tiles_t *tiles, const products_t *products, const place_t *p, float in_scale, int n, int raw,
                           int count, bool with_r) {
  const int number = p->sub_group + n * SIDE;
  const bool mine = p->makes && number < TASKS;
  if (ENGINE_INDEPENDENT && !mine) return;
  const int task = mine ? number : 0, sub = task / BLOCKS, block = task - sub * BLOCKS;
  task_t x;
  x.mine = ENGINE_INDEPENDENT || mine;
  x.first = p->engine.lane / 16 * OWN;
  x.column = 2 * (p->engine.lane & 15);
  const int c = block * BLOCK + x.column, t = sub * SUB + x.first;
  x.r = (local const pair_d *)(tiles->r + (with_r ? raw * RAW_D + ROW_AT(t, JOIN(GAP_, DTYPE)) + c : 0));
  x.k = (local const pair_d *)(tiles->k + raw * RAW_D + ROW_AT(t, JOIN(GAP_, DTYPE)) + c);
  x.w = (local const pair_w *)(tiles->w + raw * RAW_W + ROW_AT(t, JOIN(GAP_, W_DTYPE)) + c);
  x.r_tile = products->r + (with_r ? sub * SUB * KEY_STRIDE + block * BLOCK : 0);
  x.factors = tiles->factors + (with_r ? task * FACTORS_EACH : 0);
  x.keys = products->k + task * KEYS_EACH;
  x.in_scale = in_scale;
  x.present = c < KEY_DIM ? count - t : 0;
  find_decays(&x, p);
  const float2 D = x.own * x.other;
  if (with_r) {
    float A[2][4];
    const float2 u = *(local const float2 *)(tiles->u + c);
    if (engine_all(D.x >= MODERATE && D.y >= MODERATE, &p->engine))
      factor_task(A, &x, u, p);
    else
      tree_task(A, &x, u, p);
    if (x.mine) store_triangle(products->A + task * TRIANGLE_EACH, A, p);
  } else {
    decay_keys(&x);
  }
  const int at = sub * KEY_ROW + state_column(c + (x.first ? 1 : 0));
  if (x.mine) store_decay(products, at, x.first ? D.y : D.x, x.first ? x.log_sum.y : x.log_sum.x);
}

/* From the rows of a chunk of which `left` tokens or more are there. */
static inline void make_products(const tiles_t *tiles, const place_t *p, float in_scale, const turn_t *turn, index_t left,
                                 bool with_r) {
  const int count = (int)min((index_t)CHUNK, left);
  if (count <= 0 || !GOES(p->makes)) return;
  products_t products;
  products_of(&products, tiles, turn->make);
  UNROLL for (int n = 0; n < TASKS_EACH; n++) do_task(tiles, &products, p, in_scale, n, turn->rows, count, with_r);
}

#endif
