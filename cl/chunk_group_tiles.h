/* SPDX-License-Identifier: MIT */
/*
 * What the kernels of chunk_forward_group.cl and chunk_states_group.cl keep where: tiles in local memory, rows in registers.
 *
 * A work-item has of tokens `row` and `row + 8` of its sub-group's 16 the channels 8 n + 2 pair and 8 n + 2 pair + 1, as
 * accumulators have them. In products in tf32 these count as key channels 8 n + pair and 8 n + pair + 4, which is where their
 * operands want them: the order of key channels does not matter, if it is the same in both operands.
 */
#ifndef CHUNK_GROUP_TILES_H
#define CHUNK_GROUP_TILES_H

#include "chunk_group_place.h"

/*
 * Places in local memory, in bytes, from the beginning of a group's part up to PART_BYTES, else from that of all. A tile is 64
 * rows of 64 numbers in bf16, or 32 in tf32, so 64 x 64 in tf32 are two. Rows of k, w and v are there for STAGES chunks at a
 * time, those of r for one; a sub-group copies its own 16 of r, k and w.
 */
#if defined(OUTPUTS) || KEY_DIM > 64
#define STAGES 2 /* a power of 2 */
#else
#define STAGES 4 /* chunks are short without outputs: they are asked for two ahead */
#endif
#define AHEAD (STAGES / 2)
#define SUMS_STRIDE 20 /* floats of 16 channels: no two of a sub-group in one bank */
#define SUMS (4 * 4 * SUMS_STRIDE * 4)
#define AT_ROWS 0 /* k and w of STAGES chunks */
#define AT_SUMS (AT_ROWS + 2 * STAGES * TILE)
#define AT_BONUS (AT_SUMS + SUMS)
#define AT_ONES (AT_BONUS + 4 * SUMS_STRIDE * 4)
#define AT_WALKS (AT_ONES + (2 * 32 + 1) * 16)
#ifdef WIDE
#define AT_FACTORS (AT_WALKS + 5 * 16)
#define AT_DIAGONAL (AT_FACTORS + 2 * 4 * SUMS_STRIDE * 4)
#define END_OF_WALKS ((AT_DIAGONAL + CHUNK * 4 + 1023) / 1024 * 1024)
#define AT_R END_OF_WALKS
#define AT_KEYS (AT_R + TILE)
#define AT_R_FROM_KEYS ((AT_R - AT_KEYS) / TILE)
#define AT_OUT AT_KEYS
#define AT_TOKENS (AT_KEYS + 2 * TILE)
#define PART_BYTES (AT_TOKENS + 2 * TILE)
#define AT_VALUES (PARTS * PART_BYTES)
#define AT_A (AT_VALUES + STAGES * PARTS * TILE)
#define AT_SHARES (AT_A + 2 * TILE)
#define LOCAL_BYTES (AT_SHARES + 2 * TILE)
#else
#define END_OF_WALKS ((AT_WALKS + 5 * 16 + 1023) / 1024 * 1024)
/* Kernels that make outputs have more: */
#define AT_R END_OF_WALKS
#define AT_KEYS (AT_R + TILE)                           /* k / c in tf32: [CHUNK][32 key channels], twice */
#define AT_R_FROM_KEYS ((AT_R - AT_KEYS) / TILE)        /* in tiles */
#define AT_OUT (PARTS == 1 ? AT_R + 3 * TILE : AT_KEYS) /* o, 64 value channels in each tile */
/* S before the chunk, or D' S, in tf32, for each 64 value channels: [64][32 key channels], twice */
#define AT_STATE (AT_R + (PARTS == 1 ? 4 : 3) * TILE)
#ifdef OUTPUTS
#define PART_BYTES (AT_STATE + 2 * PARTS * TILE)
#else
#define PART_BYTES END_OF_WALKS
#endif
#define AT_VALUES (PARTS * PART_BYTES) /* of all groups: v of STAGES chunks, a tile for each 64 value channels */
#define LOCAL_BYTES (AT_VALUES + STAGES * PARTS * TILE)

#endif

/* Local memory. What depends on the work-item is found once a chunk: compilers then add constants and no more. */
typedef struct tiles_t {
  local uchar *all, *base;     /* of all groups, and of this one */
  local uchar *rows, *columns; /* of this sub-group's 16 in the first tile of rows of this chunk, for the engine */
  local uchar *keys;           /* the same of the first tile of keys */
#ifdef WIDE
  local uchar *own_rows, *values;
#endif
} tiles_t;

/*
 * [CHUNK][64 key channels] in bf16. Where k and w were, k / c follows, or k with the decays until the end of the chunk, its
 * upper and its lower parts.
 */
enum { ROWS_K, ROWS_W, ROWS_UPPER = ROWS_K, ROWS_LOWER = ROWS_W };

static inline int offset_of(int n, int which) {
  return AT_ROWS + (2 * (n & (STAGES - 1)) + which) * TILE;
}

/* v of value channels 64 j and on, from tiles->all. */
static inline int offset_of_values(int n, int j) {
  return AT_VALUES + ((n & (STAGES - 1)) * PARTS + j) * TILE;
}

/* [4 pairs][SUMS_STRIDE]: sums of the logarithms of a sub-group's tokens, two of each octet of channels for each pair */
static inline local float *sums_of(const tiles_t *tiles, int warp) {
  return (local float *)(tiles->base + AT_SUMS) + warp * 4 * SUMS_STRIDE;
}

/* u in the same order */
static inline local float *bonus_of(const tiles_t *tiles) {
  return (local float *)(tiles->base + AT_BONUS);
}

/* ---- rows ---- */

/* Pairs of channels 8 n + 2 pair and the next, of tokens row and row + 8. */
typedef struct rows_t {
  uint at[2][8];
} rows_t;

static inline void find_base(tiles_t *tiles, local uchar *pool, const place_t *p) {
  engine_prepare_base(pool, (int)get_local_id(0));
  barrier(CLK_LOCAL_MEM_FENCE);
  tiles->all = engine_base(pool);
  tiles->base = tiles->all + p->part * PART_BYTES;
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* Where the tiles of chunk n are, for this work-item. Compilers would find out for all chunks what a chunk needs, and have no
 * registers for it. */
static inline void find_tiles(tiles_t *tiles, int n, place_t *p) {
  engine_refresh(&p->engine);
  const int first = ROWS * 128 * p->engine.warp;
  tiles->all = engine_fresh_pointer(tiles->all);
  tiles->base = PARTS == 1 ? tiles->all : engine_fresh_pointer(tiles->base);
  tiles->rows = engine_fresh_pointer(engine_rows(tiles->base + offset_of(n, 0) + first, &p->engine));
  tiles->columns = engine_fresh_pointer(engine_columns(tiles->base + offset_of(n, 0) + first, &p->engine));
  tiles->keys = engine_fresh_pointer(engine_rows(tiles->base + AT_KEYS + first, &p->engine));
#ifdef WIDE
  tiles->all = engine_uniform_pointer(tiles->all);
  tiles->own_rows = tiles->all + 4096 * p->part;
  tiles->values = tiles->all + TILE * p->part;
#endif
}

/* Key channel of row `row` + 8 h of this sub-group's in S. */
static inline int key_of(const place_t *p, int h) {
  return 64 * p->part + ROWS * p->engine.warp + p->engine.row + 8 * h;
}

/* Value channel of accumulator q, of 64. */
static inline int value_of(const place_t *p, int q) {
  return 8 * (q / 4) + 2 * p->engine.pair + (q & 1);
}

/* The first 16 bytes that a work-item carries to a tile, `place` of this group's or of all. */
static inline local uchar *slots_of(local uchar *place, const place_t *p) {
  const int lane = p->engine.lane;
  return engine_fresh_pointer(place + first_token(p) * 128 + (((lane & 7) ^ lane / 8) << 4));
}

/* Number i of them, in that tile or `which` tiles further: 16 bytes n of row j of a tile are in place n ^ (j & 7). */
static inline local uint4 *slot_of(local uchar *slots, int which, int i) {
  return (local uint4 *)(flip(slots, (i & 1) << 6) + which * TILE + 512 * i);
}

/* Octets n to n + 3 of channels; n is 0 or 4. `from` is where this work-item's part of a tile begins, `which` tiles before. */
static inline void load_rows(rows_t *rows, local uchar *from, int which, int n, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) engine_load_rows(rows->at[h] + n, from, which * TILE + 1024 * h, n, &p->engine);
}

/* The same with another sign, where `sign` is 0x80000000. */
static inline float low_of(uint pair, uint sign) {
  return as_float((pair << 16) + sign);
}

static inline float high_of(uint pair, uint sign) {
  return as_float((pair & 0xffff0000u) ^ sign);
}

/* ---- numbers in two parts ---- */

/* Octet n, in accumulators' order. */
static inline void split_octet(split_t *x, const float c[4], int n) {
  UNROLL for (int h = 0; h < 2; h++) {
    const float first = c[2 * h], second = c[2 * h + 1];
    x->upper[h][n] = engine_pack_upper(first, second);
    x->lower[h][n] =
        engine_pack_bf16(first - as_float(as_uint(first) & 0xffff0000u), second - as_float(as_uint(second) & 0xffff0000u));
  }
}

/* Octets n to n + 3 as this sub-group's 16 rows of the upper and lower tiles. */
static inline void store_split(const tiles_t *tiles, const split_t *x, int n, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) {
    engine_store_rows(tiles->rows, ROWS_UPPER * TILE + 1024 * h, n, x->upper[h] + n, &p->engine);
    engine_store_rows(tiles->rows, ROWS_LOWER * TILE + 1024 * h, n, x->lower[h] + n, &p->engine);
  }
}

/* ---- numbers in tf32 ---- */

/* Octets i to i + 3 as 16 rows of the tile of keys; `keys` is where this work-item's part of them begins. */
static inline void store_keys(local uchar *keys, const tokens_t *x, int i, const place_t *p) {
  UNROLL for (int n = i; n < i + 4; n += 2) {
    UNROLL for (int h = 0; h < 2; h++) {
      uint words[4];
      UNROLL for (int q = 0; q < 4; q++) words[q] = as_uint(x->at[n + q / 2][2 * h + (q & 1)]);
      engine_store_rows(keys, n / 4 * TILE + 1024 * h, 2 * (n & 3), words, &p->engine);
    }
  }
}

/* Key channels of octet n as an operand. */
static inline void tokens_of(uint a[4], const tokens_t *x, int n) {
  UNROLL for (int q = 0; q < 4; q++) a[q] = as_uint(x->at[n][(q & 1) * 2 + q / 2]);
}

/* ---- sums of logarithms ---- */

/* Logarithms that are stored in bf16 are operands as they are; others are made sums of three numbers in bf16. */
#define DIRECT_LOGS (DECAY == DECAY_LOG)
#define LOG_PARTS (DIRECT_LOGS ? 1 : 3)
#define LOG_FLOORS 0xc300c300u

/* Over which tokens t of the sub-group's 16 a sum at token i goes. */
enum { BEFORE, THROUGH, AFTER, ALL };

static inline uint one_at(int which, int i, int t) {
  const bool there = which == BEFORE ? t < i : which == THROUGH ? t <= i : which == AFTER ? t > i : true;
  return there ? 0x3f80u : 0u;
}

/* Logarithms of tokens 2 pair, 2 pair + 1 (from `token` on) as operand B. */
static inline void find_logs(uint logs[LOG_PARTS], uint w, bool floor, int token, int count) {
#if DIRECT_LOGS
  logs[0] = floor ? engine_max_bf16(w, LOG_FLOORS) : w;
#else
  float first = log_of(w << 16, token < count), second = log_of(w & 0xffff0000u, token + 1 < count);
  UNROLL for (int part = 0; part < LOG_PARTS; part++) {
    logs[part] = engine_pack_upper(first, second);
    first -= low(logs[part]);
    second -= high(logs[part]);
  }
#endif
}

/*
 * Operands that do not change: ones of a lane, and what sums begin with. They are in local memory because an assembler that
 * knows constants makes them anew, in other registers, for each product.
 */
static inline local uint4 *ones_of(const tiles_t *tiles, int which, int lane) {
  return (local uint4 *)(tiles->base + AT_ONES) + 32 * which + lane;
}

static inline local float4 *beginning_of(const tiles_t *tiles) {
  return (local float4 *)ones_of(tiles, 2, 0);
}

/* By sub-group 0: ones for sums `first` and `second`; the first begin with `more`. */
static inline void store_ones(const tiles_t *tiles, int first, int second, float more, const place_t *p) {
  const int i = p->engine.row, t = 2 * p->engine.pair;
  UNROLL for (int n = 0; n < 2; n++) {
    const int which = n ? second : first;
    const uint same = one_at(which, i, t) | one_at(which, i, t + 1) << 16;
    const uint late = one_at(which, i, t + 8) * 0x10001u, early = one_at(which, i + 8, t) * 0x10001u;
    *ones_of(tiles, n, p->engine.lane) = (uint4)(same, early, late, same);
  }
  *beginning_of(tiles) = (float4)(more);
}

/* Of an octet of channels, from the logarithms of tokens 0 to 7 and 8 to 15. */
static inline void sum_octet(float sum[4], uint4 ones, float4 beginning, const uint early[LOG_PARTS],
                             const uint late[LOG_PARTS], const place_t *p) {
  const uint a[4] = {ones.x, ones.y, ones.z, ones.w};
  sum[0] = beginning.x, sum[1] = beginning.y, sum[2] = beginning.z, sum[3] = beginning.w;
  UNROLL for (int part = LOG_PARTS - 1; part >= 0; part--) engine_multiply_bf16(sum, a, early[part], late[part], &p->engine);
}

/*
 * Two sums at each of the sub-group's tokens (store_ones says over which), of a chunk with `count` of them. Without `floor`, a
 * logarithm of -inf makes all of its channel NaN, but for sums that have it.
 */
static inline void sum_logs(tokens_t *x, tokens_t *y, bool floor, const tiles_t *tiles, const place_t *p, int count) {
  const uint4 ones[2] = {*ones_of(tiles, 0, p->engine.lane), *ones_of(tiles, 1, p->engine.lane)};
  const float4 more = *beginning_of(tiles);
  const int token = ROWS * p->engine.warp + 2 * p->engine.pair;
  UNROLL for (int unit = 0; unit < 8; unit += 2) {
    uint pairs[4];
    engine_load_columns(pairs, tiles->columns, ROWS_W * TILE, unit, &p->engine);
    UNROLL for (int i = 0; i < 2; i++) {
      uint early[LOG_PARTS], late[LOG_PARTS];
      find_logs(early, pairs[2 * i], floor, token, count);
      find_logs(late, pairs[2 * i + 1], floor, token + 8, count);
      sum_octet(x->at[unit + i], ones[0], more, early, late, p);
      sum_octet(y->at[unit + i], ones[1], (float4)(0.0f), early, late, p);
    }
  }
}

/*
 * log2 of the decays of all tokens since token 32 of the chunk until this sub-group's, or minus those from them until it, as
 * `near` times the sums of sub-group `neighbour` and `far` times those of sub-group 0.
 */
typedef struct middle_t {
  int neighbour;
  float near, far;
} middle_t;

static inline void find_middle(middle_t *x, const place_t *p) {
  const int warp = p->engine.warp;
  x->neighbour = warp == 3 ? 2 : 1;
  x->near = warp == 2 ? 0.0f : warp == 3 ? LOG2_E : -LOG2_E;
  x->far = warp == 0 ? -LOG2_E : 0.0f;
}

/* Of two octets of channels from n on. */
static inline float4 sums_from_middle(const middle_t *x, const tiles_t *tiles, int n, const place_t *p) {
  const int at = p->engine.pair * SUMS_STRIDE + 2 * n;
  const float4 near = *(local const float4 *)(sums_of(tiles, x->neighbour) + at);
  const float4 far = *(local const float4 *)(sums_of(tiles, 0) + at);
  return near * x->near + far * x->far;
}

/* Logarithms of the decays of all tokens of sub-groups `first` to `last`, of this work-item's channels 8 n + 2 pair and the
 * next. */
static inline void find_sums_between(float sum[16], const tiles_t *tiles, int first, int last, const place_t *p) {
  UNROLL for (int q = 0; q < 16; q++) sum[q] = 0.0f;
  UNROLL for (int warp = 0; warp < 4; warp++) {
    if (warp >= first && warp <= last) {
      local const float4 *from = (local const float4 *)(sums_of(tiles, warp) + p->engine.pair * SUMS_STRIDE);
      UNROLL for (int q = 0; q < 16; q += 4) {
        const float4 more = from[q / 4];
        sum[q] += more.x, sum[q + 1] += more.y, sum[q + 2] += more.z, sum[q + 3] += more.w;
      }
    }
  }
}

#endif
