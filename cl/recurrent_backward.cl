/* SPDX-License-Identifier: MIT */
/*
 * Gradients token by token, for any device: OpenCL C 1.2, no extension. Row k of S and of its gradient G needs nothing of other
 * rows for dr, dk, dw and du, so a work-group owns ROWS_PER_GROUP rows of one head of one sequence and every sum over the value
 * channels stays inside it. (dv sums over rows: recurrent_forward.cl computes it.)
 *
 *     S_t = diag(d_t) S_{t-1} + k_t v_t^T                G_{t-1} = diag(d_t) G_t + scale r_t do_t^T        G_last =
 * dfinal_state dr_t = scale (S_{t-1} do_t + u k_t (v_t . do_t))   dk_t = G_t v_t + scale u r_t (v_t . do_t) dw_t = (d d_t / d
 * w_t) sum_v S_{t-1} G_t           du   = scale sum_t r_t k_t (v_t . do_t)
 *
 * G runs from the last step to the first, so S is needed backwards: recurrent_backward_states writes S every SPAN steps (a
 * checkpoint), and recurrent_backward rebuilds each span from its checkpoint: once to have S every BLOCK steps in registers,
 * then block by block to have it at every step.
 *
 * Work-item (row, lane) holds row `row`, value channels lane, lane + LANES, ...: ITEM_COLUMNS of them.
 */
#include "decay.h"
#include "storage.h"
#include "sum_du.h"
#include "unit.h"

#ifndef KEY_DIM
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM
#define VALUE_DIM 64
#endif
#ifndef WORK_GROUP /* work-items; a power of 2 */
#define WORK_GROUP 64
#endif
#ifndef LANES /* work-items that share a row; a power of 2 that divides WORK_GROUP */
#define LANES 16
#endif
#ifndef SPAN /* steps between checkpoints; a multiple of BLOCK */
#define SPAN 64
#endif
#ifndef BLOCK /* steps whose states a work-item keeps at once */
#define BLOCK 8
#endif

#define ROWS_PER_GROUP (WORK_GROUP / LANES)
#define ITEM_COLUMNS ((VALUE_DIM + LANES - 1) / LANES)
#define ROW_TILES ((KEY_DIM + ROWS_PER_GROUP - 1) / ROWS_PER_GROUP)
#define BLOCKS (SPAN / BLOCK)
#define TILE (BLOCK * ROWS_PER_GROUP)

/* What the kernels read by token. */
typedef struct inputs_t {
  global const dtype_t *r, *k, *v, *dout;
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, do_at, w_at;
} inputs_t;

/* Local memory: rows of a block, and the sums over value channels of its steps, one part a work-item. */
typedef struct tiles_t {
  local float *r, *k, *d;      /* [BLOCK][ROWS_PER_GROUP] */
  local float *state_do;       /* [BLOCK][WORK_GROUP]: S_{t-1} do_t */
  local float *gradient_v;     /* G_t v_t */
  local float *state_gradient; /* <S_{t-1}, G_t> */
  local float *v_do;           /* v_t . do_t */
} tiles_t;

/* The place of a work-item: its head, its row, its first value channel. */
typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int row_in_group, row, lane;
  bool reverse;
} place_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, index_t first_group) {
  const index_t group = first_group + (index_t)get_group_id(0);
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch);
  const index_t tile = find_head(&p->unit, &p->head, units, batch, group, ROW_TILES);
  p->row_in_group = (int)get_local_id(0) / LANES;
  p->lane = (int)get_local_id(0) - p->row_in_group * LANES;
  p->row = (int)tile * ROWS_PER_GROUP + p->row_in_group;
}

/* Offset of this work-item's row in state `state` of [states, heads, K, V]. */
static inline index_t state_row(const place_t *p, index_t state) {
  return ((state * p->heads + p->head) * KEY_DIM + p->row) * VALUE_DIM;
}

/* A row of a state, or zeros where there is none. */
static inline void load_row(float *values, global const float *row, const place_t *p, bool present) {
  for (int e = 0; e < ITEM_COLUMNS; e++) {
    const int column = p->lane + e * LANES;
    values[e] = present && p->row < KEY_DIM && column < VALUE_DIM ? row[column] : 0.0f;
  }
}

static inline void store_row(const float *values, global float *row, const place_t *p) {
  for (int e = 0; e < ITEM_COLUMNS; e++) {
    const int column = p->lane + e * LANES;
    if (p->row < KEY_DIM && column < VALUE_DIM) row[column] = values[e];
  }
}

/* The value channels of this work-item at one token, zeros beyond VALUE_DIM. */
static inline void load_values(float *values, global const dtype_t *x, layout_t x_at, const place_t *p, index_t token) {
  for (int e = 0; e < ITEM_COLUMNS; e++) {
    const int column = p->lane + e * LANES;
    values[e] = column < VALUE_DIM ? load_d(x + row_at(x_at, token, p->head) + column) : 0.0f;
  }
}

/* The group's rows of k and of the decay factor for `count` steps, of r too if asked; zeros in rows beyond KEY_DIM. */
static inline void load_block(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int count,
                              bool with_r) {
  for (int i = get_local_id(0); i < count * ROWS_PER_GROUP; i += WORK_GROUP) {
    const int t = i / ROWS_PER_GROUP;
    const int row = p->row - p->row_in_group + i - t * ROWS_PER_GROUP;
    const index_t token = token_of(&p->unit, step + t, p->reverse);
    const bool real_row = row < KEY_DIM;
    tiles->k[i] = real_row ? load_d(in->k + row_at(in->k_at, token, p->head) + row) : 0.0f;
    tiles->d[i] = real_row ? decay_factor_nearest(load_w(in->w + row_at(in->w_at, token, p->head) + row)) : 0.0f;
    if (with_r) tiles->r[i] = real_row ? load_d(in->r + row_at(in->r_at, token, p->head) + row) : 0.0f;
  }
}

/* Step t of the loaded block: S = d S + k v^T on this work-item's row. */
static inline void advance(float *state, const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int t) {
  const float k_t = tiles->k[t * ROWS_PER_GROUP + p->row_in_group];
  const float d_t = tiles->d[t * ROWS_PER_GROUP + p->row_in_group];
  float v_t[ITEM_COLUMNS];
  load_values(v_t, in->v, in->v_at, p, token_of(&p->unit, step + t, p->reverse));
  for (int e = 0; e < ITEM_COLUMNS; e++) state[e] = d_t * state[e] + k_t * v_t[e];
}

/*
 * checkpoints [all checkpoints, heads, K, V]: checkpoint i of a sequence is the state before step (i + 1) * SPAN. Sequences of
 * length l have ceil(l / SPAN) - 1 of them; the state before step 0 is the initial state.
 * first_step and last_step are multiples of SPAN; a launch that begins after step 0 begins from a checkpoint.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
recurrent_backward_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at,
                          global const w_dtype_t *w, layout_t w_at, global const float *initial, long initial_at,
                          global float *checkpoints, long checkpoints_at, global const long8 *units, batch_t batch,
                          long first_step, long last_step, long first_group) {
  local float k_tile[TILE];
  local float d_tile[TILE];
  const tiles_t tiles[1] = {{0, k_tile, d_tile, 0, 0, 0, 0}};
  const inputs_t in[1] = {{0, k, v, 0, w, 0, k_at, v_at, 0, w_at}};
  place_t p[1];
  find_place(p, units, batch, first_group);
  global float *kept = checkpoints + checkpoints_at;
  float state[ITEM_COLUMNS];
  if (first_step == 0)
    load_row(state, initial + initial_at + state_row(p, p->unit.sequence), p, initial != 0);
  else
    load_row(state, kept + state_row(p, p->unit.first_checkpoint + first_step / SPAN - 1), p, first_step < p->unit.length);

  const index_t end = min(p->unit.length, (index_t)last_step);
  for (index_t step = first_step; step < end; step += BLOCK) {
    const int count = (int)min((index_t)BLOCK, end - step);
    load_block(tiles, in, p, step, count, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int t = 0; t < count; t++) advance(state, tiles, in, p, step, t);
    barrier(CLK_LOCAL_MEM_FENCE);
    const index_t next = step + BLOCK;
    const index_t span = next / SPAN;
    if (span * SPAN == next && next < p->unit.length)
      store_row(state, kept + state_row(p, p->unit.first_checkpoint + span - 1), p);
  }
}

/* From the state before the loaded block to the state before each of its steps. */
static inline void rebuild_history(float history[BLOCK][ITEM_COLUMNS], const float *before, const tiles_t *tiles,
                                   const inputs_t *in, const place_t *p, index_t step, int count) {
  float state[ITEM_COLUMNS];
  for (int e = 0; e < ITEM_COLUMNS; e++) state[e] = before[e];
  UNROLL for (int t = 0; t < BLOCK; t++) {
    if (t < count) {
      for (int e = 0; e < ITEM_COLUMNS; e++) history[t][e] = state[e];
      advance(state, tiles, in, p, step, t);
    }
  }
}

/* The steps of the loaded block from the last to the first: leaves parts of the four sums in `tiles`, takes G one block back.
 */
static inline void retreat_block(float *gradient, const float history[BLOCK][ITEM_COLUMNS], const tiles_t *tiles,
                                 const inputs_t *in, const place_t *p, index_t step, int count, float scale) {
  UNROLL for (int t = BLOCK - 1; t >= 0; t--) {
    if (t < count) {
      const index_t token = token_of(&p->unit, step + t, p->reverse);
      const int place = t * WORK_GROUP + (int)get_local_id(0);
      const float r_t = scale * tiles->r[t * ROWS_PER_GROUP + p->row_in_group];
      const float d_t = tiles->d[t * ROWS_PER_GROUP + p->row_in_group];
      float v_t[ITEM_COLUMNS], do_t[ITEM_COLUMNS];
      load_values(v_t, in->v, in->v_at, p, token);
      load_values(do_t, in->dout, in->do_at, p, token);
      float s_do = 0.0f, g_v = 0.0f, s_g = 0.0f, vd = 0.0f;
      for (int e = 0; e < ITEM_COLUMNS; e++) {
        s_do += history[t][e] * do_t[e];
        g_v += gradient[e] * v_t[e];
        s_g += history[t][e] * gradient[e];
        vd += v_t[e] * do_t[e];
        gradient[e] = d_t * gradient[e] + r_t * do_t[e];
      }
      tiles->state_do[place] = s_do;
      tiles->gradient_v[place] = g_v;
      tiles->state_gradient[place] = s_g;
      tiles->v_do[place] = vd;
    }
  }
}

/* The LANES parts of a sum [BLOCK][WORK_GROUP] for one step and row, always in the same order. */
static inline float sum_lanes(local const float *parts, int t, int row_in_group) {
  float sum = 0.0f;
  for (int lane = 0; lane < LANES; lane++) sum += parts[t * WORK_GROUP + row_in_group * LANES + lane];
  return sum;
}

/* Where the gradients by token go. */
typedef struct outputs_t {
  global dtype_t *dr, *dk;
  global w_dtype_t *dw;
  layout_t dr_at, dk_at, dw_at;
} outputs_t;

/* One work-item a (step, row) of the block. It leaves its term of du in the place of r, which only it reads here. */
static inline void write_block(const outputs_t *out, const tiles_t *tiles, const inputs_t *in, const place_t *p,
                               global const float *u, index_t step, int count, float scale) {
  for (int i = get_local_id(0); i < count * ROWS_PER_GROUP; i += WORK_GROUP) {
    const int t = i / ROWS_PER_GROUP;
    const int row_in_group = i - t * ROWS_PER_GROUP;
    const int row = p->row - p->row_in_group + row_in_group;
    const float r_t = tiles->r[i], k_t = tiles->k[i];
    const float vd = scale * sum_lanes(tiles->v_do, t, row_in_group);
    tiles->r[i] = r_t * k_t * vd;
    if (row >= KEY_DIM) continue;
    const index_t token = token_of(&p->unit, step + t, p->reverse);
    const float w_t = load_w(in->w + row_at(in->w_at, token, p->head) + row);
    const float dr_t = scale * sum_lanes(tiles->state_do, t, row_in_group) + u[row] * vd * k_t;
    const float dk_t = sum_lanes(tiles->gradient_v, t, row_in_group) + u[row] * vd * r_t;
    const float dw_t = decay_gradient(w_t, tiles->d[i], tiles->d[i] * sum_lanes(tiles->state_gradient, t, row_in_group));
    store_d(out->dr + row_at(out->dr_at, token, p->head) + row, dr_t);
    store_d(out->dk + row_at(out->dk_at, token, p->head) + row, dk_t);
    store_w(out->dw + row_at(out->dw_at, token, p->head) + row, dw_t);
  }
}

/*
 * du_partial [sequences, heads, K]: sums over the tokens of one sequence, added up over launches.
 * carry      [carries, heads, K, V] or NULL: G of sequences that go on in the next launch, which has the earlier steps.
 * first_step and last_step are multiples of SPAN (last_step may be past the end). Launches go from the last steps to the first.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
recurrent_backward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
                   layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
                   global const float *initial, long initial_at, global const dtype_t *dout, layout_t do_at,
                   global const float *dfinal, long dfinal_at, global dtype_t *dr, layout_t dr_at, global dtype_t *dk,
                   layout_t dk_at, global w_dtype_t *dw, layout_t dw_at, global const float *checkpoints, long checkpoints_at,
                   global float *du_partial, long du_partial_at, global float *carry, long carry_at, global const long8 *units,
                   batch_t batch, float scale, long first_step, long last_step, long first_group) {
  local float r_tile[TILE];
  local float k_tile[TILE];
  local float d_tile[TILE];
  local float state_do[BLOCK * WORK_GROUP];
  local float gradient_v[BLOCK * WORK_GROUP];
  local float state_gradient[BLOCK * WORK_GROUP];
  local float v_do[BLOCK * WORK_GROUP];
  const tiles_t tiles[1] = {{r_tile, k_tile, d_tile, state_do, gradient_v, state_gradient, v_do}};
  const inputs_t in[1] = {{r, k, v, dout, w, r_at, k_at, v_at, do_at, w_at}};
  const outputs_t out[1] = {{dr, dk, dw, dr_at, dk_at, dw_at}};

  place_t p[1];
  find_place(p, units, batch, first_group);
  const int item = get_local_id(0);
  const bool active = first_step == 0 || first_step < p->unit.length; /* else its steps all belong to later launches */
  const bool continued = last_step < p->unit.length;                  /* a launch before this one had the later steps */
  global float *carried = carry + carry_at + state_row(p, p->unit.carry);

  float gradient[ITEM_COLUMNS];
  if (continued)
    load_row(gradient, carried, p, true);
  else
    load_row(gradient, dfinal + dfinal_at + state_row(p, p->unit.sequence), p, active && dfinal != 0);
  /* du of row `item` of the group, in work-items below ROWS_PER_GROUP. It goes on from an earlier launch: the same order of
   * sums. */
  const int du_row = p->row - p->row_in_group + item;
  const bool owns_du = active && item < ROWS_PER_GROUP && du_row < KEY_DIM;
  global float *du_place = du_partial + du_partial_at + (p->unit.number * p->heads + p->head) * KEY_DIM + du_row;
  float du_sum = owns_du && continued ? *du_place : 0.0f;

  const index_t end = min(p->unit.length, (index_t)last_step);
  for (index_t span = (end + SPAN - 1) / SPAN - 1; span * SPAN >= first_step; span--) {
    const index_t begin = span * SPAN;
    const int steps = (int)min((index_t)SPAN, end - begin);
    const int blocks = (steps + BLOCK - 1) / BLOCK;
    float state[ITEM_COLUMNS];
    float before[BLOCKS][ITEM_COLUMNS]; /* the state before each block of the span */
    if (span == 0)
      load_row(state, initial + initial_at + state_row(p, p->unit.sequence), p, initial != 0);
    else
      load_row(state, checkpoints + checkpoints_at + state_row(p, p->unit.first_checkpoint + span - 1), p, true);

    for (int b = 0; b < blocks; b++) {
      for (int e = 0; e < ITEM_COLUMNS; e++) before[b][e] = state[e];
      if (b == blocks - 1) break;
      load_block(tiles, in, p, begin + b * BLOCK, BLOCK, false);
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int t = 0; t < BLOCK; t++) advance(state, tiles, in, p, begin + b * BLOCK, t);
      barrier(CLK_LOCAL_MEM_FENCE);
    }

    for (int b = blocks - 1; b >= 0; b--) {
      const index_t step = begin + b * BLOCK;
      const int count = min(BLOCK, steps - b * BLOCK);
      load_block(tiles, in, p, step, count, true);
      barrier(CLK_LOCAL_MEM_FENCE);
      float history[BLOCK][ITEM_COLUMNS]; /* S_{t-1} for each step of the block */
      rebuild_history(history, before[b], tiles, in, p, step, count);
      retreat_block(gradient, history, tiles, in, p, step, count, scale);
      barrier(CLK_LOCAL_MEM_FENCE);
      write_block(out, tiles, in, p, u + u_at + p->head * KEY_DIM, step, count, scale);
      barrier(CLK_LOCAL_MEM_FENCE);
      float block_sum = 0.0f;
      for (int t = 0; t < count && item < ROWS_PER_GROUP; t++) block_sum += tiles->r[t * ROWS_PER_GROUP + item];
      du_sum += block_sum;
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }

  if (active && first_step > 0) store_row(gradient, carried, p);
  if (owns_du) *du_place = du_sum;
}
