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

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  float state[BLOCKS][32]; /* S [64 key channels x COLUMNS], block by block, in accumulators */
  float before[BLOCKS][8][4], through[BLOCKS][8][4]; /* sums of the next chunk's logarithms */
  walker_t walk_r, walk_k, walk_w, walk_v;
  global uchar *output; /* where its part of the next chunk of o goes */
  int output_stride;
  float scale, log2_scale; /* of r, positive */
  uint sign;               /* of o: what flips that of a pair */
} keep_t;

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
static inline void show_state(const keep_t *x, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    split_t parts;
    split_sums(&parts, x->state[block]);
    store_split(tile_of_state(tiles, block), &parts, p);
  }
}

/* The last row has the sums of all 16 tokens. */
static inline void store_sums(const keep_t *x, const tiles_t *tiles, const place_t *p) {
  float least = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local float2 *to = (local float2 *)(sums_of(tiles, p->engine.warp, block) + p->engine.pair * SUMS_STRIDE);
    UNROLL for (int n = 0; n < 8; n++) {
      if (p->engine.row == 7) to[n] = (float2)(x->through[block][n][2], x->through[block][n][3]);
      least = fmin(least, fmin(x->through[block][n][2], x->through[block][n][3]));
    }
  }
  const bool moderate = engine_all(least >= MODERATE, &p->engine); /* other rows' sums are no less */
  if (p->engine.lane == 0) flags_of(tiles)[p->engine.warp] = moderate;
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
static inline void find_decays(float D[BLOCKS][2], const tiles_t *tiles, int first, int last, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int h = 0; h < 2; h++) {
      const int at = p->engine.row / 2 * SUMS_STRIDE + 2 * (2 * p->engine.warp + h) + (p->engine.row & 1);
      float sum = 0.0f;
      UNROLL for (int warp = first; warp <= last; warp++) sum += sums_of(tiles, warp, block)[at];
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
    local const uchar *k = tile_of_keys(tiles, block);
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

/* ---- outputs ---- */

/* out = r~ S */
static inline void multiply_state(float out[32], const split_t r[BLOCKS], const tiles_t *tiles, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const uchar *upper = tile_of_state(tiles, block), *lower = upper + BLOCKS * TILE;
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
static inline void multiply_keys(float A[32], const split_t r[BLOCKS], const tiles_t *tiles, const place_t *p) {
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    local const uchar *upper = tile_of_keys(tiles, block), *lower = upper + BLOCKS * TILE;
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
static inline void store_whole_rows(const keep_t *x, local uchar *tile, const place_t *p) {
  global uchar *to = x->output;
  UNROLL for (int n = 0; n < 4; n++, to += 4 * x->output_stride)
      *(global uint4 *)to = *in_tile(tile, ROWS * p->engine.warp + p->engine.lane / 8 + 4 * n, p->engine.lane & 7);
}

static inline void store_rows(const keep_t *x, local uchar *tile, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    const int row = ROWS * p->engine.warp + p->engine.lane / 8 + 4 * (i / 8);
    global ushort *to = (global ushort *)(x->output + 4 * (i / 8) * x->output_stride) + (i & 7);
    if (row < count) *to = ((local const ushort *)in_tile(tile, row, p->engine.lane & 7))[i & 7];
  }
}

/* o [16 tokens x COLUMNS] of this sub-group, of a chunk with `count` tokens, through local memory for whole rows. */
static inline void write_outputs(keep_t *x, const float out[32], const tiles_t *tiles, int n, const place_t *p, int count) {
  local uchar *tile = tile_of_output(tiles, n);
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

/* ---- a chunk ---- */

/* What work-items have stored for a chunk is there for products. */
static inline void meet(void) {
  engine_publish();
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* Asks for chunk n, `left` of whose tokens or more are there. */
static inline void copy_chunk(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  if (p->whole && left >= CHUNK) {
    copy_whole_rows(rows_of(tiles, n, ROWS_W), &x->walk_w, p);
    copy_whole_rows(rows_of(tiles, n, ROWS_R), &x->walk_r, p);
    copy_whole_rows(rows_of(tiles, n, ROWS_K), &x->walk_k, p);
    copy_whole_values(tile_of_values(tiles, n), &x->walk_v, p);
  } else if (left > 0) {
    copy_rows(rows_of(tiles, n, ROWS_W), &x->walk_w, p, left);
    copy_rows(rows_of(tiles, n, ROWS_R), &x->walk_r, p, left);
    copy_rows(rows_of(tiles, n, ROWS_K), &x->walk_k, p, left);
    copy_values(tile_of_values(tiles, n), &x->walk_v, p, left);
  }
  engine_commit();
}

/* Waits for chunk n, and adds up its logarithms. */
static inline void begin_chunk(keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  rows_t w;
  engine_wait();
  if (left <= 0) return;
  load_rows(&w, tiles, n, ROWS_W, p);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    sum_logs(x->before[block], BEFORE, &w, block, p, left);
    sum_logs(x->through[block], THROUGH, &w, block, p, left);
  }
  store_sums(x, tiles, p);
}

/* Chunk n, where no product of decays is too small to divide by. */
static inline void go_moderate(float out[32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  float A[32], diagonal[2], early[BLOCKS][2], late[BLOCKS][2];
  rows_t r_rows, k_rows;
  split_t r[BLOCKS];
  load_rows(&r_rows, tiles, n, ROWS_R, p);
  load_rows(&k_rows, tiles, n, ROWS_K, p);
  find_decays(early, tiles, 0, 1, p);
  find_decays(late, tiles, 2, 3, p);
  decay_state(x, early);
  show_state(x, tiles, p);
  sum_diagonal(diagonal, &r_rows, &k_rows, x->scale, tiles, p);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    split_t k;
    add_sums_of_half(x->before[block], x->through[block], x->log2_scale, tiles, block, p);
    scale_rows(&k, k_rows.at[block], x->through[block], -1.0f);
    store_split(tile_of_keys(tiles, block), &k, p);
    scale_rows(&r[block], r_rows.at[block], x->before[block], 1.0f);
  }
  meet();
  engine_open();
  multiply_keys(A, r, tiles, p);
  engine_close();
  multiply_state(out, r, tiles, p);
  engine_close();
  add_keys(x, tiles, n, p);
  engine_finish(2, A);
  mask(A, diagonal, p);
  multiply_values(out, A, tiles, n, p);
  finish_state(1, x);
  decay_state(x, late);
  engine_finish(0, out);
}

/* The state to local memory and back, while registers are wanted for something else: where keys and logarithms were. */
static inline local float4 *parking_of(const tiles_t *tiles, int n, int q, const place_t *p) {
  return (local float4 *)rows_of(tiles, n, q / 4 & 1 ? ROWS_W : ROWS_K) + slot_of(p, q / 8 * 4 + (q & 3));
}

static inline void park_state(const keep_t *x, const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int q = 0; q < 8 * BLOCKS; q++) {
    const float *s = x->state[q / 8] + 4 * (q & 7);
    *parking_of(tiles, n, q, p) = (float4)(s[0], s[1], s[2], s[3]);
  }
}

static inline void fetch_state(keep_t *x, const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int q = 0; q < 8 * BLOCKS; q++) {
    const float4 s = *parking_of(tiles, n, q, p);
    float *to = x->state[q / 8] + 4 * (q & 7);
    to[0] = s.x, to[1] = s.y, to[2] = s.z, to[3] = s.w;
  }
}

/* Chunk n, whatever its decays are. */
static inline void go_exact(float out[32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  float A[32], own[8], diagonal[2], D[BLOCKS][2];
  tokens_t r[BLOCKS], k[BLOCKS];
  split_t parts[BLOCKS];
  rows_t r_rows, k_rows, w;
  load_rows(&r_rows, tiles, n, ROWS_R, p);
  load_rows(&k_rows, tiles, n, ROWS_K, p);
  load_rows(&w, tiles, n, ROWS_W, p);
  show_state(x, tiles, p);
  park_state(x, tiles, n, p);
  sum_diagonal(diagonal, &r_rows, &k_rows, x->scale, tiles, p);
  UNROLL for (int q = 0; q < 8; q++) own[q] = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    widen_rows(&r[block], r_rows.at[block], x->scale);
    widen_rows(&k[block], k_rows.at[block], 1.0f);
    join_tokens(own, &r[block], &k[block], &w, block, p, left);
    decay_tokens(&parts[block], &k[block], tiles, block, 1, 0, p);
    store_split(tile_of_keys(tiles, block), &parts[block], p);
  }
  meet();
  multiply_pairs(A, own, r, tiles, p);
  mask(A, diagonal, p);
  UNROLL for (int block = 0; block < BLOCKS; block++)
    decay_tokens(&parts[block], &r[block], tiles, block, 0, p->engine.warp - 1, p);
  engine_open();
  multiply_state(out, parts, tiles, p);
  engine_close();
  multiply_values(out, A, tiles, n, p);
  engine_finish(0, out);
  find_decays(D, tiles, 0, 3, p);
  fetch_state(x, tiles, n, p);
  decay_state(x, D);
  barrier(CLK_LOCAL_MEM_FENCE);
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    decay_tokens(&parts[block], &k[block], tiles, block, p->engine.warp + 1, 3, p);
    store_split(tile_of_keys(tiles, block), &parts[block], p);
  }
  meet();
  engine_open();
  add_keys(x, tiles, n, p);
  finish_state(0, x);
}

static inline void refresh(keep_t *x, place_t *p) {
  engine_refresh(&p->engine);
  p->item = engine_fresh(p->item);
  x->walk_r.stride = engine_fresh(x->walk_r.stride);
  x->walk_k.stride = engine_fresh(x->walk_k.stride);
  x->walk_w.stride = engine_fresh(x->walk_w.stride);
  x->walk_v.stride = engine_fresh(x->walk_v.stride);
  x->output_stride = engine_fresh(x->output_stride);
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, const tiles_t *tiles, int n, place_t *p, int left) {
  float out[32];
  refresh(x, p);
  begin_chunk(x, tiles, n, p, left);
  barrier(CLK_LOCAL_MEM_FENCE);
  refresh(x, p);
  if (is_moderate(tiles))
    go_moderate(out, x, tiles, n, p, left);
  else
    go_exact(out, x, tiles, n, p, left);
  refresh(x, p);
  write_outputs(x, out, tiles, n, p, left);
  copy_chunk(x, tiles, n + 2, p, left - 2 * CHUNK);
}

/* Arguments as in chunk_forward.cl. */
ENGINE_KERNEL __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
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
  keep_t x[1];
  walker_t to;
  begin_walk(&x->walk_r, r, r_at, p, first_step, row, unit);
  begin_walk(&x->walk_k, k, k_at, p, first_step, row, unit);
  begin_walk(&x->walk_w, w, w_at, p, first_step, row, unit);
  begin_walk(&x->walk_v, v, v_at, p, first_step, p->item / 8, 128 * p->tile + 16 * (p->item & 7));
  begin_walk(&to, o, o_at, p, first_step, ROWS * p->engine.warp + p->engine.lane / 8, 128 * p->tile + 16 * (p->engine.lane & 7));
  x->output = (global uchar *)o + (to.place - (global const uchar *)o);
  x->output_stride = to.stride;
  x->scale = fabs(out_scale);
  x->log2_scale = log2(x->scale);
  x->sign = out_scale < 0.0f ? 0x80008000u : 0u;
  if (first_step > 0)
    load_state(x, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(x, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);
  copy_chunk(x, tiles, 0, p, all);
  copy_chunk(x, tiles, 1, p, all - CHUNK);
  for (int n = 0; n * CHUNK < all; n++) go(x, tiles, n, p, all - n * CHUNK);

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(x, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(x, final + final_at + state_at(p, p->unit.state), p);
}
