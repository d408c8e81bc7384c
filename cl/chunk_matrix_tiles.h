/* SPDX-License-Identifier: MIT */
/*
 * What the kernels for matrix units keep where: tiles in local memory, how rows get there, the state in accumulators, and
 * operands for the engine.
 */
#ifndef CHUNK_MATRIX_TILES_H
#define CHUNK_MATRIX_TILES_H

#ifndef DTYPE /* fp16 or bf16 without SPLIT, fp32 with it */
#define DTYPE bf16
#endif
#ifndef KEY_DIM /* a multiple of 16, up to 256 */
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM /* a multiple of 16 */
#define VALUE_DIM 64
#endif
#ifndef WORK_GROUP /* work-items: 32, 64, 128 or 256 */
#define WORK_GROUP 128
#endif
#ifndef SUB_CHUNKS /* of 16 tokens in a chunk */
#define SUB_CHUNKS 4
#endif
#ifndef SPAN /* steps between checkpoints of chunk_states; a multiple of 16 SUB_CHUNKS */
#define SPAN 64
#endif
#ifndef SPLIT /* 1: operands in two parts, for fp32 storage */
#define SPLIT 0
#endif

#include "decay.h"
#include "storage.h"
#include "unit.h"

#ifdef ENGINE_NVIDIA
#include "engine_nvidia.h"
#else
#include "engine_emulated.h"
#endif

#define SUB 16
#define CHUNK (SUB * SUB_CHUNKS)
#define SUB_GROUPS (WORK_GROUP / 32)
#define TILE_COLUMNS (16 * SUB_GROUPS)
#define TILES ((VALUE_DIM + TILE_COLUMNS - 1) / TILE_COLUMNS)
#define BLOCKS ((KEY_DIM + 63) / 64)
#define TASKS (SUB_CHUNKS * BLOCKS)
#define TASKS_EACH ((TASKS + SUB_GROUPS - 1) / SUB_GROUPS)
#define STEPS (KEY_DIM / 8) /* of 8 key channels */

/* Rows in local memory are padded so that what a sub-group reads at once falls into different banks. */
#define KEY_ROW (64 * BLOCKS)
#define KEY_STRIDE (KEY_ROW + 4)
#define BLOCK_STRIDE 68
#define TOKEN_STRIDE 20
#define PAIR_STRIDE 24
#define TASK_FLOATS (64 * TOKEN_STRIDE) /* at least FACTOR_FLOATS */
#define FACTOR_FLOATS (SUB * BLOCK_STRIDE)
#define MODERATE 0x1p-60f /* far inside the range of fp32, 1 / MODERATE and what it multiplies too */

/* Where a sub-group without a task has to go along with the others, it has room of its own in the tiles. */
#define TASK_ROOM (ENGINE_INDEPENDENT ? TASKS : SUB_GROUPS * TASKS_EACH)
#define SUB_ROOM ((TASK_ROOM + BLOCKS - 1) / BLOCKS)
#if SPLIT
#define VALUE_STRIDE (TILE_COLUMNS + 4)
#else
#define VALUE_STRIDE (TILE_COLUMNS + 8)
#endif

/* Two neighbouring channels, and 16 bytes of a row of v, as they lie in memory. */
#define PAIR_fp32 float2
#define PAIR_fp16 ushort2
#define PAIR_bf16 ushort2
#define pair_d JOIN(PAIR_, DTYPE)
#define pair_w JOIN(PAIR_, W_DTYPE)
typedef struct inputs_t {
  global const dtype_t *r, *k, *v;
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, w_at;
  float in_scale;
  bool whole; /* every 16 bytes of a row are aligned to 16 bytes */
} inputs_t;

typedef struct tiles_t {
  local dtype_t *r_raw, *k_raw; /* [CHUNK][KEY_ROW]: as they lie in memory */
  local w_dtype_t *w_raw;
  local dtype_t *v;           /* [2][CHUNK][VALUE_STRIDE]: of this chunk and the next */
  local float *r;             /* [CHUNK][KEY_STRIDE]: r times a product of decays, at last r~ */
  local float *factors;       /* [TASKS][FACTOR_FLOATS]: what r is multiplied by for A */
  local float *k;             /* [TASKS][TASK_FLOATS]: the same for the diagonal, at last k^, [64][TOKEN_STRIDE] */
  local float *A;             /* [TASKS][SUB][PAIR_STRIDE] */
  local float *keep, *change; /* [SUB_CHUNKS][KEY_ROW]: D, see chunk_decay, in the order of state_channel */
} tiles_t;

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item, sub_group;
  int first_column, tile_column; /* of the sub-group within the head, and within the tile */
  bool reverse;
  engine_t engine;
} place_t;

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
  p->sub_group = p->item / 32;
  p->tile_column = 16 * p->sub_group;
  p->first_column = (int)tile * TILE_COLUMNS + p->tile_column;
  engine_begin(&p->engine, p->item, exchange);
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

/* ---- from memory to the tiles ---- */

static inline bool aligned(global const void *p, layout_t at, int size) {
  return (((ulong)p + (ulong)at.s0 * size) & 15) == 0 && ((at.s1 | at.s2) & (16 / size - 1)) == 0;
}

/*
 * Rows of `channels` in a chunk of `count` tokens, 16 bytes at a time, into a tile with rows `stride` elements apart. Rows and
 * channels that are not there become 0. `whole`: the copy goes on in the background until engine_wait. `width` is a power of 2,
 * or 192: then as many work-items as for 256 go to a row.
 */
#define COPY_ROWS(name, type_t, load)                                                                                          \
  static inline void name(local type_t *tile, int stride, int width, int channels, global const type_t *from,                  \
                          const walk_t *walk, bool whole, int count, int item) {                                               \
    const int vector = 16 / (int)sizeof(type_t), across = (width == 192 ? 256 : width) / vector;                               \
    const int down = WORK_GROUP / across, first = item / across, c = (item & (across - 1)) * vector;                           \
    if (width == 192 && c >= width) return;                                                                                    \
    const index_t step = down * walk->stride;                                                                                  \
    global const type_t *place = from + walk->first + first * walk->stride + c;                                                \
    local type_t *to = tile + first * stride + c;                                                                              \
    UNROLL for (int n = 0; n < (CHUNK + down - 1) / down; n++) {                                                               \
      const bool there = first + n * down < count && c < channels;                                                             \
      if (CHUNK % down && first + n * down >= CHUNK) continue;                                                                 \
      if (whole)                                                                                                               \
        engine_copy((local uint4 *)to, (global const uint4 *)place, there);                                                    \
      else                                                                                                                     \
        *(local uint4 *)to = there ? load : (uint4)(0);                                                                        \
      place += step;                                                                                                           \
      to += down * stride;                                                                                                     \
    }                                                                                                                          \
  }

#define LOAD_fp32 as_uint4(vload4(0, place))
#define LOAD_fp16 as_uint4(vload8(0, place))
#define LOAD_bf16 as_uint4(vload8(0, place))
COPY_ROWS(copy_rows_d, dtype_t, JOIN(LOAD_, DTYPE))
COPY_ROWS(copy_rows_w, w_dtype_t, JOIN(LOAD_, W_DTYPE))

static inline void copy_all(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int count, int values,
                            bool with_r, bool whole) {
  const int tile_first = p->first_column - p->tile_column;
  walk_t walk[1];
  find_walk(walk, in->k_at, &p->unit, p->head, step, p->reverse);
  copy_rows_d(tiles->k_raw, KEY_ROW, KEY_ROW, KEY_DIM, in->k, walk, whole, count, p->item);
  find_walk(walk, in->w_at, &p->unit, p->head, step, p->reverse);
  copy_rows_w(tiles->w_raw, KEY_ROW, KEY_ROW, KEY_DIM, in->w, walk, whole, count, p->item);
  find_walk(walk, in->v_at, &p->unit, p->head, step, p->reverse);
  copy_rows_d(tiles->v + values * CHUNK * VALUE_STRIDE, VALUE_STRIDE, TILE_COLUMNS, VALUE_DIM - tile_first, in->v + tile_first,
              walk, whole, count, p->item);
  if (!with_r) return;
  find_walk(walk, in->r_at, &p->unit, p->head, step, p->reverse);
  copy_rows_d(tiles->r_raw, KEY_ROW, KEY_ROW, KEY_DIM, in->r, walk, whole, count, p->item);
}

/* `values`: which half of the tile of v. */
static inline void copy_chunk(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, index_t end, int values,
                              bool with_r) {
  const int count = (int)min((index_t)CHUNK, end - step);
  if (count <= 0) return;
  if (in->whole)
    copy_all(tiles, in, p, step, count, values, with_r, true);
  else
    copy_all(tiles, in, p, step, count, values, with_r, false);
}

static inline int task_of(const place_t *p, int n) {
  return p->sub_group + n * SUB_GROUPS;
}

#endif
