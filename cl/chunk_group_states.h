/* SPDX-License-Identifier: MIT */
/*
 * chunk_states of chunk_states_group.cl and chunk_states_pairs.cl, which include it at their end. A unit's tokens go by in
 * chunks: begin comes before the first one, go does one.
 */
#ifndef CHUNK_GROUP_STATES_H
#define CHUNK_GROUP_STATES_H

/* Piece `piece` of `pieces` of a unit, as whole chunks, as if it were the unit; the last ones can be short or empty. */
static inline void find_piece(unit_t *unit, int piece, int pieces, bool reverse) {
  const index_t each = (unit->length + CHUNK * pieces - 1) / (CHUNK * pieces) * CHUNK;
  const index_t first = min(piece * each, unit->length), length = min(each, unit->length - first);
  unit->begin += reverse ? unit->length - first - length : first;
  unit->length = length;
  unit->number = unit->number * pieces + piece;
}

/*
 * Arguments as in chunk_states.cl, and `pieces`, of which a unit has so many, each a work-group's. Their sums and decays are
 * wanted, from states of zeros; there are no checkpoints.
 */
ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, int pieces,
             global const long8 *units, batch_t batch, int dual, float in_scale, long first_step, long last_step,
             long first_group) {
  ENGINE_SHOWN_ONLY;
  local uchar pool[LOCAL_BYTES + ENGINE_SLACK] __attribute__((aligned(1024)));
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE];
  tiles_t tiles[1];
  place_t p[1];
  const index_t group = first_group + (index_t)get_group_id(0);
  find_place(p, units, batch, dual, group / pieces, exchange);
  find_piece(&p->unit, (int)(group % pieces), pieces, p->reverse);
  find_base(tiles, pool, p);
  keep_t x[1];
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool ends_sequence = dual ? p->unit.first : p->unit.last; /* nobody asks for its sums */
  const bool active = (first_step == 0 || first_step < p->unit.length) && !ends_sequence;
  const int all = active ? (int)(end - first_step) : 0;
  p->whole = aligned(k, k_at, BYTES) && aligned(v, v_at, BYTES) && aligned(w, w_at, W_BYTES);
  begin_walk(&x->walkers, WALK_K, tiles, k, k_at, BYTES, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_W, tiles, w, w_at, W_BYTES, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_V, tiles, v, v_at, BYTES, p, first_step, COLUMNS * p->tile + 64 * p->part);
  begin(x, tiles, p, all);

  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *sum = sums + sums_at + state_at(p, p->unit.number);
  load_decays(x->decay, decay_row, p, active && first_step > 0);
  load_state(&x->state, sum, p, active && first_step > 0);
  for (int n = 0; n * CHUNK < all; n++) go(x, tiles, n, p, all - n * CHUNK);

  if (active) store_state(&x->state, sum, p);
  if (active && p->tile == 0) store_decays(x->decay, decay_row, p);
}

#endif
