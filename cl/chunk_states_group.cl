/* SPDX-License-Identifier: MIT */
/*
 * chunk_states.cl's kernels, arguments and meaning by products of 128 work-items, as chunk_forward_group.cl goes over a unit,
 * for any engine that has the functions of engine_hopper.h. bf16 only. in_scale is 1.
 *
 *     S = D S + k^^T v
 *
 * with the decays D of a chunk, and in k^ those from after a token until its end. Nothing is divided, so every decay is exact.
 * Groups share v and nothing else.
 */
#include "chunk_group_shown.h"
#include "chunk_scan.h"

#include "chunk_group_walk.h" /* after tiles */

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  float decay[2]; /* of all chunks so far, of this work-item's two channels of S */
} keep_t;

/* Copies are three batches: w, k and v. Until the oldest one has come: */
#if STAGES == 4
#define await_batch() engine_wait(5)
#else
#define await_batch() engine_wait(2)
#endif

static inline void copy_decays(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_W, tiles->base + offset_of(n, ROWS_W), tiles, n, p, whole);
  engine_commit();
}

static inline void copy_keys(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_K, tiles->base + offset_of(n, ROWS_K), tiles, n, p, whole);
  engine_commit();
}

/* By each group for both. */
static inline void copy_values(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_V, tiles->all + offset_of_values(n, p->part), tiles, n, p, whole);
  engine_commit();
}

/* Chunk n, which is not whole. */
static inline void copy_rest(const keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  copy_some_rows(tiles->base + offset_of(n, ROWS_W), &x->walkers, WALK_W, 0, tiles, n, p, left);
  copy_some_rows(tiles->base + offset_of(n, ROWS_K), &x->walkers, WALK_K, 0, tiles, n, p, left);
  copy_some_rows(tiles->all + offset_of_values(n, p->part), &x->walkers, WALK_V, 0, tiles, n, p, left);
  engine_commit();
  engine_wait(0);
}

/* k^ of this sub-group's tokens, from the sums after them, to local memory. */
static inline void store_decayed(const tokens_t *after, const tiles_t *tiles, const place_t *p) {
  rows_t k;
  split_t keys;
  float later[16];
  find_sums_between(later, tiles, p->engine.warp + 1, 3, p);
  UNROLL for (int i = 0; i < 8; i += 4) {
    load_rows(&k, tiles->rows, ROWS_K, i, p);
    UNROLL for (int n = i; n < i + 4; n++) {
      float decayed[4];
      UNROLL for (int q = 0; q < 4; q++) {
        const uint pair = k.at[q / 2][n];
        decayed[q] = (q & 1 ? high(pair) : low(pair)) * engine_exp2((after->at[n][q] + later[2 * n + (q & 1)]) * LOG2_E);
      }
      split_octet(&keys, decayed, n);
    }
    store_split(tiles, &keys, i, p);
  }
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  tokens_t after, all;
  float early[2], late[2];
  find_tiles(tiles, n, p);
  if (!is_whole(p, left)) copy_rest(x, tiles, n, p, left);
  await_batch();
  engine_barrier();
  sum_logs(&after, &all, true, tiles, p, left);
  store_sums(&all, tiles, p);
  barrier(CLK_LOCAL_MEM_FENCE); /* and chunk n - 1 is over for all */
  const bool whole = is_whole(p, left - AHEAD * CHUNK);
  copy_decays(x, tiles, n + AHEAD, p, whole);
  await_batch();
  engine_barrier();
  find_decays(early, late, tiles, p);
  UNROLL for (int h = 0; h < 2; h++) {
    early[h] *= late[h];
    x->decay[h] *= early[h];
  }
  decay_state(&x->state, early);
  store_decayed(&after, tiles, p);
  copy_keys(x, tiles, n + AHEAD, p, whole);
  await_batch();
  engine_publish();
  barrier(CLK_LOCAL_MEM_FENCE);
  copy_values(x, tiles, n + AHEAD, p, whole);
  engine_open();
  add_keys(&x->state, tiles, n, p);
  finish_state(&x->state);
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
  p->whole = aligned(k, k_at, 2) && aligned(v, v_at, 2) && aligned(w, w_at, 2);
  p->numbers = batch.s5 > 0 ? 32 : 0; /* there are heads */
  if (p->item < 32) store_ones(tiles, AFTER, ALL, 0.0f, p);
  begin_walk(&x->walkers, WALK_K, tiles, k, k_at, 2, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_W, tiles, w, w_at, 2, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_V, tiles, v, v_at, 2, p, first_step, COLUMNS * p->tile + 64 * p->part);
  barrier(CLK_LOCAL_MEM_FENCE);

  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  global float *sum = sums + sums_at + state_at(p, p->unit.number);
  global const float *before = sums ? sum : kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1);
  global const float *from = start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence);
  for (int n = 0; n < AHEAD; n++) {
    copy_decays(x, tiles, n, p, is_whole(p, all - n * CHUNK));
    copy_keys(x, tiles, n, p, is_whole(p, all - n * CHUNK));
    copy_values(x, tiles, n, p, is_whole(p, all - n * CHUNK));
  }
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
