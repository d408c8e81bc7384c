/* SPDX-License-Identifier: MIT */
/*
 * What the kernels of chunk_forward_matrix.cl keep where: heads and sub-groups of a work-group, tiles in local memory, the
 * state in accumulators, and operands for the engine. Included after the defines of that file.
 */
#ifndef CHUNK_MATRIX_TILES_H
#define CHUNK_MATRIX_TILES_H

#include "decay.h"
#include "storage.h"
#include "unit.h"

#define SUB 16
#define CHUNK (SUB * SUB_CHUNKS)
#define HEAD_ITEMS (64 * SIDE)
#define WORK_GROUP (HEAD_ITEMS * HEADS)

#ifdef ENGINE_NVIDIA
#include "engine_nvidia.h"
#else
#include "engine_emulated.h"
#endif

#define TILE_COLUMNS (16 * SIDE)
#define TILES ((VALUE_DIM + TILE_COLUMNS - 1) / TILE_COLUMNS)
#define BLOCK 32 /* key channels of a task */
#define BLOCKS ((KEY_DIM + BLOCK - 1) / BLOCK)
#define TASKS (SUB_CHUNKS * BLOCKS)
#define TASKS_EACH ((TASKS + SIDE - 1) / SIDE)
#define STEPS (KEY_DIM / 8) /* of 8 key channels */

/* Rows in local memory are padded so that what a sub-group reads at once falls into different banks. */
#define KEY_ROW (BLOCK * BLOCKS)
#define KEY_STRIDE (KEY_ROW + 4)
#define BLOCK_STRIDE (BLOCK + 4)
#define TOKEN_STRIDE 20
#define PAIR_STRIDE 24
#if SPLIT
#define VALUE_STRIDE (TILE_COLUMNS + 4)
#else
#define VALUE_STRIDE (TILE_COLUMNS + 8)
#endif

/* Sizes of tiles in floats: one chunk, or one task (_EACH). Those of keys hold as much as those of factors. */
#define FACTORS_EACH (SUB * BLOCK_STRIDE)
#define KEYS_EACH (BLOCK * TOKEN_STRIDE)
#define TRIANGLE_EACH (SUB * PAIR_STRIDE)
#define STATE_FLOATS (TASKS * KEYS_EACH + (1 + SPLIT) * SUB_CHUNKS * KEY_ROW)
#define OUTPUT_FLOATS (CHUNK * KEY_STRIDE + TASKS * TRIANGLE_EACH)

/* Rows as they lie in memory: two work-items 16 apart read rows 8 apart at once, so 8 rows of 16-bit numbers are followed by a
 * gap. */
#define GAP_fp32 0
#define GAP_fp16 32
#define GAP_bf16 32
#define ROW_AT(t, gap) ((t)*KEY_ROW + (t) / 8 * (gap))
#define RAW_D ROW_AT(CHUNK, JOIN(GAP_, DTYPE))
#define RAW_W ROW_AT(CHUNK, JOIN(GAP_, W_DTYPE))
#define RAW_V (CHUNK * VALUE_STRIDE)

#define MODERATE 0x1p-60f /* far inside the range of fp32, 1 / MODERATE and what it multiplies too */

/* Two neighbouring channels as they lie in memory. */
#define PAIR_fp32 float2
#define PAIR_fp16 ushort2
#define PAIR_bf16 ushort2
#define pair_d JOIN(PAIR_, DTYPE)
#define pair_w JOIN(PAIR_, W_DTYPE)

/* One head's part of local memory. */
typedef struct tiles_t {
  local dtype_t *r, *k; /* [AHEAD][RAW_D] */
  local w_dtype_t *w;   /* [AHEAD][RAW_W] */
  local dtype_t *v;     /* [AHEAD + 1][CHUNK][VALUE_STRIDE] */
  local float *factors; /* [TASKS][FACTORS_EACH]: what r is multiplied by for A */
  local float *u;       /* [KEY_ROW] */
  local float *states;  /* [2][STATE_FLOATS]: of this chunk and the next, see products_t */
  local float *outputs; /* [2][OUTPUT_FLOATS]: the same; 0 in chunk_states */
} tiles_t;

/* What one side of the sub-groups makes of a chunk, and the other uses. */
typedef struct products_t {
  local float *k;             /* [TASKS][BLOCK][TOKEN_STRIDE]: k^; before, terms of the diagonal [SUB][BLOCK_STRIDE] */
  local float *keep, *change; /* [SUB_CHUNKS][KEY_ROW]: D, see chunk_decay, in the order of state_channel */
  local float *r;             /* [CHUNK][KEY_STRIDE]: r times a product of decays, at last r~ */
  local float *A;             /* [TASKS][SUB][PAIR_STRIDE]: parts of A, by blocks of channels */
} products_t;

static inline void products_of(products_t *x, const tiles_t *tiles, int place) {
  x->k = tiles->states + place * STATE_FLOATS;
  x->keep = x->k + TASKS * KEYS_EACH;
  x->change = x->keep + SPLIT * SUB_CHUNKS * KEY_ROW;
  x->r = tiles->outputs + (tiles->outputs ? place * OUTPUT_FLOATS : 0);
  x->A = x->r + (tiles->outputs ? CHUNK * KEY_STRIDE : 0);
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
  int item;                      /* within the head */
  int slot;                      /* of the head within the work-group */
  int sub_group;                 /* within its side */
  bool makes, uses;              /* which side that is */
  int first_column, tile_column; /* of the sub-group within the head, and within the tile; VALUE_DIM: none */
  bool keeps_decays;             /* one group of a head looks after the decays */
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
  const int item = get_local_id(0);
  const index_t group = first_group + (index_t)get_group_id(0);
  const index_t unit_part = group / TILES; /* HEADS heads of a unit */
  p->heads = BATCH_HEADS(batch);
  const index_t parts = (p->heads + HEADS - 1) / HEADS;
  p->reverse = BATCH_REVERSE(batch) != (dual != 0);
  find_unit(&p->unit, units, batch, unit_part / parts);
  p->slot = item / HEAD_ITEMS;
  p->item = item - p->slot * HEAD_ITEMS;
  p->uses = p->item < HEAD_ITEMS / 2;
  p->makes = !p->uses;
  p->sub_group = p->item / 32 - (p->uses ? 0 : SIDE);
  const index_t head = (unit_part - p->unit.number * parts) * HEADS + p->slot;
  const bool there = head < p->heads; /* else it goes along with the last head, and nothing is written */
  p->head = there ? head : p->heads - 1;
  p->keeps_decays = p->uses && there && group % TILES == 0;
  p->tile_column = p->uses ? 16 * p->sub_group : 0;
  p->first_column = p->uses && there ? (int)(group - unit_part * TILES) * TILE_COLUMNS + p->tile_column : VALUE_DIM;
  engine_begin(&p->engine, item, p->slot, exchange);
}

/* First value channel of the work-group. */
static inline int tile_first(index_t first_group) {
  return (int)((first_group + (index_t)get_group_id(0)) % TILES) * TILE_COLUMNS;
}

/* ---- the state S^T ---- */

/* Accumulators of 16 value channels and 8 key channels: columns 2 i and 2 i + 1 are channels i and i + 4, which makes the
 * accumulators of a work-item its part of the operand S as well. */
static inline int state_channel(int column) {
  return (column & ~7) + (column & 7) / 2 + (column & 1) * 4;
}

static inline int state_column(int channel) {
  return (channel & ~7) + (channel & 3) * 2 + (channel & 4) / 4;
}

/* Offset of element q of accumulators n of this work-item within a state [K, V]. */
static inline int element_at(const place_t *p, int n, int q) {
  const int channel = state_channel(8 * n + 2 * p->engine.pair + (q & 1));
  return channel * VALUE_DIM + p->first_column + p->engine.row + (q >> 1) * 8;
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(float state[STEPS][4], global const float *from, const place_t *p, bool present) {
  UNROLL for (int n = 0; n < STEPS; n++) {
    UNROLL for (int q = 0; q < 4; q++) state[n][q] = present && p->first_column < VALUE_DIM ? from[element_at(p, n, q)] : 0.0f;
  }
}

static inline void store_state(float state[STEPS][4], global float *to, const place_t *p) {
  if (p->first_column >= VALUE_DIM) return;
  UNROLL for (int n = 0; n < STEPS; n++) {
    UNROLL for (int q = 0; q < 4; q++) to[element_at(p, n, q)] = state[n][q];
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

/* C += A B, with B in elements i and i + 1 of b. */
static inline void multiply(float *c, const operand_t *a, const operand_t *b, int i, const place_t *p) {
#if SPLIT
  engine_multiply(c, a->low, b->high[i], b->high[i + 1], &p->engine);
  engine_multiply(c, a->high, b->low[i], b->low[i + 1], &p->engine);
#endif
  engine_multiply(c, a->high, b->high[i], b->high[i + 1], &p->engine);
}

static inline void load_rows(operand_t *x, local const float *tile, int stride, const place_t *p) {
  engine_load_rows(x->high, &p->engine, tile, stride);
  split(x);
}

static inline void load_columns(operand_t *x, local const float *tile, int stride, const place_t *p) {
  engine_load_columns(x->high, &p->engine, tile, stride);
  split(x);
}

#endif
