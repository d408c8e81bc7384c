/* SPDX-License-Identifier: MIT */
/*
 * S [64 key channels x COLUMNS] of a group, in registers, as accumulators have it: rows are key channels. Included after tiles,
 * which say where channels are.
 */
#ifndef CHUNK_GROUP_STATE_H
#define CHUNK_GROUP_STATE_H

typedef struct state_t {
  float at[PARTS][32]; /* 64 value channels each */
  /* Decays of this work-item's two key channels that `at` is still without: at a chunk's end compilers would move S about. */
  float late[2];
} state_t;

/* What `start` of chunk_forward is, as src/opencl/chunk_forward.c says: states before each sequence, before each unit, or sums
 * of each unit (join_units). */
enum { START_OF_SEQUENCE, START_OF_UNIT, START_SUMS };

/* Offset of accumulator q of value channels 64 j and on within a state [K, V]. */
static inline int element_at(const place_t *p, int j, int q) {
  return key_of(p, q / 2 & 1) * VALUE_DIM + COLUMNS * p->tile + 64 * j + value_of(p, q);
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *x, global const float *from, const place_t *p, bool present) {
  x->late[0] = x->late[1] = 1.0f;
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int q = 0; q < 32; q++) x->at[j][q] = present ? from[element_at(p, j, q)] : 0.0f;
  }
}

static inline void store_state(const state_t *x, global float *to, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int q = 0; q < 32; q++) to[element_at(p, j, q)] = x->at[j][q] * x->late[q / 2 & 1];
  }
}

static inline void decay_state(state_t *x, const float D[2]) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int q = 0; q < 32; q++) x->at[j][q] *= D[q / 2 & 1];
  }
}

/* Of a row of decays [K], those of this work-item's two key channels, or 1. */
static inline void load_decays(float D[2], global const float *row, const place_t *p, bool present) {
  UNROLL for (int h = 0; h < 2; h++) D[h] = present ? row[key_of(p, h)] : 1.0f;
}

static inline void store_decays(const float D[2], global float *row, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) {
    if (p->engine.pair == 0) row[key_of(p, h)] = D[h];
  }
}

/*
 * The state before this unit, of a sequence of few units with `pieces` each: S_{i+1} = diag(decays_i) S_i + sums_i from
 * `initial` [sequences, heads, K, V] (NULL: 0) on, as chunk_scan.h has it, but never for the dual problem. No final state is
 * written to where that is: the host sees to it.
 */
static inline void join_units(state_t *x, global const float *initial, long initial_at, global const float *sums,
                              global const float *decays, int pieces, global const long8 *units, batch_t batch,
                              const place_t *p) {
  index_t first, last;
  find_units_of(&first, &last, units, batch, p->unit.sequence);
  load_state(x, initial + initial_at + state_at(p, p->unit.state), p, initial != 0);
  ROLL for (index_t i = first * pieces; i < p->unit.number * pieces; i++) {
    float D[2];
    global const float *sum = sums + state_at(p, i);
    load_decays(D, decays + (i * p->heads + p->head) * KEY_DIM, p, true);
    UNROLL for (int j = 0; j < PARTS; j++) {
      UNROLL for (int q = 0; q < 32; q++) x->at[j][q] = fma(D[q / 2 & 1], x->at[j][q], sum[element_at(p, j, q)]);
    }
  }
}

#endif
