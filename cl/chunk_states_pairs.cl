/* SPDX-License-Identifier: MIT */
/*
 * chunk_states.cl's kernels, arguments and meaning by products of 128 work-items, as chunk_forward_pairs.cl goes over a unit,
 * for any engine that has the functions of engine_hopper.h. K = 64. in_scale is 1.
 *
 *     S = D S + k^^T v
 *
 * with the decays D of a chunk, and in k^ those from after a token until its end. Nothing is divided, so every decay is exact.
 */
#include "chunk_pairs_copy.h"
#include "chunk_pairs_state.h"
#include "chunk_scan.h"

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  float decay[2]; /* of all chunks so far, of this work-item's two key channels of S */
} keep_t;

/* Sums of the logarithms after each token of the sub-group's 16, where the logarithms were, and of all of them. */
static inline void sum_logs(const tiles_t *tiles, const place_t *p, int left) {
  float2 sums[ROWS], sum = (float2)(0.0f);
  load_logs(sums, tiles, p, left);
  UNROLL for (int t = ROWS - 1; t >= 0; t--) {
    const float2 with = sum + sums[t];
    sums[t] = sum, sum = with;
  }
  store_whole_sum(sum, tiles, AT_R);
  engine_barrier(); /* rows have been read by all of the sub-group */
  store_sums(sums, tiles);
}

/* k^ of this sub-group's tokens, where k was. */
static inline void store_decayed(const tiles_t *tiles, const place_t *p) {
  tokens_t k;
  split_t keys;
  float later[16];
  find_sums_between(later, tiles, p->engine.warp + 1, 3, p);
  load_rows(&k, tiles->chunk_mine, AT_K);
  UNROLL for (int s = 0; s < 4; s++) {
    UNROLL for (int h = 0; h < 2; h++) {
      const float4 after = *(local const float4 *)fours_at(tiles->wide, AT_W + 1024 * h, s, 4);
      const float4 sums = (after + vload4(s, later)) * LOG2_E;
      const float decays[4] = {engine_exp2(sums.x), engine_exp2(sums.y), engine_exp2(sums.z), engine_exp2(sums.w)};
      UNROLL for (int q = 0; q < 4; q++) k.at[2 * s + q / 2][2 * h + (q & 1)] *= decays[q];
    }
  }
  split_tokens(&keys, &k);
  engine_barrier(); /* rows have been read by all of the sub-group */
  store_split(tiles->chunk_rows, &keys, AT_K, 2, p);
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  float early[2], late[2], sum[32];
  find_tiles(tiles, n, p);
  if (!is_whole(p, left)) copy_rest(&x->walkers, tiles, n, p, left);
  engine_wait(0);
  engine_barrier();
  sum_logs(tiles, p, left);
  barrier(CLK_LOCAL_MEM_FENCE); /* and chunk n - 1 is over for all */
  const bool whole = is_whole(p, left - CHUNK);
  copy_keys_and_values(&x->walkers, tiles, n + 1, p, whole);
  find_decays(early, late, tiles, AT_R, p);
  UNROLL for (int h = 0; h < 2; h++) {
    early[h] *= late[h];
    x->decay[h] *= early[h];
  }
  decay_state(&x->state, early);
  store_decayed(tiles, p);
  split_values(tiles, p);
  copy_decays(&x->walkers, tiles, n + 1, p, whole);
  engine_commit();
  engine_publish();
  barrier(CLK_LOCAL_MEM_FENCE);
  engine_open();
  multiply_keys(sum, tiles, p);
  engine_finish(0, sum);
  add_to_state(&x->state, sum);
}

ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, global const long8 *units,
             batch_t batch, int dual, float in_scale, long first_step, long last_step, long first_group) {
  ENGINE_SHOWN_ONLY;
  local uchar pool[LOCAL_BYTES + ENGINE_SLACK] __attribute__((aligned(1024)));
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE];
  tiles_t tiles[1];
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  find_base(tiles, pool, p);
  keep_t x[1];
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool ends_sequence = dual ? p->unit.first : p->unit.last; /* nobody asks for its sums */
  const bool active = (first_step == 0 || first_step < p->unit.length) && !(sums && ends_sequence);
  const int all = active ? (int)(end - first_step) : 0;
  p->whole = aligned(k, k_at, BYTES) && aligned(v, v_at, BYTES) && aligned(w, w_at, W_BYTES);
  p->numbers = batch.s5 > 0 ? 32 : 0; /* there are heads */
  begin_walk(&x->walkers, WALK_K, tiles, k, k_at, BYTES, p, first_step, 0);
  begin_walk(&x->walkers, WALK_W, tiles, w, w_at, W_BYTES, p, first_step, 0);
  begin_walk(&x->walkers, WALK_V, tiles, v, v_at, BYTES, p, first_step, COLUMNS * p->tile);

  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  global float *sum = sums + sums_at + state_at(p, p->unit.number);
  global const float *before = sums ? sum : kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1);
  global const float *from = start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence);
  copy_keys_and_values(&x->walkers, tiles, 0, p, is_whole(p, all));
  copy_decays(&x->walkers, tiles, 0, p, is_whole(p, all));
  engine_commit();
  load_decays(x->decay, decay_row, p, decays && active && first_step > 0);
  load_state(&x->state, first_step > 0 ? before : from, p, first_step > 0 ? active : start != 0);
  for (int n = 0; n * CHUNK < all; n++) {
    go(x, tiles, n, p, all - n * CHUNK);
    const index_t next = first_step + (n + 1) * CHUNK, span = next / SPAN;
    if (checkpoints && span * SPAN == next && next < p->unit.length)
      store_state(&x->state, kept + state_at(p, p->unit.first_checkpoint + span - 1), p);
  }

  if (sums && active) store_state(&x->state, sum, p);
  if (decays && active && p->tile == 0) store_decays(x->decay, decay_row, p);
}
