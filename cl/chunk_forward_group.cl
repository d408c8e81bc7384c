/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items: chunk_forward.cl's kernel, arguments and formulas (docs/algorithm.md, "Chunk mode"
 * and "Exact and factored decays"), for any engine that has the functions of engine_hopper.h. bf16 only. in_scale is 1.
 *
 * A work-group owns COLUMNS value channels of one head of one unit and goes once over its tokens, CHUNK at a time. A sub-group makes
 * r~, keys and A of 16 tokens, and keeps 16 of 64 key channels of S:
 *
 *     r~ = r c     A = r~ (k / c)^T, below the diagonal     o = r~ D' S + A v     S = D'' (D' S + (k / c)^T v)
 *
 * D' are the decays of the chunk's first half, D'' those of its second, and c, at a token, are those since the middle of the chunk, or
 * the inverse of those until then. Where they are too small to divide by, chunk_group_exact.h makes A, and
 *
 *     r~ = r c     o = r~ S + A v     S = D S + k^^T v
 *
 * with decays c since the beginning of the chunk, and those until its end in k^.
 *
 * Each operand is a sum of two numbers in bf16, upper and lower; a product is three, without lower times lower. v is one number.
 */
#ifndef KEY_DIM /* a multiple of 64 */
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM /* a multiple of 64 */
#define VALUE_DIM 64
#endif
#ifndef DTYPE /* bf16, for w too */
#define DTYPE bf16
#endif
#ifndef W_DTYPE
#define W_DTYPE bf16
#endif

#include "chunk_group_exact.h"

/* Log of the decays of 16 tokens: those of 32, 2^-72, are far inside the range of fp32, their inverse and what that multiplies too. */
#define MODERATE -25.0f

typedef struct keep_t {
  float state[BLOCKS][32];
  rows_t r, k, w; /* of the next chunk */
  walker_t walk_r, walk_k, walk_w, walk_v;
} keep_t;

typedef struct read_t {
  rows_t r;
  walker_t walk_r, walk_w, first_r, first_w;
  global uchar *output;
  int output_stride;
  float scale, log2_scale;
  uint sign;
} read_t;

/* Offset of accumulator q within a state [K, V]. */
static inline int element_at(const place_t *p, int block, int q) {
  const int key = 64 * block + channel_of(ROWS * p->engine.warp + p->engine.row + 8 * (q / 2 & 1));
  return key * VALUE_DIM + COLUMNS * p->tile + 8 * (q / 4) + 2 * p->engine.pair + (q & 1);
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(keep_t *x, global const float *from, const place_t *p, bool present) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int q = 0; q < 32; q++) x->state[block][q] = present ? from[element_at(p, block, q)] : 0.0f;
  }
}

static inline void store_state(const keep_t *x, global float *to, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int q = 0; q < 32; q++) to[element_at(p, block, q)] = x->state[block][q];
  }
}

/* For whoever reads it as an operand. */
static inline void show_state(const keep_t *x, const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    split_t parts;
    split_sums(&parts, x->state[block]);
    store_split(tile_of_state(tiles, n, block), &parts, p);
  }
}

/* The last row has the sums of all 16 tokens. */
static inline void store_sums(float through[BLOCKS][8][4], const tiles_t *tiles, int m, const place_t *p) {
  float least = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local float2 *to = (local float2 *)(sums_of(tiles, m, p->engine.warp, block) + p->engine.pair * SUMS_STRIDE);
    UNROLL for (int n = 0; n < 8; n++) {
      if (p->engine.row == 7) to[n] = (float2)(through[block][n][2], through[block][n][3]);
      least = fmin(least, fmin(through[block][n][2], through[block][n][3]));
    }
  }
  const bool moderate = engine_all(least >= MODERATE, &p->engine); /* other rows' sums are no less */
  if (p->engine.lane == 0) flags_of(tiles, m)[p->engine.warp] = moderate;
}

/*
 * A factor under 2^-100 counts as 0, and one near 1 is rounded once, to nearest (decay.h): 1 + the series of exp(x) - 1, whose next
 * term is under 2^-29.
 */
static inline float whole_decay(float x) {
  const float more = fma(x, fma(x, fma(x, fma(x, 0x1.111112p-7f, 0x1.555556p-5f), 0x1.555556p-3f), 0.5f), 1.0f);
  return x > -0.125f ? fma(x, more, 1.0f) : x < -69.3f ? 0.0f : engine_exp2(x * LOG2_E);
}

/* The decays of all tokens of sub-groups `first` to `last` (constants), of this work-item's two channels of S. */
static inline void find_decays(float D[BLOCKS][2], const tiles_t *tiles, int n, int first, int last, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int h = 0; h < 2; h++) {
      const int at = p->engine.row / 2 * SUMS_STRIDE + 2 * (2 * p->engine.warp + h) + (p->engine.row & 1);
      float sum = 0.0f;
      UNROLL for (int warp = first; warp <= last; warp++) sum += sums_of(tiles, n, warp, block)[at];
      D[block][h] = whole_decay(sum);
    }
  }
}

static inline void decay_state(keep_t *x, float D[BLOCKS][2]) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int q = 0; q < 32; q++) x->state[block][q] *= D[block][q / 2 & 1];
  }
}

/* S += k^T v, with keys that every work-item has stored and published. */
static inline void add_keys(keep_t *x, const tiles_t *tiles, int n, const place_t *p) {
  local const uchar *v = tile_of_values(tiles, n);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const uchar *k = tile_of_keys(tiles, n, block);
    UNROLL for (int step = 0; step < 4; step++) {
      engine_group_multiply_tiles(x->state[block], k, v, step, &p->engine);
      engine_group_multiply_tiles(x->state[block], k + BLOCKS * TILE, v, step, &p->engine);
    }
  }
  engine_close();
}

#if BLOCKS == 1
#define finish_state(batches, x) engine_finish(batches, (x)->state[0])
#else
#define finish_state(batches, x)                                                                                               \
  do {                                                                                                                         \
    engine_finish(batches, (x)->state[0]);                                                                                     \
    engine_finish(batches, (x)->state[1]);                                                                                     \
  } while (0)
#endif

/* out = r~ S */
static inline void multiply_state(float out[32], const split_t r[BLOCKS], const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const uchar *upper = tile_of_state(tiles, n, block), *lower = upper + BLOCKS * TILE;
    UNROLL for (int step = 0; step < 4; step++) {
      uint x[4], y[4];
      operand_of(x, r[block].upper, step);
      operand_of(y, r[block].lower, step);
      if (block == 0 && step == 0)
        engine_group_multiply(out, x, upper, 0, 0, 1, &p->engine);
      else
        engine_group_multiply(out, x, upper, step, 1, 1, &p->engine);
      engine_group_multiply(out, x, lower, step, 1, 1, &p->engine);
      engine_group_multiply(out, y, upper, step, 1, 1, &p->engine);
    }
  }
}

/* A = r~ (k / c)^T */
static inline void multiply_keys(float A[32], const split_t r[BLOCKS], const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const uchar *upper = tile_of_keys(tiles, n, block), *lower = upper + BLOCKS * TILE;
    UNROLL for (int step = 0; step < 4; step++) {
      uint x[4], y[4];
      operand_of(x, r[block].upper, step);
      operand_of(y, r[block].lower, step);
      if (block == 0 && step == 0)
        engine_group_multiply(A, x, upper, 0, 0, 0, &p->engine);
      else
        engine_group_multiply(A, x, upper, step, 1, 0, &p->engine);
      engine_group_multiply(A, x, lower, step, 1, 0, &p->engine);
      engine_group_multiply(A, y, upper, step, 1, 0, &p->engine);
    }
  }
}

/* out += A v */
static inline void multiply_values(float out[32], const float A[32], const tiles_t *tiles, int n, const place_t *p) {
  local const uchar *v = tile_of_values(tiles, n);
  split_t parts;
  split_sums(&parts, A);
  engine_open();
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, parts.upper, step);
    operand_of(y, parts.lower, step);
    engine_group_multiply(out, x, v, step, 1, 1, &p->engine);
    engine_group_multiply(out, y, v, step, 1, 1, &p->engine);
  }
  engine_close();
}

/* sum_ch r_i u k_i of tokens row and row + 8. */
static inline void sum_diagonal(float diagonal[2], const rows_t *r_rows, const rows_t *k_rows, float scale, const tiles_t *tiles,
                                const place_t *p) {
  diagonal[0] = diagonal[1] = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const float2 *bonus = (local const float2 *)(bonus_of(tiles, block) + p->engine.pair * SUMS_STRIDE);
    UNROLL for (int n = 0; n < 8; n++) {
      const float2 u = bonus[n];
      UNROLL for (int h = 0; h < 2; h++) {
        const uint r = r_rows->at[block][h][n], k = k_rows->at[block][h][n];
        diagonal[h] = fma(low(r), u.x * low(k), fma(high(r), u.y * high(k), diagonal[h]));
      }
    }
  }
  UNROLL for (int h = 0; h < 2; h++) {
    diagonal[h] += engine_swap(diagonal[h], 1, &p->engine);
    diagonal[h] += engine_swap(diagonal[h], 2, &p->engine);
    diagonal[h] *= scale;
  }
}

/* Nothing above the diagonal, and what belongs on it, for sub-group `warp` (a constant). */
static inline void mask_of(float A[32], const float diagonal[2], int warp, const place_t *p) {
  const int ahead = p->engine.row - 2 * p->engine.pair;
  UNROLL for (int n = 2 * warp; n < 8; n++) {
    UNROLL for (int q = 0; q < 4; q++) {
      const int h = q / 2, beyond = n - 2 * warp - h; /* octets of tokens j after that of token i */
      const float on = ahead > (q & 1) ? A[4 * n + q] : ahead == (q & 1) ? diagonal[h] : 0.0f;
      A[4 * n + q] = beyond == 0 ? on : beyond < 0 ? A[4 * n + q] : 0.0f;
    }
  }
}

static inline void mask(float A[32], const float diagonal[2], const place_t *p) {
  if (p->engine.warp == 0)
    mask_of(A, diagonal, 0, p);
  else if (p->engine.warp == 1)
    mask_of(A, diagonal, 1, p);
  else if (p->engine.warp == 2)
    mask_of(A, diagonal, 2, p);
  else
    mask_of(A, diagonal, 3, p);
}

/* The whole of such a chunk, to aligned rows. */
static inline void store_whole_rows(const read_t *x, local uchar *tile, const place_t *p) {
  global uchar *to = x->output;
  UNROLL for (int n = 0; n < 4; n++, to += 4 * x->output_stride)
      *(global uint4 *)to = *in_tile(tile, ROWS * p->engine.warp + p->engine.lane / 8 + 4 * n, p->engine.lane & 7);
}

static inline void store_rows(const read_t *x, local uchar *tile, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    const int row = ROWS * p->engine.warp + p->engine.lane / 8 + 4 * (i / 8);
    global ushort *to = (global ushort *)(x->output + 4 * (i / 8) * x->output_stride) + (i & 7);
    if (row < count) *to = ((local const ushort *)in_tile(tile, row, p->engine.lane & 7))[i & 7];
  }
}

/* o [16 tokens x COLUMNS] of this sub-group, of a chunk with `count` tokens, through local memory for whole rows. */
static inline void write_outputs(read_t *x, const float out[32], const tiles_t *tiles, const place_t *p, int count) {
  local uchar *tile = tile_of_output(tiles);
  UNROLL for (int h = 0; h < 2; h++) {
    uint pairs[8];
    UNROLL for (int i = 0; i < 8; i++) pairs[i] = engine_pack_bf16(out[4 * i + 2 * h], out[4 * i + 2 * h + 1]) ^ x->sign;
    engine_store_rows(tile, ROWS * p->engine.warp + 8 * h, 0, pairs, &p->engine);
    engine_store_rows(tile, ROWS * p->engine.warp + 8 * h, 4, pairs + 4, &p->engine);
  }
  engine_barrier();
  if (p->whole && count >= CHUNK)
    store_whole_rows(x, tile, p);
  else
    store_rows(x, tile, p, count);
  x->output += CHUNK * x->output_stride;
  engine_barrier();
}


#define KEEPERS 0

static inline void fetch(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  local uint4 *scratch = (local uint4 *)tile_of_values(tiles, n + 1);
  fetch_rows(&x->w, &x->walk_w, scratch, p, left - CHUNK);
  fetch_rows(&x->k, &x->walk_k, scratch, p, left - CHUNK);
  fetch_rows(&x->r, &x->walk_r, scratch, p, left - CHUNK);
}

static inline void copy_v(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  if (p->whole && left >= CHUNK)
    copy_whole_values(tile_of_values(tiles, n), &x->walk_v, p);
  else
    copy_values(tile_of_values(tiles, n), &x->walk_v, p, left);
}

static inline void keep_moderate(keep_t *x, float through[BLOCKS][8][4], const tiles_t *tiles, int n, const place_t *p, int left) {
  float early[BLOCKS][2], late[BLOCKS][2];
  find_decays(early, tiles, n, 0, 1, p);
  find_decays(late, tiles, n, 2, 3, p);
  decay_state(x, early);
  show_state(x, tiles, n, p);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    split_t k;
    add_sums_of_half(through[block], 0.0f, tiles, n, block, p);
    scale_rows(&k, x->k.at[block], through[block], -1.0f);
    store_split(tile_of_keys(tiles, n, block), &k, p);
  }
  engine_wait();
  engine_publish();
  engine_join(KEEPERS);
  engine_open();
  add_keys(x, tiles, n, p);
  fetch(x, tiles, n, p, left);
  engine_join(KEEPERS);
  copy_v(x, tiles, n + 1, p, left - CHUNK);
  finish_state(0, x);
  decay_state(x, late);
}

static inline local float4 *parking_of(const tiles_t *tiles, int n, int q, const place_t *p) {
  return (local float4 *)tile_of_keys(tiles, n, 0) + q * GROUP + p->item;
}

static inline void keep_exact(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  float own[8], D[BLOCKS][2];
  tokens_t r[BLOCKS], k[BLOCKS];
  split_t parts;
  show_state(x, tiles, n, p);
  UNROLL for (int q = 0; q < 8 * BLOCKS; q++) {
    const float *s = x->state[q / 8] + 4 * (q & 7);
    *parking_of(tiles, n, q, p) = (float4)(s[0], s[1], s[2], s[3]);
  }
  UNROLL for (int q = 0; q < 8; q++) own[q] = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    widen_rows(&r[block], x->r.at[block], 1.0f);
    widen_rows(&k[block], x->k.at[block], 1.0f);
    join_tokens(own, &r[block], &k[block], &x->w, block, p, left);
  }
  local float2 *to = triangle_of(tiles, n) + p->item * 3;
  to[0] = (float2)(own[0], own[1]), to[1] = (float2)(own[2], own[3]), to[2] = (float2)(own[6], own[7]);
  find_decays(D, tiles, n, 0, 3, p);
  UNROLL for (int q = 0; q < 8 * BLOCKS; q++) {
    const float4 s = *parking_of(tiles, n, q, p);
    float *y = x->state[q / 8] + 4 * (q & 7);
    y[0] = s.x, y[1] = s.y, y[2] = s.z, y[3] = s.w;
  }
  decay_state(x, D);
  engine_join(KEEPERS);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    decay_tokens(&parts, &k[block], tiles, n, block, p->engine.warp + 1, 3, p);
    store_split(tile_of_keys(tiles, n, block), &parts, p);
  }
  engine_wait();
  engine_publish();
  engine_join(KEEPERS);
  engine_open();
  add_keys(x, tiles, n, p);
  finish_state(0, x);
  engine_join(KEEPERS);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    decay_tokens(&parts, &k[block], tiles, n, block, 1, 0, p);
    store_split(tile_of_keys(tiles, n, block), &parts, p);
  }
  fetch(x, tiles, n, p, left);
  engine_join(KEEPERS);
  copy_v(x, tiles, n + 1, p, left - CHUNK);
}

static inline void keep(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  float diagonal[2], through[BLOCKS][8][4];
  sum_diagonal(diagonal, &x->r, &x->k, 1.0f, tiles, p);
  UNROLL for (int h = 0; h < 2; h++)
    if (p->engine.pair == 0) diagonal_of(tiles, n)[first_token(p) + 8 * h] = diagonal[h];
  UNROLL for (int block = 0; block < BLOCKS; block++) sum_logs(through[block], THROUGH, &x->w, block, p, left);
  store_sums(through, tiles, n, p);
  engine_join(KEEPERS);
  if (is_moderate(tiles, n))
    keep_moderate(x, through, tiles, n, p, left);
  else
    keep_exact(x, tiles, n, p, left);
}

/* readers' w of the next chunk */
static inline void copy_logs(read_t *x, const tiles_t *tiles, const place_t *p, int left) {
  if (p->whole && left >= CHUNK)
    copy_whole_rows(logs_of(tiles), &x->walk_w, p);
  else
    copy_rows(logs_of(tiles), &x->walk_w, p, left);
}

static inline void read_moderate(float out[32], read_t *x, const float diagonal[2], const tiles_t *tiles, int n, const place_t *p,
                                 int left) {
  float A[32];
  split_t r[BLOCKS];
  rows_t w;
  load_rows(&w, logs_of(tiles), p);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    float before[8][4];
    sum_logs(before, BEFORE, &w, block, p, left);
    add_sums_of_half(before, x->log2_scale, tiles, n, block, p);
    scale_rows(&r[block], x->r.at[block], before, 1.0f);
  }
  engine_open();
  multiply_keys(A, r, tiles, n, p);
  engine_close();
  multiply_state(out, r, tiles, n, p);
  engine_close();
  copy_logs(x, tiles, p, left - CHUNK);
  engine_finish(1, A);
  mask(A, diagonal, p);
  multiply_values(out, A, tiles, n, p);
  engine_finish(0, out);
}

static inline void read_exact(float out[32], read_t *x, const float diagonal[2], const tiles_t *tiles, int n, const place_t *p,
                              int left) {
  float A[32];
  split_t r[BLOCKS];
  rows_t w;
  load_rows(&w, logs_of(tiles), p);
  multiply_pairs(A, &x->r, &w, x->log2_scale, tiles, n, p, left);
  mask(A, diagonal, p);
  UNROLL for (int block = 0; block < BLOCKS; block++)
    decay_rows(&r[block], &x->r, &w, x->log2_scale, tiles, n, block, 0, p, left);
  engine_open();
  multiply_state(out, r, tiles, n, p);
  engine_close();
  copy_logs(x, tiles, p, left - CHUNK);
  multiply_values(out, A, tiles, n, p);
  engine_finish(0, out);
}

static inline void refresh_place(place_t *p) {
  engine_refresh(&p->engine);
  p->item = engine_fresh(p->item);
}

static inline void read(read_t *x, const tiles_t *tiles, int n, place_t *p, int left) {
  float out[32], diagonal[2];
  UNROLL for (int h = 0; h < 2; h++) diagonal[h] = diagonal_of(tiles, n)[first_token(p) + 8 * h] * x->scale;
  engine_wait();
  if (is_moderate(tiles, n))
    read_moderate(out, x, diagonal, tiles, n, p, left);
  else
    read_exact(out, x, diagonal, tiles, n, p, left);
  refresh_place(p);
  x->walk_r.stride = engine_fresh(x->walk_r.stride);
  x->walk_w.stride = engine_fresh(x->walk_w.stride);
  x->output_stride = engine_fresh(x->output_stride);
  fetch_rows(&x->r, &x->walk_r, (local uint4 *)tile_of_output(tiles), p, left - CHUNK);
  write_outputs(x, out, tiles, p, left);
}

static inline void go_keeper(keep_t *x, const tiles_t *tiles, place_t *p, int all) {
  local uint4 *scratch = (local uint4 *)tile_of_values(tiles, 0);
  fetch_rows(&x->w, &x->walk_w, scratch, p, all);
  fetch_rows(&x->k, &x->walk_k, scratch, p, all);
  fetch_rows(&x->r, &x->walk_r, scratch, p, all);
  engine_join(KEEPERS);
  copy_v(x, tiles, 0, p, all);
  int n = 0;
  for (; n * CHUNK < all; n++) {
    refresh_place(p);
    x->walk_r.stride = engine_fresh(x->walk_r.stride);
    x->walk_k.stride = engine_fresh(x->walk_k.stride);
    x->walk_w.stride = engine_fresh(x->walk_w.stride);
    x->walk_v.stride = engine_fresh(x->walk_v.stride);
    keep(x, tiles, n, p, all - n * CHUNK);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (n) barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void go_reader(read_t *x, const tiles_t *tiles, place_t *p, int all) {
  fetch_rows(&x->r, &x->walk_r, (local uint4 *)tile_of_output(tiles), p, all);
  copy_logs(x, tiles, p, all);
  int n = 0;
  if (all > 0) barrier(CLK_LOCAL_MEM_FENCE);
  for (; n * CHUNK < all; n++) {
    refresh_place(p);
    read(x, tiles, n, p, all - n * CHUNK);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

/* Arguments as in chunk_forward.cl. */
ENGINE_KERNEL __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  __asm__ volatile("//+.minnctapersm 2");
  local uchar pool[LOCAL_BYTES] __attribute__((aligned(1024)));
  local uint exchange[GROUP * ENGINE_EXCHANGE];
  const tiles_t tiles[1] = {{pool}};
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  const int all = active ? (int)(end - first_step) : 0;
  for (int i = p->item; i < KEY_DIM; i += GROUP) {
    const int n = (i & 63) / 8, c = i & 7;
    bonus_of(tiles, i / 64)[c / 2 * SUMS_STRIDE + 2 * n + (c & 1)] = u[u_at + p->head * KEY_DIM + i / 64 * 64 + channel_of(i & 63)];
  }
  p->whole = aligned(r, r_at) && aligned(k, k_at) && aligned(v, v_at) && aligned(w, w_at) && aligned(o, o_at);
  p->numbers = batch.s5 > 0 ? 32 : 0; /* there are heads */
  barrier(CLK_LOCAL_MEM_FENCE);

  const int row = first_token(p), unit = 16 * p->engine.pair;
  if (p->reads) {
    engine_take_registers("inc", 136);
    read_t y[1];
    walker_t to;
    begin_walk(&y->walk_r, r, r_at, p, first_step, row, unit);
    begin_walk(&y->walk_w, w, w_at, p, first_step, row, unit);
    begin_walk(&to, o, o_at, p, first_step, ROWS * p->engine.warp + p->engine.lane / 8, 128 * p->tile + 16 * (p->engine.lane & 7));
    y->output = (global uchar *)o + (to.place - (global const uchar *)o);
    y->output_stride = to.stride;
    y->scale = fabs(out_scale);
    y->log2_scale = log2(y->scale);
    y->sign = out_scale < 0.0f ? 0x80008000u : 0u;
    go_reader(y, tiles, p, all);
    return;
  }
  engine_take_registers("dec", 120);
  keep_t x[1];
  begin_walk(&x->walk_r, r, r_at, p, first_step, row, unit);
  begin_walk(&x->walk_k, k, k_at, p, first_step, row, unit);
  begin_walk(&x->walk_w, w, w_at, p, first_step, row, unit);
  begin_walk(&x->walk_v, v, v_at, p, first_step, p->item / 8, 128 * p->tile + 16 * (p->item & 7));
  if (first_step > 0)
    load_state(x, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(x, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);
  go_keeper(x, tiles, p, all);

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(x, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(x, final + final_at + state_at(p, p->unit.state), p);
}
