/* SPDX-License-Identifier: MIT */
/*
 * Sums of units and their decays by products of 128 work-items, as chunk_forward_pairs.cl goes over a unit (arguments:
 * chunk_group_states.h), for any engine that has the functions of engine_hopper.h. K = 64. in_scale is 1.
 *
 *     S = D S + k^^T v
 *
 * with the decays D of a chunk, and in k^ those from after a token until its end. Nothing is divided, so every decay is exact.
 */
#include "chunk_pairs_copy.h"
#include "chunk_pairs_state.h"
#include "chunk_scan.h"

#include "chunk_group_sums.h" /* after state */

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
  decay_sums(x, early, late);
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

/* Before the first chunk, of a unit with `all` tokens: its copies. */
static inline void begin(keep_t *x, const tiles_t *tiles, const place_t *p, int all) {
  copy_keys_and_values(&x->walkers, tiles, 0, p, is_whole(p, all));
  copy_decays(&x->walkers, tiles, 0, p, is_whole(p, all));
  engine_commit();
}

#include "chunk_group_states.h" /* the kernel */
