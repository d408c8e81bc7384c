/* SPDX-License-Identifier: MIT */
/*
 * Sums of units and their decays by products of 128 work-items, as chunk_forward_group.cl goes over a unit (arguments:
 * chunk_group_states.h), for any engine that has the functions of engine_hopper.h. bf16 only. in_scale is 1.
 *
 *     S = D S + k^^T v
 *
 * with the decays D of a chunk, and in k^ those from after a token until its end. Nothing is divided, so every decay is exact.
 * Groups share v and nothing else.
 */
#include "chunk_group_shown.h"
#include "chunk_scan.h"

#include "chunk_group_walk.h" /* after tiles */

#include "chunk_group_sums.h" /* after walk */

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
  decay_sums(x, early, late);
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

/* Before the first chunk, of a unit with `all` tokens: the copies of the first ones, and what stays the same. */
static inline void begin(keep_t *x, const tiles_t *tiles, const place_t *p, int all) {
  if (p->item < 32) store_ones(tiles, AFTER, ALL, 0.0f, p);
  barrier(CLK_LOCAL_MEM_FENCE); /* and walkers may be in local memory */
  for (int n = 0; n < AHEAD; n++) {
    copy_decays(x, tiles, n, p, is_whole(p, all - n * CHUNK));
    copy_keys(x, tiles, n, p, is_whole(p, all - n * CHUNK));
    copy_values(x, tiles, n, p, is_whole(p, all - n * CHUNK));
  }
}

#include "chunk_group_states.h" /* the kernel */
