/* SPDX-License-Identifier: MIT */
/*
 * S^T [64 value channels x KEY_DIM] of a group of chunk_forward_wide.cl, in registers, as accumulators have it: rows are value
 * channels. Included after tiles, which say where channels are.
 */
#ifndef CHUNK_WIDE_STATE_H
#define CHUNK_WIDE_STATE_H

typedef struct state_t {
  float at[PARTS][32]; /* 64 key channels each */
} state_t;

/* What `start` of chunk_forward is: states before each sequence, before each unit, or sums of each unit (join_units). */
enum { START_OF_SEQUENCE, START_OF_UNIT, START_SUMS };

/* Offset of accumulator q of key channels 64 j and on within a state [K, V]. */
static inline int element_at(const place_t *p, int j, int q) {
  const int value = 64 * p->part + ROWS * p->engine.warp + p->engine.row + (q / 2 & 1) * 8;
  return (64 * j + value_of(p, q)) * VALUE_DIM + COLUMNS * p->tile + value;
}

static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *x, global const float *from, const place_t *p, bool present) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int q = 0; q < 32; q++) x->at[j][q] = present ? from[element_at(p, j, q)] : 0.0f;
  }
}

static inline void store_state(const state_t *x, global float *to, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int q = 0; q < 32; q++) to[element_at(p, j, q)] = x->at[j][q];
  }
}

/* ---- decays ---- */

/* [4 pairs][SUMS_STRIDE] of a group's 64 key channels, as sums_of has them. */
enum { FIRST_FACTORS, SECOND_FACTORS };

static inline local float *factors_of(local uchar *base, int which) {
  return (local float *)(base + AT_FACTORS) + which * 4 * SUMS_STRIDE;
}

static inline void decay_state(state_t *x, int which, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    local const float4 *factors =
        (local const float4 *)(factors_of(tiles->all + j * PART_BYTES, which) + p->engine.pair * SUMS_STRIDE);
    UNROLL for (int n = 0; n < 8; n += 2) {
      const float4 factor = factors[n / 2];
      UNROLL for (int h = 0; h < 2; h++) {
        x->at[j][4 * n + 2 * h] *= factor.x, x->at[j][4 * n + 2 * h + 1] *= factor.y;
        x->at[j][4 * n + 4 + 2 * h] *= factor.z, x->at[j][4 * n + 4 + 2 * h + 1] *= factor.w;
      }
    }
  }
}

/* Where key channel `item` is. */
static inline int factor_at(const place_t *p) {
  return (p->item & 7) / 2 * SUMS_STRIDE + p->item / 8 * 2 + (p->item & 1);
}

/*
 * From the sums of all sub-groups, what S is multiplied by before outputs: decays of the chunk before's second half, which are
 * `late`, and, if `moderate`, of this one's first half. Else all of this chunk's are for after outputs.
 */
static inline void make_factors(float *late, bool moderate, const tiles_t *tiles, const place_t *p) {
  if (p->item >= 64) return;
  const int at = factor_at(p);
  float x[4] = {sums_of(tiles, 0)[at] + sums_of(tiles, 1)[at], sums_of(tiles, 2)[at] + sums_of(tiles, 3)[at], 0.0f, 0.0f};
  whole_decays(x);
  factors_of(tiles->base, FIRST_FACTORS)[at] = *late * (moderate ? x[0] : 1.0f);
  factors_of(tiles->base, SECOND_FACTORS)[at] = x[0] * x[1];
  *late = moderate ? x[1] : 1.0f;
}

/* What is left, after the last chunk. */
static inline void give_late(float late, const tiles_t *tiles, const place_t *p) {
  if (p->item < 64) factors_of(tiles->base, FIRST_FACTORS)[factor_at(p)] = late;
  barrier(CLK_LOCAL_MEM_FENCE);
}

/*
 * The state before this unit, of a sequence of few units: S_{i+1} = diag(decays_i) S_i + sums_i from `initial` [sequences,
 * heads, K, V] (NULL: 0) on, as chunk_scan.h has it. Other work-groups may have written final states before.
 */
static inline void join_units(state_t *x, global const float *initial, long initial_at, global const float *sums,
                              global const float *decays, global const long8 *units, batch_t batch, int dual,
                              const place_t *p) {
  index_t first, last;
  find_units_of(&first, &last, units, batch, p->unit.sequence);
  load_state(x, initial + initial_at + state_at(p, p->unit.state), p, initial != 0);
  ROLL for (index_t i = dual ? last : first; i != p->unit.number; i += dual ? -1 : 1) {
    global const float *sum = sums + state_at(p, i), *decay = decays + (i * p->heads + p->head) * KEY_DIM;
    UNROLL for (int j = 0; j < PARTS; j++) {
      UNROLL for (int q = 0; q < 32; q++) x->at[j][q] =
          fma(decay[64 * j + value_of(p, q)], x->at[j][q], sum[element_at(p, j, q)]);
    }
  }
}

static inline void finish_state(state_t *x) {
  UNROLL for (int j = 0; j < PARTS; j++) engine_finish(0, x->at[j]);
}

/* On the diagonal of A [64 tokens], from one group's key channels; `base` is its part's. */
static inline local float *diagonal_of(local uchar *base) {
  return (local float *)(base + AT_DIAGONAL);
}

/* Of A, [16 columns' accumulators] for group `part` from the other one. */
static inline local float4 *share_of(const tiles_t *tiles, int part, const place_t *p) {
  return (local float4 *)(tiles->all + AT_SHARES + part * TILE) + p->item;
}

#endif
