/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward on matrix units: chunk_forward.cl's kernels, arguments and formulas (docs/algorithm.md, "Chunk mode" and
 * "Exact and factored decays"), for any engine that has the functions of engine_nvidia.h.
 *
 * A work-group owns TILE_COLUMNS value channels of one head of one unit, 16 a sub-group, and goes once over its tokens, CHUNK
 * at a time. A chunk has two phases with a barrier after each:
 *
 *   1. A task is a sub-chunk of 16 tokens and a block of 64 key channels, two of them in each work-item. It makes r~, k^, D and
 *      A of its sub-chunk. Where no channel decays by more than MODERATE over the sub-chunk, with c_i = prod(b..i-1),
 *
 *          A_ij = sum_ch (r_i c_i) (k_j / c_{j+1}) for j < i          A_ii = sum_ch (r_i c_i) (u k_i / c_i)
 *
 *      are two matrix products. Elsewhere no quotient is taken: pairs (i, j) whose lowest common block has 2 L tokens get their
 *      decay as (product of i's half of the block before i) (product of j's half after j), so A is four matrix products, one
 *      for each L of 1, 2, 4 and 8, exact for every decay; a fifth gives the diagonal.
 *   2. Each sub-group takes its 16 value channels through the sub-chunks: o = r~ S + A v, S = D S + k^ v, S^T in accumulators.
 *
 * Operands are rounded to the engine's type once; with SPLIT each is a sum of two operands, and a product is three.
 */
#include "chunk_matrix_task.h"
#include "chunk_matrix_update.h"

/* ---- phase 2: outputs; the next state is in chunk_matrix_update.h ---- */

/* A of a sub-chunk, tokens j 0 to 7 or 8 to 15 as columns in the order of load_values. */
static inline void load_triangle(operand_t *a, const tiles_t *tiles, int sub, int column, const place_t *p) {
  float2 sum[2];
  UNROLL for (int lower = 0; lower < 2; lower++) {
    sum[lower] = 0.0f;
    UNROLL for (int block = 0; block < BLOCKS; block++) {
      local const float *from = tiles->A + (sub * BLOCKS + block) * SUB * PAIR_STRIDE;
      sum[lower] += *(local const float2 *)(from + (p->engine.row + 8 * lower) * PAIR_STRIDE + 8 * column + 2 * p->engine.pair);
    }
  }
  set_operand(a, 0, sum[0].x);
  set_operand(a, 1, sum[1].x);
  set_operand(a, 2, sum[0].y);
  set_operand(a, 3, sum[1].y);
  split(a);
}

/* B of elements 0, 2 or 1, 3 of V^T. */
static inline void value_columns(operand_t *b, const operand_t *v, int upper) {
  b->high[0] = v->high[upper], b->high[1] = v->high[upper + 2];
#if SPLIT
  b->low[0] = v->low[upper], b->low[1] = v->low[upper + 2];
#endif
}

/* o of the sub-chunk without out_scale: [16 tokens x 8 channels] twice. */
static inline void multiply_outputs(float o[2][4], float state[STEPS][4], const operand_t v[2], const tiles_t *tiles, int sub,
                                    const place_t *p) {
  float odd[2][4]; /* sums of odd steps: shorter chains */
  for (int q = 0; q < 8; q++) o[q / 4][q & 3] = odd[q / 4][q & 3] = 0.0f;
  UNROLL for (int n = 0; n < STEPS; n++) {
    operand_t r, s;
    load_rows(&r, tiles->r + sub * SUB * KEY_STRIDE + 8 * n, KEY_STRIDE, p);
    UNROLL for (int q = 0; q < 4; q++) set_operand(&s, q, state[n][q]);
    split(&s);
    multiply(n & 1 ? odd[0] : o[0], &r, &s, 0, p);
    multiply(n & 1 ? odd[1] : o[1], &r, &s, 2, p);
  }
  UNROLL for (int column = 0; column < 2; column++) {
    operand_t a, b;
    load_triangle(&a, tiles, sub, column, p);
    UNROLL for (int upper = 0; upper < 2; upper++) {
      value_columns(&b, &v[column], upper);
      multiply(column ? odd[upper] : o[upper], &a, &b, 0, p);
    }
  }
  for (int q = 0; q < 8; q++) o[q / 4][q & 3] += odd[q / 4][q & 3];
}

/* Two neighbouring channels of o. */
static inline void write_pair(global dtype_t *to, float x, float y, bool whole) {
#if SPLIT
  store_d(to, x);
  store_d(to + 1, y);
#else
  const uint pair = JOIN(engine_pack_, DTYPE)(x, y);
  if (whole) {
    *(global uint *)to = pair;
  } else {
    to[0] = (ushort)pair;
    to[1] = (ushort)(pair >> 16);
  }
#endif
}

typedef struct output_t {
  global dtype_t *o;
  layout_t at;
  float scale;
  bool whole; /* pairs of channels are aligned */
} output_t;

static inline void write_outputs(const output_t *out, float sum[2][4], const place_t *p, index_t step, int count) {
  if (p->first_column >= VALUE_DIM) return;
  walk_t walk;
  find_walk(&walk, out->at, &p->unit, p->head, step, p->reverse);
  UNROLL for (int lower = 0; lower < 2; lower++) {
    const int t = p->engine.row + 8 * lower;
    global dtype_t *to = out->o + walk.first + t * walk.stride + p->first_column + 2 * p->engine.pair;
    if (t < count) {
      write_pair(to, out->scale * sum[0][2 * lower], out->scale * sum[0][2 * lower + 1], out->whole);
      write_pair(to + 8, out->scale * sum[1][2 * lower], out->scale * sum[1][2 * lower + 1], out->whole);
    }
  }
}

/* Arguments as in chunk_forward.cl. */
ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  LOCAL_TILES;
  local float r_tile[SUB_ROOM * SUB * KEY_STRIDE] __attribute__((aligned(128)));
  local dtype_t r_raw[CHUNK * KEY_ROW] __attribute__((aligned(128)));
  local float factors[TASK_ROOM * FACTOR_FLOATS] __attribute__((aligned(128)));
  local float A_tile[TASK_ROOM * SUB * PAIR_STRIDE] __attribute__((aligned(128)));
  const tiles_t tiles[1] = {{r_raw, k_raw, w_raw, v_tile, r_tile, factors, k_tile, A_tile, keep, change}};
  inputs_t in[1] = {{r, k, v, w, r_at, k_at, v_at, w_at, in_scale, false}};
  const output_t out[1] = {{o, o_at, out_scale, aligned(o, o_at, sizeof(dtype_t))}};
  check_alignment(in);

  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  global const float *u_head = u + u_at + p->head * KEY_DIM;

  float state[STEPS][4];
  if (first_step > 0)
    load_state(state, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);

  copy_chunk(tiles, in, p, first_step, end, 0, true);
  engine_wait();
  barrier(CLK_LOCAL_MEM_FENCE);
  int half_of_v = 0;
  for (index_t step = first_step; step < end; step += CHUNK, half_of_v ^= 1) {
    const int count = (int)min((index_t)CHUNK, end - step);
    UNROLL for (int n = 0; n < TASKS_EACH; n++) do_task(tiles, in, p, u_head, n, count, true);
    barrier(CLK_LOCAL_MEM_FENCE);
    copy_chunk(tiles, in, p, step + CHUNK, end, half_of_v ^ 1, true);
    local const dtype_t *v_now = v_tile + half_of_v * CHUNK * VALUE_STRIDE;
    UNROLL for (int sub = 0; sub < SUB_CHUNKS; sub++) {
      float sum[2][4];
      operand_t values[2];
      load_values(values, v_now, sub, p);
      multiply_outputs(sum, state, values, tiles, sub, p);
      write_outputs(out, sum, p, step + sub * SUB, count - sub * SUB);
      update_state(state, values, tiles, sub, p);
    }
    engine_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(state, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(state, final + final_at + state_at(p, p->unit.state), p);
}
