/* SPDX-License-Identifier: MIT */
/* S [64 key channels x 64 value channels] of chunk_forward_pairs.cl and chunk_states_pairs.cl, in registers of a group. */
#ifndef CHUNK_PAIRS_STATE_H
#define CHUNK_PAIRS_STATE_H

#include "chunk_pairs_tiles.h"

typedef struct state_t {
  float at[32];  /* as accumulators have it */
  float late[2]; /* decays of this work-item's two key channels that `at` is still without */
} state_t;

/* The first of a work-item's two key channels; the second is 2 further. */
static inline int key_of(const place_t *p) {
  return ROWS * p->engine.warp + p->engine.row / 2 * 4 + (p->engine.row & 1);
}

/* Offset of accumulator q within a state [K, V]. */
static inline int element_at(const place_t *p, int q) {
  const int value = q / 8 * 16 + 4 * p->engine.pair + (q & 4) / 2 + (q & 1);
  return (key_of(p) + (q & 2)) * VALUE_DIM + COLUMNS * p->tile + value;
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *x, global const float *from, const place_t *p, bool present) {
  x->late[0] = x->late[1] = 1.0f;
  UNROLL for (int q = 0; q < 32; q++) x->at[q] = present ? from[element_at(p, q)] : 0.0f;
}

static inline void store_state(const state_t *x, global float *to, const place_t *p) {
  UNROLL for (int q = 0; q < 32; q++) to[element_at(p, q)] = x->at[q] * x->late[q / 2 & 1];
}

/* The decays of all tokens of the chunk's halves, of this work-item's two key channels, from whole sums that are at `at`. */
static inline void find_decays(float early[2], float late[2], const tiles_t *tiles, int at, const place_t *p) {
  const int key = key_of(p);
  const float2 first = whole_sums_of_key(tiles, at, 0, key) + whole_sums_of_key(tiles, at, 1, key);
  const float2 second = whole_sums_of_key(tiles, at, 2, key) + whole_sums_of_key(tiles, at, 3, key);
  float x[4] = {first.x, first.y, second.x, second.y};
  whole_decays(x);
  early[0] = x[0], early[1] = x[1], late[0] = x[2], late[1] = x[3];
}

static inline void decay_state(state_t *x, const float D[2]) {
  UNROLL for (int q = 0; q < 32; q++) x->at[q] *= D[q / 2 & 1];
}

/*
 * sum = k^T v, with keys and values that every work-item has stored and published. S is not what the unit adds to: it cuts sums
 * off, to one side always, and over many chunks that adds up.
 */
static inline void multiply_keys(float sum[32], const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int step = 0; step < 4; step++) {
    if (step == 0)
      engine_group_multiply_tiles(sum, tiles->base, keys_at(n), tiles->base, values_at(n), step, 0, &p->engine);
    else
      engine_group_multiply_tiles(sum, tiles->base, keys_at(n), tiles->base, values_at(n), step, 1, &p->engine);
    engine_group_multiply_tiles(sum, tiles->base, keys_at(n) + TILE, tiles->base, values_at(n), step, 1, &p->engine);
    if (VALUE_PARTS > 1)
      engine_group_multiply_tiles(sum, tiles->base, keys_at(n), tiles->base, values_at(n) + TILE, step, 1, &p->engine);
  }
  engine_close();
}

static inline void add_to_state(state_t *x, const float sum[32]) {
  UNROLL for (int q = 0; q < 32; q++) x->at[q] += sum[q];
}

#endif
