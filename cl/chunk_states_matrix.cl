/* SPDX-License-Identifier: MIT */
/* chunk_states.cl's kernels, arguments and meaning on matrix units, as chunk_forward_matrix.cl goes over a unit. */
#include "chunk_matrix_task.h"
#include "chunk_matrix_update.h"
#include "chunk_scan.h"

ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, global const long8 *units,
             batch_t batch, int dual, float in_scale, long first_step, long last_step, long first_group) {
  LOCAL_TILES;
  local float decay_tile[KEY_ROW]; /* over all sub-chunks so far, in the order of the state's columns */
  const tiles_t tiles[1] = {{0, k_raw, w_raw, v_tile, 0, 0, k_tile, 0, keep, change}};
  inputs_t in[1] = {{0, k, v, w, k_at, k_at, v_at, w_at, in_scale, false}};
  check_alignment(in);

  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length;
  const bool first_tile = p->first_column == p->tile_column; /* one group of a head looks after the decays */
  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  for (int i = p->item; i < KEY_DIM; i += WORK_GROUP)
    decay_tile[i] = decays && active && first_step > 0 ? decay_row[state_channel(i)] : 1.0f;

  float state[STEPS][4];
  if (first_step == 0)
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence), p, start != 0);
  else if (sums)
    load_state(state, sums + sums_at + state_at(p, p->unit.number), p, active);
  else
    load_state(state, kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1), p, active);

  copy_chunk(tiles, in, p, first_step, end, 0, false);
  engine_wait();
  barrier(CLK_LOCAL_MEM_FENCE);
  int half_of_v = 0;
  for (index_t step = first_step; step < end; step += CHUNK, half_of_v ^= 1) {
    const int count = (int)min((index_t)CHUNK, end - step);
    UNROLL for (int n = 0; n < TASKS_EACH; n++) do_task(tiles, in, p, 0, n, count, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    copy_chunk(tiles, in, p, step + CHUNK, end, half_of_v ^ 1, false);
    local const dtype_t *v_now = v_tile + half_of_v * CHUNK * VALUE_STRIDE;
    UNROLL for (int sub = 0; sub < SUB_CHUNKS; sub++) {
      operand_t values[2];
      load_values(values, v_now, sub, p);
      update_state(state, values, tiles, sub, p);
      for (int i = p->item; i < KEY_DIM; i += WORK_GROUP) {
        const float D = keep[sub * KEY_ROW + i];
        decay_tile[i] = D * decay_tile[i] + (SPLIT ? change[SPLIT ? sub * KEY_ROW + i : 0] * decay_tile[i] : 0.0f);
      }
    }
    engine_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
    const index_t next = step + CHUNK;
    const index_t span = next / SPAN;
    if (checkpoints && span * SPAN == next && next < p->unit.length)
      store_state(state, kept + state_at(p, p->unit.first_checkpoint + span - 1), p);
  }

  if (sums && active) store_state(state, sums + sums_at + state_at(p, p->unit.number), p);
  if (decays && active && first_tile)
    for (int i = p->item; i < KEY_DIM; i += WORK_GROUP) decay_row[state_channel(i)] = decay_tile[i];
}
