/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items, every operand a sum of two numbers in bf16, upper and lower: as exact as fp32
 * storage asks, for every storage type (docs/algorithm.md, "Chunk mode" and "Exact and factored decays"; arguments:
 * chunk_group_outputs.h), for any engine that has the functions of engine_hopper.h. K = 64. in_scale is 1.
 *
 * A work-group owns 64 value channels of one head of one unit and goes once over its tokens, as chunk_forward_group.cl does:
 *
 *     r~ = r c     A = r~ (k / c)^T, below the diagonal     o = r~ D' S + A v     S = D'' (D' S + (k / c)^T v)
 *
 * with the decays c since the middle of the chunk, or, where they are too small to divide by,
 *
 *     r~ = r c     o = r~ S + A v     S = D S + k^^T v
 *
 * with those since its beginning. A product of two such sums is three products: that of the lower parts is left out.
 */
#define OUTPUTS
#include "chunk_group_mask.h"
#include "chunk_pairs_copy.h"
#include "chunk_pairs_exact.h"
#include "chunk_pairs_state.h"

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  global const float *bonus; /* u of this work-item's first channels */
  float scale;               /* of r */
} keep_t;

/* ---- products ---- */

/* C = r~ B^T of keys, which are rows of two tiles. */
static inline void multiply_by_keys(float C[32], const split_t *r, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, r->upper, step);
    operand_of(y, r->lower, step);
    if (step == 0)
      engine_group_multiply_rows(C, y, tiles->chunk, AT_K, step, 0, &p->engine);
    else
      engine_group_multiply_rows(C, y, tiles->chunk, AT_K, step, 1, &p->engine);
    engine_group_multiply_rows(C, x, tiles->chunk, AT_K + TILE, step, 1, &p->engine);
    engine_group_multiply_rows(C, x, tiles->chunk, AT_K, step, 1, &p->engine);
  }
  engine_close();
}

/* out = r~ S */
static inline void multiply_state(float out[32], const split_t *r, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, r->upper, step);
    operand_of(y, r->lower, step);
    if (step == 0)
      engine_group_multiply(out, y, tiles->base, AT_STATE, step, 0, &p->engine);
    else
      engine_group_multiply(out, y, tiles->base, AT_STATE, step, 1, &p->engine);
    engine_group_multiply(out, x, tiles->base, AT_STATE + TILE, step, 1, &p->engine);
    engine_group_multiply(out, x, tiles->base, AT_STATE, step, 1, &p->engine);
  }
  engine_close();
}

/* out += A v */
static inline void multiply_values(float out[32], const split_t *A, const tiles_t *tiles, const place_t *p) {
  engine_open();
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, A->upper, step);
    operand_of(y, A->lower, step);
    engine_group_multiply(out, y, tiles->chunk, AT_V, step, 1, &p->engine);
    if (VALUE_PARTS > 1) engine_group_multiply(out, x, tiles->chunk, AT_V + TILE, step, 1, &p->engine);
    engine_group_multiply(out, x, tiles->chunk, AT_V, step, 1, &p->engine);
  }
  engine_close();
}

/* Before products of r~. */
static inline void open_tokens(split_t *r) {
  UNROLL for (int h = 0; h < 2; h++) {
    engine_ready_words(r->upper[h]);
    engine_ready_words(r->lower[h]);
  }
  engine_open();
}

static inline void split_pairs(split_t *parts, const float A[32]) {
  UNROLL for (int n = 0; n < 8; n++) split_octet(parts, A + 4 * n, n);
}

/* ---- state and rows ---- */

/* For whoever reads it as an operand. */
static inline void show_state(const state_t *x, const tiles_t *tiles, const place_t *p) {
  split_t parts;
  UNROLL for (int n = 0; n < 8; n++) split_octet(&parts, x->at[0] + 4 * n, n);
  store_split(tiles->rows, &parts, AT_STATE, 2, p);
}

static inline void scale_tokens(tokens_t *x, float scale) {
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int q = 0; q < 4; q++) x->at[n][q] *= scale;
  }
}

/* sum_ch r_i u k_i of tokens row and row + 8 grows by those of octets 2 s and 2 s + 1. */
static inline void add_diagonal(float diagonal[2], const tokens_t *r, const tokens_t *k, int s, global const float *bonus) {
  float u[4];
  UNROLL for (int q = 0; q < 4; q++) u[q] = bonus[16 * s + q];
  UNROLL for (int h = 0; h < 2; h++) {
    UNROLL for (int q = 0; q < 4; q++) diagonal[h] =
        fma(r->at[2 * s + q / 2][2 * h + (q & 1)] * u[q], k->at[2 * s + q / 2][2 * h + (q & 1)], diagonal[h]);
  }
}

static inline void find_diagonal(float diagonal[2], const tokens_t *r, const tokens_t *k, const keep_t *x, const place_t *p) {
  diagonal[0] = diagonal[1] = 0.0f;
  UNROLL for (int s = 0; s < 4; s++) add_diagonal(diagonal, r, k, s, x->bonus);
  finish_diagonal(diagonal, 1.0f, p);
}

/*
 * log2 of the decays of all tokens since token 32 of the chunk until this sub-group's, or minus those from them until it: of
 * four channels.
 */
static inline float4 sums_from_middle(const tiles_t *tiles, int s, const place_t *p) {
  const int warp = p->engine.warp;
  const float near = warp == 2 ? 0.0f : warp == 3 ? LOG2_E : -LOG2_E, far = warp == 0 ? -LOG2_E : 0.0f;
  return whole_sum(tiles, AT_W, warp == 3 ? 2 : 1, s) * near + whole_sum(tiles, AT_W, 0, s) * far;
}

/* Four channels of token row + 8 h: r *= c, k /= c. */
static inline void divide_four(tokens_t *r, tokens_t *k, const tiles_t *tiles, int s, int h, float4 middle, const place_t *p) {
  float4 before = *(local const float4 *)fours_at(tiles->before, AT_W + 1024 * h, s, 4);
  const float4 through = *(local const float4 *)fours_at(tiles->wide, AT_W + 1024 * h, s, 4);
  if (h == 0) before = p->engine.row == 0 ? (float4)(0.0f) : before;
  const float4 up = fma(before, (float4)(LOG2_E), middle), down = -fma(through, (float4)(LOG2_E), middle);
  const float ups[4] = {up.x, up.y, up.z, up.w}, downs[4] = {down.x, down.y, down.z, down.w};
  UNROLL for (int q = 0; q < 4; q++) {
    r->at[2 * s + q / 2][2 * h + (q & 1)] *= engine_exp2(ups[q]);
    k->at[2 * s + q / 2][2 * h + (q & 1)] *= engine_exp2(downs[q]);
  }
}

/* ---- a chunk ---- */

/* r~ and k / c of this sub-group in place of r and k; k / c goes to local memory. */
static inline void divide_tokens(split_t *r_parts, tokens_t *r, tokens_t *k, const tiles_t *tiles, const place_t *p) {
  split_t keys;
  UNROLL for (int s = 0; s < 4; s++) {
    const float4 middle = sums_from_middle(tiles, s, p);
    UNROLL for (int h = 0; h < 2; h++) divide_four(r, k, tiles, s, h, middle, p);
  }
  split_tokens(r_parts, r);
  split_tokens(&keys, k);
  store_split(tiles->chunk_rows, &keys, AT_K, 2, p);
}

/* S after products; `first` and `second` are decays of its two rows that it is to have before the next ones. */
static inline void finish(float out[32], keep_t *x, float sum[32], float first, float second) {
  engine_finish(0, sum);
  engine_finish(0, out);
  add_to_state(&x->state, sum);
  x->state.late[0] = first, x->state.late[1] = second;
}

/* What the work-items of a group have stored for a chunk is there for products. */
static inline void meet(const place_t *p) {
  engine_publish();
  engine_group_barrier(&p->engine);
}

/* Chunk n, where no product of decays is too small to divide by; sums are stored. `whole`: the next one. */
static inline void go_moderate(float out[32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  float A[32], sum[32], diagonal[2], early[2], late[2];
  tokens_t r_rows, k_rows;
  split_t r, parts;
  load_rows(&r_rows, tiles->mine, AT_R);
  load_rows(&k_rows, tiles->chunk_mine, AT_K);
  scale_tokens(&r_rows, x->scale);
  find_diagonal(diagonal, &r_rows, &k_rows, x, p);
  engine_group_barrier(&p->engine); /* sums are there, and rows of k have been read */
  find_decays(early, late, tiles, AT_W, p);
  decay_state(&x->state, x->state.late); /* by itself: the product of both decays can be too small for fp32 */
  decay_state(&x->state, early);
  show_state(&x->state, tiles, p);
  divide_tokens(&r, &r_rows, &k_rows, tiles, p);
  split_values(tiles, p);
  meet(p);
  copy_tokens(&x->walkers, tiles, n + 1, p, whole);
  open_tokens(&r);
  multiply_by_keys(A, &r, tiles, p);
  multiply_state(out, &r, tiles, p);
  engine_finish(1, A);
  mask(A, diagonal, p);
  split_pairs(&parts, A);
  multiply_values(out, &parts, tiles, p);
  multiply_keys(sum, tiles, p); /* where registers of r~ were */
  finish(out, x, sum, late[0], late[1]);
}

/* r with the decays since the beginning of its 16 tokens, A of those, r u k; S before the chunk and keys go to local memory. */
static inline void prepare_exact(tokens_t *r, float own[8], float diagonal[2], keep_t *x, float2 sum, const tiles_t *tiles,
                                 const place_t *p, int left) {
  float factors[16];
  tokens_t k, w;
  split_t keys;
  load_rows(r, tiles->mine, AT_R);
  load_rows(&k, tiles->chunk_mine, AT_K);
  load_factors(&w, tiles, p, left);
  scale_tokens(r, x->scale);
  find_diagonal(diagonal, r, &k, x, p);
  join_tokens(own, r, &k, &w, p);
  engine_barrier(); /* rows of r have been read by all of the sub-group */
  store_whole_sum(sum, tiles, AT_R);
  engine_group_barrier(&p->engine); /* and rows of w have been read */
  store_keys_for_pairs(tiles, &k, p);
  find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);
  decay_tokens(&k, &k, factors);
  split_tokens(&keys, &k);
  store_split(tiles->chunk_rows, &keys, AT_K, 2, p);
}

/* Chunk n, whatever its decays are, of a unit with `left` tokens from its beginning on; whole_sum: of the logarithms of this
 * work-item's two channels. */
static inline void go_exact(float out[32], keep_t *x, float2 whole_sum, const tiles_t *tiles, int n, const place_t *p, int left,
                            bool whole) {
  float A[32], sum[32], own[8], diagonal[2], early[2], late[2], factors[16];
  tokens_t r;
  split_t parts, decayed;
  decay_state(&x->state, x->state.late);
  show_state(&x->state, tiles, p);
  prepare_exact(&r, own, diagonal, x, whole_sum, tiles, p, left);
  split_values(tiles, p);
  meet(p);
  multiply_pairs(A, own, &r, tiles, p);
  mask(A, diagonal, p);
  split_pairs(&parts, A);
  find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);
  find_decays(early, late, tiles, AT_R, p);
  engine_group_barrier(&p->engine); /* keys for pairs have been read, and sums */
  copy_tokens(&x->walkers, tiles, n + 1, p, whole);
  decay_tokens(&r, &r, factors);
  split_tokens(&decayed, &r);
  UNROLL for (int h = 0; h < 2; h++) early[h] *= late[h];
  decay_state(&x->state, early);
  open_tokens(&decayed);
  multiply_state(out, &decayed, tiles, p);
  multiply_values(out, &parts, tiles, p);
  multiply_keys(sum, tiles, p);
  finish(out, x, sum, 1.0f, 1.0f);
}

/* Sums of the logarithms through each token of the sub-group's 16, of this work-item's two channels. Whether all are moderate:
 * NaN is not. */
static inline bool sum_logs(float2 sums[ROWS], const tiles_t *tiles, const place_t *p, int left) {
  load_logs(sums, tiles, p, left);
  UNROLL for (int t = 1; t < ROWS; t++) sums[t] += sums[t - 1];
  return (fabs(sums[ROWS - 1].x) <= -MODERATE) & (fabs(sums[ROWS - 1].y) <= -MODERATE);
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  float out[32];
  float2 sums[ROWS];
  find_tiles(tiles, n, p);
  if (!is_whole(p, left)) copy_rest(&x->walkers, tiles, n, p, left);
  engine_wait(0);
  engine_barrier();
  const bool moderate = engine_all(sum_logs(sums, tiles, p, left), &p->engine); /* and chunk n - 1 is over for all */
  const bool whole = is_whole(p, left - CHUNK);
  copy_keys_and_values(&x->walkers, tiles, n + 1, p, whole);
  if (moderate) {
    store_sums(sums, tiles);
    go_moderate(out, x, tiles, n, p, whole);
  } else {
    go_exact(out, x, sums[ROWS - 1], tiles, n, p, left, whole);
  }
  write_outputs(&x->walkers, out, tiles, n, p, left);
}

/* Before the first chunk, of a unit with `all` tokens: its copies, and what stays the same. */
static inline void begin(keep_t *x, const tiles_t *tiles, const place_t *p, global const float *u, float scale, int all) {
  copy_keys_and_values(&x->walkers, tiles, 0, p, is_whole(p, all));
  copy_tokens(&x->walkers, tiles, 0, p, is_whole(p, all));
  x->bonus = u + 4 * p->engine.pair;
  x->scale = scale;
}

/* The walker of o is at this work-item's first four channels of its first token. */
static inline void find_outputs(keep_t *x, const tiles_t *tiles, global dtype_t *o, layout_t o_at, const place_t *p,
                                index_t step) {
  walk_t walk;
  find_walk(&walk, o_at, &p->unit, p->head, step, p->reverse);
  const int token = ROWS * p->engine.warp + p->engine.row;
  x->walkers.of[WALK_O].place = (global uchar *)(o + walk.first + COLUMNS * p->tile + walk.stride * token + 4 * p->engine.pair);
  x->walkers.of[WALK_O].stride = (int)walk.stride * BYTES;
}

#include "chunk_group_outputs.h" /* the kernel */
