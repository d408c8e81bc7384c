/* SPDX-License-Identifier: MIT */
/*
 * chunk_forward of chunk_forward_group.cl and chunk_forward_pairs.cl, which include it at their end. A unit's tokens go by in
 * chunks: find_outputs says where o is, begin comes before the first chunk, go does one. keep_t has the state and the walkers.
 */
#ifndef CHUNK_GROUP_OUTPUTS_H
#define CHUNK_GROUP_OUTPUTS_H

/*
 * Arguments as in chunk_forward.cl, but that start_is START_SUMS, where `start` is the sums of chunk_states for each unit, or
 * each of its `pieces`, `decays` their decays and `initial` the states before sequences, or NULL.
 */
ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_is, global const float *initial, long initial_at,
              global const float *decays, long decays_at, int pieces, global dtype_t *o, layout_t o_at, global float *final,
              long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  ENGINE_SHOWN_ONLY;
  local uchar pool[LOCAL_BYTES + ENGINE_SLACK] __attribute__((aligned(1024)));
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE];
  tiles_t tiles[1];
  place_t p[1];
  find_place(p, units, batch, dual, first_group + (index_t)get_group_id(0), exchange);
  find_base(tiles, pool, p);
  keep_t x[1];
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  const int all = active ? (int)(end - first_step) : 0;
  p->whole = aligned(r, r_at, BYTES) && aligned(k, k_at, BYTES) && aligned(v, v_at, BYTES) && aligned(w, w_at, W_BYTES) &&
             aligned(o, o_at, BYTES);
  begin_walk(&x->walkers, WALK_R, tiles, r, r_at, BYTES, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_K, tiles, k, k_at, BYTES, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_W, tiles, w, w_at, W_BYTES, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_V, tiles, v, v_at, BYTES, p, first_step, COLUMNS * p->tile);
  find_outputs(x, tiles, o, o_at, p, first_step);
  begin(x, tiles, p, u + u_at + p->head * KEY_DIM, out_scale, all);

  global float *carried = carry + carry_at + state_at(p, p->unit.carry);
  global const float *from = start + start_at + state_at(p, start_is == START_OF_UNIT ? p->unit.number : p->unit.state);
  if (first_step == 0 && active && start_is == START_SUMS)
    join_units(&x->state, initial, initial_at, start + start_at, decays + decays_at, pieces, units, batch, p);
  else
    load_state(&x->state, first_step > 0 ? carried : from, p, active && (first_step > 0 || start != 0));
  for (int n = 0; n * CHUNK < all; n++) go(x, tiles, n, p, all - n * CHUNK);

  const bool ends_sequence = dual ? p->unit.first : p->unit.last, ends_unit = end == p->unit.length;
  global float *to = final + final_at + state_at(p, p->unit.state);
  if (active && (!ends_unit || (ends_sequence && final))) store_state(&x->state, ends_unit ? to : carried, p);
}

#endif
