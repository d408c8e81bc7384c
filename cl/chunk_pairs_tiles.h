/* SPDX-License-Identifier: MIT */
/*
 * What the kernels of chunk_forward_pairs.cl and chunk_states_pairs.cl keep where: tiles in local memory, rows in registers.
 *
 * Rows of r, k, v and w come to local memory as they are stored. A sub-group turns its own 16 of them, in the same place, into
 * what the matrix unit reads: tiles of numbers in bf16, the upper and the lower parts of a sum of two.
 *
 * Places: of 16 channels, place 8 h + 2 pair + q is channel 4 pair + 2 h + q, so that a work-item, which has two octets of
 * places in accumulators, has four channels side by side. That holds for key and for value channels in all tiles and
 * accumulators, and nowhere else.
 */
#ifndef CHUNK_PAIRS_TILES_H
#define CHUNK_PAIRS_TILES_H

#include "chunk_group_place.h"

/* Bytes in local memory. k and v are there for two chunks at a time, each of which has its part. */
#define STAGES 2 /* chunks that k and v are there for at a time */
#define AHEAD 1
#define AT_K 0               /* of that part: rows of k, then k / c or k^ */
#define AT_V (2 * TILE)      /* rows of v, then its parts */
#define AT_W (8 * TILE)      /* rows of w, then [CHUNK][64] sums of logarithms */
#define AT_R (10 * TILE)     /* rows of r; where there is none, whole sums */
#define AT_STATE (12 * TILE) /* kernels that make outputs: parts of S [64 key channels][64 value channels] */
#ifdef OUTPUTS
/* Not a byte more: two work-groups are to fit into the 228 KiB of a compute unit of compute capability 9.0, and OpenCL takes 2
 * KiB for each. */
#define LOCAL_BYTES (14 * TILE)
#else
#define LOCAL_BYTES AT_STATE
#endif

/* How many numbers in bf16 v is the sum of. */
#define VALUE_PARTS_bf16 1
#define VALUE_PARTS_fp16 2
#define VALUE_PARTS_fp32 2
#define VALUE_PARTS JOIN(VALUE_PARTS_, DTYPE)

/*
 * Local memory. What depends on the work-item is found once a chunk: compilers then add constants and no more. Where rows are
 * as they were stored, 16 bytes n of row i of a tile are in place n ^ turn_of(i), so that reads of 4 channels by 4 work-items
 * of each of some rows meet in no bank. In fp32 a tile has 32 channels, and a row is in two of them.
 */
typedef struct tiles_t {
  local uchar *base, *chunk;             /* and the part of this chunk */
  local uchar *rows, *chunk_rows;        /* of this sub-group's 16 in their first tiles, for the engine */
  local uchar *mine, *chunk_mine, *wide; /* this work-item's first four channels of token `row`: as stored, in fp32 */
  local uchar *before;                   /* the same as `wide`, of the token before */
  local uchar *last;                     /* and of the last of sub-group 0's 16 */
  local uchar *logs, *sums; /* its two channels, 2 lane and the next, of the sub-group's first token: of w, in fp32 */
} tiles_t;

static inline int turn_of(int row) {
  return (row & 1) << 2 | (row & 2);
}

/* The part of chunk n. */
static inline int chunk_at(int n) {
  return (n & (STAGES - 1)) * 4 * TILE;
}

static inline void find_base(tiles_t *tiles, local uchar *pool, const place_t *p) {
  engine_prepare_base(pool, (int)get_local_id(0));
  barrier(CLK_LOCAL_MEM_FENCE);
  tiles->base = engine_base(pool);
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* The first four channels of this work-item in the tile's row `row`, of numbers of `size` bytes. */
static inline local uchar *four_of(local uchar *tile, int row, int pair, int size) {
  const int bytes = 4 * size * pair;
  return engine_fresh_pointer(tile + row * 128 + ((bytes / 16 ^ turn_of(row)) << 4) + (bytes & 15));
}

static inline local uchar *two_of(local uchar *rows, int lane, int size) {
  const int bytes = 2 * size * lane;
  return engine_fresh_pointer(rows + bytes / 128 * TILE + (bytes & 127));
}

static inline void find_tiles(tiles_t *tiles, int n, place_t *p) {
  engine_refresh(&p->engine);
  tiles->base = engine_uniform_pointer(tiles->base);
  tiles->chunk = engine_uniform_pointer(tiles->base + chunk_at(n));
  const engine_t *e = &p->engine;
  local uchar *first = tiles->base + ROWS * 128 * e->warp;
  tiles->rows = engine_fresh_pointer(engine_rows(first, e));
  tiles->chunk_rows = engine_fresh_pointer(tiles->rows + chunk_at(n));
  tiles->mine = four_of(first, e->row, e->pair, BYTES);
  tiles->chunk_mine = engine_fresh_pointer(tiles->mine + chunk_at(n));
  tiles->wide = BYTES == 4 ? tiles->mine : four_of(first, e->row, e->pair, 4);
  tiles->before = four_of(first, e->row - 1, e->pair, 4);
  tiles->last = four_of(tiles->base, ROWS - 1, e->pair, 4);
  tiles->sums = two_of(first + AT_W, e->lane, 4);
  tiles->logs = W_BYTES == 4 ? tiles->sums : two_of(first + AT_W, e->lane, W_BYTES);
}

/* Key channel of row `row` + 8 h of this sub-group's in S. */
static inline int key_of(const place_t *p, int h) {
  return ROWS * p->engine.warp + p->engine.row / 2 * 4 + (p->engine.row & 1) + 2 * h;
}

/* Value channel of accumulator q. */
static inline int value_of(const place_t *p, int q) {
  return q / 8 * 16 + 4 * p->engine.pair + (q & 4) / 2 + (q & 1);
}

/* The first 16 bytes that a work-item carries to a tile at `place`. */
static inline local uchar *slots_of(local uchar *place, const place_t *p) {
  const int lane = p->engine.lane;
  return engine_fresh_pointer(place + first_token(p) * 128 + (((lane & 7) ^ turn_of(lane / 8)) << 4));
}

/* Number i of them. */
static inline local uint4 *slot_of(local uchar *slots, int which, int i) {
  return (local uint4 *)(slots + which * TILE + 512 * i);
}

/* ---- rows ---- */

/* Where the numbers of `first` for octets 2 s and 2 s + 1 are, of numbers of `size` bytes; tiles begin at `at`. */
static inline local uchar *fours_at(local uchar *first, int at, int s, int size) {
  return size == 4 ? flip(first, (s & 1) << 6) + (at + s / 2 * TILE) : flip(first, s << 5) + at;
}

static inline float4 four_fp32(local const uchar *from) {
  return *(local const float4 *)from;
}

static inline float4 four_bf16(local const uchar *from) {
  const uint2 x = *(local const uint2 *)from;
  return (float4)(low(x.x), high(x.x), low(x.y), high(x.y));
}

static inline float4 four_fp16(local const uchar *from) {
  const ushort4 x = *(local const ushort4 *)from;
  return (float4)(widen_fp16(x.x), widen_fp16(x.y), widen_fp16(x.z), widen_fp16(x.w));
}

static inline float2 two_fp32(local const uchar *from) {
  return *(local const float2 *)from;
}

static inline float2 two_bf16(local const uchar *from) {
  const uint x = *(local const uint *)from;
  return (float2)(low(x), high(x));
}

static inline float2 two_fp16(local const uchar *from) {
  const ushort2 x = *(local const ushort2 *)from;
  return (float2)(widen_fp16(x.x), widen_fp16(x.y));
}

#define four_d JOIN(four_, DTYPE)
#define four_w JOIN(four_, W_DTYPE)
#define two_w JOIN(two_, W_DTYPE)

/* Four channels of token row + 8 h as those of octets 2 s and 2 s + 1. */
static inline void put_four(tokens_t *x, int s, int h, float4 four) {
  x->at[2 * s][2 * h] = four.x, x->at[2 * s][2 * h + 1] = four.y;
  x->at[2 * s + 1][2 * h] = four.z, x->at[2 * s + 1][2 * h + 1] = four.w;
}

/* Rows of r, k or v that begin at `at`, where this work-item's part of them is `mine`. */
static inline void load_rows(tokens_t *x, local uchar *mine, int at) {
  UNROLL for (int s = 0; s < 4; s++) {
    UNROLL for (int h = 0; h < 2; h++) put_four(x, s, h, four_d(fours_at(mine, at + 1024 * h, s, BYTES)));
  }
}

/* ---- numbers in two parts ---- */

/* Octet n of both tokens, in accumulators' order. */
static inline void split_octet(split_t *x, const float c[4], int n) {
  UNROLL for (int h = 0; h < 2; h++) {
    const uint upper = engine_pack_bf16(c[2 * h], c[2 * h + 1]);
    x->upper[h][n] = upper;
    x->lower[h][n] = engine_pack_bf16(c[2 * h] - low(upper), c[2 * h + 1] - high(upper));
  }
}

static inline void split_tokens(split_t *x, const tokens_t *tokens) {
  UNROLL for (int n = 0; n < 8; n++) split_octet(x, tokens->at[n], n);
}

/* As this sub-group's 16 rows, which begin at `rows`, of the tile at `at`, and, where there are two `parts`, of the next. */
static inline void store_split(local uchar *rows, const split_t *x, int at, int parts, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) {
    UNROLL for (int n = 0; n < 8; n += 4) {
      engine_store_rows(rows, at + 1024 * h, n, x->upper[h] + n, &p->engine);
      if (parts > 1) engine_store_rows(rows, at + TILE + 1024 * h, n, x->lower[h] + n, &p->engine);
    }
  }
}

/* Rows of v become its parts. */
static inline void split_values(const tiles_t *tiles, const place_t *p) {
  tokens_t v;
  split_t parts;
  load_rows(&v, tiles->chunk_mine, AT_V);
  split_tokens(&parts, &v);
  engine_barrier(); /* rows have been read by all of the sub-group */
  store_split(tiles->chunk_rows, &parts, AT_V, VALUE_PARTS, p);
}

/* ---- sums of logarithms ---- */

/* Channels 2 lane and the next of token t of the sub-group's 16; `first` is those of the first one. */
static inline local uchar *two_at(local uchar *first, int t) {
  return flip(first, turn_of(t) << 4) + 128 * t;
}

/* Logarithms of this work-item's two channels of all 16 tokens, of a chunk with `count` tokens. */
static inline void load_logs(float2 logs[ROWS], const tiles_t *tiles, const place_t *p, int count) {
  UNROLL for (int t = 0; t < ROWS; t++) {
    const float2 w = two_w(two_at(tiles->logs, t));
    const bool there = DECAY == DECAY_LOG || ROWS * p->engine.warp + t < count; /* 0 is where no token is */
    logs[t] = there ? (float2)(decay_log(w.x), decay_log(w.y)) : (float2)(0.0f);
  }
}

/* Where the logarithms were. */
static inline void store_sums(const float2 sums[ROWS], const tiles_t *tiles) {
  UNROLL for (int t = 0; t < ROWS; t++) * (local float2 *)two_at(tiles->sums, t) = sums[t];
}

/*
 * Sums of the logarithms of all tokens of a sub-group, its whole sums, are where the sums of its last token are, or would be:
 * from AT_W on or, as `at` says, from AT_R on.
 */
static inline void store_whole_sum(float2 sum, const tiles_t *tiles, int at) {
  *(local float2 *)(two_at(tiles->sums, ROWS - 1) + (at - AT_W)) = sum;
}

/* Of four channels of this work-item, octets 2 s and 2 s + 1. */
static inline float4 whole_sum(const tiles_t *tiles, int at, int warp, int s) {
  return *(local const float4 *)fours_at(tiles->last, at + warp * ROWS * 128, s, 4);
}

/* Of key channel `key` and of the second one behind it; `key` & 3 is 0 or 1. */
static inline float2 whole_sums_of_key(const tiles_t *tiles, int at, int warp, int key) {
  const int unit = (key & 31) / 4 ^ turn_of(ROWS - 1);
  local const float *from =
      (local const float *)(tiles->base + at + key / 32 * TILE + (ROWS * warp + ROWS - 1) * 128 + (unit << 4));
  return (float2)(from[key & 1], from[(key & 1) + 2]);
}

/* Logarithms of the decays of all tokens of sub-groups `first` to `last`, octet by octet. */
static inline void find_sums_between(float sum[16], const tiles_t *tiles, int first, int last, const place_t *p) {
  UNROLL for (int q = 0; q < 16; q++) sum[q] = 0.0f;
  UNROLL for (int warp = 0; warp < 4; warp++) {
    if (warp >= first && warp <= last) {
      UNROLL for (int s = 0; s < 4; s++) {
        const float4 more = whole_sum(tiles, AT_R, warp, s);
        sum[4 * s] += more.x, sum[4 * s + 1] += more.y, sum[4 * s + 2] += more.z, sum[4 * s + 3] += more.w;
      }
    }
  }
}

#endif
