/* SPDX-License-Identifier: MIT */
/*
 * What chunk_backward.cl keeps in local memory of a chunk, how it gets there, and the states in registers. Included after the
 * defines of that file.
 */
#ifndef CHUNK_BACKWARD_TILES_H
#define CHUNK_BACKWARD_TILES_H

#include "decay.h"
#include "storage.h"
#include "unit.h"

#define TILE_ROWS (WORK_GROUP / LANES * ROWS) /* at most WORK_GROUP / 2 */
#define TILES ((KEY_DIM + TILE_ROWS - 1) / TILE_ROWS)
#define QUADS ((VALUE_DIM + 4 * LANES - 1) / (4 * LANES)) /* of value channels in a work-item */
#define PADDED_VALUE (4 * LANES * QUADS)
#define VALUE_STRIDE (PADDED_VALUE + 4)
#define CHUNKS (SPAN / CHUNK)
#define PADDED_CHUNK ((CHUNK + ROUND - 1) / ROUND * ROUND)

/* The triangle of M, shared out as that of A in chunk_forward.cl. */
#define PAIRS ((CHUNK + 1) / 2)
#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define SHARES_WANTED LESSER(LESSER(WORK_GROUP / PAIRS, 16), PADDED_VALUE / 4)
#define SHARES (POWER_OF_2(SHARES_WANTED + 1) / 2)
#define SHARE_QUADS ((PADDED_VALUE / 4 + SHARES - 1) / SHARES)
#define TRIANGLE (CHUNK * (CHUNK + 1) / 2)
#define SHARE_STRIDE (TRIANGLE + 1) /* odd for CHUNK = 16, so that shares fall into different banks */
/* By columns: M_ij, i from j to CHUNK - 1, lie side by side. */
#define ENTRY(i, j) ((j)*CHUNK - (j) * ((j) + 1) / 2 + (i))

/* Partial sums of products with a state, of one lane: padded so that the lanes of 32 work-items fall into different banks. */
#define LANE_STRIDE (TILE_ROWS + (32 * ROWS / LANES > 0 ? 32 * ROWS / LANES : 1))

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define SCRATCH_PRODUCTS (2 * ROUND * LANES * LANE_STRIDE)
#define SCRATCH_ROWS (2 * CHUNK * TILE_ROWS) /* r~, and the first two parts of dw */
#define SCRATCH LARGER(SHARE_STRIDE *SHARES, LARGER(SCRATCH_PRODUCTS, SCRATCH_ROWS))

typedef struct inputs_t {
  global const dtype_t *r, *k, *v, *dout;
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, do_at, w_at;
  float scale;
} inputs_t;

/* Local memory. Rows of key channels are TILE_ROWS floats apart, rows of value channels VALUE_STRIDE. */
typedef struct tiles_t {
  local float *r, *k, *d;      /* [CHUNK]; k is multiplied by its product of factors in place to rebuild a state */
  local float *v, *dout;       /* [CHUNK]; do is multiplied by scale; v makes room for two parts of dw, [CHUNK][TILE_ROWS] */
  local float *state_gradient; /* [LANES][TILE_ROWS]: parts of <S_b, G_c> */
  local float *log_sum;        /* [KEYS_DOWN][TILE_ROWS]: parts of the log of D */
  local float *keep, *change;  /* [TILE_ROWS]: D, see chunk_decay */
  local float *M;              /* [TRIANGLE] */
  local float *scratch;
} tiles_t;

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item, lane, tile_row; /* tile_row: the first row of this work-item's part of the states, within the tile */
  int side, side_row;       /* a row of the tile is finished by one work-item of each half */
  int first_row;            /* first key channel of the tile */
  bool reverse;
} place_t;

/* ROWS x (4 QUADS) elements of a state: value channels 4 (lane + q LANES) to + 3. */
typedef struct state_t {
  float4 at[ROWS][QUADS];
} state_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, index_t first_group) {
  const index_t group = first_group + (index_t)get_group_id(0);
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch);
  const index_t tile = find_head(&p->unit, &p->head, units, batch, group, TILES);
  p->item = LOCAL_ITEM;
  p->tile_row = p->item / LANES * ROWS;
  p->lane = p->item & (LANES - 1);
  p->side = p->item / TILE_ROWS;
  p->side_row = p->item & (TILE_ROWS - 1);
  p->first_row = (int)tile * TILE_ROWS;
}

/* Offset of state `state` of [states, heads, K, V] for this head. */
static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *state, global const float *from, const place_t *p, bool present) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    const int row = p->first_row + p->tile_row + i;
    UNROLL for (int q = 0; q < QUADS; q++) {
      const int column = 4 * (p->lane + q * LANES);
      float x[4];
      UNROLL for (int c = 0; c < 4; c++) {
        const bool inside = present && row < KEY_DIM && column + c < VALUE_DIM;
        x[c] = inside ? from[row * VALUE_DIM + column + c] : 0.0f;
      }
      state->at[i][q] = (float4)(x[0], x[1], x[2], x[3]);
    }
  }
}

static inline void store_state(const state_t *state, global float *to, const place_t *p) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    const int row = p->first_row + p->tile_row + i;
    UNROLL for (int q = 0; q < QUADS; q++) {
      const int column = 4 * (p->lane + q * LANES);
      const float4 s = state->at[i][q];
      const float x[4] = {s.x, s.y, s.z, s.w};
      UNROLL for (int c = 0; c < 4; c++) {
        if (row < KEY_DIM && column + c < VALUE_DIM) to[row * VALUE_DIM + column + c] = x[c];
      }
    }
  }
}

/* What one work-item loads of a chunk, as it lies in memory: neighbouring work-items take neighbouring channels, and no load
 * waits for another (chunk_fetch.h). */
#define KEYS_DOWN (WORK_GROUP / TILE_ROWS)
#define KEY_TOKENS ((CHUNK + KEYS_DOWN - 1) / KEYS_DOWN)
#define VALUES_ACROSS (WORK_GROUP < POWER_OF_2(PADDED_VALUE) ? WORK_GROUP : POWER_OF_2(PADDED_VALUE))
#define VALUES_DOWN (WORK_GROUP / VALUES_ACROSS)
#define VALUE_SETS ((PADDED_VALUE + VALUES_ACROSS - 1) / VALUES_ACROSS)
#define VALUE_TOKENS ((CHUNK + VALUES_DOWN - 1) / VALUES_DOWN)

typedef struct fetched_t {
  dtype_t r[KEY_TOKENS], k[KEY_TOKENS];
  w_dtype_t w[KEY_TOKENS];
  dtype_t v[VALUE_SETS][VALUE_TOKENS], dout[VALUE_SETS][VALUE_TOKENS];
} fetched_t;

#include "chunk_fetch.h"

/* with_gradient: r and do too. */
static inline void fetch_keys(fetched_t *x, const inputs_t *in, const place_t *p, index_t step, int count, bool with_gradient) {
  const int c = min(p->first_row + (p->item & (TILE_ROWS - 1)), KEY_DIM - 1);
  fetch_channel(x->r, x->k, x->w, in, p, step, count, p->item / TILE_ROWS, c, with_gradient);
}

static inline void fetch_values(dtype_t x[VALUE_SETS][VALUE_TOKENS], global const dtype_t *values, layout_t values_at,
                                const place_t *p, index_t step, int count) {
  const int t_first = p->item / VALUES_ACROSS;
  walk_t walk;
  find_walk(&walk, values_at, &p->unit, p->head, step + t_first, p->reverse);
  UNROLL for (int set = 0; set < VALUE_SETS; set++) {
    const int c = min((p->item & (VALUES_ACROSS - 1)) + set * VALUES_ACROSS, VALUE_DIM - 1);
    global const dtype_t *from = values + walk.first + c;
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      x[set][n] = t_first + n * VALUES_DOWN < count ? *from : 0;
      from += VALUES_DOWN * walk.stride;
    }
  }
}

/* To local memory. Steps beyond `count` get r = k = 0 and a factor of 1, so that they change nothing. */
static inline void stage_keys(const tiles_t *tiles, const fetched_t *x, const place_t *p, int count, bool with_gradient) {
  const int t_first = p->item / TILE_ROWS;
  const int tile_row = p->item & (TILE_ROWS - 1);
  float log_sum = 0.0f;
  UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
    const int t = t_first + n * KEYS_DOWN, at = t * TILE_ROWS + tile_row;
    const bool present = t < count && p->first_row + tile_row < KEY_DIM;
    const float w_t = widen_w(x->w[n]);
    if (t < CHUNK) {
      tiles->k[at] = present ? widen_d(x->k[n]) : 0.0f;
      tiles->d[at] = present ? decay_factor(w_t) : 1.0f;
      if (with_gradient) tiles->r[at] = present ? widen_d(x->r[n]) : 0.0f;
      log_sum += present ? decay_log(w_t) : 0.0f;
    }
  }
  tiles->log_sum[t_first * TILE_ROWS + tile_row] = log_sum;
}

static inline void stage_values(local float *tile, const dtype_t x[VALUE_SETS][VALUE_TOKENS], float factor, const place_t *p,
                                int count) {
  const int t_first = p->item / VALUES_ACROSS;
  UNROLL for (int set = 0; set < VALUE_SETS; set++) {
    const int c = (p->item & (VALUES_ACROSS - 1)) + set * VALUES_ACROSS;
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      const int t = t_first + n * VALUES_DOWN;
      if (t < CHUNK && c < PADDED_VALUE)
        tile[t * VALUE_STRIDE + c] = t < count && c < VALUE_DIM ? factor * widen_d(x[set][n]) : 0.0f;
    }
  }
}

/* All loads in flight before the first is used. */
static inline void load_tokens(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int count,
                               bool with_gradient) {
  fetched_t x;
  fetch_keys(&x, in, p, step, count, with_gradient);
  fetch_values(x.v, in->v, in->v_at, p, step, count);
  if (with_gradient) fetch_values(x.dout, in->dout, in->do_at, p, step, count);
  stage_keys(tiles, &x, p, count, with_gradient);
  stage_values(tiles->v, x.v, 1.0f, p, count);
  if (with_gradient) stage_values(tiles->dout, x.dout, in->scale, p, count);
}

/* The tensors of one chunk. A whole one, known as such, needs no look at each token. Ends with a barrier. */
static inline void load_chunk(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int count,
                              bool with_gradient) {
  if (USUAL(count == CHUNK))
    load_tokens(tiles, in, p, step, CHUNK, with_gradient);
  else
    load_tokens(tiles, in, p, step, count, with_gradient);
  barrier(CLK_LOCAL_MEM_FENCE);
}

#endif
