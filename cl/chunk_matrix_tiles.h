/* SPDX-License-Identifier: MIT */
/*
 * What the kernels of chunk_forward_matrix.cl keep where: tiles in local memory, the state in accumulators, and operands for the
 * engine. Included after the defines of that file.
 */
#ifndef CHUNK_MATRIX_TILES_H
#define CHUNK_MATRIX_TILES_H

#include "decay.h"
#include "storage.h"
#include "unit.h"

#define ROWS 16 /* tokens of an operand */
#define CHUNK 32 /* tokens: two operands */
#define WORK_GROUP (32 * (MAKERS + USERS))
#define TILE_COLUMNS (16 * WIDE * USERS)
#define TILES ((VALUE_DIM + TILE_COLUMNS - 1) / TILE_COLUMNS)
#define BLOCK (KEY_DIM > 64 ? 32 : 16) /* key channels of a task */
#define BLOCKS ((KEY_DIM + BLOCK - 1) / BLOCK)
#define OCTETS (BLOCK / 8)
#define BLOCKS_EACH ((BLOCKS + MAKERS - 1) / MAKERS) /* tasks of a maker */
#define STEPS (KEY_DIM / 8)                      /* of 8 key channels */

#define BITS_fp32 32
#define BITS_fp16 16
#define BITS_bf16 16
#define BITS_D JOIN(BITS_, DTYPE)
#define BITS_W JOIN(BITS_, W_DTYPE)

/*
 * Rows as they lie in memory. What a sub-group reads at once falls into different banks, because rows of 32-bit numbers are
 * padded, and because in those of 16-bit numbers, which then begin where banks do, the places of 8 numbers are exchanged: number
 * n is in place n ^ swizzle(row). Rows 8 apart differ too, as the order of k^ brings tokens 8 apart together.
 */
static inline int swizzle(int row, int mask) {
  return (row ^ (row >> 3 & 1) << 2) & mask;
}

#define SWIZZLE_OF(bits, width) ((bits) == 32 ? 0 : (width) >= 64 ? 7 : (width) / 8 - 1)
#define STRIDE_OF(bits, width, padding) ((bits) == 32 ? (width) + (padding) : (width))
#define KEY_ROW (BLOCK * BLOCKS)
#define KEY_WIDTH POWER_OF_2(KEY_ROW)
#define D_STRIDE STRIDE_OF(BITS_D, KEY_WIDTH, 8)
#define W_STRIDE STRIDE_OF(BITS_W, KEY_WIDTH, 8)
#define V_STRIDE STRIDE_OF(BITS_D, TILE_COLUMNS, 4)
#define D_SWIZZLE SWIZZLE_OF(BITS_D, KEY_WIDTH)
#define W_SWIZZLE SWIZZLE_OF(BITS_W, KEY_WIDTH)
#define V_SWIZZLE SWIZZLE_OF(BITS_D, TILE_COLUMNS)

/* Element (row, column) of such a tile. */
static inline int element_of(int row, int column, int stride, int mask) {
  return row * stride + ((column >> 3 ^ swizzle(row, mask)) << 3) + (column & 7);
}

/* Rows of k^ are padded as well. */
#define TOKEN_STRIDE 20

#ifdef ENGINE_NVIDIA
#include "engine_nvidia.h"
#else
#include "engine_emulated.h"
#endif

/* An operand as it lies in a tile: 4 numbers of each work-item of a sub-group. */
#define OPERAND (32 * 4)

/* Bytes of the tiles. */
#define RAW_D (CHUNK * D_STRIDE * (int)sizeof(dtype_t))
#define RAW_W (CHUNK * W_STRIDE * (int)sizeof(w_dtype_t))
#define RAW_V (CHUNK * V_STRIDE * (int)sizeof(dtype_t))
#define KEYS_BYTES (BLOCKS * 2 * BLOCK * TOKEN_STRIDE * 4)
#define DECAYS_BYTES (KEY_ROW * 4)
#define DIVIDED_BYTES ((BLOCKS * 4 + 15) / 16 * 16)
#define TRIANGLE_BYTES (6 * OPERAND * 4)

/* Places of tiles in local memory, in bytes: of what the state wants, and of what o wants. */
#define STATE_BYTES (KEYS_BYTES + (1 + SPLIT) * DECAYS_BYTES + DIVIDED_BYTES)
#define OUTPUT_BYTES (CHUNK * KEY_ROW * 4 + TRIANGLE_BYTES)
#define AT_K 0
#define AT_W (AT_K + AHEAD * RAW_D)
#define AT_V (AT_W + AHEAD * RAW_W)
#define AT_U (AT_V + (AHEAD + 1) * RAW_V)
#define AT_STATE (AT_U + DECAYS_BYTES)
#define AT_R (AT_STATE + 2 * STATE_BYTES)
#define AT_PARTS (AT_R + AHEAD * RAW_D)
#define AT_OUTPUT (AT_PARTS + BLOCKS * TRIANGLE_BYTES)
#define BYTES_OF_STATES AT_R
#define BYTES_OF_ALL (AT_OUTPUT + 2 * OUTPUT_BYTES)

/* Local memory. */
typedef struct tiles_t {
  local uchar *base;
} tiles_t;

/* As they lie in memory, [CHUNK][D_STRIDE or W_STRIDE], in `place` of AHEAD. */
static inline local dtype_t *tile_of_r(const tiles_t *tiles, int place) {
  return (local dtype_t *)(tiles->base + AT_R + place * RAW_D);
}

static inline local dtype_t *tile_of_k(const tiles_t *tiles, int place) {
  return (local dtype_t *)(tiles->base + AT_K + place * RAW_D);
}

static inline local w_dtype_t *tile_of_w(const tiles_t *tiles, int place) {
  return (local w_dtype_t *)(tiles->base + AT_W + place * RAW_W);
}

/* [CHUNK][V_STRIDE], in `place` of AHEAD + 1 */
static inline local dtype_t *tile_of_v(const tiles_t *tiles, int place) {
  return (local dtype_t *)(tiles->base + AT_V + place * RAW_V);
}

/* [KEY_ROW]: u, or, in chunk_states, the decays over all chunks so far */
static inline local float *tile_of_u(const tiles_t *tiles) {
  return (local float *)(tiles->base + AT_U);
}

/* [BLOCKS][6][OPERAND]: A of each block of channels */
static inline local float *tile_of_parts(const tiles_t *tiles) {
  return (local float *)(tiles->base + AT_PARTS);
}

/* What makers make of a chunk and users use. */
typedef struct products_t {
  local float *k_decayed;     /* [BLOCKS][2][BLOCK][TOKEN_STRIDE]: k^, or k^ / D, see store_keys */
  local float *keep, *change; /* [KEY_ROW]: D, see chunk_decay; before, the sums of logarithms */
  local int *divided;         /* [BLOCKS]: whether k_decayed is k^ / D */
  local float *r_decayed;     /* [2][KEY_ROW / 8][OPERAND]: r~ */
  local float *A;             /* [3][2][OPERAND]: rows 0-15, columns 0-15; rows 16-31, columns 0-15; rows 16-31, columns 16-31;
                                 of each columns 0-7 and 8-15 */
} products_t;

static inline void products_of(products_t *x, const tiles_t *tiles, int place) {
  local uchar *state = tiles->base + AT_STATE + place * STATE_BYTES, *output = tiles->base + AT_OUTPUT + place * OUTPUT_BYTES;
  x->k_decayed = (local float *)state;
  x->keep = (local float *)(state + KEYS_BYTES);
  x->change = (local float *)(state + KEYS_BYTES + SPLIT * DECAYS_BYTES);
  x->divided = (local int *)(state + KEYS_BYTES + (1 + SPLIT) * DECAYS_BYTES);
  x->r_decayed = (local float *)output;
  x->A = (local float *)(output + CHUNK * KEY_ROW * 4);
}

/* Which of their places a chunk's products and values, and the rows of the chunk that is made, are in. */
typedef struct turn_t {
  int use, values; /* of 2 and AHEAD + 1 */
  int make, rows;  /* of 2 and AHEAD */
} turn_t;

/* The first chunk is made. */
static inline void turn_begin(turn_t *turn) {
  turn->use = 1;
  turn->values = AHEAD;
  turn->make = turn->rows = 0;
}

static inline void turn_next(turn_t *turn) {
  turn->use = turn->make;
  turn->make ^= 1;
  turn->values = turn->values == AHEAD ? 0 : turn->values + 1;
  turn->rows = turn->rows + 1 == AHEAD ? 0 : turn->rows + 1;
}

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item;
  int sub_group;                 /* within its side */
  bool makes, uses;              /* which side that is */
  int tile_first;                /* first value channel of the work-group */
  int first_column, tile_column; /* of the sub-group within the head, and within the tile; VALUE_DIM: none */
  bool keeps_decays;             /* one work-group of a head looks after the decays */
  bool reverse;
  engine_t engine;
} place_t;

/* Where sub-groups have to reach the same barriers, each goes through the work of both sides, and has no effect in the other's.
 */
#define GOES(side) (!ENGINE_INDEPENDENT || (side))

/* An operand; `low` is what rounding took away. */
typedef struct operand_t {
  uint high[4];
#if SPLIT
  uint low[4];
#endif
} operand_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, int dual, index_t first_group,
                              local uint *exchange) {
  const index_t group = first_group + (index_t)get_group_id(0);
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch) != (dual != 0);
  const index_t tile = find_head(&p->unit, &p->head, units, batch, group, TILES);
  p->item = get_local_id(0);
  p->makes = p->item < 32 * MAKERS;
  p->uses = !p->makes;
  p->sub_group = p->item / 32 - (p->makes ? 0 : MAKERS);
  p->keeps_decays = p->uses && tile == 0;
  p->tile_first = (int)tile * TILE_COLUMNS;
  p->tile_column = p->uses ? 16 * WIDE * p->sub_group : 0;
  p->first_column = p->uses ? p->tile_first + p->tile_column : VALUE_DIM;
  engine_begin(&p->engine, p->item, exchange);
}

/* ---- the state S^T ---- */

/*
 * Accumulators of 16 value channels and 8 key channels. Those of a work-item are its part of operand S as well, with key
 * channels 2 pair and 2 pair + 1 as pair and pair + 4 of the product, which r~ agrees with.
 */
typedef struct state_t {
  float at[WIDE][STEPS][4];
} state_t;

/* Offset of element q of accumulators c, n of this work-item within a state [K, V]. */
static inline int element_at(const place_t *p, int c, int n, int q) {
  const int channel = 8 * n + 2 * p->engine.pair + (q & 1);
  return channel * VALUE_DIM + p->first_column + 16 * c + p->engine.row + (q >> 1) * 8;
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *state, global const float *from, const place_t *p, bool present) {
  UNROLL for (int c = 0; c < WIDE; c++) {
    const bool there = present && p->first_column + 16 * c < VALUE_DIM;
    UNROLL for (int n = 0; n < STEPS; n++) {
      UNROLL for (int q = 0; q < 4; q++) state->at[c][n][q] = there ? from[element_at(p, c, n, q)] : 0.0f;
    }
  }
}

static inline void store_state(const state_t *state, global float *to, const place_t *p) {
  UNROLL for (int c = 0; c < WIDE; c++) {
    if (p->first_column + 16 * c < VALUE_DIM) {
      UNROLL for (int n = 0; n < STEPS; n++) {
        UNROLL for (int q = 0; q < 4; q++) to[element_at(p, c, n, q)] = state->at[c][n][q];
      }
    }
  }
}

/* ---- operands ---- */

/* What is stored in a tile: rounded once here, unless both parts are needed later. */
static inline float operand(float x) {
#if SPLIT
  return x;
#else
  return as_float(engine_round(x));
#endif
}

static inline void split(operand_t *x) {
#if SPLIT
  UNROLL for (int i = 0; i < 4; i++) {
    const float whole = as_float(x->high[i]);
    x->high[i] = engine_round(whole) & 0xffffe000u;
    x->low[i] = engine_round(whole - as_float(x->high[i]));
  }
#endif
}

static inline void set_operand(operand_t *x, int i, float value) {
  x->high[i] = as_uint(operand(value));
}

/* C += A B, or, `first`, C = A B, with B in elements i and i + 1 of b. */
static inline void multiply(float *c, const operand_t *a, const operand_t *b, int i, bool first, const place_t *p) {
#if SPLIT
  engine_multiply(c, a->low, b->high[i], b->high[i + 1], first, &p->engine);
  engine_multiply(c, a->high, b->low[i], b->low[i + 1], false, &p->engine);
#endif
  engine_multiply(c, a->high, b->high[i], b->high[i + 1], first && !SPLIT, &p->engine);
}

static inline void load_operand(operand_t *x, local const float *tile, const place_t *p) {
  const uint4 all = ((local const uint4 *)tile)[p->engine.lane];
  x->high[0] = all.x, x->high[1] = all.y, x->high[2] = all.z, x->high[3] = all.w;
  split(x);
}

static inline void store_operand(local float *tile, float a, float b, float c, float d, const place_t *p) {
  ((local float4 *)tile)[p->engine.lane] = (float4)(a, b, c, d);
}

static inline void load_columns(operand_t *x, local const float *tile, int stride, const place_t *p) {
  engine_load_columns(x->high, &p->engine, tile, stride);
  split(x);
}

#endif
