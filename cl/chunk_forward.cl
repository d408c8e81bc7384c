/* SPDX-License-Identifier: MIT */
/*
 * RWKV-6 chunk by chunk, for any device: OpenCL C 1.2, no extension. With prod(i..j) the product of the decay factors of tokens
 * i to j of a key channel (1 if empty), a chunk of steps b to c - 1 and k' = in_scale * k (docs/algorithm.md, "Chunk mode"):
 *
 *     r~_i = r_i prod(b..i-1)        k^_j = k'_j prod(j+1..c-1)        D = prod(b..c-1)
 *     A_ij = sum_ch r_i k'_j prod(j+1..i-1) for j < i,   A_ii = sum_ch r_i u k'_i
 *     o_i  = out_scale * (r~_i^T S_b + sum_{j<=i} A_ij v_j)
 *     S_c  = diag(D) S_b + sum_j k^_j v_j^T
 *
 * Every product is built up token by token, so all decays are exact: 0, 1, one spike among weak ones.
 * Forward passes out_scale = scale and in_scale = 1; backward computes dv with the parts exchanged (recurrent_forward.cl).
 *
 * A work-group owns 4 * LANES value channels of one head of one unit and goes once over its tokens. Work-item (part, lane)
 * keeps ROWS key channels x 4 value channels of S in registers; sums over key channels meet in local memory. The states alone,
 * and the states that segments begin with, are chunk_states.cl's.
 */
#include "chunk_forward_tiles.h"

/*
 * Leaves SHARES partial sums of each entry of A in scratch (entry_at). A work-item goes down column `pair` below the diagonal
 * and then down column CHUNK - 1 - pair, CHUNK - 1 entries whatever the pair is, with k'_j prod(j+1..i-1) of its share of the
 * channels in `decayed`.
 */
static inline void sum_triangle(const tiles_t *tiles, local const float4 *u, const place_t *p) {
  local const float4 *r = (local const float4 *)tiles->r;
  local const float4 *k = (local const float4 *)tiles->k;
  local const float4 *d = (local const float4 *)tiles->d;
  const int pair = p->item / SHARES, other = CHUNK - 1 - pair;
  const int share = p->item & (SHARES - 1);
  if (pair >= PAIRS) return;
  local float *sums = tiles->scratch + share * SHARE_STRIDE + pair * (CHUNK + 1);
  float4 decayed[SHARE_QUADS], next[SHARE_QUADS];
  float first_own = 0.0f, second_own = 0.0f;
  UNROLL for (int m = 0; m < SHARE_QUADS; m++) {
    const int quad = share + m * SHARES;
    if (quad < PADDED_KEY / 4) {
      decayed[m] = k[pair * (KEY_STRIDE / 4) + quad];
      next[m] = k[other * (KEY_STRIDE / 4) + quad];
      first_own += dot(r[pair * (KEY_STRIDE / 4) + quad] * u[quad], decayed[m]);
      second_own += dot(r[other * (KEY_STRIDE / 4) + quad] * u[quad], next[m]);
    }
  }
  sums[CHUNK - 1] = first_own;
  sums[CHUNK] = second_own;
  UNROLL for (int n = 0; n < CHUNK - 1; n++) {
    const bool restart = n >= CHUNK - PAIRS && n == other; /* the first half is of the first column whatever the pair is */
    const bool second = n >= CHUNK - PAIRS && n >= other;
    const int row = (n + 1 + (second ? 0 : pair)) * (KEY_STRIDE / 4);
    float sum = 0.0f;
    UNROLL for (int m = 0; m < SHARE_QUADS; m++) {
      const int quad = share + m * SHARES;
      if (quad < PADDED_KEY / 4) {
        if (restart) decayed[m] = next[m];
        sum += dot(r[row + quad], decayed[m]);
        decayed[m] *= d[row + quad];
      }
    }
    sums[n] = sum;
  }
}

/* Where the sums of A_ij lie within a share: columns by pairs, as sum_triangle goes through them, then their diagonals. */
static inline int entry_at(int i, int j) {
  const bool first = j < PAIRS;
  const int below = first ? i - j - 1 : i - 1, own = first ? CHUNK - 1 : CHUNK;
  return (first ? j : CHUNK - 1 - j) * (CHUNK + 1) + (i == j ? own : below);
}

/* A as a square, with zeros above the diagonal. */
static inline void finish_triangle(const tiles_t *tiles, const place_t *p) {
  for (int entry = p->item; entry < CHUNK * CHUNK; entry += WORK_GROUP) {
    const int i = entry / CHUNK, j = entry - i * CHUNK;
    local const float *sums = tiles->scratch + entry_at(i, min(i, j));
    float sum = 0.0f;
    UNROLL for (int share = 0; share < SHARES; share++) sum += sums[share * SHARE_STRIDE];
    tiles->A[entry] = j <= i ? sum : 0.0f;
  }
}

/* r~_i^T S_b over this work-item's rows, and its share of the tokens j of sum A_ij v_j. */
static inline float4 output_part(const float4 *state, const tiles_t *tiles, const place_t *p, int i) {
  local const float4 *r = (local const float4 *)tiles->r + i * (KEY_STRIDE / 4) + p->part * QUADS;
  local const float4 *v = (local const float4 *)tiles->v + p->lane;
  float4 sum = 0.0f;
  UNROLL for (int q = 0; q < QUADS; q++) {
    const float4 r_i = r[q];
    sum += r_i.x * state[4 * q + 0];
    sum += r_i.y * state[4 * q + 1];
    sum += r_i.z * state[4 * q + 2];
    sum += r_i.w * state[4 * q + 3];
  }
  UNROLL for (int n = 0; n < (CHUNK + PARTS - 1) / PARTS; n++) {
    const int j = p->part + n * PARTS;
    if (j < CHUNK) sum += tiles->A[i * CHUNK + j] * v[j * LANES];
  }
  return sum;
}

/* o of the chunk, ROUND tokens at a time through scratch. Ends with a barrier. */
static inline void write_outputs(const float4 *state, const tiles_t *tiles, const place_t *p, global dtype_t *o, layout_t o_at,
                                 index_t step, int count, float out_scale) {
  local float4 *partial = (local float4 *)tiles->scratch;
  const int tile_column = p->first_column - 4 * p->lane;
  walk_t o_walk;
  find_walk(&o_walk, o_at, &p->unit, p->head, step, p->reverse);
  for (int first = 0; first < count; first += ROUND) {
    const int tokens = min(ROUND, count - first);
    UNROLL for (int t = 0; t < ROUND; t++) if (CHUNK % ROUND == 0 || first + t < CHUNK) partial[t * WORK_GROUP + p->item] =
        output_part(state, tiles, p, first + t);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int t_first = p->item / VALUES_ACROSS;
    for (int c = (p->item & (VALUES_ACROSS - 1)); c < TILE_COLUMNS; c += VALUES_ACROSS) {
      global dtype_t *to = o + o_walk.first + (first + t_first) * o_walk.stride + tile_column + c;
      UNROLL for (int n = 0; n < (ROUND + VALUES_DOWN - 1) / VALUES_DOWN; n++) {
        const int t = t_first + n * VALUES_DOWN;
        float sum = 0.0f;
        UNROLL for (int part = 0; part < PARTS && t < ROUND; part++) sum +=
            tiles->scratch[(t * PARTS + part) * TILE_COLUMNS + c];
        if (t < tokens && tile_column + c < VALUE_DIM) store_d(to, out_scale * sum);
        to += VALUES_DOWN * o_walk.stride;
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

/*
 * start    the state before the first step of a unit, or NULL (zero): [units, heads, K, V] if start_by_unit, else
 *          [sequences, heads, K, V] (every unit is then a sequence)
 * final    [sequences, heads, K, V] or NULL: written by the last unit of each sequence
 * slots    [sequences] or NULL: start (not by unit) and final are one pool of states, and this is the place of each sequence
 * carry    [carries, heads, K, V] or NULL: the state of units that this launch begins or ends in the middle of
 * dual     1: the recurrence runs against the order of the batch
 * first_step, last_step: the steps of this launch, multiples of CHUNK; first_group: added to the group number
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  local float r_tile[CHUNK * KEY_STRIDE] __attribute__((aligned(16)));
  local float k_tile[CHUNK * KEY_STRIDE] __attribute__((aligned(16)));
  local float d_tile[CHUNK * KEY_STRIDE] __attribute__((aligned(16)));
  local float v_tile[CHUNK * TILE_COLUMNS] __attribute__((aligned(16)));
  local float u_tile[PADDED_KEY] __attribute__((aligned(16)));
  local float log_sum[KEYS_DOWN * PADDED_KEY];
  local float keep[PADDED_KEY] __attribute__((aligned(16)));
  local float change[PADDED_KEY] __attribute__((aligned(16)));
  local float A_tile[CHUNK * CHUNK] __attribute__((aligned(16)));
  local float scratch[SCRATCH] __attribute__((aligned(16)));
  const tiles_t tiles[1] = {{r_tile, k_tile, d_tile, v_tile, log_sum, keep, change, A_tile, scratch}};
  const inputs_t in[1] = {{r, k, v, w, r_at, k_at, v_at, w_at, in_scale}};

  place_t p[1];
  find_place(p, units, batch, dual, first_group);
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  /* Units that ended in an earlier launch are done. Empty ones belong to the first launch, which copies their state. */
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  for (int c = p->item; c < PADDED_KEY; c += WORK_GROUP) u_tile[c] = c < KEY_DIM ? u[u_at + p->head * KEY_DIM + c] : 0.0f;

  float4 state[ROWS];
  if (first_step > 0)
    load_state(state, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);

  fetched_t fetched;
  fetch(&fetched, in, p, first_step, end, true);
  for (index_t step = first_step; step < end; step += CHUNK) {
    const int count = (int)min((index_t)CHUNK, end - step);
    stage(tiles, &fetched, in, p, count, true);
    barrier(CLK_LOCAL_MEM_FENCE);
    fetch(&fetched, in, p, step + CHUNK, end, true);
    sum_triangle(tiles, (local const float4 *)u_tile, p);
    barrier(CLK_LOCAL_MEM_FENCE);
    finish_triangle(tiles, p);
    /* Not needed by what the two do, but PoCL 3.1 drops the first of two such loops where it has one trip at most. */
    barrier(CLK_LOCAL_MEM_FENCE);
    transform(tiles, p, true);
    barrier(CLK_LOCAL_MEM_FENCE);
    write_outputs(state, tiles, p, o, o_at, step, count, out_scale);
    update_state(state, tiles, p);
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(state, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(state, final + final_at + state_at(p, p->unit.state), p);
}
