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
 *      decay as (product of i's side of the block before i) (product of j's side after j), so A is four matrix products, one
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
#ifndef MAKERS /* sub-groups that make: 1, 2, 4 or 8 */
#define MAKERS 4
#endif
#ifndef USERS /* sub-groups that use */
#define USERS 2
#endif
#ifndef WIDE /* times 16 value channels of each of them */
#define WIDE 2
#endif
#ifndef AHEAD /* chunks that are asked for before they are used, 2 or more */
#define AHEAD 2
#endif
#ifndef SPAN /* steps between checkpoints of chunk_states; a multiple of 32 */
#define SPAN 64
#endif
#ifndef SPLIT /* 1: operands in two parts, for fp32 storage */
#define SPLIT 0
#endif

#include "chunk_matrix_task.h"
#include "chunk_scan.h"

/* ---- what users do: outputs and the next state ---- */

/*
 * v of 16 tokens in two operands of 8. `transposed`: V^T [16 channels x 8 tokens] for the state, tokens in the order
 * of k^. Else V for o, tokens in the order of A, elements 0, 1 of channels 0 to 7 and 2, 3 of channels 8 to 15. These are the
 * same numbers, loaded twice: each multiplication wants its operand in neighbouring registers, in this order.
 */
static inline void load_values(operand_t v[2], local const dtype_t *values, bool transposed, int c, const place_t *p) {
  const int first = p->tile_column + 16 * c;
#if SPLIT
  UNROLL for (int i = 0; i < 8; i++) {
    const int octet = i / 4, later = transposed ? (i & 2) / 2 : i & 1, upper = transposed ? i & 1 : (i & 2) / 2;
    local const volatile dtype_t *from = values + engine_token(2 * p->engine.pair + later, octet, transposed) * V_STRIDE + first;
    v[octet].high[i & 3] = as_uint(from[p->engine.row + upper * 8]);
  }
  split(&v[0]);
  split(&v[1]);
#else
  uint pairs[4];
  engine_load_pairs(pairs, &p->engine, values, V_STRIDE, V_SWIZZLE, first / 8, transposed);
  UNROLL for (int i = 0; i < 4; i++) {
    const int upper = i / 2;
    v[i & 1].high[transposed ? upper : 2 * upper] = as_uint(widen_d((ushort)pairs[i]));
    v[i & 1].high[transposed ? upper + 2 : 2 * upper + 1] = as_uint(widen_d((ushort)(pairs[i] >> 16)));
  }
#endif
}

/* o of a chunk without out_scale: [16 tokens x 8 channels], tokens 0 to 15 and 16 to 31, channels 8 by 8. */
typedef struct output_sum_t {
  float at[2][2 * WIDE][4];
} output_sum_t;

/* r~ S */
static inline void multiply_state(output_sum_t *o, const state_t *state, const products_t *products, const place_t *p) {
  UNROLL for (int n = 0; n < STEPS; n++) {
    operand_t r[2], s;
    UNROLL for (int m = 0; m < 2; m++) load_operand(&r[m], products->r_decayed + (m * (KEY_ROW / 8) + n) * OPERAND, p);
    UNROLL for (int c = 0; c < WIDE; c++) {
      UNROLL for (int q = 0; q < 4; q++) set_operand(&s, q, state->at[c][n][q]);
      split(&s);
      UNROLL for (int m = 0; m < 2; m++) {
        multiply(o->at[m][2 * c], &r[m], &s, 0, n == 0, p);
        multiply(o->at[m][2 * c + 1], &r[m], &s, 2, n == 0, p);
      }
    }
  }
}

/* A v */
static inline void multiply_values(output_sum_t *o, local const dtype_t *values, const products_t *products, const place_t *p) {
  UNROLL for (int from = 0; from < 2; from++) {
    operand_t v[WIDE][2], a;
    UNROLL for (int c = 0; c < WIDE; c++) load_values(v[c], values + from * ROWS * V_STRIDE, false, c, p);
    UNROLL for (int n = 0; n < 2; n++) {
      UNROLL for (int m = from; m < 2; m++) {
        load_operand(&a, products->A + (2 * (m + from) + n) * OPERAND, p);
        UNROLL for (int c = 0; c < WIDE; c++) {
          multiply(o->at[m][2 * c], &a, &v[c][n], 0, false, p);
          multiply(o->at[m][2 * c + 1], &a, &v[c][n], 2, false, p);
        }
      }
    }
  }
}

/* S = D S of a block of key channels. */
static inline void decay_state(state_t *state, const products_t *products, int block, const place_t *p) {
  UNROLL for (int n = block * OCTETS; n < (block + 1) * OCTETS && n < STEPS; n++) {
    const int at = 8 * n + 2 * p->engine.pair;
    const float2 keep = *(local const float2 *)(products->keep + at);
    const float2 change = *(local const float2 *)((SPLIT ? products->change : products->keep) + at);
    UNROLL for (int c = 0; c < WIDE; c++) {
      UNROLL for (int q = 0; q < 4; q++) {
        const float s = state->at[c][n][q];
        state->at[c][n][q] = (q & 1 ? keep.y : keep.x) * s + (SPLIT ? (q & 1 ? change.y : change.x) * s : 0.0f);
      }
    }
  }
}

/* S = D S + k^ v, or D (S + (k^ / D) v) */
static inline void update_state(state_t *state, local const dtype_t *values, const products_t *products, const place_t *p) {
  operand_t v[WIDE][2][2];
  int divided[BLOCKS];
  UNROLL for (int block = 0; block < BLOCKS; block++) divided[block] = products->divided[block];
  UNROLL for (int c = 0; c < WIDE; c++) {
    UNROLL for (int m = 0; m < 2; m++) load_values(v[c][m], values + m * ROWS * V_STRIDE, true, c, p);
  }
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    if (!divided[block]) decay_state(state, products, block, p);
    UNROLL for (int n = block * OCTETS; n < (block + 1) * OCTETS && n < STEPS; n++) {
      UNROLL for (int m = 0; m < 2; m++) {
        operand_t k;
        load_columns(&k, products->k_decayed + ((2 * block + m) * BLOCK + 8 * (n - block * OCTETS)) * TOKEN_STRIDE,
                     TOKEN_STRIDE, p);
        UNROLL for (int c = 0; c < WIDE; c++) {
          multiply(state->at[c][n], &v[c][m][0], &k, 0, false, p);
          multiply(state->at[c][n], &v[c][m][1], &k, 2, false, p);
        }
      }
    }
    if (divided[block]) decay_state(state, products, block, p);
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

/* A chunk of which `count` tokens are there. */
static inline void write_outputs(output_t *out, const output_sum_t *sum, const place_t *p, int count) {
  UNROLL for (int n = 0; n < 4; n++) {
    global dtype_t *to = out->place + 8 * n * out->stride;
    if (p->engine.row + 8 * n < count) {
      UNROLL for (int octet = 0; octet < 2 * WIDE; octet++) {
        const float *x = sum->at[n / 2][octet] + 2 * (n & 1);
        if (p->first_column + 8 * octet < VALUE_DIM) write_pair(to + 8 * octet, out->scale * x[0], out->scale * x[1], out->whole);
      }
    }
  }
  out->place += CHUNK * out->stride;
}

static inline void use_products(state_t *state, output_t *out, const tiles_t *tiles, const place_t *p, const turn_t *turn,
                                int count) {
  products_t products;
  products_of(&products, tiles, turn->use);
  local const dtype_t *values = tile_of_v(tiles, turn->values);
  output_sum_t sum;
  multiply_state(&sum, state, &products, p);
  multiply_values(&sum, values, &products, p);
  write_outputs(out, &sum, p, count);
  update_state(state, values, &products, p);
}

/* The state over a chunk, and, in one work-group of a head, the product of all decays. */
static inline void use_keys(state_t *state, const tiles_t *tiles, const place_t *p, const turn_t *turn) {
  products_t products;
  products_of(&products, tiles, turn->use);
  update_state(state, tile_of_v(tiles, turn->values), &products, p);
  local float *decay = tile_of_u(tiles);
  if (p->uses)
    for (int i = p->item - 32 * MAKERS; i < KEY_DIM; i += 32 * USERS) {
      const float D = products.keep[i];
      decay[i] = D * decay[i] + (SPLIT ? products.change[i] * decay[i] : 0.0f);
    }
}

/* The tokens of chunk n of those of a launch, `last` of them in the last of `chunks`; 0: there is no such chunk. */
static inline int tokens_of(int n, int chunks, int last) {
  return n < 0 || n >= chunks ? 0 : n == chunks - 1 ? last : CHUNK;
}

#define LOCAL_TILES(bytes)                                                                                                     \
  local uchar pool[bytes] __attribute__((aligned(128)));                                                             \
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE];                                                                           \
  place_t p[1];                                                                                                                \
  find_place(p, units, batch, dual, first_group, exchange);                                                                    \
  const tiles_t tiles[1] = {{pool}}

/* All chunks of a launch, what makers do of it, or what users do, or both. */
static inline void make_outputs(state_t *state, output_t *out, feed_t *feed, const tiles_t *tiles, const place_t *p,
                                float in_scale, int chunks, int last, bool makes, bool uses) {
  turn_t turn;
  turn_begin(&turn);
  for (int n = -AHEAD; n < chunks; n++) {
    if (makes && p->makes) feed_next(feed, tiles, true, tokens_of(n + AHEAD, chunks, last));
    if (makes && n >= -1 && n + 1 < chunks) make_products(tiles, p, in_scale, &turn, tokens_of(n + 1, chunks, last), true);
    if (uses && n >= 0) use_products(state, out, tiles, p, &turn, tokens_of(n, chunks, last));
    if (makes) engine_wait(AHEAD - 2);
    engine_join(&p->engine);
    if (n >= -1) turn_next(&turn);
  }
}

/* The same of chunk_states. `kept`: where checkpoint 0 goes, or 0. */
static inline void make_states(state_t *state, global float *kept, index_t first_step, feed_t *feed, const tiles_t *tiles,
                               const place_t *p, float in_scale, int chunks, int last, bool makes, bool uses) {
  turn_t turn;
  turn_begin(&turn);
  for (int n = -AHEAD; n < chunks; n++) {
    if (makes && p->makes) feed_next(feed, tiles, false, tokens_of(n + AHEAD, chunks, last));
    if (makes && n >= -1 && n + 1 < chunks) make_products(tiles, p, in_scale, &turn, tokens_of(n + 1, chunks, last), false);
    if (uses && n >= 0) {
      use_keys(state, tiles, p, &turn);
      const index_t next = first_step + (index_t)(n + 1) * CHUNK, span = next / SPAN;
      if (kept && span * SPAN == next && next < p->unit.length) store_state(state, kept + state_at(p, span - 1), p);
    }
    if (makes) engine_wait(AHEAD - 2);
    engine_join(&p->engine);
    if (n >= -1) turn_next(&turn);
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
  LOCAL_TILES(BYTES_OF_ALL);
  const inputs_t in[1] = {{r, k, v, w, r_at, k_at, v_at, w_at}};
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  for (int c = p->item; c < KEY_ROW; c += WORK_GROUP)
    tile_of_u(tiles)[c] = c < KEY_DIM ? u[u_at + p->head * KEY_DIM + c] : 0.0f;

  feed_t feed[1];
  feed_begin(feed, in, p, first_step);
  const int chunks = (int)((end - first_step + CHUNK - 1) / CHUNK), last = (int)(end - first_step) - (chunks - 1) * CHUNK;
  if (ENGINE_INDEPENDENT && p->makes) {
    make_outputs(0, 0, feed, tiles, p, in_scale, chunks, last, true, false);
    return;
  }

  state_t state[1];
  if (first_step > 0)
    load_state(state, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p, active && start != 0);

  output_t out[1];
  begin_outputs(out, o, o_at, out_scale, p, first_step);
  make_outputs(state, out, feed, tiles, p, in_scale, chunks, last, !ENGINE_INDEPENDENT, true);

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
  LOCAL_TILES(BYTES_OF_STATES);
  const inputs_t in[1] = {{0, k, v, w, k_at, k_at, v_at, w_at}};
  local float *decay = tile_of_u(tiles); /* over all chunks so far */
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length;
  global float *decay_row = decays + decays_at + (p->unit.number * p->heads + p->head) * KEY_DIM;
  global float *kept = checkpoints + checkpoints_at + state_at(p, p->unit.first_checkpoint) - p->head * (KEY_DIM * VALUE_DIM);
  for (int i = p->item; i < KEY_DIM; i += WORK_GROUP)
    decay[i] = decays && active && first_step > 0 ? decay_row[i] : 1.0f;

  feed_t feed[1];
  feed_begin(feed, in, p, first_step);
  const int chunks = (int)((end - first_step + CHUNK - 1) / CHUNK), last = (int)(end - first_step) - (chunks - 1) * CHUNK;
  if (ENGINE_INDEPENDENT && p->makes) {
    make_states(0, 0, 0, feed, tiles, p, in_scale, chunks, last, true, false);
    return;
  }

  state_t state[1];
  if (first_step == 0)
    load_state(state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.sequence), p, start != 0);
  else if (sums)
    load_state(state, sums + sums_at + state_at(p, p->unit.number), p, active);
  else
    load_state(state, kept + state_at(p, first_step / SPAN - 1), p, active);
  make_states(state, checkpoints ? kept : 0, first_step, feed, tiles, p, in_scale, chunks, last, !ENGINE_INDEPENDENT, true);

  if (sums && active) store_state(state, sums + sums_at + state_at(p, p->unit.number), p);
  if (decays && active && p->keeps_decays)
    for (int i = p->item - 32 * MAKERS; i < KEY_DIM; i += 32 * USERS) decay_row[i] = decay[i];
}
