/* SPDX-License-Identifier: MIT */
/* From v and the k^, D of a task to the next state; what the kernels for matrix units begin with. */
#ifndef CHUNK_MATRIX_UPDATE_H
#define CHUNK_MATRIX_UPDATE_H

#include "chunk_matrix_tiles.h"

/*
 * v of a sub-chunk as operand V^T [16 channels x 8 tokens] for the state, tokens 0 to 7 and 8 to 15. Columns i and i + 4 are
 * tokens 2 i and 2 i + 1; elements 0, 2 and 1, 3 are at once the operands V of channels 0 to 7 and 8 to 15 for o.
 */
static inline void load_values(operand_t v[2], local const dtype_t *values, int sub, const place_t *p) {
  local const dtype_t *tile = values + sub * SUB * VALUE_STRIDE + p->tile_column;
#if SPLIT
  UNROLL for (int i = 0; i < 8; i++) {
    const int t = i / 4 * 8 + 2 * p->engine.pair + (i & 2) / 2;
    v[i / 4].high[i & 3] = as_uint(load_d(tile + t * VALUE_STRIDE + p->engine.row + (i & 1) * 8));
  }
  split(&v[0]);
  split(&v[1]);
#else
  uint pairs[4];
  engine_load_pairs(pairs, &p->engine, tile, VALUE_STRIDE);
  UNROLL for (int i = 0; i < 4; i++) {
    v[i / 2].high[i & 1] = as_uint(widen_d((ushort)pairs[i]));
    v[i / 2].high[(i & 1) + 2] = as_uint(widen_d((ushort)(pairs[i] >> 16)));
  }
#endif
}

static inline void update_state(float state[STEPS][4], const operand_t v[2], const tiles_t *tiles, int sub, const place_t *p) {
  UNROLL for (int n = 0; n < STEPS; n++) {
    const int at = sub * KEY_ROW + 8 * n + 2 * p->engine.pair;
    const float2 keep = *(local const float2 *)(tiles->keep + at);
#if SPLIT
    const float2 change = *(local const float2 *)(tiles->change + at);
    UNROLL for (int q = 0; q < 4; q++) state[n][q] =
        (q & 1 ? keep.y : keep.x) * state[n][q] + (q & 1 ? change.y : change.x) * state[n][q];
#else
    UNROLL for (int q = 0; q < 4; q++) state[n][q] *= q & 1 ? keep.y : keep.x;
#endif
    operand_t k;
    load_columns(&k, tiles->k + (sub * BLOCKS + n / 8) * TASK_FLOATS + (n & 7) * 8 * TOKEN_STRIDE, TOKEN_STRIDE, p);
    multiply(state[n], &v[0], &k, 0, p);
    multiply(state[n], &v[1], &k, 2, p);
  }
}

static inline void check_alignment(inputs_t *in) {
  in->whole = aligned(in->k, in->k_at, sizeof(dtype_t)) && aligned(in->w, in->w_at, sizeof(w_dtype_t)) &&
              aligned(in->v, in->v_at, sizeof(dtype_t)) && (!in->r || aligned(in->r, in->r_at, sizeof(dtype_t)));
}

#define LOCAL_TILES                                                                                                            \
  local float k_tile[TASK_ROOM * TASK_FLOATS] __attribute__((aligned(128)));                                                   \
  local float keep[SUB_ROOM * KEY_ROW] __attribute__((aligned(128)));                                                          \
  local float change[SPLIT ? SUB_ROOM * KEY_ROW : 1] __attribute__((aligned(128)));                                            \
  local dtype_t k_raw[CHUNK * KEY_ROW] __attribute__((aligned(128)));                                                          \
  local w_dtype_t w_raw[CHUNK * KEY_ROW] __attribute__((aligned(128)));                                                        \
  local dtype_t v_tile[2 * CHUNK * VALUE_STRIDE] __attribute__((aligned(128)));                                                \
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE]

#endif
