/* SPDX-License-Identifier: MIT */
/*
 * What all kernels by groups of 128 work-items begin with: who is where, and numbers in registers.
 *
 * A work-item has of tokens `row` and `row + 8` of its sub-group's 16 the channels at places 8 n + 2 pair and the next, as
 * accumulators have them.
 */
#ifndef CHUNK_GROUP_PLACE_H
#define CHUNK_GROUP_PLACE_H

#ifndef KEY_DIM /* 64 or 128 */
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM /* a multiple of KEY_DIM */
#define VALUE_DIM 64
#endif
#ifndef DTYPE
#define DTYPE bf16
#endif
#ifndef W_DTYPE
#define W_DTYPE bf16
#endif
#ifndef WORK_GROUP /* work-items: no other number than 2 KEY_DIM */
#define WORK_GROUP 128
#endif

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
#define BYTES ((int)sizeof(dtype_t))
#define W_BYTES ((int)sizeof(w_dtype_t))
#define TILE 8192            /* bytes: 64 rows of 128 */
#define PARTS (KEY_DIM / 64) /* groups, each with 64 key channels and all value channels of the work-group */
#define COLUMNS KEY_DIM      /* value channels of a work-group: as many times 64 as there are groups */
#define TILES (VALUE_DIM / COLUMNS)

/* Tensors whose rows a unit goes along. */
enum { WALK_W, WALK_K, WALK_V, WALK_R, WALK_O, WALKS };

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int part, item, tile; /* of PARTS, of GROUP, of TILES */
  bool reverse;
  bool whole;  /* all 16 bytes that go at once are aligned */
  int numbers; /* 32: those of a work-item in a tile of 16 bits. Compilers do not know it, so they do not unroll loops over it.
                */
  engine_t engine;
} place_t;

/* Of work-group number `group` of those numbered by turn, head and tile. */
static inline void find_place(place_t *p, global const long8 *units, batch_t batch, int dual, index_t group,
                              local uint *exchange) {
  p->heads = BATCH_HEADS(batch);
  p->numbers = p->heads > 0 ? 32 : 0; /* there are heads */
  p->reverse = BATCH_REVERSE(batch) != (dual != 0);
  p->tile = (int)find_head(&p->unit, &p->head, units, batch, group, TILES);
  p->part = PARTS == 1 ? 0 : engine_uniform((int)get_local_id(0) / GROUP);
  p->item = (int)get_local_id(0) & (GROUP - 1);
  engine_begin(&p->engine, p->part, p->item, exchange);
}

/* A work-item carries 16 bytes number lane % 8 of tokens lane / 8, and 4, 8 and 12 tokens later, of its sub-group's. */
static inline int first_token(const place_t *p) {
  return ROWS * p->engine.warp + p->engine.lane / 8;
}

/* `pointer` with bits of it flipped. */
static inline local uchar *flip(local uchar *pointer, int bits) {
  return (local uchar *)((uintptr_t)pointer ^ (uintptr_t)bits);
}

/* ---- numbers in registers ---- */

static inline float low(uint pair) {
  return as_float(pair << 16);
}

static inline float high(uint pair) {
  return as_float(pair & 0xffff0000u);
}

/* [16 tokens x 64] as sums of two bf16 each, 2^-16 off at most. */
typedef struct split_t {
  uint upper[2][8], lower[2][8];
} split_t;

/* A of 16 columns. */
static inline void operand_of(uint a[4], const uint x[2][8], int step) {
  a[0] = x[0][2 * step], a[1] = x[1][2 * step], a[2] = x[0][2 * step + 1], a[3] = x[1][2 * step + 1];
}

/* [16 tokens x 64 channels] in accumulators' order */
typedef struct tokens_t {
  float at[8][4];
} tokens_t;

/* ---- decays ---- */

#define LOG_FLOOR -128.0f /* exp of it is 0, and so is exp of what is below */
#define LOG2_E 1.44269504f

static inline float log_of(uint w, bool there) {
  const float log_factor = decay_log(as_float(w));
  return !there ? 0.0f : log_factor < LOG_FLOOR ? LOG_FLOOR : log_factor;
}

/* Log of the decays of 16 tokens: those of 32, 2^-72, are far inside the range of fp32, their inverse and what that multiplies
 * too. */
#define MODERATE -25.0f

/*
 * e^x of four numbers, one near 1 rounded once, to nearest (decay.h): 1 + the series of e^x - 1, whose next term is under
 * 2^-27.
 */
static inline void whole_decays(float x[4]) {
  float far[4];
  UNROLL for (int q = 0; q < 4; q++) far[q] = engine_exp2(x[q] * LOG2_E);
  engine_ready(far); /* and not in branches */
  UNROLL for (int q = 0; q < 4; q++) {
    const float more = fma(x[q], fma(x[q], fma(x[q], fma(x[q], 0x1.111112p-7f, 0x1.555556p-5f), 0x1.555556p-3f), 0.5f), 1.0f);
    x[q] = select(far[q], fma(x[q], more, 1.0f), fabs(x[q]) < 0.125f);
  }
}

#endif
