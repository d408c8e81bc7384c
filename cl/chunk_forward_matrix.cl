/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward on matrix units: chunk_forward.cl's kernels, arguments and formulas (docs/algorithm.md, "Chunk mode" and
 * "Exact and factored decays"), for any engine that has the functions of engine_nvidia.h.
 *
 * A work-group has HEADS heads of one unit and TILE_COLUMNS of their value channels, and goes once over the unit's tokens,
 * CHUNK at a time. Half of the sub-groups of a head make what the other half use, a chunk ahead, with one barrier a chunk:
 *
 *   Makers: a task is a sub-chunk of 16 tokens and a block of 32 key channels; a work-item has two channels of 8 tokens. It
 * makes r~, k^, D and its part of A. Where no channel decays by more than MODERATE over the sub-chunk, with c_i = prod(b..i-1),
 *
 *          A_ij = sum_ch (r_i c_i) (k_j / c_{j+1}) for j < i          A_ii = sum_ch r_i u k_i
 *
 *   are two matrix products. Elsewhere no quotient is taken: pairs (i, j) whose lowest common block has 2 L tokens get their
 * decay as (product of i's half of the block before i) (product of j's half after j), so A is four matrix products, one for
 * each L of 1, 2, 4 and 8, exact for every decay; a fifth gives the diagonal.
 *
 *   Users: each has 16 value channels and takes them through the sub-chunks: o = r~ S + A v, S = D S + k^ v, S^T in
 * accumulators.
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
#ifndef SIDE /* sub-groups of a head that make, and as many that use: 1, 2, 4 or 8 */
#define SIDE 4
#endif
#ifndef HEADS /* of a work-group */
#define HEADS 2
#endif
#ifndef SUB_CHUNKS /* of 16 tokens in a chunk */
#define SUB_CHUNKS 2
#endif
#ifndef AHEAD /* chunks that are asked for before they are used, 2 or more */
#define AHEAD 2
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

/* ---- what users do: outputs and the next state ---- */

/*
 * v of a sub-chunk, tokens 0 to 7 and 8 to 15. `transposed`: operands V^T [16 channels x 8 tokens] for the state, columns i and
 * i + 4 being tokens 2 i and 2 i + 1. Else operands V for o, elements 0, 1 of channels 0 to 7 and 2, 3 of channels 8 to 15.
 * These are the same numbers, loaded twice: each multiplication wants its operand in neighbouring registers, in this order.
 */
static inline void load_values(operand_t v[2], local const dtype_t *values, int sub, bool transposed, const place_t *p) {
  local const dtype_t *tile = values + sub * SUB * VALUE_STRIDE + p->tile_column;
#if SPLIT
  UNROLL for (int i = 0; i < 8; i++) {
    const int later = transposed ? (i & 2) / 2 : i & 1, upper = transposed ? i & 1 : (i & 2) / 2;
    local const volatile dtype_t *from = tile + (i / 4 * 8 + 2 * p->engine.pair + later) * VALUE_STRIDE + upper * 8;
    v[i / 4].high[i & 3] = as_uint(from[p->engine.row]);
  }
  split(&v[0]);
  split(&v[1]);
#else
  uint pairs[4];
  engine_load_pairs(pairs, &p->engine, tile, VALUE_STRIDE);
  UNROLL for (int i = 0; i < 4; i++) {
    const int first = transposed ? i & 1 : 2 * (i & 1);
    v[i / 2].high[first] = as_uint(widen_d((ushort)pairs[i]));
    v[i / 2].high[transposed ? first + 2 : first + 1] = as_uint(widen_d((ushort)(pairs[i] >> 16)));
  }
#endif
}

/* A of a sub-chunk, tokens j 0 to 7 or 8 to 15 as columns in the order of load_values. */
static inline void load_triangle(operand_t *a, const products_t *products, int sub, int column, const place_t *p) {
  float2 sum[2];
  UNROLL for (int lower = 0; lower < 2; lower++) {
    sum[lower] = 0.0f;
    UNROLL for (int block = 0; block < BLOCKS; block++) {
      local const float *from = products->A + (sub * BLOCKS + block) * TRIANGLE_EACH;
      sum[lower] += *(local const float2 *)(from + (p->engine.row + 8 * lower) * PAIR_STRIDE + 8 * column + 2 * p->engine.pair);
    }
  }
  set_operand(a, 0, sum[0].x);
  set_operand(a, 1, sum[1].x);
  set_operand(a, 2, sum[0].y);
  set_operand(a, 3, sum[1].y);
  split(a);
}

/* o of the sub-chunk without out_scale: [16 tokens x 8 channels] twice. */
static inline void multiply_outputs(float o[2][4], float state[STEPS][4], const operand_t v[2], const products_t *products,
                                    int sub, const place_t *p) {
  float odd[2][4]; /* sums of odd steps: shorter chains */
  for (int q = 0; q < 8; q++) o[q / 4][q & 3] = odd[q / 4][q & 3] = 0.0f;
  UNROLL for (int n = 0; n < STEPS; n++) {
    operand_t r, s;
    load_rows(&r, products->r + sub * SUB * KEY_STRIDE + 8 * n, KEY_STRIDE, p);
    UNROLL for (int q = 0; q < 4; q++) set_operand(&s, q, state[n][q]);
    split(&s);
    multiply(n & 1 ? odd[0] : o[0], &r, &s, 0, p);
    multiply(n & 1 ? odd[1] : o[1], &r, &s, 2, p);
  }
  UNROLL for (int column = 0; column < 2; column++) {
    operand_t a;
    load_triangle(&a, products, sub, column, p);
    multiply(column ? odd[0] : o[0], &a, &v[column], 0, p);
    multiply(column ? odd[1] : o[1], &a, &v[column], 2, p);
  }
  for (int q = 0; q < 8; q++) o[q / 4][q & 3] += odd[q / 4][q & 3];
}

static inline void update_state(float state[STEPS][4], const operand_t v[2], const products_t *products, int sub,
                                const place_t *p) {
  UNROLL for (int n = 0; n < STEPS; n++) {
    const int at = sub * KEY_ROW + 8 * n + 2 * p->engine.pair;
    const float2 keep = *(local const float2 *)(products->keep + at);
#if SPLIT
    const float2 change = *(local const float2 *)(products->change + at);
    UNROLL for (int q = 0; q < 4; q++) state[n][q] =
        (q & 1 ? keep.y : keep.x) * state[n][q] + (q & 1 ? change.y : change.x) * state[n][q];
#else
    UNROLL for (int q = 0; q < 4; q++) state[n][q] *= q & 1 ? keep.y : keep.x;
#endif
    operand_t k;
    load_columns(&k, products->k + (sub * BLOCKS + n / 4) * KEYS_EACH + (n & 3) * 8 * TOKEN_STRIDE, TOKEN_STRIDE, p);
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

/* Where this work-item's part of the next sub-chunk of o begins. */
typedef struct output_t {
  global dtype_t *place;
  index_t stride; /* from token to token */
  float scale;
  bool whole; /* pairs of channels are aligned */
} output_t;

static inline void begin_outputs(output_t *out, global dtype_t *o, layout_t at, float scale, const place_t *p, index_t step) {
  walk_t walk;
  find_walk(&walk, at, &p->unit, p->head, step, p->reverse);
  out->place = o + walk.first + p->engine.row * walk.stride + p->first_column + 2 * p->engine.pair;
  out->stride = walk.stride;
  out->scale = scale;
  out->whole = aligned(o, at, sizeof(dtype_t));
}

/* A sub-chunk of which `count` tokens are there. */
static inline void write_outputs(output_t *out, float sum[2][4], const place_t *p, int count) {
  if (p->first_column < VALUE_DIM) {
    UNROLL for (int lower = 0; lower < 2; lower++) {
      global dtype_t *to = out->place + 8 * lower * out->stride;
      if (p->engine.row + 8 * lower < count) {
        write_pair(to, out->scale * sum[0][2 * lower], out->scale * sum[0][2 * lower + 1], out->whole);
        write_pair(to + 8, out->scale * sum[1][2 * lower], out->scale * sum[1][2 * lower + 1], out->whole);
      }
    }
  }
  out->place += SUB * out->stride;
}

static inline void use_products(float state[STEPS][4], const tiles_t *tiles, output_t *out, const place_t *p,
                                const turn_t *turn, index_t left) {
  products_t products;
  products_of(&products, tiles, turn->use);
  const int count = (int)min((index_t)CHUNK, left);
  UNROLL for (int sub = 0; sub < SUB_CHUNKS; sub++) {
    float sum[2][4];
    operand_t v[2];
    load_values(v, tiles->v + turn->values * RAW_V, sub, false, p);
    multiply_outputs(sum, state, v, &products, sub, p);
    write_outputs(out, sum, p, count - sub * SUB);
    load_values(v, tiles->v + turn->values * RAW_V, sub, true, p);
    update_state(state, v, &products, sub, p);
  }
}

#define LOCAL_TILES(outputs_floats, factors_floats, r_raw)                                                                     \
  local float state_tiles[HEADS * 2 * STATE_FLOATS] __attribute__((aligned(128)));                                             \
  local float output_tiles[HEADS * 2 * outputs_floats + 4] __attribute__((aligned(128)));                                      \
  local float factor_tiles[HEADS * factors_floats + 4] __attribute__((aligned(128)));                                          \
  local float u_tile[HEADS * KEY_ROW];                                                                                         \
  local dtype_t r_tile[HEADS * AHEAD * r_raw + 8] __attribute__((aligned(128)));                                               \
  local dtype_t k_tile[HEADS * AHEAD * RAW_D] __attribute__((aligned(128)));                                                   \
  local w_dtype_t w_tile[HEADS * AHEAD * RAW_W] __attribute__((aligned(128)));                                                 \
  local dtype_t v_tile[HEADS * (AHEAD + 1) * RAW_V] __attribute__((aligned(128)));                                             \
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE]

/* Arguments as in chunk_forward.cl. */
ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  LOCAL_TILES(OUTPUT_FLOATS, TASKS * FACTORS_EACH, RAW_D);
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const tiles_t tiles[1] = {{r_tile + p->slot * AHEAD * RAW_D, k_tile + p->slot * AHEAD * RAW_D,
                             w_tile + p->slot * AHEAD * RAW_W, v_tile + p->slot * (AHEAD + 1) * RAW_V,
                             factor_tiles + p->slot * TASKS * FACTORS_EACH, u_tile + p->slot * KEY_ROW,
                             state_tiles + p->slot * 2 * STATE_FLOATS, output_tiles + p->slot * 2 * OUTPUT_FLOATS}};
  const inputs_t in[1] = {{r, k, v, w, r_at, k_at, v_at, w_at}};
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  for (int c = p->item; c < KEY_ROW; c += HEAD_ITEMS)
    tiles->u[c] = active && c < KEY_DIM ? u[u_at + p->head * KEY_DIM + c] : 0.0f;

  float state[STEPS][4];
  if (first_step > 0)
    load_state(state, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);

  feed_t feed[1];
  output_t out[1];
  feed_begin(feed, in, p, first_step, end, tile_first(first_group));
  begin_outputs(out, o, o_at, out_scale, p, first_step);
  turn_t turn;
  turn_begin(&turn);
  for (index_t step = first_step - AHEAD * CHUNK; step < end; step += CHUNK) {
    feed_next(feed, tiles, true, p->item);
    if (step + CHUNK >= first_step) make_products(tiles, p, in_scale, &turn, end - step - CHUNK, true);
    if (step >= first_step && GOES(p->uses)) use_products(state, tiles, out, p, &turn, end - step);
    engine_wait(AHEAD - 2);
    engine_join(&p->engine);
    if (step + CHUNK >= first_step) turn_next(&turn);
  }

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(state, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(state, final + final_at + state_at(p, p->unit.state), p);
}

/* The state over a chunk, and, in the first group of a head, the product of all decays. */
static inline void use_for_states(float state[STEPS][4], const tiles_t *tiles, const place_t *p, const turn_t *turn,
                                  local float *decay) {
  products_t products;
  products_of(&products, tiles, turn->use);
  UNROLL for (int sub = 0; sub < SUB_CHUNKS; sub++) {
    operand_t v[2];
    load_values(v, tiles->v + turn->values * RAW_V, sub, true, p);
    update_state(state, v, &products, sub, p);
    if (p->uses)
      for (int i = p->item; i < KEY_DIM; i += HEAD_ITEMS / 2) {
        const float D = products.keep[sub * KEY_ROW + i];
        decay[i] = D * decay[i] + (SPLIT ? products.change[sub * KEY_ROW + i] * decay[i] : 0.0f);
      }
  }
}

ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_states(global const dtype_t *k, layout_t k_at, global const dtype_t *v, layout_t v_at, global const w_dtype_t *w,
             layout_t w_at, global const float *start, long start_at, int start_by_unit, global float *sums, long sums_at,
             global float *decays, long decays_at, global float *checkpoints, long checkpoints_at, global const long8 *units,
             batch_t batch, int dual, float in_scale, long first_step, long last_step, long first_group) {
  LOCAL_TILES(0, 0, 0);
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const tiles_t tiles[1] = {{r_tile, k_tile + p->slot * AHEAD * RAW_D, w_tile + p->slot * AHEAD * RAW_W,
                             v_tile + p->slot * (AHEAD + 1) * RAW_V, factor_tiles, u_tile,
                             state_tiles + p->slot * 2 * STATE_FLOATS, 0}};
  const inputs_t in[1] = {{0, k, v, w, k_at, k_at, v_at, w_at}};
  local float *decay = u_tile + p->slot * KEY_ROW; /* over all sub-chunks so far, in the order of the state's columns */
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length;
  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at;
  for (int i = p->item; i < KEY_DIM; i += HEAD_ITEMS)
    decay[i] = decays && active && first_step > 0 ? decay_row[state_channel(i)] : 1.0f;

  float state[STEPS][4];
  if (first_step == 0)
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence), p, start != 0);
  else if (sums)
    load_state(state, sums + sums_at + state_at(p, p->unit.number), p, active);
  else
    load_state(state, kept + state_at(p, p->unit.first_checkpoint + first_step / SPAN - 1), p, active);

  feed_t feed[1];
  feed_begin(feed, in, p, first_step, end, tile_first(first_group));
  turn_t turn;
  turn_begin(&turn);
  for (index_t step = first_step - AHEAD * CHUNK; step < end; step += CHUNK) {
    feed_next(feed, tiles, false, p->item);
    if (step + CHUNK >= first_step) make_products(tiles, p, in_scale, &turn, end - step - CHUNK, false);
    if (step >= first_step && GOES(p->uses)) {
      use_for_states(state, tiles, p, &turn, decay);
      const index_t next = step + CHUNK, span = next / SPAN;
      if (checkpoints && span * SPAN == next && next < p->unit.length)
        store_state(state, kept + state_at(p, p->unit.first_checkpoint + span - 1), p);
    }
    engine_wait(AHEAD - 2);
    engine_join(&p->engine);
    if (step + CHUNK >= first_step) turn_next(&turn);
  }

  if (sums && active) store_state(state, sums + sums_at + state_at(p, p->unit.number), p);
  if (decays && active && p->keeps_decays)
    for (int i = p->item; i < KEY_DIM; i += HEAD_ITEMS / 2) decay_row[state_channel(i)] = decay[i];
}
