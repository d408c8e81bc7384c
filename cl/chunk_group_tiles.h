/* SPDX-License-Identifier: MIT */
/*
 * What the kernel of chunk_forward_group.cl keeps where: tiles in local memory, rows in registers, the state in accumulators.
 * Included after the defines of that file.
 *
 * A work-item has of tokens `row` and `row + 8` of its sub-group's 16 the channels 8 pair to 8 pair + 7 and 32 more, as it loads
 * them, 16 bytes at a time. They are pairs 0 to 7, and pair n counts as channels 8 n + 2 pair and 8 n + 2 pair + 1 of products: the
 * order of key channels in a product does not matter, if it is the same in both operands.
 */
#ifndef CHUNK_GROUP_TILES_H
#define CHUNK_GROUP_TILES_H

#include "decay.h"
#include "storage.h"
#include "unit.h"

#ifdef ENGINE_NVIDIA
#include "engine_hopper.h"
#else
#include "engine_hopper_emulated.h"
#endif

#define CHUNK 64
#define ROWS 16 /* tokens of a sub-group */
#define GROUP 128
#define COLUMNS 64 /* value channels of a work-group */
#define TILES (VALUE_DIM / COLUMNS)
#define BLOCKS (KEY_DIM / 64) /* of key channels */

/* Places in local memory, in bytes. Numbers of a tile are bf16; `upper` and `lower` tiles are two parts of one number. */
#define TILE 8192
#define PARTS (2 * BLOCKS * TILE) /* [upper, lower][BLOCKS] tiles */
#define SUMS_STRIDE 20            /* floats of 16 channels: no two of a sub-group in one bank */
#define SUMS (4 * BLOCKS * 4 * SUMS_STRIDE * 4)
#define ROWS_BYTES (3 * BLOCKS * TILE) /* of r, k and w of a chunk */
#define AT_KEYS 0
#define AT_STATE (AT_KEYS + PARTS)
#define AT_VALUES (AT_STATE + PARTS)
#define AT_ROWS (AT_VALUES + 3 * TILE)
#define AT_SUMS (AT_ROWS + 2 * ROWS_BYTES)
#define AT_BONUS (AT_SUMS + SUMS)
#define AT_FLAGS (AT_BONUS + BLOCKS * 4 * SUMS_STRIDE * 4)
#define LOCAL_BYTES (AT_FLAGS + 4 * 4)

/* Local memory. */
typedef struct tiles_t {
  local uchar *base;
} tiles_t;

/* k / c, or k with the decays until the end of its 16 tokens: [CHUNK][64 key channels] */
static inline local uchar *tile_of_keys(const tiles_t *tiles, int block) {
  return tiles->base + AT_KEYS + block * TILE;
}

/* S before the chunk: [64 key channels][COLUMNS] */
static inline local uchar *tile_of_state(const tiles_t *tiles, int block) {
  return tiles->base + AT_STATE + block * TILE;
}

/* [CHUNK][COLUMNS], of chunk n, and of the two after it */
static inline local uchar *tile_of_values(const tiles_t *tiles, int n) {
  return tiles->base + AT_VALUES + (int)((uint)n % 3) * TILE;
}

/* Tensors that work-items have their own rows of. */
enum { ROWS_R, ROWS_K, ROWS_W };

/* [BLOCKS][4 sub-groups][4][32] times 16 bytes, each work-item's for itself: of chunk n, and of the one after it */
static inline local uint4 *rows_of(const tiles_t *tiles, int n, int tensor) {
  return (local uint4 *)(tiles->base + AT_ROWS + (n & 1) * ROWS_BYTES + tensor * BLOCKS * TILE);
}

/* Rows of o of chunk n on their way out, where rows of r of the same sub-group were. */
static inline local uchar *tile_of_output(const tiles_t *tiles, int n) {
  return (local uchar *)rows_of(tiles, n, ROWS_R);
}

/* [4 pairs][SUMS_STRIDE]: sums of the logarithms of a sub-group's tokens, pair by pair of a work-item's */
static inline local float *sums_of(const tiles_t *tiles, int warp, int block) {
  return (local float *)(tiles->base + AT_SUMS) + (warp * BLOCKS + block) * 4 * SUMS_STRIDE;
}

/* u in the same order */
static inline local float *bonus_of(const tiles_t *tiles, int block) {
  return (local float *)(tiles->base + AT_BONUS) + block * 4 * SUMS_STRIDE;
}

/* [4]: whether the decays of a sub-group's tokens are moderate */
static inline local int *flags_of(const tiles_t *tiles) {
  return (local int *)(tiles->base + AT_FLAGS);
}

/* A chunk of a unit, and the tokens from its first on. */
typedef struct chunk_t {
  int number, left;
} chunk_t;

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item, tile; /* of GROUP, of TILES */
  bool reverse;
  bool whole;  /* all 16 bytes that go at once are aligned */
  int numbers; /* 32: those of a work-item in a tile of 16 bits. Compilers do not know it, so they do not unroll loops over it. */
  engine_t engine;
} place_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, int dual, index_t first_group,
                              local uint *exchange) {
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch) != (dual != 0);
  p->tile = (int)find_head(&p->unit, &p->head, units, batch, first_group + (index_t)get_group_id(0), TILES);
  p->item = (int)get_local_id(0) & (GROUP - 1);
  engine_begin(&p->engine, p->item, exchange);
}

/* This work-item's first token in a chunk. */
static inline int first_token(const place_t *p) {
  return ROWS * p->engine.warp + p->engine.row;
}

/* The channel of a block of 64 that counts as `number` in products. */
static inline int channel_of(int number) {
  const int n = number / 8, i = number & 7;
  return 32 * (n / 4) + 8 * (i / 2) + 2 * (n & 3) + (i & 1);
}

/* ---- rows ---- */

/* Pairs of tokens row and row + 8 of a tensor. */
typedef struct rows_t {
  uint at[BLOCKS][2][8];
} rows_t;

/* Where this work-item's part of a tensor's next chunk begins, and bytes from token to token: 64 tokens are less than 2^31 bytes. */
typedef struct walker_t {
  global const uchar *place;
  int stride;
} walker_t;

static inline bool aligned(global const void *p, layout_t at) {
  return (((ulong)p + (ulong)at.s0 * 2) & 15) == 0 && ((at.s1 | at.s2) & 7) == 0;
}

static inline void begin_walk(walker_t *x, global const void *from, layout_t at, const place_t *p, index_t step, int token,
                              int byte) {
  walk_t walk;
  find_walk(&walk, at, &p->unit, p->head, step, p->reverse);
  x->stride = (int)walk.stride * 2;
  x->place = (global const uchar *)from + walk.first * 2 + token * x->stride + byte;
}

/* 16 bytes number i of this work-item, of token row, or row + 8: their place there, and in memory. */
static inline int slot_of(const place_t *p, int i) {
  return (i / 4 * 4 + p->engine.warp) * 128 + (i & 3) * 32 + p->engine.lane;
}

static inline global const uchar *place_of(const walker_t *x, int i) {
  return x->place + 8 * (i / 2 & 1) * x->stride + 128 * (i / 4) + 64 * (i & 1);
}

/* The next chunk in the background, all of it and aligned. */
static inline void copy_whole_rows(local uint4 *rows, walker_t *x, const place_t *p) {
  UNROLL for (int i = 0; i < 4 * BLOCKS; i++) engine_copy(rows + slot_of(p, i), place_of(x, i));
  x->place += CHUNK * x->stride;
}

/* Number by number, `count` tokens; the others are 0. Seldom, and in little code. */
static inline void copy_rows(local uint4 *rows, walker_t *x, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers * BLOCKS; i++) {
    ENGINE_ROLLED;
    global const ushort *from = (global const ushort *)place_of(x, i / 8) + (i & 7);
    ((local ushort *)(rows + slot_of(p, i / 8)))[i & 7] = first_token(p) + 8 * (i / 16 & 1) < count ? *from : (ushort)0;
  }
  x->place += CHUNK * x->stride;
}

static inline void load_rows(rows_t *rows, const tiles_t *tiles, int n, int tensor, const place_t *p) {
  UNROLL for (int i = 0; i < 4 * BLOCKS; i++) {
    const uint4 y = rows_of(tiles, n, tensor)[slot_of(p, i)];
    uint *to = &rows->at[i / 4][i / 2 & 1][4 * (i & 1)];
    to[0] = y.x, to[1] = y.y, to[2] = y.z, to[3] = y.w;
  }
}

static inline local uint4 *in_tile(local uchar *tile, int row, int unit) {
  return (local uint4 *)(tile + row * 128 + ((unit ^ (row & 7)) << 4));
}

/* v of the next chunk in the background, all of it and aligned. */
static inline void copy_whole_values(local uchar *tile, walker_t *x, const place_t *p) {
  global const uchar *from = x->place;
  UNROLL for (int row = p->item / 8; row < CHUNK; row += GROUP / 8, from += GROUP / 8 * x->stride)
      engine_copy(in_tile(tile, row, p->item & 7), from);
  x->place += CHUNK * x->stride;
}

/* `count` tokens; the others are 0. */
static inline void copy_values(local uchar *tile, walker_t *x, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) { /* CHUNK * COLUMNS / GROUP */
    ENGINE_ROLLED;
    const int row = p->item / 8 + i / 8 * (GROUP / 8);
    global const ushort *number = (global const ushort *)(x->place + i / 8 * (GROUP / 8) * x->stride) + (i & 7);
    ((local ushort *)in_tile(tile, row, p->item & 7))[i & 7] = row < count ? *number : (ushort)0;
  }
  x->place += CHUNK * x->stride;
}

static inline float low(uint pair) {
  return as_float(pair << 16);
}

static inline float high(uint pair) {
  return as_float(pair & 0xffff0000u);
}

/* ---- numbers in two parts ---- */

/* [16 tokens or channels x 64] as sums of two bf16 each, 2^-16 off at most. */
typedef struct split_t {
  uint upper[2][8], lower[2][8];
} split_t;

static inline void split_pair(split_t *x, int h, int n, float first, float second) {
  x->upper[h][n] = engine_pack_upper(first, second);
  x->lower[h][n] = engine_pack_bf16(first - as_float(as_uint(first) & 0xffff0000u), second - as_float(as_uint(second) & 0xffff0000u));
}

/* Accumulators as an operand. */
static inline void split_sums(split_t *x, const float *c) {
  UNROLL for (int h = 0; h < 2; h++) {
    UNROLL for (int n = 0; n < 8; n++) split_pair(x, h, n, c[4 * n + 2 * h], c[4 * n + 2 * h + 1]);
  }
}

/* A of 16 columns. */
static inline void operand_of(uint a[4], const uint x[2][8], int step) {
  a[0] = x[0][2 * step], a[1] = x[1][2 * step], a[2] = x[0][2 * step + 1], a[3] = x[1][2 * step + 1];
}

/* As this sub-group's 16 rows of a tile and of the one with the lower parts. */
static inline void store_split(local uchar *tile, const split_t *x, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) {
    UNROLL for (int n = 0; n < 8; n += 4) {
      engine_store_rows(tile, ROWS * p->engine.warp + 8 * h, n, x->upper[h] + n, &p->engine);
      engine_store_rows(tile + BLOCKS * TILE, ROWS * p->engine.warp + 8 * h, n, x->lower[h] + n, &p->engine);
    }
  }
}

/* ---- sums of logarithms ---- */

/* Logarithms that are stored in bf16 are operands as they are; others are made sums of three numbers in bf16. */
#define DIRECT_LOGS (DECAY == DECAY_LOG)
#define LOG_PARTS (DIRECT_LOGS ? 1 : 3)
#define LOG_FLOOR -128.0f /* exp of it is 0, and so is exp of what is below */
#define LOG_FLOORS 0xc300c300u
#define LOG2_E 1.44269504f

/* Over which tokens t of the sub-group's 16 a sum at token i goes. BESIDE + size: the other half of i's block of 2 size tokens. */
enum { BEFORE, THROUGH, BESIDE };

static inline uint one_at(int which, int i, int t) {
  const bool there = which == BEFORE ? t < i : which == THROUGH ? t <= i : ((i ^ t) & -(which - BESIDE)) == which - BESIDE;
  return there ? 0x3f80u : 0u;
}

static inline float log_of(uint w, bool there) {
  const float log_factor = decay_log(as_float(w));
  return !there ? 0.0f : log_factor < LOG_FLOOR ? LOG_FLOOR : log_factor;
}

/* Logarithms of tokens 2 pair, 2 pair + 1 (from `token` on) as operand B. */
static inline void find_logs(uint logs[LOG_PARTS], uint w, int token, int count) {
#if DIRECT_LOGS
  logs[0] = engine_max_bf16(w, LOG_FLOORS);
#else
  float first = log_of(w << 16, token < count), second = log_of(w & 0xffff0000u, token + 1 < count);
  UNROLL for (int part = 0; part < LOG_PARTS; part++) {
    logs[part] = engine_pack_upper(first, second);
    first -= low(logs[part]);
    second -= high(logs[part]);
  }
#endif
}

/* Of 8 channels, of a chunk with `count` tokens. */
static inline void sum_octet(float sum[4], int which, const rows_t *w, int block, int n, const place_t *p, int count) {
  const int i = p->engine.row, t = 2 * p->engine.pair, token = ROWS * p->engine.warp + t;
  const uint same = one_at(which, i, t) | one_at(which, i, t + 1) << 16, all = 0x3f803f80u;
  const uint ones[4] = {same, which == BEFORE || which == THROUGH || which == BESIDE + 8 ? all : 0u,
                        which == BESIDE + 8 ? all : 0u, same};
  uint early[LOG_PARTS], late[LOG_PARTS];
  find_logs(early, engine_transpose(w->at[block][0][n], &p->engine), token, count);
  find_logs(late, engine_transpose(w->at[block][1][n], &p->engine), token + 8, count);
  UNROLL for (int part = LOG_PARTS - 1; part >= 0; part--)
      engine_multiply_bf16(sum, ones, early[part], late[part], part == LOG_PARTS - 1, &p->engine);
}

static inline void sum_logs(float sum[8][4], int which, const rows_t *w, int block, const place_t *p, int count) {
  UNROLL for (int n = 0; n < 8; n++) sum_octet(sum[n], which, w, block, n, p, count);
}

/* sum becomes log2(e) sum + sign log2 of the decays of all tokens of sub-groups `first` to `last`. */
static inline void add_sums(float sum[8][4], const tiles_t *tiles, int block, int first, int last, float sign,
                            const place_t *p) {
  UNROLL for (int n = 0; n < 8; n += 2) {
    float4 extra = (float4)(0.0f);
    UNROLL for (int warp = 0; warp < 4; warp++) {
      local const float4 *from = (local const float4 *)(sums_of(tiles, warp, block) + p->engine.pair * SUMS_STRIDE);
      if (warp >= first && warp <= last) extra += from[n / 2];
    }
    extra *= sign * LOG2_E;
    UNROLL for (int h = 0; h < 4; h += 2) {
      sum[n][h] = fma(sum[n][h], LOG2_E, extra.x);
      sum[n][h + 1] = fma(sum[n][h + 1], LOG2_E, extra.y);
      sum[n + 1][h] = fma(sum[n + 1][h], LOG2_E, extra.z);
      sum[n + 1][h + 1] = fma(sum[n + 1][h + 1], LOG2_E, extra.w);
    }
  }
}

/*
 * Two sums become log2(e) sum + log2 of the decays of all tokens before this sub-group's, since token 32 of the chunk, or, where that is
 * later, minus those of its and all others' until then; x becomes `more` larger.
 */
static inline void add_sums_of_half(float x[8][4], float y[8][4], float more, const tiles_t *tiles, int block,
                                    const place_t *p) {
  const int warp = p->engine.warp;
  const float sign = warp < 2 ? -1.0f : 1.0f;
  local const float4 *from = (local const float4 *)(sums_of(tiles, warp == 3 ? 2 : 1, block) + p->engine.pair * SUMS_STRIDE);
  local const float4 *first = (local const float4 *)(sums_of(tiles, 0, block) + p->engine.pair * SUMS_STRIDE);
  UNROLL for (int n = 0; n < 8; n += 2) {
    float4 extra = warp == 2 ? (float4)(0.0f) : from[n / 2];
    if (warp == 0) extra += first[n / 2];
    extra *= sign * LOG2_E;
    const float pairs[4] = {extra.x, extra.y, extra.z, extra.w};
    UNROLL for (int q = 0; q < 8; q++) {
      x[n + q / 4][q & 3] = fma(x[n + q / 4][q & 3], LOG2_E, pairs[q / 4 * 2 + (q & 1)] + more);
      y[n + q / 4][q & 3] = fma(y[n + q / 4][q & 3], LOG2_E, pairs[q / 4 * 2 + (q & 1)]);
    }
  }
}

/* Rows times 2^(sign sum); sign is a constant. */
static inline void scale_rows(split_t *x, const uint rows[2][8], float sum[8][4], float sign) {
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int h = 0; h < 2; h++)
      split_pair(x, h, n, low(rows[h][n]) * engine_exp2(sign * sum[n][2 * h]), high(rows[h][n]) * engine_exp2(sign * sum[n][2 * h + 1]));
  }
}

static inline bool is_moderate(const tiles_t *tiles) {
  const int4 flags = *(local const int4 *)flags_of(tiles);
  return (flags.x & flags.y & flags.z & flags.w) != 0;
}

#endif
