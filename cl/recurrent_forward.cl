/* SPDX-License-Identifier: MIT */
/*
 * RWKV-6 token by token, for any device: OpenCL C 1.2, no extension.
 *
 *     o_t = out_scale * (r_t^T S_{t-1} + (sum_c r u k') v_t)      k' = in_scale * k
 *     S_t = diag(decay_t) S_{t-1} + k'_t v_t^T
 *
 * Forward passes out_scale = scale and in_scale = 1. Backward uses the same kernel for dv and dinitial_state, which are this
 * very recurrence run the other way round with k in the place of r, r in that of k and do in that of v (docs/algorithm.md,
 * "Recurrent mode, backward": Duality): there out_scale = 1 and in_scale = scale.
 *
 * A work-group owns COLUMNS value channels of one head of one sequence: PARTS x COLUMNS work-items, each with ROWS key channels
 * of one column of S in registers. r, k' and the decay of BLOCK tokens at a time go to local memory.
 */
#include "decay.h"
#include "storage.h"
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
#ifndef COLUMNS /* value channels of a work-group; a power of 2 that divides WORK_GROUP */
#define COLUMNS 16
#endif
#ifndef BLOCK /* tokens per trip to local memory; divides WORK_GROUP */
#define BLOCK 16
#endif

#define PARTS (WORK_GROUP / COLUMNS)
#define ROWS ((KEY_DIM + PARTS - 1) / PARTS)
#define PADDED_KEY (ROWS * PARTS) /* channels from KEY_DIM on hold zeros */
#define TILES ((VALUE_DIM + COLUMNS - 1) / COLUMNS)
#define BONUS_PARTS (WORK_GROUP / BLOCK)

/* r, k and w of the launch, and the scale of k'. */
typedef struct inputs_t {
  global const dtype_t *r, *k;
  global const w_dtype_t *w;
  layout_t r_at, k_at, w_at;
  float in_scale;
} inputs_t;

/* The local memory of a work-group: a block of r, k' and decay factors, and sums that work-items share. */
typedef struct tiles_t {
  local float *r, *k, *d; /* [BLOCK][PADDED_KEY] */
  local float *partial;   /* [BLOCK][WORK_GROUP]: r_t^T S_{t-1}, one part of the key channels each */
  local float *bonus;     /* [BLOCK][BONUS_PARTS]: r u k', likewise */
} tiles_t;

static inline void load_block(const tiles_t *tiles, const inputs_t *in, const unit_t *unit, index_t head, index_t step,
                              int count, bool reverse) {
  for (int i = get_local_id(0); i < count * PADDED_KEY; i += WORK_GROUP) {
    const int t = i / PADDED_KEY;
    const int c = i - t * PADDED_KEY;
    const index_t token = token_of(unit, step + t, reverse);
    const bool real_channel = c < KEY_DIM;
    tiles->r[i] = real_channel ? load_d(in->r + row_at(in->r_at, token, head) + c) : 0.0f;
    tiles->k[i] = real_channel ? in->in_scale * load_d(in->k + row_at(in->k_at, token, head) + c) : 0.0f;
    tiles->d[i] = real_channel ? decay_factor_nearest(load_w(in->w + row_at(in->w_at, token, head) + c)) : 0.0f;
  }
}

static inline void sum_bonus(const tiles_t *tiles, global const float *u, int count) {
  const int t = get_local_id(0) / BONUS_PARTS;
  const int part = get_local_id(0) - t * BONUS_PARTS;
  if (t >= count) return;
  float sum = 0.0f;
  for (int c = part; c < KEY_DIM; c += BONUS_PARTS) sum += tiles->r[t * PADDED_KEY + c] * tiles->k[t * PADDED_KEY + c] * u[c];
  tiles->bonus[t * BONUS_PARTS + part] = sum;
}

/* The block on this work-item's rows of its column: leaves the sums over these rows in tiles->partial, advances the state. */
static inline void advance_block(float *state, const tiles_t *tiles, const float *v_block, int first_row, int count) {
  const int item = get_local_id(0);
  UNROLL for (int t = 0; t < BLOCK; t++) {
    if (t < count) {
      const int row = t * PADDED_KEY + first_row;
      float sum = 0.0f;
      UNROLL for (int i = 0; i < ROWS; i++) {
        sum += tiles->r[row + i] * state[i];
        state[i] = tiles->d[row + i] * state[i] + tiles->k[row + i] * v_block[t];
      }
      tiles->partial[t * WORK_GROUP + item] = sum;
    }
  }
}

/* o of token t of the block, column c of the group, but for the scale. */
static inline float sum_parts(const tiles_t *tiles, int t, int c, float v_t) {
  float sum = 0.0f, bonus = 0.0f;
  for (int p = 0; p < PARTS; p++) sum += tiles->partial[t * WORK_GROUP + p * COLUMNS + c];
  for (int p = 0; p < BONUS_PARTS; p++) bonus += tiles->bonus[t * BONUS_PARTS + p];
  return sum + bonus * v_t;
}

/*
 * initial     [sequences, heads, K, V] or NULL (zero): the state before step 0
 * final       the same shape or NULL: the state after the last step of each sequence
 * carry       [carries, heads, K, V] or NULL: the state of sequences that this launch begins or ends in the middle of
 * slots       [sequences] or NULL: initial and final are one pool of states, and this is the place of each sequence in it
 * units, batch see unit.h; a unit is a whole sequence here
 * dual        1: the recurrence runs against the order of the batch
 * first_step, last_step: the steps of this launch; first_group: added to the group number. Both split work over launches.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
recurrent_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
                  layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
                  global const float *initial, long initial_at, global dtype_t *o, layout_t o_at, global float *final,
                  long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
                  global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
                  long last_step, long first_group) {
  local float r_tile[BLOCK * PADDED_KEY];
  local float k_tile[BLOCK * PADDED_KEY];
  local float d_tile[BLOCK * PADDED_KEY];
  local float partial[BLOCK * WORK_GROUP];
  local float bonus[BLOCK * BONUS_PARTS];
  const tiles_t tiles[1] = {{r_tile, k_tile, d_tile, partial, bonus}};
  const inputs_t in[1] = {{r, k, w, r_at, k_at, w_at, in_scale}};

  const index_t group = first_group + (index_t)get_group_id(0);
  const index_t heads = BATCH_HEADS(batch);
  unit_t unit[1];
  index_t head;
  const int tile = (int)find_head(unit, &head, units, batch, group, TILES);
  const bool present = find_state(unit, slots, slots_at, batch);
  const bool reverse = BATCH_REVERSE(batch) != (dual != 0);
  const index_t end = min(unit->length, (index_t)last_step);
  /* Sequences that ended in an earlier launch are done. Empty ones belong to the first launch, which copies their state. */
  const bool active = present && (first_step == 0 || first_step < unit->length);

  const int item = get_local_id(0);
  const int part = item / COLUMNS;
  const int column = tile * COLUMNS + item - part * COLUMNS;
  const int first_row = part * ROWS;
  const bool real_column = column < VALUE_DIM;
  const index_t state_at = ((unit->state * heads + head) * KEY_DIM + first_row) * VALUE_DIM + column;
  const index_t carry_state_at = carry_at + ((unit->carry * heads + head) * KEY_DIM + first_row) * VALUE_DIM + column;

  float state[ROWS];
  UNROLL for (int i = 0; i < ROWS; i++) {
    const bool mine = active && real_column && first_row + i < KEY_DIM;
    state[i] = 0.0f;
    if (mine && first_step > 0) state[i] = carry[carry_state_at + i * VALUE_DIM];
    if (mine && first_step == 0 && initial) state[i] = initial[initial_at + state_at + i * VALUE_DIM];
  }

  for (index_t step = first_step; step < end; step += BLOCK) {
    const int count = (int)min((index_t)BLOCK, end - step);
    float v_block[BLOCK];
    UNROLL for (int t = 0; t < BLOCK; t++) v_block[t] =
        t < count && real_column ? load_d(v + row_at(v_at, token_of(unit, step + t, reverse), head) + column) : 0.0f;
    load_block(tiles, in, unit, head, step, count, reverse);
    barrier(CLK_LOCAL_MEM_FENCE);

    sum_bonus(tiles, u + u_at + head * KEY_DIM, count);
    advance_block(state, tiles, v_block, first_row, count);
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int i = item; i < count * COLUMNS; i += WORK_GROUP) {
      const int t = i / COLUMNS;
      const int c = i - t * COLUMNS;
      const int channel = tile * COLUMNS + c;
      if (channel >= VALUE_DIM) continue;
      const index_t token = token_of(unit, step + t, reverse);
      const float v_t = load_d(v + row_at(v_at, token, head) + channel);
      store_d(o + row_at(o_at, token, head) + channel, out_scale * sum_parts(tiles, t, c, v_t));
    }
    /* No third barrier: the next trip writes r, k and d, last read before the barrier above, and after its own first barrier
     * partial and bonus. */
  }

  UNROLL for (int i = 0; i < ROWS; i++) {
    if (!active || !real_column || first_row + i >= KEY_DIM) continue;
    if (end < unit->length) carry[carry_state_at + i * VALUE_DIM] = state[i];
    if (end == unit->length && final) final[final_at + state_at + i * VALUE_DIM] = state[i];
  }
}
