/* SPDX-License-Identifier: MIT */
/*
 * What chunk_forward.cl and chunk_states.cl keep in local memory of a chunk, how it gets there, and the state in registers.
 */
#ifndef CHUNK_FORWARD_TILES_H
#define CHUNK_FORWARD_TILES_H

#ifndef KEY_DIM
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM
#define VALUE_DIM 64
#endif
#ifndef WORK_GROUP /* work-items; a power of 2 */
#define WORK_GROUP 64
#endif
#ifndef LANES /* work-items side by side along the value channels; a power of 2 that divides WORK_GROUP */
#define LANES 16
#endif
#ifndef CHUNK /* tokens */
#define CHUNK 16
#endif
#ifndef SPAN /* steps between checkpoints of chunk_states; a multiple of CHUNK */
#define SPAN 64
#endif
#ifndef ROUND /* tokens whose partial sums are in local memory at once */
#define ROUND 8
#endif

#include "decay.h"
#include "storage.h"
#include "unit.h"

#define PARTS (WORK_GROUP / LANES)
#define ROWS (4 * ((KEY_DIM + 4 * PARTS - 1) / (4 * PARTS)))
#define QUADS (ROWS / 4)
#define PADDED_KEY (PARTS * ROWS) /* channels from KEY_DIM on hold r = k = 0 and a factor of 1 */
#define KEY_STRIDE (PADDED_KEY + 4)
#define TILE_COLUMNS (4 * LANES)
#define TILES ((VALUE_DIM + TILE_COLUMNS - 1) / TILE_COLUMNS)

/* The triangle of A: work-items share one column pair (j, CHUNK - 1 - j), so that each has the same work, and split its
 * channels. */
#define PAIRS ((CHUNK + 1) / 2)
#define SHARES_WANTED (WORK_GROUP / PAIRS < PADDED_KEY / 4 ? WORK_GROUP / PAIRS : PADDED_KEY / 4)
#define SHARES (POWER_OF_2(SHARES_WANTED + 1) / 2)
#define SHARE_QUADS ((PADDED_KEY / 4 + SHARES - 1) / SHARES)
#define ENTRIES (PAIRS * (CHUNK + 1))

/* Partial sums of A, and later of o. */
#define SHARE_STRIDE (ENTRIES + 1) /* odd for CHUNK = 16, so that shares fall into different banks */
#define SCRATCH_A (SHARE_STRIDE * SHARES)
#define SCRATCH_O (ROUND * WORK_GROUP * 4)
#define SCRATCH (SCRATCH_A > SCRATCH_O ? SCRATCH_A : SCRATCH_O)

typedef struct inputs_t {
  global const dtype_t *r, *k, *v;
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, w_at;
  float in_scale;
} inputs_t;

/* Local memory of a work-group. Rows of r, k, d are KEY_STRIDE floats apart, those of v TILE_COLUMNS. */
typedef struct tiles_t {
  local float *r, *k, *d;     /* [CHUNK]: first r, k' and the decay factors, then r~ and k^ */
  local float *v;             /* [CHUNK] */
  local float *log_sum;       /* [KEYS_DOWN][PADDED_KEY]: parts of the log of D */
  local float *keep, *change; /* [PADDED_KEY]: D, see chunk_decay */
  local float *A;             /* [CHUNK][CHUNK], zeros above the diagonal */
  local float *scratch;
} tiles_t;

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item, part, lane, first_row, first_column; /* channels of the head */
  bool reverse;
} place_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, int dual, index_t first_group) {
  const index_t group = first_group + (index_t)get_group_id(0);
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch) != (dual != 0);
  const index_t tile = find_head(&p->unit, &p->head, units, batch, group, TILES);
  p->item = LOCAL_ITEM;
  p->part = p->item / LANES;
  p->lane = p->item & (LANES - 1);
  p->first_row = p->part * ROWS;
  p->first_column = (int)tile * TILE_COLUMNS + 4 * p->lane;
}

/* Offset of the first element of this work-item in state `state` of [states, heads, K, V]. */
static inline index_t state_at(const place_t *p, index_t state) {
  return ((state * p->heads + p->head) * KEY_DIM + p->first_row) * VALUE_DIM + p->first_column;
}

static inline void load_state(float4 *state, global const float *from, const place_t *p, bool present) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    float x[4];
    for (int c = 0; c < 4; c++) {
      const bool mine = present && p->first_row + i < KEY_DIM && p->first_column + c < VALUE_DIM;
      x[c] = mine ? from[i * VALUE_DIM + c] : 0.0f;
    }
    state[i] = (float4)(x[0], x[1], x[2], x[3]);
  }
}

static inline void store_state(const float4 *state, global float *to, const place_t *p) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    const float x[4] = {state[i].x, state[i].y, state[i].z, state[i].w};
    for (int c = 0; c < 4; c++)
      if (p->first_row + i < KEY_DIM && p->first_column + c < VALUE_DIM) to[i * VALUE_DIM + c] = x[c];
  }
}

/*
 * What one work-item loads of a chunk, as it lies in memory: neighbouring work-items take neighbouring channels, KEYS_ACROSS of
 * them, of KEYS_DOWN tokens. The next chunk is fetched while this one is computed, and no load waits for another
 * (chunk_fetch.h).
 */
#define KEYS_ACROSS (WORK_GROUP < POWER_OF_2(PADDED_KEY) ? WORK_GROUP : POWER_OF_2(PADDED_KEY))
#define KEYS_DOWN (WORK_GROUP / KEYS_ACROSS)
#define KEY_SETS ((PADDED_KEY + KEYS_ACROSS - 1) / KEYS_ACROSS)
#define KEY_TOKENS ((CHUNK + KEYS_DOWN - 1) / KEYS_DOWN)
#define VALUES_ACROSS (WORK_GROUP < TILE_COLUMNS ? WORK_GROUP : TILE_COLUMNS)
#define VALUES_DOWN (WORK_GROUP / VALUES_ACROSS)
#define VALUE_SETS (TILE_COLUMNS / VALUES_ACROSS)
#define VALUE_TOKENS ((CHUNK + VALUES_DOWN - 1) / VALUES_DOWN)

typedef struct fetched_t {
  dtype_t r[KEY_SETS][KEY_TOKENS], k[KEY_SETS][KEY_TOKENS];
  w_dtype_t w[KEY_SETS][KEY_TOKENS];
  dtype_t v[VALUE_SETS][VALUE_TOKENS];
} fetched_t;

#include "chunk_fetch.h"

static inline void fetch_keys(fetched_t *x, const inputs_t *in, const place_t *p, index_t step, int count, bool with_r) {
  const int t_first = p->item / KEYS_ACROSS;
  UNROLL for (int set = 0; set < KEY_SETS; set++) {
    const int c = min((p->item & (KEYS_ACROSS - 1)) + set * KEYS_ACROSS, KEY_DIM - 1);
    fetch_channel(x->r[set], x->k[set], x->w[set], in, p, step, count, t_first, c, with_r);
  }
}

static inline void fetch_values(fetched_t *x, const inputs_t *in, const place_t *p, index_t step, int count) {
  const int t_first = p->item / VALUES_ACROSS;
  walk_t v;
  find_walk(&v, in->v_at, &p->unit, p->head, step + t_first, p->reverse);
  UNROLL for (int set = 0; set < VALUE_SETS; set++) {
    const int c = p->first_column - 4 * p->lane + (p->item & (VALUES_ACROSS - 1)) + set * VALUES_ACROSS;
    global const dtype_t *from = in->v + v.first + min(c, VALUE_DIM - 1);
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      x->v[set][n] = t_first + n * VALUES_DOWN < count ? *from : 0;
      from += VALUES_DOWN * v.stride;
    }
  }
}

static inline void fetch_tokens(fetched_t *x, const inputs_t *in, const place_t *p, index_t step, int count, bool with_r) {
  fetch_keys(x, in, p, step, count, with_r);
  fetch_values(x, in, p, step, count);
}

/* A whole chunk, known as such, needs no look at each token. */
static inline void fetch(fetched_t *x, const inputs_t *in, const place_t *p, index_t step, index_t end, bool with_r) {
  const int count = (int)min((index_t)CHUNK, end - step);
  if (USUAL(count == CHUNK))
    fetch_tokens(x, in, p, step, CHUNK, with_r);
  else if (count > 0)
    fetch_tokens(x, in, p, step, count, with_r);
}

/* To local memory. Steps beyond `count` get r = k = 0 and a factor of 1, so that they change nothing. */
static inline void stage_keys(const tiles_t *tiles, const fetched_t *x, const inputs_t *in, const place_t *p, int count,
                              bool with_r) {
  const int t_first = p->item / KEYS_ACROSS;
  UNROLL for (int set = 0; set < KEY_SETS; set++) {
    const int c = (p->item & (KEYS_ACROSS - 1)) + set * KEYS_ACROSS;
    float log_sum = 0.0f;
    UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
      const int t = t_first + n * KEYS_DOWN, at = t * KEY_STRIDE + c;
      const bool present = t < count && c < KEY_DIM;
      const float w_t = widen_w(x->w[set][n]);
      if (t < CHUNK && c < PADDED_KEY) {
        tiles->k[at] = present ? in->in_scale * widen_d(x->k[set][n]) : 0.0f;
        tiles->d[at] = present ? decay_factor(w_t) : 1.0f;
        if (with_r) tiles->r[at] = present ? widen_d(x->r[set][n]) : 0.0f;
        log_sum += present ? decay_log(w_t) : 0.0f;
      }
    }
    if (c < PADDED_KEY) tiles->log_sum[t_first * PADDED_KEY + c] = log_sum;
  }
}

static inline void stage_values(const tiles_t *tiles, const fetched_t *x, const place_t *p, int count) {
  const int t_first = p->item / VALUES_ACROSS;
  UNROLL for (int set = 0; set < VALUE_SETS; set++) {
    const int c = (p->item & (VALUES_ACROSS - 1)) + set * VALUES_ACROSS;
    const bool real_column = p->first_column - 4 * p->lane + c < VALUE_DIM;
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      const int t = t_first + n * VALUES_DOWN;
      if (t < CHUNK) tiles->v[t * TILE_COLUMNS + c] = t < count && real_column ? widen_d(x->v[set][n]) : 0.0f;
    }
  }
}

static inline void stage_tokens(const tiles_t *tiles, const fetched_t *x, const inputs_t *in, const place_t *p, int count,
                                bool with_r) {
  stage_keys(tiles, x, in, p, count, with_r);
  stage_values(tiles, x, p, count);
}

static inline void stage(const tiles_t *tiles, const fetched_t *x, const inputs_t *in, const place_t *p, int count,
                         bool with_r) {
  if (USUAL(count == CHUNK))
    stage_tokens(tiles, x, in, p, CHUNK, with_r);
  else
    stage_tokens(tiles, x, in, p, count, with_r);
}

/* r~ of a channel, and D: forward through its tokens. */
static inline void transform_r(const tiles_t *tiles, int c, bool with_r) {
  float before = 1.0f, log_sum = 0.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    if (with_r) tiles->r[t * KEY_STRIDE + c] *= before;
    before *= tiles->d[t * KEY_STRIDE + c];
  }
  UNROLL for (int part = 0; part < KEYS_DOWN; part++) log_sum += tiles->log_sum[part * PADDED_KEY + c];
  const float2 decay = chunk_decay(before, log_sum);
  tiles->keep[c] = decay.x;
  tiles->change[c] = decay.y;
}

/* k^ of a channel: backward. */
static inline void transform_k(const tiles_t *tiles, int c) {
  float after = 1.0f;
  UNROLL for (int t = CHUNK - 1; t >= 0; t--) {
    tiles->k[t * KEY_STRIDE + c] *= after;
    after *= tiles->d[t * KEY_STRIDE + c];
  }
}

/* From r, k', d to r~, k^, D: each channel by one work-item for r~ and one for k^. */
static inline void transform(const tiles_t *tiles, const place_t *p, bool with_r) {
  for (int i = p->item; i < 2 * PADDED_KEY; i += WORK_GROUP) {
    if (i < PADDED_KEY)
      transform_r(tiles, i, with_r);
    else
      transform_k(tiles, i - PADDED_KEY);
  }
}

/* S = diag(D) S + sum_j k^_j v_j^T */
static inline void update_state(float4 *state, const tiles_t *tiles, const place_t *p) {
  local const float4 *keep = (local const float4 *)tiles->keep + p->part * QUADS;
  local const float4 *change = (local const float4 *)tiles->change + p->part * QUADS;
  local const float4 *k = (local const float4 *)tiles->k + p->part * QUADS;
  local const float4 *v = (local const float4 *)tiles->v + p->lane;
  UNROLL for (int q = 0; q < QUADS; q++) {
    const float4 a = keep[q], b = change[q];
    state[4 * q + 0] = a.x * state[4 * q + 0] + b.x * state[4 * q + 0];
    state[4 * q + 1] = a.y * state[4 * q + 1] + b.y * state[4 * q + 1];
    state[4 * q + 2] = a.z * state[4 * q + 2] + b.z * state[4 * q + 2];
    state[4 * q + 3] = a.w * state[4 * q + 3] + b.w * state[4 * q + 3];
  }
  UNROLL for (int j = 0; j < CHUNK; j++) {
    const float4 v_j = v[j * LANES];
    UNROLL for (int q = 0; q < QUADS; q++) {
      const float4 k_j = k[j * (KEY_STRIDE / 4) + q];
      state[4 * q + 0] += k_j.x * v_j;
      state[4 * q + 1] += k_j.y * v_j;
      state[4 * q + 2] += k_j.z * v_j;
      state[4 * q + 3] += k_j.w * v_j;
    }
  }
}

#endif
