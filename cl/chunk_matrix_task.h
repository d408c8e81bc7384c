/* SPDX-License-Identifier: MIT */
/*
 * What the makers of chunk_forward_matrix.cl do: r~, k^, D and A of a chunk of 32 tokens and a block of key channels.
 *
 * Everything is in the order of the engine's accumulators, [16 tokens x 8 channels]: element q of a work-item is token row +
 * 8 (q / 2) and channel 2 pair + (q & 1). That order serves as operand as well, if channels 2 pair and 2 pair + 1 of both
 * operands count as pair and pair + 4 of the product. So sums of logarithms over tokens are products with a matrix of ones and
 * zeros, A is a product of what a work-item has in registers, and local memory holds what the users want, and nothing else.
 */
#ifndef CHUNK_MATRIX_TASK_H
#define CHUNK_MATRIX_TASK_H

#include "chunk_matrix_feed.h"

#define MODERATE -41.0f /* log of the product of factors: far inside the range of fp32, its inverse and what that multiplies too */

/* ---- sums of logarithms ---- */

/* Logarithms that are stored in 16 bits are operands as they are; others are made sums of a few numbers in bf16. */
#define DIRECT_LOGS (DECAY == DECAY_LOG && BITS_W == 16)
#if DIRECT_LOGS
#define LOG_TYPE W_DTYPE
#define LOG_PARTS 1
#else
#define LOG_TYPE bf16
#define LOG_PARTS (2 + SPLIT)
#endif

#define LOG_FLOOR -128.0f /* exp of it is 0, and so is exp of what is below */
#define FLOOR_bf16 0xc300c300u
#define FLOOR_fp16 0xd800d800u
#define ONE_bf16 0x3f80u
#define ONE_fp16 0x3c00u

/* In the order of operand B [16 tokens x 8 channels]: two for each 8 channels, tokens 0 to 15 and 16 to 31. */
typedef struct logs_t {
  uint parts[2][LOG_PARTS][2 * OCTETS];
} logs_t;

/* Of tokens row and row + 8 of both operands, and channels 2 pair and 2 pair + 1 of each 8. */
typedef struct tokens_t {
  float at[2][OCTETS][4];
} tokens_t;

/*
 * Over which tokens t a sum at token i goes: those of its own octet of tokens that `same` says, all or none of the octets before
 * and after it. BESIDE + size: the other half of i's block of 2 size tokens.
 */
enum { BEFORE = -4, THROUGH, AFTER, ALL, BESIDE };

static inline uint one_at(int which, int i, int t) {
  const bool there = which == BEFORE    ? t < i
                     : which == THROUGH ? t <= i
                     : which == AFTER   ? t > i
                     : which == ALL     ? true
                                        : (i ^ t) / (which - BESIDE) == 1;
  return there ? JOIN(ONE_, LOG_TYPE) : 0u;
}

/* Sums at 16 tokens over tokens 0 to 15, or 16 to 31 (from); `first`: to 0, not to what is there. */
static inline void add_logs(float sum[OCTETS][4], int which, const logs_t *logs, int from, bool first, const place_t *p) {
  const uint all = JOIN(ONE_, LOG_TYPE) * 0x10001u;
  const uint same = one_at(which, p->engine.row, 2 * p->engine.pair) | one_at(which, p->engine.row, 2 * p->engine.pair + 1) << 16;
  const uint earlier = which == BEFORE || which == THROUGH || which == ALL || which == BESIDE + 8 ? all : 0u;
  const uint later = which == AFTER || which == ALL || which == BESIDE + 8 ? all : 0u;
  const uint ones[4] = {same, earlier, later, same};
  UNROLL for (int n = 0; n < OCTETS; n++) {
    UNROLL for (int part = LOG_PARTS - 1; part >= 0; part--) {
      const uint *b = logs->parts[from][part] + 2 * n;
      JOIN(engine_multiply_, LOG_TYPE)(sum[n], ones, b[0], b[1], first && part == LOG_PARTS - 1, &p->engine);
    }
  }
}

/* Sums at tokens 0 to 15, or 16 to 31 (upper), over all 32. */
static inline void sum_logs(float sum[OCTETS][4], int which, const logs_t *logs, int upper, const place_t *p) {
  add_logs(sum, which, logs, upper, true, p);
  if (which == ALL || (which == AFTER) != (upper != 0)) add_logs(sum, ALL, logs, 1 - upper, false, p);
}

/* ---- a task ---- */

/* What was loaded, and its places in the tiles. */
typedef struct task_t {
  local const dtype_t *r, *k; /* the tiles */
  local const w_dtype_t *w;
  int first; /* its first channel */
  local float *r_decayed, *k_decayed, *sums;
  local const float *u;
  float in_scale;
  int tokens, channels; /* that are there */
  bool mine;
} task_t;

#if !DIRECT_LOGS
static inline float log_at(const task_t *x, int t, int channel) {
  const float log_factor = decay_log(widen_w(x->w[element_of(t, x->first + channel, W_STRIDE, W_SWIZZLE)]));
  return t >= x->tokens || channel >= x->channels ? 0.0f : log_factor < LOG_FLOOR ? LOG_FLOOR : log_factor;
}
#endif

static inline void load_logs(logs_t *logs, const task_t *x, const place_t *p) {
  UNROLL for (int n = 0; n < 2 * OCTETS; n++) {
#if DIRECT_LOGS
    if ((n & 3) == 0) {
      UNROLL for (int m = 0; m < 2; m++) {
        local const ushort *tile = (local const ushort *)x->w + m * ROWS * W_STRIDE;
        engine_load_pairs(logs->parts[m][0] + n, &p->engine, tile, W_STRIDE, W_SWIZZLE, (x->first + 4 * n) / 8, false);
      }
    }
    UNROLL for (int m = 0; m < 2; m++) logs->parts[m][0][n] =
        JOIN(engine_max_, W_DTYPE)(logs->parts[m][0][n], JOIN(FLOOR_, W_DTYPE));
#else
    UNROLL for (int m = 0; m < 2; m++) {
      const int t = m * ROWS + 2 * p->engine.pair + (n & 1) * 8, c = p->engine.row + n / 2 * 8;
      float first = log_at(x, t, c), second = log_at(x, t + 1, c);
      UNROLL for (int part = 0; part < LOG_PARTS; part++) {
        const uint pair = engine_pack_bf16(first, second);
        logs->parts[m][part][n] = pair;
        first -= as_float(pair << 16);
        second -= as_float(pair & 0xffff0000u);
      }
    }
#endif
  }
}

/* 16 rows of the task's channels. They are 0 where they are not there. */
static inline void load_rows(float x[OCTETS][4], local const dtype_t *tile, int first, const place_t *p) {
#if SPLIT
  UNROLL for (int n = 0; n < 2 * OCTETS; n++) {
    const int row = p->engine.row + (n & 1) * 8, column = first + n / 2 * 8 + 2 * p->engine.pair;
    const float2 pair = *(local const float2 *)(tile + row * D_STRIDE + column);
    x[n / 2][2 * (n & 1)] = pair.x;
    x[n / 2][2 * (n & 1) + 1] = pair.y;
  }
#else
  uint pairs[2 * OCTETS];
  UNROLL for (int n = 0; n < OCTETS / 2; n++)
      engine_load_tokens(pairs + 4 * n, &p->engine, tile, D_STRIDE, D_SWIZZLE, first / 8 + 2 * n);
  UNROLL for (int n = 0; n < 2 * OCTETS; n++) {
    x[n / 2][2 * (n & 1)] = widen_d((ushort)pairs[n]);
    x[n / 2][2 * (n & 1) + 1] = widen_d((ushort)(pairs[n] >> 16));
  }
#endif
}

static inline void load_tokens(tokens_t *x, local const dtype_t *tile, int first, const place_t *p) {
  UNROLL for (int m = 0; m < 2; m++) load_rows(x->at[m], tile + m * ROWS * D_STRIDE, first, p);
}

/* x times exp(sign sum) */
static inline void scale_by(float x[OCTETS][4], float sum[OCTETS][4], float sign) {
  UNROLL for (int n = 0; n < 4 * OCTETS; n++) x[n / 4][n & 3] *= engine_exp(sign * sum[n / 4][n & 3]);
}

/* A = r k^T, [16 tokens i x 8 tokens j] for j below 8 and above. */
static inline void multiply_tokens(float A[2][4], float r[OCTETS][4], float k[OCTETS][4], const place_t *p) {
  UNROLL for (int n = 0; n < OCTETS; n++) {
    operand_t a, b;
    UNROLL for (int q = 0; q < 4; q++) {
      set_operand(&a, q, r[n][(q & 1) * 2 + (q >> 1)]);
      set_operand(&b, q, k[n][q]);
    }
    split(&a);
    split(&b);
    multiply(A[0], &a, &b, 0, n == 0, p);
    multiply(A[1], &a, &b, 2, n == 0, p);
  }
}

static inline int row_of(const place_t *p, int q) {
  return p->engine.row + (q & 2) * 4;
}

static inline int column_of(const place_t *p, int q) {
  return q / 4 * 8 + 2 * p->engine.pair + (q & 1);
}

/*
 * The way of quotients, for moderate decays: r becomes r~ and k becomes k^ / D. Blocks on the diagonal get what they want below
 * it alone.
 */
static inline void factor_tokens(float A[3][2][4], tokens_t *r, tokens_t *k, const logs_t *logs, const place_t *p) {
  UNROLL for (int m = 0; m < 2; m++) {
    float sum[OCTETS][4];
    sum_logs(sum, BEFORE, logs, m, p);
    scale_by(r->at[m], sum, 1.0f);
    sum_logs(sum, THROUGH, logs, m, p);
    scale_by(k->at[m], sum, -1.0f);
  }
  multiply_tokens(A[0], r->at[0], k->at[0], p);
  multiply_tokens(A[1], r->at[1], k->at[0], p);
  multiply_tokens(A[2], r->at[1], k->at[1], p);
}

/* A step of the tree within 16 tokens. */
static inline void join_blocks(float A[2][4], float r[OCTETS][4], float k[OCTETS][4], int size, const logs_t *logs, int upper,
                               const place_t *p) {
  float sum[2][4], beside[OCTETS][4];
  multiply_tokens(sum, r, k, p);
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = row_of(p, q), j = column_of(p, q);
    A[q / 4][q & 3] = (i ^ j) / size == 1 && i > j ? sum[q / 4][q & 3] : A[q / 4][q & 3];
  }
  add_logs(beside, BESIDE + size, logs, upper, true, p);
  UNROLL for (int n = 0; n < 4 * OCTETS; n++) {
    const float decay = engine_exp(beside[n / 4][n & 3]);
    const bool later = (row_of(p, n & 3) & size) != 0;
    r[n / 4][n & 3] *= later ? decay : 1.0f;
    k[n / 4][n & 3] *= later ? 1.0f : decay;
  }
}

/*
 * The exact way, for every decay. Before each step r_i holds the decays since the beginning of its block of `size` tokens, and
 * k_j those until the end of its own, which is what pairs want that meet in a block of twice as many. At last these are r~, k^.
 */
static inline void tree_tokens(float A[3][2][4], tokens_t *r, tokens_t *k, const logs_t *logs, const place_t *p) {
  UNROLL for (int q = 0; q < 16; q++) A[q / 8 * 2][q / 4 & 1][q & 3] = 0.0f;
  ROLL for (int size = 1; size < ROWS; size *= 2) {
    UNROLL for (int m = 0; m < 2; m++) join_blocks(A[2 * m], r->at[m], k->at[m], size, logs, m, p);
  }
  multiply_tokens(A[1], r->at[1], k->at[0], p);
  float sum[OCTETS][4];
  add_logs(sum, ALL, logs, 0, true, p);
  scale_by(r->at[1], sum, 1.0f);
  add_logs(sum, ALL, logs, 1, true, p);
  scale_by(k->at[0], sum, 1.0f);
}

/* Keys with a row for each channel, of 16 tokens 0 8 1 9 to 7 15, and the sums of all logarithms. */
static inline void store_keys(const task_t *x, const tokens_t *k, float total[OCTETS][4], const place_t *p) {
  if (!x->mine) return;
  UNROLL for (int n = 0; n < 2 * OCTETS; n++) {
    const int c = n / 2 * 8 + 2 * p->engine.pair + (n & 1);
    UNROLL for (int m = 0; m < 2; m++) {
      const float *first = k->at[m][n / 2] + (n & 1);
      *(local float2 *)(x->k_decayed + (m * BLOCK + c) * TOKEN_STRIDE + 2 * p->engine.row) =
          (float2)(operand(first[0]), operand(first[2]));
    }
    if (p->engine.row == 0) x->sums[c] = total[n / 2][n & 1];
  }
}

static inline void store_rows(const task_t *x, const tokens_t *r, const place_t *p) {
  UNROLL for (int m = 0; m < 2; m++) {
    UNROLL for (int n = 0; n < OCTETS; n++) {
      const float *y = r->at[m][n];
      if (x->mine)
        store_operand(x->r_decayed + (m * (KEY_ROW / 8) + n) * OPERAND, operand(y[0]), operand(y[2]), operand(y[1]),
                      operand(y[3]), p);
    }
  }
}

/* The terms of A's diagonal, and k times in_scale. */
static inline void sum_diagonal(float diagonal[2][2], const tokens_t *r, tokens_t *k, const task_t *x, const place_t *p) {
  UNROLL for (int m = 0; m < 2; m++) diagonal[m][0] = diagonal[m][1] = 0.0f;
  UNROLL for (int n = 0; n < OCTETS; n++) {
    const float2 u = *(local const float2 *)(x->u + 8 * n + 2 * p->engine.pair);
    UNROLL for (int q = 0; q < 8; q++) {
      float *k_t = &k->at[q / 4][n][q & 3];
      if (x->in_scale != 1.0f) *k_t *= x->in_scale;
      diagonal[q / 4][(q & 2) / 2] += r->at[q / 4][n][q & 3] * ((q & 1 ? u.y : u.x) * *k_t);
    }
  }
}

/* r~, k^ or k^ / D, A and, of tokens row and row + 8 of both operands, its diagonal. Returns whether it is k^ / D. */
static inline bool make_tokens(float A[3][2][4], float diagonal[2][2], const task_t *x, const place_t *p) {
  tokens_t r, k;
  float total[OCTETS][4];
  logs_t logs;
  load_logs(&logs, x, p);
  load_tokens(&r, x->r, x->first, p);
  load_tokens(&k, x->k, x->first, p);
  sum_logs(total, ALL, &logs, 0, p);
  sum_diagonal(diagonal, &r, &k, x, p);
  bool moderate = true;
  UNROLL for (int n = 0; n < OCTETS; n++) moderate = moderate && total[n][0] >= MODERATE && total[n][1] >= MODERATE;
  moderate = engine_all(moderate, &p->engine);
  if (moderate)
    factor_tokens(A, &r, &k, &logs, p);
  else
    tree_tokens(A, &r, &k, &logs, p);
  store_rows(x, &r, p);
  store_keys(x, &k, total, p);
  return moderate;
}

/* k^ alone. */
static inline void make_keys(const task_t *x, const place_t *p) {
  tokens_t k;
  float sum[OCTETS][4], total[OCTETS][4];
  logs_t logs;
  load_logs(&logs, x, p);
  load_tokens(&k, x->k, x->first, p);
  sum_logs(total, ALL, &logs, 0, p);
  UNROLL for (int m = 0; m < 2; m++) {
    sum_logs(sum, AFTER, &logs, m, p);
    scale_by(k.at[m], sum, 1.0f);
    UNROLL for (int n = 0; n < 4 * OCTETS; n++) k.at[m][n / 4][n & 3] *= x->in_scale;
  }
  store_keys(x, &k, total, p);
}

/* D of a channel from the sum of its logarithms. A factor under 2^-100 counts as 0, as in decay.h. */
static inline void store_decay(local float *keep, local float *change, float log_sum) {
  const float product = SPLIT ? exp(log_sum) : engine_exp(log_sum);
  const float2 decay = chunk_decay(product < 0x1p-100f ? 0.0f : product, log_sum);
#if SPLIT
  *keep = decay.x;
  *change = decay.y;
#else
  *keep = decay.x + decay.y;
#endif
}

/* In the order of products_t's A. */
static inline void store_triangle(local float *to, float A[3][2][4], float diagonal[2][2], bool mine, const place_t *p) {
  UNROLL for (int n = 0; n < 4; n++) {
    float *sum = &diagonal[n / 2][n & 1];
    *sum += engine_swap(*sum, 1, &p->engine);
    *sum += engine_swap(*sum, 2, &p->engine);
  }
  /* Of the two 16 x 16 on the diagonal, 8 x 8 at its ends want a closer look, and those above it are 0. */
  UNROLL for (int m = 0; m < 2; m++) {
    UNROLL for (int q = 0; q < 4; q++) {
      const int i = p->engine.row, j = 2 * p->engine.pair + (q & 1), end = q / 2;
      float *entry = &A[2 * m][end][q];
      *entry = i > j ? *entry : i == j ? diagonal[m][end] : 0.0f;
      if (q >= 2) A[2 * m][1][q - 2] = 0.0f;
    }
  }
  UNROLL for (int n = 0; n < 6; n++) {
    const float *y = A[n / 2][n & 1];
    if (mine) store_operand(to + n * OPERAND, y[0], y[2], y[1], y[3], p);
  }
}

/* Task n of this sub-group, of a chunk with `count` tokens whose rows are in `place`. */
static inline void do_task(const tiles_t *tiles, const products_t *products, const place_t *p, float in_scale, int n, int place,
                           int count, bool with_r) {
  const int number = p->sub_group + n * MAKERS, lane = p->engine.lane;
  const bool mine = p->makes && number < BLOCKS;
  if (ENGINE_INDEPENDENT && !mine) return;
  const int block = mine ? number : 0, at = block * BLOCK;
  task_t x;
  x.mine = ENGINE_INDEPENDENT || mine;
  x.r = with_r ? tile_of_r(tiles, place) : 0;
  x.k = tile_of_k(tiles, place);
  x.w = tile_of_w(tiles, place);
  x.first = at;
  x.r_decayed = products->r_decayed + block * OCTETS * OPERAND;
  x.k_decayed = products->k_decayed + block * (2 * BLOCK * TOKEN_STRIDE);
  x.sums = products->keep + at;
  x.u = tile_of_u(tiles) + at;
  x.in_scale = in_scale;
  x.tokens = count;
  x.channels = KEY_DIM - at;
  bool divided = false;
  if (with_r) {
    float A[3][2][4], diagonal[2][2];
    divided = make_tokens(A, diagonal, &x, p);
    store_triangle(tile_of_parts(tiles) + block * (6 * OPERAND), A, diagonal, x.mine, p);
  } else {
    make_keys(&x, p);
  }
  engine_barrier();
  if (x.mine && lane < BLOCK) store_decay(x.sums + lane, products->change + at + lane, x.sums[lane]);
  if (x.mine && lane == 0) products->divided[block] = divided;
}

/* A from the parts of all blocks of channels. */
static inline void sum_triangles(const tiles_t *tiles, const products_t *products, const place_t *p) {
  UNROLL for (int n = 0; n < (6 + MAKERS - 1) / MAKERS; n++) {
    const int number = p->sub_group + n * MAKERS;
    if (p->makes && number < 6) {
      local const float4 *part = (local const float4 *)(tile_of_parts(tiles) + number * OPERAND) + p->engine.lane;
      float4 sum = part[0];
      UNROLL for (int block = 1; block < BLOCKS; block++) sum += part[block * 6 * OPERAND / 4];
      store_operand(products->A + number * OPERAND, operand(sum.x), operand(sum.y), operand(sum.z), operand(sum.w), p);
    }
  }
}

/* From the rows of a chunk of `count` tokens. */
static inline void make_products(const tiles_t *tiles, const place_t *p, float in_scale, const turn_t *turn, int count,
                                 bool with_r) {
  products_t products;
  products_of(&products, tiles, turn->make);
  UNROLL for (int n = 0; n < BLOCKS_EACH; n++) do_task(tiles, &products, p, in_scale, n, turn->rows, count, with_r);
  if (!with_r) return;
  engine_join_makers(&p->engine);
  sum_triangles(tiles, &products, p);
}

#endif
