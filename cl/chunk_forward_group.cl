/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items: chunk_forward.cl's kernel, arguments and formulas (docs/algorithm.md, "Chunk
 * mode" and "Exact and factored decays"), for any engine that has the functions of engine_hopper.h. bf16 only. in_scale is 1.
 *
 * A work-group owns COLUMNS value channels of one head of one unit and goes once over its tokens, CHUNK at a time. A sub-group
 * makes r~, keys and A of 16 tokens, and keeps 16 of 64 key channels of S:
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
 * bf16, upper and lower. v is one number.
 */
#include "chunk_group_exact.h"
#include "chunk_group_state.h"

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walker_t walk_r, walk_k, walk_w, walk_v;
  global uchar *output; /* where its part of the next chunk of o goes */
  int output_stride;
  float scale; /* of r, positive */
  uint sign;   /* of r: what flips it */
} keep_t;

/* ---- outputs ---- */

/* Before products of r~. */
static inline void open_tokens(tokens_t *r) {
  UNROLL for (int n = 0; n < 8; n++) engine_ready(r->at[n]);
  engine_open();
}

/* C = r~ B^T, of two tiles of B `offset` bytes behind the first: keys or the state. */
static inline void multiply(float C[32], const tokens_t *r, const tiles_t *tiles, int offset, const place_t *p) {
  UNROLL for (int n = 0; n < 8; n++) {
    uint a[4];
    tokens_of(a, r, n);
    if (n == 0)
      engine_group_multiply_tf32(C, a, tiles->base, offset, 0, 0, &p->engine);
    else
      engine_group_multiply_tf32(C, a, tiles->base, offset + n / 4 * TILE, n & 3, 1, &p->engine);
  }
  engine_close();
}

/* out += A v */
static inline void multiply_values(float out[32], const float A[32], const tiles_t *tiles, int n, const place_t *p) {
  const int v = offset_of(n, ROWS_V);
  split_t parts;
  UNROLL for (int i = 0; i < 8; i++) split_octet(&parts, A + 4 * i, i);
  engine_open();
  UNROLL for (int step = 0; step < 4; step++) {
    uint x[4], y[4];
    operand_of(x, parts.upper, step);
    operand_of(y, parts.lower, step);
    engine_group_multiply(out, x, tiles->base, v, step, &p->engine);
    engine_group_multiply(out, y, tiles->base, v, step, &p->engine);
  }
  engine_close();
}

/* sum_ch r_i u k_i of tokens row and row + 8 grows by those of octet n. */
static inline void add_diagonal(float diagonal[2], const rows_t *r, const rows_t *k, int n, uint sign, const tiles_t *tiles,
                                const place_t *p) {
  const float2 u = ((local const float2 *)(bonus_of(tiles) + p->engine.pair * SUMS_STRIDE))[n];
  UNROLL for (int h = 0; h < 2; h++) diagonal[h] = fma(low_of(r->at[h][n], sign), u.x * low(k->at[h][n]),
                                                       fma(high_of(r->at[h][n], sign), u.y * high(k->at[h][n]), diagonal[h]));
}

/* The whole sum. */
static inline void finish_diagonal(float diagonal[2], float scale, const place_t *p) {
  UNROLL for (int h = 0; h < 2; h++) {
    diagonal[h] += engine_swap(diagonal[h], 1, &p->engine);
    diagonal[h] += engine_swap(diagonal[h], 2, &p->engine);
    diagonal[h] *= scale;
  }
}

/* Nothing above the diagonal, and what belongs on it, for sub-group `warp` (a constant). */
static inline void mask_of(float A[32], const float diagonal[2], int warp, const place_t *p) {
  const int ahead = p->engine.row - 2 * p->engine.pair;
  UNROLL for (int n = 2 * warp; n < 8; n++) {
    UNROLL for (int q = 0; q < 4; q++) {
      const int h = q / 2, beyond = n - 2 * warp - h; /* octets of tokens j after that of token i */
      const float on = select(0.0f, diagonal[h], ahead == (q & 1));
      A[4 * n + q] = beyond > 0 ? 0.0f : beyond < 0 ? A[4 * n + q] : select(on, A[4 * n + q], ahead > (q & 1));
    }
  }
}

static inline void mask(float A[32], const float diagonal[2], const place_t *p) {
  if (p->engine.warp == 0)
    mask_of(A, diagonal, 0, p);
  else if (p->engine.warp == 1)
    mask_of(A, diagonal, 1, p);
  else if (p->engine.warp == 2)
    mask_of(A, diagonal, 2, p);
  else
    mask_of(A, diagonal, 3, p);
}

/* `count` tokens, to aligned rows. */
static inline void store_whole_rows(const keep_t *x, local uchar *slots, const place_t *p, int count) {
  UNROLL for (int i = 0; i < 4; i++) {
    if (first_token(p) + 4 * i < count)
      *(global uint4 *)(x->output + (long)x->output_stride * (4 * i)) = *slot_of(slots, ROWS_OUT, i);
  }
}

static inline void store_rows(const keep_t *x, local uchar *slots, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    global ushort *to = (global ushort *)(x->output + 4 * (i / 8) * x->output_stride) + (i & 7);
    if (first_token(p) + 4 * (i / 8) < count) *to = ((local const ushort *)slot_of(slots, ROWS_OUT, i / 8))[i & 7];
  }
}

/* o [16 tokens x COLUMNS] of this sub-group, of a chunk with `count` tokens, through local memory for whole rows. */
static inline void write_outputs(keep_t *x, const float out[32], const tiles_t *tiles, int n, const place_t *p, int count) {
  UNROLL for (int h = 0; h < 2; h++) {
    uint pairs[8];
    UNROLL for (int i = 0; i < 8; i++) pairs[i] = engine_pack_bf16(out[4 * i + 2 * h], out[4 * i + 2 * h + 1]);
    engine_store_rows(tiles->rows, ROWS_OUT * TILE + 1024 * h, 0, pairs, &p->engine);
    engine_store_rows(tiles->rows, ROWS_OUT * TILE + 1024 * h, 4, pairs + 4, &p->engine);
  }
  engine_barrier();
  if (p->whole)
    store_whole_rows(x, slots_of(tiles, n, p), p, count);
  else
    store_rows(x, slots_of(tiles, n, p), p, count);
  x->output += (long)x->output_stride * CHUNK;
}

/* ---- a chunk ---- */

/* Whether all 64 tokens of chunk n, `left` of which or more are there, are for copy_whole_rows. Else what there is of them is
 * copied. */
static inline bool is_whole(const keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  if (p->whole && left >= CHUNK) return true;
  if (left > 0) {
    local uchar *slots = slots_of(tiles, n, p);
    copy_some_rows(slots, ROWS_W, &x->walk_w, p, left);
    copy_some_rows(slots, ROWS_R, &x->walk_r, p, left);
    copy_some_rows(slots, ROWS_K, &x->walk_k, p, left);
    copy_some_rows(slots, ROWS_V, &x->walk_v, p, left);
  }
  return false;
}

/* Copies are three batches, one for each part of a chunk that waits for them: w; r and k; v. */
static inline void copy_decays(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_whole_rows(slots_of(tiles, n, p), ROWS_W, &x->walk_w, whole);
  engine_commit();
}

static inline void copy_tokens(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  local uchar *slots = slots_of(tiles, n, p);
  copy_whole_rows(slots, ROWS_R, &x->walk_r, whole);
  copy_whole_rows(slots, ROWS_K, &x->walk_k, whole);
  engine_commit();
}

static inline void copy_values(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_whole_rows(slots_of(tiles, n, p), ROWS_V, &x->walk_v, whole);
  engine_commit();
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
    load_rows(&r_rows, tiles, ROWS_R, i, p);
    load_rows(&k_rows, tiles, ROWS_K, i, p);
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

/* Chunk n, where no product of decays is too small to divide by. r and k are the sums before and through tokens, and room. */
static inline void go_moderate(float out[32], keep_t *x, tokens_t *r, tokens_t *k, const tiles_t *tiles, int n,
                               const place_t *p, bool whole) {
  float A[32], diagonal[2], early[2], late[2];
  find_decays(early, late, tiles, p);
  decay_state(&x->state, x->state.late);
  decay_state(&x->state, early);
  show_state(&x->state, tiles, p);
  divide_tokens(r, k, diagonal, x, tiles, p);
  copy_tokens(x, tiles, n + 1, p, whole);
  engine_wait();
  meet();
  open_tokens(r);
  multiply(A, r, tiles, AT_KEYS, p);
  multiply(out, r, tiles, AT_STATE, p);
  add_keys(&x->state, tiles, n, p);
  copy_values(x, tiles, n + 1, p, whole);
  engine_finish(2, A);
  mask(A, diagonal, p);
  multiply_values(out, A, tiles, n, p);
  engine_finish(0, x->state.at);
  engine_finish(0, out);
  x->state.late[0] = late[0], x->state.late[1] = late[1];
}

/* Chunk n, whatever its decays are. */
static inline void go_exact(float out[32], keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left, bool whole) {
  float A[32], own[8], diagonal[2] = {0.0f, 0.0f}, early[2], late[2], factors[16];
  tokens_t r, k, decayed;
  split_t keys;
  rows_t r_rows, k_rows, w_rows;
  UNROLL for (int i = 0; i < 8; i += 4) {
    load_rows(&r_rows, tiles, ROWS_R, i, p);
    load_rows(&k_rows, tiles, ROWS_K, i, p);
    load_rows(&w_rows, tiles, ROWS_W, i, p);
  }
  find_decays(early, late, tiles, p);
  decay_state(&x->state, x->state.late);
  show_state(&x->state, tiles, p);
  UNROLL for (int i = 0; i < 8; i++) add_diagonal(diagonal, &r_rows, &k_rows, i, x->sign, tiles, p);
  finish_diagonal(diagonal, x->scale, p);
  widen_rows(&r, &r_rows, x->scale * ENGINE_CUT * ENGINE_CUT, x->sign);
  widen_rows(&k, &k_rows, 1.0f, 0);
  widen_decays(&decayed, &w_rows, p, left);
  join_tokens(own, &r, &k, &r_rows, &k_rows, &decayed, x->sign ? -x->scale : x->scale, p);
  store_keys_for_pairs(tiles, &k, p);
  find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);
  decay_tokens(&decayed, &k, factors);
  UNROLL for (int i = 0; i < 8; i++) split_octet(&keys, decayed.at[i], i);
  UNROLL for (int i = 0; i < 8; i += 4) store_split(tiles, &keys, i, p);
  UNROLL for (int h = 0; h < 2; h++) early[h] *= late[h];
  decay_state(&x->state, early);
  copy_tokens(x, tiles, n + 1, p, whole);
  engine_wait();
  meet();
  copy_values(x, tiles, n + 1, p, whole);
  multiply_pairs(A, own, &r, tiles, p);
  mask(A, diagonal, p);
  find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);
  barrier(CLK_LOCAL_MEM_FENCE); /* the next chunk's sums go where these were */
  decay_tokens(&r, &r, factors);
  open_tokens(&r);
  multiply(out, &r, tiles, AT_STATE, p);
  add_keys(&x->state, tiles, n, p);
  multiply_values(out, A, tiles, n, p);
  engine_finish(0, x->state.at);
  engine_finish(0, out);
  x->state.late[0] = x->state.late[1] = 1.0f;
}

/* Compilers would find out for all chunks what a chunk needs, and have no registers for it. */
static inline void refresh(keep_t *x, tiles_t *tiles, int n, place_t *p) {
  engine_refresh(&p->engine);
  p->slot = engine_fresh(p->slot);
  p->state_slot = engine_fresh(p->state_slot);
  x->walk_r.stride = engine_fresh(x->walk_r.stride);
  x->walk_k.stride = engine_fresh(x->walk_k.stride);
  x->walk_w.stride = engine_fresh(x->walk_w.stride);
  x->walk_v.stride = engine_fresh(x->walk_v.stride);
  x->output_stride = engine_fresh(x->output_stride);
  find_tiles(tiles, n, p);
}

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  float out[32];
  tokens_t before, through;
  refresh(x, tiles, n, p);
  engine_wait();
  engine_barrier();
  sum_logs(&before, &through, false, tiles, p, left);
  const bool moderate = engine_all(store_sums(&through, tiles, p), &p->engine); /* and chunk n - 1 is over for all */
  const bool whole = is_whole(x, tiles, n + 1, p, left - CHUNK);
  copy_decays(x, tiles, n + 1, p, whole);
  engine_wait();
  engine_barrier();
  if (moderate)
    go_moderate(out, x, &before, &through, tiles, n, p, whole);
  else
    go_exact(out, x, tiles, n, p, left, whole);
  write_outputs(x, out, tiles, n, p, left);
}

/* Arguments as in chunk_forward.cl. */
ENGINE_KERNEL __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_by_unit, global dtype_t *o, layout_t o_at,
              global float *final, long final_at, global const int *slots, long slots_at, global float *carry, long carry_at,
              global const long8 *units, batch_t batch, int dual, float out_scale, float in_scale, long first_step,
              long last_step, long first_group) {
  local uchar pool[LOCAL_BYTES + ENGINE_SLACK] __attribute__((aligned(1024)));
  local uint exchange[GROUP * ENGINE_EXCHANGE];
  tiles_t tiles[1];
  find_base(tiles, pool);
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  const int all = active ? (int)(end - first_step) : 0;
  for (int i = p->item; i < KEY_DIM; i += GROUP)
    bonus_of(tiles)[(i & 7) / 2 * SUMS_STRIDE + i / 8 * 2 + (i & 1)] = u[u_at + p->head * KEY_DIM + i];
  p->whole = aligned(r, r_at) && aligned(k, k_at) && aligned(v, v_at) && aligned(w, w_at) && aligned(o, o_at);
  p->numbers = batch.s5 > 0 ? 32 : 0; /* there are heads */
  if (p->item < 32) store_ones(tiles, BEFORE, THROUGH, log(fabs(out_scale) * ENGINE_CUT * ENGINE_CUT), p);
  barrier(CLK_LOCAL_MEM_FENCE);

  keep_t x[1];
  walker_t to;
  begin_walk(&x->walk_r, r, r_at, p, first_step, 0);
  begin_walk(&x->walk_k, k, k_at, p, first_step, 0);
  begin_walk(&x->walk_w, w, w_at, p, first_step, 0);
  begin_walk(&x->walk_v, v, v_at, p, first_step, COLUMNS * p->tile);
  begin_walk(&to, o, o_at, p, first_step, COLUMNS * p->tile);
  x->output = (global uchar *)o + (to.place - (global const uchar *)o);
  x->output_stride = to.stride;
  x->scale = fabs(out_scale);
  x->sign = out_scale < 0.0f ? 0x80000000u : 0u;
  if (first_step > 0)
    load_state(&x->state, carry + carry_at + state_at(p, p->unit.carry), p, active);
  else
    load_state(&x->state, start + start_at + state_at(p, start_by_unit ? p->unit.number : p->unit.state), p,
               active && start != 0);
  const bool whole = is_whole(x, tiles, 0, p, all);
  copy_decays(x, tiles, 0, p, whole);
  copy_tokens(x, tiles, 0, p, whole);
  copy_values(x, tiles, 0, p, whole);
  for (int n = 0; n * CHUNK < all; n++) go(x, tiles, n, p, all - n * CHUNK);

  const bool ends_sequence = dual ? p->unit.first : p->unit.last;
  if (active && end < p->unit.length) store_state(&x->state, carry + carry_at + state_at(p, p->unit.carry), p);
  if (active && end == p->unit.length && ends_sequence && final)
    store_state(&x->state, final + final_at + state_at(p, p->unit.state), p);
}
