/* SPDX-License-Identifier: MIT */
/* Decays of S of chunk_forward_pairs.cl and chunk_states_pairs.cl, and what is added to it. */
#ifndef CHUNK_PAIRS_STATE_H
#define CHUNK_PAIRS_STATE_H

#include "chunk_pairs_tiles.h"

#include "chunk_group_state.h" /* after tiles */

/* The decays of all tokens of the chunk's halves, of this work-item's two key channels, from whole sums that are at `at`. */
static inline void find_decays(float early[2], float late[2], const tiles_t *tiles, int at, const place_t *p) {
  const int key = key_of(p, 0);
  const float2 first = whole_sums_of_key(tiles, at, 0, key) + whole_sums_of_key(tiles, at, 1, key);
  const float2 second = whole_sums_of_key(tiles, at, 2, key) + whole_sums_of_key(tiles, at, 3, key);
  float x[4] = {first.x, first.y, second.x, second.y};
  whole_decays(x);
  early[0] = x[0], early[1] = x[1], late[0] = x[2], late[1] = x[3];
}

/*
 * sum = k^T v, with keys and values that every work-item has stored and published. S is not what the unit adds to: it cuts sums
 * off, to one side always, and over many chunks that adds up.
 */
static inline void multiply_keys(float sum[32], const tiles_t *tiles, const place_t *p) {
  UNROLL for (int step = 0; step < 4; step++) {
    if (step == 0)
      engine_group_multiply_tiles(sum, tiles->chunk, AT_K, tiles->chunk, AT_V, step, 0, &p->engine);
    else
      engine_group_multiply_tiles(sum, tiles->chunk, AT_K, tiles->chunk, AT_V, step, 1, &p->engine);
    engine_group_multiply_tiles(sum, tiles->chunk, AT_K + TILE, tiles->chunk, AT_V, step, 1, &p->engine);
    if (VALUE_PARTS > 1) engine_group_multiply_tiles(sum, tiles->chunk, AT_K, tiles->chunk, AT_V + TILE, step, 1, &p->engine);
  }
  engine_close();
}

static inline void add_to_state(state_t *x, const float sum[32]) {
  UNROLL for (int q = 0; q < 32; q++) x->at[0][q] += sum[q];
}

#endif
