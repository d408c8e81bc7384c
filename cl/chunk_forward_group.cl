/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items: chunk_forward.cl's formulas (docs/algorithm.md, "Chunk mode" and "Exact and
 * factored decays"; arguments: chunk_group_outputs.h), for any engine that has the functions of engine_hopper.h. bf16 only.
 * in_scale is 1.
 *
 * A work-group owns COLUMNS value channels of one head of one unit and goes once over its tokens, CHUNK at a time. A group has
 * 64 key channels and makes their share in A and o; where there are two, the first gives its share in o to the second, which
 * is somewhat behind, so that one has the matrix units while the other prepares. A sub-group makes r~, keys and A of 16 tokens,
 * and keeps 16 of its group's key channels of S:
 *
 *     r~ = r c     A = r~ (k / c)^T, below the diagonal     o = r~ D' S + A v     S = D'' (D' S + (k / c)^T v)
 *
 * D' are the decays of the chunk's first half, D'' those of its second, and c, at a token, are those since the middle of the
 * chunk, or the inverse of those until then. Where they are too small to divide by, chunk_group_exact.h makes A, and
 *
 *     r~ = r c     o = r~ S + A v     S = D S + k^^T v
 *
 * with decays c since the beginning of the chunk, and those until its end in k^.
 *
 * r~, k / c and S are in tf32 where outputs are made of them; for S itself k / c, and for o also A, are sums of two numbers in
 * bf16, upper and lower. v is one number, and so is A if RELAXED is defined (RWKV6_PRECISION_RELAXED).
 */
#define OUTPUTS
#ifdef RELAXED
#define A_NUMBERS 1
#else
#define A_NUMBERS 2
#endif
#include "chunk_group_exact.h"
#include "chunk_group_mask.h"
#include "chunk_group_shown.h"

#include "chunk_group_walk.h" /* after tiles */

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  float scale; /* of r, positive */
  uint sign;   /* of r: what flips it */
} keep_t;

/* ---- outputs ---- */

/* Before products of r~. */
static inline void open_tokens(tokens_t *r) {
  UNROLL for (int n = 0; n < 8; n++) engine_ready(r->at[n]);
  engine_open();
}

/* C = r~ B^T, or, `more`, C += r~ B^T, of two tiles of B `offset` bytes behind the first: keys or the state. */
static inline void multiply(float C[32], const tokens_t *r, const tiles_t *tiles, int offset, bool more, const place_t *p) {
  UNROLL for (int n = 0; n < 8; n++) {
    uint a[4];
    tokens_of(a, r, n);
    if (n == 0 && !more)
      engine_group_multiply_tf32(C, a, tiles->base, offset, 0, 0, &p->engine);
    else
      engine_group_multiply_tf32(C, a, tiles->base, offset + n / 4 * TILE, n & 3, 1, &p->engine);
  }
}

/* out += r~ S; where there is one group, out is nothing before. */
static inline void multiply_state(float out[PARTS][32], const tokens_t *r, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) multiply(out[j], r, tiles, AT_STATE + 2 * TILE * j, PARTS > 1, p);
  engine_close();
}

/* Octet n, in accumulators' order, as one number each; there is nothing in `lower`. */
static inline void round_octet(split_t *x, const float c[4], int n) {
  UNROLL for (int h = 0; h < 2; h++) x->upper[h][n] = engine_pack_bf16(c[2 * h], c[2 * h + 1]);
}

static inline void split_pairs(split_t *parts, const float A[32]) {
  UNROLL for (int i = 0; i < 8; i++) {
    if (A_NUMBERS > 1)
      split_octet(parts, A + 4 * i, i);
    else
      round_octet(parts, A + 4 * i, i);
  }
}

/* out += A v */
static inline void multiply_values(float out[PARTS][32], const split_t *A, const tiles_t *tiles, int n, const place_t *p) {
  engine_open();
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, A->upper, step);
    if (A_NUMBERS > 1) operand_of(y, A->lower, step);
    UNROLL for (int j = 0; j < PARTS; j++) {
      engine_group_multiply(out[j], x, tiles->all, offset_of_values(n, j), step, 1, &p->engine);
      if (A_NUMBERS > 1) engine_group_multiply(out[j], y, tiles->all, offset_of_values(n, j), step, 1, &p->engine);
    }
  }
  engine_close();
}

static inline void finish(float out[PARTS][32], state_t *state) {
  finish_state(state);
  UNROLL for (int j = 0; j < PARTS; j++) engine_finish(0, out[j]);
}

/* sum_ch r_i u k_i of tokens row and row + 8 grows by those of octet n. */
static inline void add_diagonal(float diagonal[2], const rows_t *r, const rows_t *k, int n, uint sign, const tiles_t *tiles,
                                const place_t *p) {
  const float2 u = ((local const float2 *)(bonus_of(tiles) + p->engine.pair * SUMS_STRIDE))[n];
  UNROLL for (int h = 0; h < 2; h++) diagonal[h] = fma(low_of(r->at[h][n], sign), u.x * low(k->at[h][n]),
                                                       fma(high_of(r->at[h][n], sign), u.y * high(k->at[h][n]), diagonal[h]));
}

/* The first group's share in o, [64 tokens x COLUMNS] as accumulators have it, is where its state was. */
static inline local float4 *share_of(const tiles_t *tiles, const place_t *p) {
  return (local float4 *)(tiles->all + AT_STATE) + p->item;
}

static inline void give(const tiles_t *tiles, const float out[PARTS][32], const place_t *p) {
  local float4 *to = share_of(tiles, p);
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int i = 0; i < 8; i++) to[GROUP * (8 * j + i)] = vload4(i, out[j]);
  }
}

/* `more` than there is in out, or instead of it. */
static inline void take(float out[PARTS][32], const tiles_t *tiles, bool more, const place_t *p) {
  local const float4 *from = share_of(tiles, p);
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int i = 0; i < 8; i++) {
      const float4 share = from[GROUP * (8 * j + i)];
      vstore4(more ? vload4(i, out[j]) + share : share, i, out[j]);
    }
  }
}

/* o of the second group begins with the first group's share. Where groups keep step (an emulation), that is not there yet: then
 * it is added at the end. */
static inline void begin_outputs(float out[PARTS][32], const tiles_t *tiles, const place_t *p, int left) {
  const bool takes = ENGINE_INDEPENDENT && p->part == 1;
  if (PARTS == 1) return;
  engine_await(ENGINE_GIVEN, takes);
  if (takes) {
    take(out, tiles, false, p);
  } else {
    UNROLL for (int j = 0; j < PARTS; j++) {
      UNROLL for (int i = 0; i < 32; i++) out[j][i] = 0.0f;
    }
  }
  engine_signal(ENGINE_TAKEN, takes && left > CHUNK);
}

/* `count` tokens, to aligned rows. */
static inline void store_whole_rows(global uchar *to, int stride, local uchar *slots, int which, const place_t *p, int count) {
  UNROLL for (int i = 0; i < 4; i++) {
    if (first_token(p) + 4 * i < count) *(global uint4 *)(to + (long)stride * (4 * i)) = *slot_of(slots, which, i);
  }
}

static inline void store_rows(global uchar *to, int stride, local uchar *slots, int which, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    global ushort *number = (global ushort *)(to + 4 * (i / 8) * stride) + (i & 7);
    if (first_token(p) + 4 * (i / 8) < count) *number = ((local const ushort *)slot_of(slots, which, i / 8))[i & 7];
  }
}

/* o [16 tokens x COLUMNS] of this sub-group, of a chunk with `count` tokens, through local memory for whole rows. */
static inline void write_outputs(keep_t *x, const float out[PARTS][32], const tiles_t *tiles, int n, const place_t *p,
                                 int count) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int h = 0; h < 2; h++) {
      uint pairs[8];
      UNROLL for (int i = 0; i < 8; i++) pairs[i] = engine_pack_bf16(out[j][4 * i + 2 * h], out[j][4 * i + 2 * h + 1]);
      UNROLL for (int i = 0; i < 8; i += 4)
          engine_store_rows(tiles->keys, AT_OUT - AT_KEYS + j * TILE + 1024 * h, i, pairs + i, &p->engine);
    }
  }
  engine_barrier();
  if (p->part != PARTS - 1) return; /* it has come for the barrier */
  local uchar *slots = slots_of(tiles->base + AT_OUT, p);
  walker_t to;
  find_walker(&to, &x->walkers, WALK_O, tiles, n, 0, p);
  UNROLL for (int j = 0; j < PARTS; j++) {
    if (p->whole)
      store_whole_rows(to.place + 128 * j, to.stride, slots, j, p, count);
    else
      store_rows(to.place + 128 * j, to.stride, slots, j, p, count);
  }
  walk_on(&x->walkers, WALK_O, &to);
}

/* ---- a chunk ---- */

/* Copies are three batches, one for each part of a chunk that waits for them: w; r and k; v. */
static inline void copy_decays(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_W, tiles->base + offset_of(n, ROWS_W), tiles, n, p, whole);
  engine_commit();
}

static inline void copy_tokens(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_R, tiles->base + AT_R, tiles, n, p, whole);
  copy_tensor(&x->walkers, WALK_K, tiles->base + offset_of(n, ROWS_K), tiles, n, p, whole);
  engine_commit();
}

/* By the first group for all. */
static inline void copy_values(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  walker_t from;
  find_walker(&from, &x->walkers, WALK_V, tiles, n, 0, p);
  UNROLL for (int j = 0; j < PARTS; j++)
      copy_rows(tiles->all + offset_of_values(n, j), &from, 128 * j, p, whole && p->part == 0);
  walk_on(&x->walkers, WALK_V, &from);
  engine_commit();
}

/* Chunk n, which is not whole. */
static inline void copy_rest(const keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  copy_some_rows(tiles->base + offset_of(n, ROWS_W), &x->walkers, WALK_W, 0, tiles, n, p, left);
  copy_some_rows(tiles->base + AT_R, &x->walkers, WALK_R, 0, tiles, n, p, left);
  copy_some_rows(tiles->base + offset_of(n, ROWS_K), &x->walkers, WALK_K, 0, tiles, n, p, left);
  for (int j = 0; j < (p->part == 0 ? PARTS : 0); j++)
    copy_some_rows(tiles->all + offset_of_values(n, j), &x->walkers, WALK_V, 128 * j, tiles, n, p, left);
  engine_commit();
  engine_wait(0);
}

/* The first group's share in o goes to the second one, and the next v to where that of the chunk before was, with which the
 * second is done. */
static inline void hand_over(float out[PARTS][32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left,
                             bool whole) {
  engine_signal(ENGINE_DONE, p->part == 1 && left > 2 * CHUNK);
  engine_group_barrier(&p->engine); /* products are over in all of the group */
  if (p->part == 0) give(tiles, out, p);
  engine_await(ENGINE_DONE, p->part == 0 && n > 0 && left > CHUNK);
  engine_signal(ENGINE_GIVEN, p->part == 0);
  if (!ENGINE_INDEPENDENT && p->part == 1) take(out, tiles, true, p);
  copy_values(x, tiles, n + 1, p, whole);
}

/* What the work-items of a group have stored for a chunk is there for products, and v for those of the first group, which the
 * second begins after. */
static inline void meet(const place_t *p) {
  engine_publish();
  engine_group_barrier(&p->engine);
}

/* S before chunk n, after the other group has taken what was there. */
static inline void show(const keep_t *x, const tiles_t *tiles, int n, const place_t *p) {
  if (PARTS > 1) engine_await(ENGINE_TAKEN, p->part == 0 && n > 0);
  show_state(&x->state, tiles, p);
}

/* Octet i of r~ and k / c, from the sums before (with what they begin with) and through tokens, which are where they go. */
static inline void divide_octet(tokens_t *r, tokens_t *k, const rows_t *r_rows, const rows_t *k_rows, int i, float first,
                                float second, uint sign) {
  const float more[2] = {first, second};
  UNROLL for (int h = 0; h < 2; h++) {
    const uint r_pair = r_rows->at[h][i], k_pair = k_rows->at[h][i];
    const float r_pairs[2] = {low_of(r_pair, sign), high_of(r_pair, sign)}, k_pairs[2] = {low(k_pair), high(k_pair)};
    UNROLL for (int q = 0; q < 2; q++) {
      float *before = &r->at[i][2 * h + q], *through = &k->at[i][2 * h + q];
      *before = r_pairs[q] * engine_exp2(fma(*before, LOG2_E, more[q]));
      *through = k_pairs[q] * engine_exp2(-fma(*through, LOG2_E, more[q]));
    }
  }
}

/* All octets of this sub-group, and r u k of its tokens; k / c goes to local memory. */
static inline void divide_tokens(tokens_t *r, tokens_t *k, float diagonal[2], const keep_t *x, const tiles_t *tiles,
                                 const place_t *p) {
  rows_t r_rows, k_rows;
  split_t keys;
  middle_t middle;
  find_middle(&middle, p);
  diagonal[0] = diagonal[1] = 0.0f;
  UNROLL for (int i = 0; i < 8; i += 4) {
    load_rows(&r_rows, tiles->keys, AT_R_FROM_KEYS, i, p);
    load_rows(&k_rows, tiles->rows, ROWS_K, i, p);
    UNROLL for (int j = i; j < i + 4; j += 2) {
      const float4 sums = sums_from_middle(&middle, tiles, j, p);
      add_diagonal(diagonal, &r_rows, &k_rows, j, x->sign, tiles, p);
      add_diagonal(diagonal, &r_rows, &k_rows, j + 1, x->sign, tiles, p);
      divide_octet(r, k, &r_rows, &k_rows, j, sums.x, sums.y, x->sign);
      divide_octet(r, k, &r_rows, &k_rows, j + 1, sums.z, sums.w, x->sign);
    }
    UNROLL for (int j = i; j < i + 4; j++) split_octet(&keys, k->at[j], j);
    store_keys(tiles->keys, k, i, p);
    store_split(tiles, &keys, i, p);
  }
  finish_diagonal(diagonal, x->scale, p);
}

/* Chunk n, where no product of decays is too small to divide by, of a unit with `left` tokens from its beginning on; `whole`:
 * the next one. r and k are the sums before and through tokens, and room. */
static inline void go_moderate(float out[PARTS][32], keep_t *x, tokens_t *r, tokens_t *k, const tiles_t *tiles, int n,
                               const place_t *p, int left, bool whole) {
  float A[32], diagonal[2], early[2], late[2];
  split_t parts;
  find_decays(early, late, tiles, p);
  decay_state(&x->state, x->state.late);
  decay_state(&x->state, early);
  show(x, tiles, n, p);
  divide_tokens(r, k, diagonal, x, tiles, p);
  engine_barrier(); /* rows of r go where they were */
  copy_tokens(x, tiles, n + 1, p, whole);
  begin_outputs(out, tiles, p, left);
  engine_wait(2);
  meet(p);
  open_tokens(r);
  multiply(A, r, tiles, AT_KEYS, false, p);
  engine_close();
  multiply_state(out, r, tiles, p);
  add_keys(&x->state, tiles, n, p);
  if (PARTS == 1) {
    copy_values(x, tiles, n + 1, p, whole);
    engine_finish(2, A);
  } else {
    engine_finish(1, A); /* r~ has to leave its registers */
  }
  mask(A, diagonal, p);
  split_pairs(&parts, A);
  multiply_values(out, &parts, tiles, n, p);
  finish(out, &x->state);
  x->state.late[0] = late[0], x->state.late[1] = late[1];
}

/* The exact way's r, with decays since the beginning of its 16 tokens, A of those, r u k and the decays of the chunk's halves;
 * S before the chunk and keys go to local memory. */
static inline void prepare_exact(tokens_t *r, float own[8], float diagonal[2], float early[2], float late[2], keep_t *x,
                                 const tiles_t *tiles, int n, const place_t *p, int left) {
  float factors[16];
  tokens_t k, decayed;
  split_t keys;
  rows_t r_rows, k_rows, w_rows;
  UNROLL for (int i = 0; i < 8; i += 4) {
    load_rows(&r_rows, tiles->keys, AT_R_FROM_KEYS, i, p);
    load_rows(&k_rows, tiles->rows, ROWS_K, i, p);
    load_rows(&w_rows, tiles->rows, ROWS_W, i, p);
  }
  find_decays(early, late, tiles, p);
  decay_state(&x->state, x->state.late);
  show(x, tiles, n, p);
  diagonal[0] = diagonal[1] = 0.0f;
  UNROLL for (int i = 0; i < 8; i++) add_diagonal(diagonal, &r_rows, &k_rows, i, x->sign, tiles, p);
  finish_diagonal(diagonal, x->scale, p);
  widen_rows(r, &r_rows, x->scale * ENGINE_CUT * ENGINE_CUT, x->sign);
  widen_rows(&k, &k_rows, 1.0f, 0);
  widen_decays(&decayed, &w_rows, p, left);
  join_tokens(own, r, &k, &r_rows, &k_rows, &decayed, x->sign ? -x->scale : x->scale, p);
  store_keys_for_pairs(tiles, &k, p);
  find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);
  decay_tokens(&decayed, &k, factors);
  UNROLL for (int i = 0; i < 8; i++) split_octet(&keys, decayed.at[i], i);
  UNROLL for (int i = 0; i < 8; i += 4) store_split(tiles, &keys, i, p);
}

/* Chunk n, whatever its decays are, of a unit with `left` tokens from its beginning on. */
static inline void go_exact(float out[PARTS][32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left,
                            bool whole) {
  float A[32], own[8], diagonal[2], early[2], late[2], factors[16];
  tokens_t r;
  split_t parts;
  prepare_exact(&r, own, diagonal, early, late, x, tiles, n, p, left);
  engine_barrier(); /* rows of r go where they were */
  copy_tokens(x, tiles, n + 1, p, whole);
  engine_wait(2);
  meet(p);
  if (PARTS == 1) copy_values(x, tiles, n + 1, p, whole);
  multiply_pairs(A, own, &r, tiles, p);
  mask(A, diagonal, p);
  split_pairs(&parts, A);
  find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);
  engine_group_barrier(&p->engine); /* the next chunk's sums go where these were */
  decay_tokens(&r, &r, factors);
  recall_state(&x->state, tiles, p);
  UNROLL for (int h = 0; h < 2; h++) early[h] *= late[h];
  decay_state(&x->state, early);
  begin_outputs(out, tiles, p, left);
  open_tokens(&r);
  multiply_state(out, &r, tiles, p);
  add_keys(&x->state, tiles, n, p);
  multiply_values(out, &parts, tiles, n, p);
  finish(out, &x->state);
  x->state.late[0] = x->state.late[1] = 1.0f;
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  float out[PARTS][32];
  tokens_t before, through;
  find_tiles(tiles, n, p);
  if (!is_whole(p, left)) copy_rest(x, tiles, n, p, left);
  engine_wait(2);
  engine_barrier();
  sum_logs(&before, &through, false, tiles, p, left);
  const bool moderate =
      engine_all(store_sums(&through, tiles, p), &p->engine); /* and chunk n - 1 is over for all of the group */
  const bool whole = is_whole(p, left - CHUNK);
  copy_decays(x, tiles, n + 1, p, whole);
  engine_wait(2);
  engine_barrier();
  if (moderate)
    go_moderate(out, x, &before, &through, tiles, n, p, left, whole);
  else
    go_exact(out, x, tiles, n, p, left, whole);
  if (PARTS > 1) hand_over(out, x, tiles, n, p, left, whole);
  if (!ENGINE_INDEPENDENT || p->part == PARTS - 1) write_outputs(x, out, tiles, n, p, left);
}

/* Before the first chunk, of a unit with `all` tokens: its copies, and what stays the same. */
static inline void begin(keep_t *x, const tiles_t *tiles, const place_t *p, global const float *u, float scale, int all) {
  if (PARTS > 1) barrier(CLK_LOCAL_MEM_FENCE); /* walkers are in local memory */
  copy_decays(x, tiles, 0, p, is_whole(p, all));
  copy_tokens(x, tiles, 0, p, is_whole(p, all));
  copy_values(x, tiles, 0, p, is_whole(p, all));
  x->scale = fabs(scale);
  x->sign = scale < 0.0f ? 0x80000000u : 0u;
  if (p->item < 32) store_ones(tiles, BEFORE, THROUGH, log(fabs(scale) * ENGINE_CUT * ENGINE_CUT), p);
  for (int i = p->item; i < 64; i += GROUP)
    bonus_of(tiles)[(i & 7) / 2 * SUMS_STRIDE + i / 8 * 2 + (i & 1)] = u[64 * p->part + i];
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void find_outputs(keep_t *x, const tiles_t *tiles, global dtype_t *o, layout_t o_at, const place_t *p,
                                index_t step) {
  begin_walk(&x->walkers, WALK_O, tiles, o, o_at, BYTES, p, step, COLUMNS * p->tile);
}

#include "chunk_group_outputs.h" /* the kernel */
