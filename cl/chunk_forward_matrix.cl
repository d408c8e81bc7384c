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
#ifndef DTYPE /* fp16 or bf16 without SPLIT, fp32 with it */
#define DTYPE bf16
#endif
#ifndef KEY_DIM /* a multiple of 16, up to 128 */
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM /* a multiple of 16 */
#define VALUE_DIM 64
#endif
#ifndef WORK_GROUP /* work-items: 32, 64, 128 or 256 */
#define WORK_GROUP 128
#endif
#ifndef SUB_CHUNKS /* of 16 tokens in a chunk */
#define SUB_CHUNKS 4
#endif
#ifndef SPAN /* steps between checkpoints of chunk_states; a multiple of 16 SUB_CHUNKS */
#define SPAN 64
#endif
#ifndef SPLIT /* 1: operands in two parts, for fp32 storage */
#define SPLIT 0
#endif

#include "chunk_matrix_task.h"
#include "chunk_matrix_tiles.h"
#include "chunk_scan.h"

/* ---- phase 2: outputs and the next state ---- */

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

ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, global const long8 *units,
             batch_t batch, int dual, float in_scale, long first_step, long last_step, long first_group) {
  LOCAL_TILES;
  local float decay_tile[KEY_ROW]; /* over all sub-chunks so far, in the order of the state's columns */
  const tiles_t tiles[1] = {{0, k_raw, w_raw, v_tile, 0, 0, k_tile, 0, keep, change}};
  inputs_t in[1] = {{0, k, v, w, k_at, k_at, v_at, w_at, in_scale, false}};
  check_alignment(in);

  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length;
  const bool first_tile = p->first_column == p->tile_column; /* one group of a head looks after the decays */
  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  for (int i = p->item; i < KEY_DIM; i += WORK_GROUP)
    decay_tile[i] = decays && active && first_step > 0 ? decay_row[state_channel(i)] : 1.0f;

  float state[STEPS][4];
  if (first_step == 0)
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence), p, start != 0);
  else if (sums)
    load_state(state, sums + sums_at + state_at(p, p->unit.number), p, active);
  else
    load_state(state, kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1), p, active);

  copy_chunk(tiles, in, p, first_step, end, 0, false);
  engine_wait();
  barrier(CLK_LOCAL_MEM_FENCE);
  int half_of_v = 0;
  for (index_t step = first_step; step < end; step += CHUNK, half_of_v ^= 1) {
    const int count = (int)min((index_t)CHUNK, end - step);
    UNROLL for (int n = 0; n < TASKS_EACH; n++) do_task(tiles, in, p, 0, n, count, false);
    barrier(CLK_LOCAL_MEM_FENCE);
    copy_chunk(tiles, in, p, step + CHUNK, end, half_of_v ^ 1, false);
    local const dtype_t *v_now = v_tile + half_of_v * CHUNK * VALUE_STRIDE;
    UNROLL for (int sub = 0; sub < SUB_CHUNKS; sub++) {
      operand_t values[2];
      load_values(values, v_now, sub, p);
      update_state(state, values, tiles, sub, p);
      for (int i = p->item; i < KEY_DIM; i += WORK_GROUP) {
        const float D = keep[sub * KEY_ROW + i];
        decay_tile[i] = D * decay_tile[i] + (SPLIT ? change[SPLIT ? sub * KEY_ROW + i : 0] * decay_tile[i] : 0.0f);
      }
    }
    engine_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
    const index_t next = step + CHUNK;
    const index_t span = next / SPAN;
    if (checkpoints && span * SPAN == next && next < p->unit.length)
      store_state(state, kept + state_at(p, p->unit.first_checkpoint + span - 1), p);
  }

  if (sums && active) store_state(state, sums + sums_at + state_at(p, p->unit.number), p);
  if (decays && active && first_tile)
    for (int i = p->item; i < KEY_DIM; i += WORK_GROUP) decay_row[state_channel(i)] = decay_tile[i];
}
