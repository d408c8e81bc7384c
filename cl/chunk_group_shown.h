/* SPDX-License-Identifier: MIT */
/* S of chunk_forward_group.cl and chunk_states_group.cl as an operand, its decays, and what is added to it. */
#ifndef CHUNK_GROUP_SHOWN_H
#define CHUNK_GROUP_SHOWN_H

#include "chunk_group_tiles.h"

#include "chunk_group_state.h" /* after tiles */

/* Accumulators q, 4 + q, ... of the first 64 value channels as an operand, 8 rows from one to the next. */
static inline local float *shown_at(local uchar *first, int q) {
  return (local float *)(flip(first, (q & 1) << 4 | q / 2 << 5) + (q & 1) * 128); /* one value, one octet of keys further */
}

/* Of value 2 pair, the key channels' order is that of tf32: unit 4 (warp & 1) + (row & 1) of tile warp / 2, word row / 2. */
static inline local uchar *find_shown(const tiles_t *tiles, const place_t *p) {
  const engine_t *e = &p->engine;
  const int unit = (4 * (e->warp & 1) + (e->row & 1)) ^ 2 * e->pair;
  return engine_fresh_pointer(tiles->base + AT_STATE + e->warp / 2 * TILE + 2 * e->pair * 128 + (unit << 4) + e->row / 2 * 4);
}

/* For whoever reads it as an operand. */
static inline void show_state(const state_t *x, const tiles_t *tiles, const place_t *p) {
  local uchar *first = find_shown(tiles, p);
  UNROLL for (int q = 0; q < 4; q++) {
    UNROLL for (int j = 0; j < PARTS; j++) {
      UNROLL for (int n = 0; n < 8; n++) shown_at(first, q)[j * TILE / 2 + n * 8 * 32] = x->at[j][4 * n + q];
    }
  }
}

/* As it was shown, for who needs its registers meanwhile. */
static inline void recall_state(state_t *x, const tiles_t *tiles, const place_t *p) {
  local uchar *first = find_shown(tiles, p);
  UNROLL for (int q = 0; q < 4; q++) {
    UNROLL for (int j = 0; j < PARTS; j++) {
      UNROLL for (int n = 0; n < 8; n++) x->at[j][4 * n + q] = shown_at(first, q)[j * TILE / 2 + n * 8 * 32];
    }
  }
}

/* The last row has the sums of all 16 tokens. Returns whether they are moderate: NaN is not, nor are decays that make more of a
 * state. */
static inline bool store_sums(const tokens_t *through, const tiles_t *tiles, const place_t *p) {
  local float2 *to = (local float2 *)(sums_of(tiles, p->engine.warp) + p->engine.pair * SUMS_STRIDE);
  bool moderate = true;
  UNROLL for (int n = 0; n < 8; n++) {
    const float first = through->at[n][2], second = through->at[n][3];
    if (p->engine.row == 7) to[n] = (float2)(first, second);
    moderate &= (fabs(first) <= -MODERATE) & (fabs(second) <= -MODERATE);
  }
  return p->engine.row != 7 || moderate;
}

/* The decays of all tokens of the chunk's halves, of this work-item's two channels of S. */
static inline void find_decays(float early[2], float late[2], const tiles_t *tiles, const place_t *p) {
  const int at = p->engine.row / 2 * SUMS_STRIDE + 4 * p->engine.warp + (p->engine.row & 1);
  float x[4];
  UNROLL for (int q = 0; q < 4; q++) x[q] =
      sums_of(tiles, q / 2 * 2)[at + 2 * (q & 1)] + sums_of(tiles, q / 2 * 2 + 1)[at + 2 * (q & 1)];
  whole_decays(x);
  early[0] = x[0], early[1] = x[1], late[0] = x[2], late[1] = x[3];
}

/* S += k^T v, with keys that every work-item has stored and published. */
static inline void add_keys(state_t *x, const tiles_t *tiles, int n, const place_t *p) {
  const int upper = offset_of(n, ROWS_UPPER), lower = offset_of(n, ROWS_LOWER);
  UNROLL for (int j = 0; j < PARTS; j++) {
    const int v = offset_of_values(n, j);
    UNROLL for (int step = 0; step < 4; step++) {
      engine_group_multiply_tiles(x->at[j], tiles->base, upper, tiles->all, v, step, 1, &p->engine);
      engine_group_multiply_tiles(x->at[j], tiles->base, lower, tiles->all, v, step, 1, &p->engine);
    }
  }
  engine_close();
}

/* Until no product of groups is under way. */
static inline void finish_state(state_t *x) {
  UNROLL for (int j = 0; j < PARTS; j++) engine_finish(0, x->at[j]);
}

#endif
