/* SPDX-License-Identifier: MIT */
/*
 * The state alone, and its way from segment to segment: what chunk_forward.cl begins its units with where sequences are split,
 * and the checkpoints of backward. Formulas, units and work-groups are those of chunk_forward.cl.
 */
#include "chunk_forward_tiles.h"
#include "chunk_scan.h"

/*
 * The state alone, without r and o. Two uses:
 *  - increments: from 0, what a segment adds to the state (sums [units, heads, K, V]) and the decay product over all its tokens
 *    (decays [units, heads, K]); chunk_scan makes of them the state before each segment;
 *  - checkpoints: from `start`, the state every SPAN steps: number i of a unit is the state before step (i + 1) * SPAN.
 * A launch that begins after step 0 goes on from sums and decays, or from a checkpoint; its steps are multiples of SPAN.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, global const long8 *units,
             batch_t batch, int dual, float in_scale, long first_step, long last_step, long first_group) {
  local float k_tile[CHUNK * KEY_STRIDE] __attribute__((aligned(16)));
  local float d_tile[CHUNK * KEY_STRIDE] __attribute__((aligned(16)));
  local float v_tile[CHUNK * TILE_COLUMNS] __attribute__((aligned(16)));
  local float log_sum[KEYS_DOWN * PADDED_KEY];
  local float keep[PADDED_KEY] __attribute__((aligned(16)));
  local float change[PADDED_KEY] __attribute__((aligned(16)));
  local float decay_tile[PADDED_KEY];
  const tiles_t tiles[1] = {{0, k_tile, d_tile, v_tile, log_sum, keep, change, 0, 0}};
  const inputs_t in[1] = {{0, k, v, w, 0, k_at, v_at, w_at, in_scale}};

  place_t p[1];
  find_place(p, units, batch, dual, first_group);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length;
  const bool first_tile = p->first_column < TILE_COLUMNS; /* one group of a head looks after the decays */
  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  for (int c = p->item; c < PADDED_KEY; c += WORK_GROUP)
    decay_tile[c] = decays && active && first_step > 0 && c < KEY_DIM ? decay_row[c] : 1.0f;

  float4 state[ROWS];
  if (first_step == 0)
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence), p, start != 0);
  else if (sums)
    load_state(state, sums + sums_at + state_at(p, p->unit.number), p, active);
  else
    load_state(state, kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1), p, active);

  fetched_t fetched;
  fetch(&fetched, in, p, first_step, end, false);
  for (index_t step = first_step; step < end; step += CHUNK) {
    stage(tiles, &fetched, in, p, (int)min((index_t)CHUNK, end - step), false);
    barrier(CLK_LOCAL_MEM_FENCE);
    fetch(&fetched, in, p, step + CHUNK, end, false);
    transform(tiles, p, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    update_state(state, tiles, p);
    for (int c = p->item; c < PADDED_KEY; c += WORK_GROUP) decay_tile[c] = keep[c] * decay_tile[c] + change[c] * decay_tile[c];
    barrier(CLK_LOCAL_MEM_FENCE);
    const index_t next = step + CHUNK;
    const index_t span = next / SPAN;
    if (checkpoints && span * SPAN == next && next < p->unit.length)
      store_state(state, kept + state_at(p, p->unit.first_checkpoint + span - 1), p);
  }

  if (sums && active) store_state(state, sums + sums_at + state_at(p, p->unit.number), p);
  if (decays && active && first_tile)
    for (int c = p->item; c < KEY_DIM; c += WORK_GROUP) decay_row[c] = decay_tile[c];
}
