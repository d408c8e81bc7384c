/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items for 128 key channels: chunk_forward.cl's kernel, arguments and formulas, as
 * chunk_forward_group.cl has them, but with S turned over. bf16 only. in_scale is 1.
 *
 * A work-group owns COLUMNS = 128 value channels of one head of one unit, a group 64 of them, with all key channels: it keeps
 * S^T [64 value channels x KEY_DIM] in accumulators, which are an operand as they are, and makes o^T [64 x 64 tokens]:
 *
 *     o^T = S^T r~^T + v^T A^T     S^T = S^T D + v^T keys
 *
 * For both, a group makes r~ and keys of 64 key channels, and 32 columns of A.
 */
#define OUTPUTS
#define WIDE
#include "chunk_group_exact.h"
#include "chunk_group_mask.h"

#include "chunk_group_walk.h" /* after tiles */
#include "chunk_wide_state.h"

/* What a work-item keeps from chunk to chunk. */
typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  float late;  /* decay of key channel `item` of this group that S is still without, of the first 64 work-items */
  float scale; /* of r, positive */
  uint sign;   /* of r: what flips it */
} keep_t;

/* sum_ch r_i u k_i of tokens row and row + 8 grows by those of octet n. */
static inline void add_diagonal(float diagonal[2], const rows_t *r, const rows_t *k, int n, uint sign, const tiles_t *tiles,
                                const place_t *p) {
  const float2 u = ((local const float2 *)(bonus_of(tiles) + p->engine.pair * SUMS_STRIDE))[n];
  UNROLL for (int h = 0; h < 2; h++) diagonal[h] = fma(low_of(r->at[h][n], sign), u.x * low(k->at[h][n]),
                                                       fma(high_of(r->at[h][n], sign), u.y * high(k->at[h][n]), diagonal[h]));
}

/* The last row has the sums of all 16 tokens. Returns whether they are moderate: NaN is not, nor are decays that make more of a
 * state. */
static inline bool store_sums(const tokens_t *through, const tiles_t *tiles, const place_t *p) {
  local float2 *to = (local float2 *)(sums_of(tiles, p->engine.warp) + p->engine.pair * SUMS_STRIDE);
  bool moderate = true;
  UNROLL for (int n = 0; n < 8; n++) {
    const float first = through->at[n][2], second = through->at[n][3];
    if (p->engine.row == 7) to[n] = (float2)(first, second);
    moderate &= (fabs(first) <= -MODERATE) & (fabs(second) <= -MODERATE);
  }
  return p->engine.row != 7 || moderate;
}

/* ---- copies ---- */

static inline void copy_decays(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_W, tiles->base + offset_of(n, ROWS_W), tiles, n, p, whole);
  engine_commit();
}

static inline void copy_tokens(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_R, tiles->base + AT_R, tiles, n, p, whole);
  copy_tensor(&x->walkers, WALK_K, tiles->base + offset_of(n, ROWS_K), tiles, n, p, whole);
  engine_commit();
}

static inline void copy_values(keep_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_tensor(&x->walkers, WALK_V, tiles->all + offset_of_values(n, p->part), tiles, n, p, whole);
  engine_commit();
}

/* Chunk n, which is not whole. */
static inline void copy_rest(const keep_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  copy_some_rows(tiles->base + offset_of(n, ROWS_W), &x->walkers, WALK_W, 0, tiles, n, p, left);
  copy_some_rows(tiles->base + AT_R, &x->walkers, WALK_R, 0, tiles, n, p, left);
  copy_some_rows(tiles->base + offset_of(n, ROWS_K), &x->walkers, WALK_K, 0, tiles, n, p, left);
  copy_some_rows(tiles->all + offset_of_values(n, p->part), &x->walkers, WALK_V, 0, tiles, n, p, left);
  engine_commit();
  engine_wait(0);
}

/* ---- outputs ---- */

/* `count` tokens, to aligned rows. */
static inline void store_whole_rows(global uchar *to, int stride, local uchar *slots, const place_t *p, int count) {
  UNROLL for (int i = 0; i < 4; i++) {
    if (first_token(p) + 4 * i < count) *(global uint4 *)(to + (long)stride * (4 * i)) = *slot_of(slots, 0, i);
  }
}

static inline void store_rows(global uchar *to, int stride, local uchar *slots, const place_t *p, int count) {
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    global ushort *number = (global ushort *)(to + 4 * (i / 8) * stride) + (i & 7);
    if (first_token(p) + 4 * (i / 8) < count) *number = ((local const ushort *)slot_of(slots, 0, i / 8))[i & 7];
  }
}

/* o [64 tokens x 64] of this group, of a chunk with `count` tokens, through local memory for whole rows. */
static inline void write_outputs(keep_t *x, const float out[32], const tiles_t *tiles, int n, const place_t *p, int count) {
  local uchar *columns = engine_columns(tiles->base + AT_OUT, &p->engine);
  UNROLL for (int i = 0; i < 8; i += 2) {
    uint pairs[4];
    UNROLL for (int q = 0; q < 4; q++) pairs[q] =
        engine_pack_bf16(out[4 * (i + (q & 1)) + q / 2 * 2], out[4 * (i + (q & 1)) + q / 2 * 2 + 1]);
    engine_store_columns(columns, 1024 * i, 2 * p->engine.warp, pairs, &p->engine);
  }
  engine_group_barrier(&p->engine);
  local uchar *slots = slots_of(tiles->base + AT_OUT, p);
  walker_t to;
  find_walker(&to, &x->walkers, WALK_O, tiles, n, 0, p);
  if (p->whole)
    store_whole_rows(to.place, to.stride, slots, p, count);
  else
    store_rows(to.place, to.stride, slots, p, count);
  walk_on(&x->walkers, WALK_O, &to);
}

/* ---- r~, keys and what else is made before products ---- */

/* This group's share in what is on the diagonal of A. */
static inline void give_diagonal(float diagonal[2], const keep_t *x, const tiles_t *tiles, const place_t *p) {
  finish_diagonal(diagonal, x->scale, p);
  UNROLL for (int h = 0; h < 2; h++) {
    if (p->engine.pair == 0) diagonal_of(tiles->base)[ROWS * p->engine.warp + p->engine.row + 8 * h] = diagonal[h];
  }
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

/* All octets of this sub-group, and r u k of its tokens, to local memory. */
static inline void divide_tokens(tokens_t *r, tokens_t *k, const keep_t *x, const tiles_t *tiles, const place_t *p) {
  float diagonal[2] = {0.0f, 0.0f};
  rows_t r_rows, k_rows;
  split_t keys;
  middle_t middle;
  find_middle(&middle, p);
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
    store_keys(tiles->keys + AT_TOKENS - AT_KEYS, r, i, p);
    store_keys(tiles->keys, k, i, p);
    store_split(tiles, &keys, i, p);
  }
  give_diagonal(diagonal, x, tiles, p);
}

/* The other group's columns of A, as far as they are of this group's key channels, and its own ones. */
static inline void give_share(float own[16], const float A[32], const tiles_t *tiles, const place_t *p) {
  local float4 *to = share_of(tiles, 1 - p->part, p);
  const bool late = p->part == 1;
  UNROLL for (int i = 0; i < 4; i++) {
    float4 mine, other;
    mine.x = select(A[4 * i], A[16 + 4 * i], (int)late), other.x = select(A[16 + 4 * i], A[4 * i], (int)late);
    mine.y = select(A[4 * i + 1], A[17 + 4 * i], (int)late), other.y = select(A[17 + 4 * i], A[4 * i + 1], (int)late);
    mine.z = select(A[4 * i + 2], A[18 + 4 * i], (int)late), other.z = select(A[18 + 4 * i], A[4 * i + 2], (int)late);
    mine.w = select(A[4 * i + 3], A[19 + 4 * i], (int)late), other.w = select(A[19 + 4 * i], A[4 * i + 3], (int)late);
    to[GROUP * i] = other;
    vstore4(mine, i, own);
  }
}

static inline void take_share(float A[16], const float own[16], const tiles_t *tiles, const place_t *p) {
  local const float4 *from = share_of(tiles, p->part, p);
  UNROLL for (int i = 0; i < 4; i++) {
    const float4 share = from[GROUP * i];
    A[4 * i] = own[4 * i] + share.x, A[4 * i + 1] = own[4 * i + 1] + share.y;
    A[4 * i + 2] = own[4 * i + 2] + share.z, A[4 * i + 3] = own[4 * i + 3] + share.w;
  }
}

/* The same without quotients; and this group's share in A. */
static inline void prepare_exact(float A[16], keep_t *x, const tiles_t *tiles, const place_t *p, int left) {
  float own[8], factors[16], diagonal[2] = {0.0f, 0.0f}, all[32];
  tokens_t r, k, decayed;
  split_t keys;
  rows_t r_rows, k_rows, w_rows;
  UNROLL for (int i = 0; i < 8; i += 4) {
    load_rows(&r_rows, tiles->keys, AT_R_FROM_KEYS, i, p);
    load_rows(&k_rows, tiles->rows, ROWS_K, i, p);
    load_rows(&w_rows, tiles->rows, ROWS_W, i, p);
  }
  UNROLL for (int i = 0; i < 8; i++) add_diagonal(diagonal, &r_rows, &k_rows, i, x->sign, tiles, p);
  give_diagonal(diagonal, x, tiles, p);
  widen_rows(&r, &r_rows, x->scale * ENGINE_CUT * ENGINE_CUT, x->sign);
  widen_rows(&k, &k_rows, 1.0f, 0);
  widen_decays(&decayed, &w_rows, p, left);
  join_tokens(own, &r, &k, &r_rows, &k_rows, &decayed, x->sign ? -x->scale : x->scale, p);
  store_keys_for_pairs(tiles, &k, p);
  find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);
  decay_tokens(&decayed, &k, factors);
  UNROLL for (int i = 0; i < 8; i++) split_octet(&keys, decayed.at[i], i);
  UNROLL for (int i = 0; i < 8; i += 4) store_split(tiles, &keys, i, p);
  engine_group_barrier(&p->engine);
  multiply_pairs(all, own, &r, tiles, p);
  give_share(A, all, tiles, p);
  find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);
  decay_tokens(&r, &r, factors);
  UNROLL for (int i = 0; i < 8; i += 4) store_keys(tiles->keys + AT_TOKENS - AT_KEYS, &r, i, p);
}

/* ---- products ---- */

/* A = r~ (k / c)^T of 64 tokens and this group's 32. */
static inline void multiply_keys(float A[16], const tiles_t *tiles, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int n = 0; n < 8; n++) {
      const int tokens = j * PART_BYTES + AT_TOKENS + n / 4 * TILE, keys = j * PART_BYTES + AT_KEYS + n / 4 * TILE;
      if (j == 0 && n == 0)
        engine_group_multiply_half(A, tiles->all, tokens, tiles->own_rows, keys, n & 3, 0, &p->engine);
      else
        engine_group_multiply_half(A, tiles->all, tokens, tiles->own_rows, keys, n & 3, 1, &p->engine);
    }
  }
  engine_close();
}

/* o^T = S^T r~^T */
static inline void multiply_state(float out[32], const state_t *state, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    UNROLL for (int n = 0; n < 8; n++) {
      uint a[4];
      UNROLL for (int q = 0; q < 4; q++) a[q] = as_uint(state->at[j][4 * n + (q & 1) * 2 + q / 2]);
      const int tokens = j * PART_BYTES + AT_TOKENS + n / 4 * TILE;
      if (j == 0 && n == 0)
        engine_group_multiply_tf32(out, a, tiles->all, tokens, n & 3, 0, &p->engine);
      else
        engine_group_multiply_tf32(out, a, tiles->all, tokens, n & 3, 1, &p->engine);
    }
  }
  engine_close();
}

/* o^T += v^T A^T */
static inline void multiply_values(float out[32], const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int step = 0; step < 4; step++) {
    engine_group_multiply_turned(out, tiles->values, offset_of_values(n, 0), tiles->all, AT_A, step, 1, &p->engine);
    engine_group_multiply_turned(out, tiles->values, offset_of_values(n, 0), tiles->all, AT_A + TILE, step, 1, &p->engine);
  }
  engine_close();
}

/* S^T += v^T keys */
static inline void add_keys(state_t *x, const tiles_t *tiles, int n, const place_t *p) {
  UNROLL for (int j = 0; j < PARTS; j++) {
    const int upper = j * PART_BYTES + offset_of(n, ROWS_UPPER), lower = j * PART_BYTES + offset_of(n, ROWS_LOWER);
    UNROLL for (int step = 0; step < 4; step++) {
      engine_group_multiply_tiles(x->at[j], tiles->values, offset_of_values(n, 0), tiles->all, upper, step, 1, &p->engine);
      engine_group_multiply_tiles(x->at[j], tiles->values, offset_of_values(n, 0), tiles->all, lower, step, 1, &p->engine);
    }
  }
  engine_close();
}

/* This group's columns of A, nothing above the diagonal, as pairs to local memory. */
static inline void show_pairs(float A[16], const tiles_t *tiles, const place_t *p) {
  const int ahead = ROWS * p->engine.warp + p->engine.row - 32 * p->part - 2 * p->engine.pair; /* of column 0 */
  split_t parts;
  local uchar *rows = engine_rows(tiles->all + AT_A + ROWS * 128 * p->engine.warp, &p->engine);
  UNROLL for (int h = 0; h < 2; h++) {
    const int token = ROWS * p->engine.warp + p->engine.row + 8 * h;
    const float diagonal = diagonal_of(tiles->all)[token] + diagonal_of(tiles->all + PART_BYTES)[token];
    UNROLL for (int n = 0; n < 4; n++) {
      UNROLL for (int q = 0; q < 2; q++) {
        const int column = 8 * n + q - 8 * h;
        float *a = A + 4 * n + 2 * h + q;
        *a = ahead > column ? *a : ahead == column ? diagonal : 0.0f;
      }
    }
  }
  UNROLL for (int n = 0; n < 4; n++) split_octet(&parts, A + 4 * n, n);
  UNROLL for (int h = 0; h < 2; h++) {
    engine_store_rows(rows, 1024 * h, 4 * p->part, parts.upper[h], &p->engine);
    engine_store_rows(rows, TILE + 1024 * h, 4 * p->part, parts.lower[h], &p->engine);
  }
}

/* ---- a chunk ---- */

/* Chunk n, of a unit with `left` tokens from its beginning on. */
static inline void go(keep_t *x, tiles_t *tiles, int n, place_t *p, int left) {
  float out[32], A[16], own[16];
  tokens_t before, through;
  find_tiles(tiles, n, p);
  if (!is_whole(p, left)) copy_rest(x, tiles, n, p, left);
  engine_wait(2);
  engine_barrier();
  sum_logs(&before, &through, false, tiles, p, left);
  const bool moderate = engine_all_groups(store_sums(&through, tiles, p), &p->engine); /* and chunk n - 1 is over */
  const bool whole = is_whole(p, left - CHUNK);
  copy_decays(x, tiles, n + 1, p, whole);
  engine_wait(2);
  engine_barrier();
  make_factors(&x->late, moderate, tiles, p);
  if (moderate)
    divide_tokens(&before, &through, x, tiles, p);
  else
    prepare_exact(own, x, tiles, p, left);
  engine_barrier(); /* rows of r go where they were */
  copy_tokens(x, tiles, n + 1, p, whole);
  engine_wait(2);
  engine_publish();
  barrier(CLK_LOCAL_MEM_FENCE);
  decay_state(&x->state, FIRST_FACTORS, tiles, p);
  engine_open();
  multiply_keys(A, tiles, p);
  multiply_state(out, &x->state, tiles, p);
  copy_values(x, tiles, n + 1, p, whole);
  engine_finish_half(1, A);
  if (!moderate) take_share(A, own, tiles, p);
  show_pairs(A, tiles, p);
  engine_publish();
  engine_finish(0, out);
  barrier(CLK_LOCAL_MEM_FENCE);
  if (!moderate) decay_state(&x->state, SECOND_FACTORS, tiles, p);
  engine_open();
  multiply_values(out, tiles, n, p);
  add_keys(&x->state, tiles, n, p);
  engine_finish(1, out);
  write_outputs(x, out, tiles, n, p, left);
  finish_state(&x->state);
}

/*
 * Arguments as in chunk_forward.cl, but that start_is START_SUMS, where `start` is the sums of chunk_states for each unit,
 * `decays` their decays and `initial` the states before sequences, or NULL.
 */
ENGINE_KERNEL __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_forward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
              layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
              global const float *start, long start_at, int start_is, global const float *initial, long initial_at,
              global const float *decays, long decays_at, global dtype_t *o, layout_t o_at, global float *final, long final_at,
              global const int *slots, long slots_at, global float *carry, long carry_at, global const long8 *units,
              batch_t batch, int dual, float out_scale, float in_scale, long first_step, long last_step, long first_group) {
  ENGINE_SHOWN_ONLY;
  local uchar pool[LOCAL_BYTES + ENGINE_SLACK] __attribute__((aligned(1024)));
  local uint exchange[WORK_GROUP * ENGINE_EXCHANGE];
  tiles_t tiles[1];
  place_t p[1];
  find_place(p, units, batch, dual, first_group, exchange);
  find_base(tiles, pool, p);
  keep_t x[1];
  const bool present = find_state(&p->unit, slots, slots_at, batch);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = present && (first_step == 0 || first_step < p->unit.length);
  const int all = active ? (int)(end - first_step) : 0;
  p->whole = aligned(r, r_at, 2) && aligned(k, k_at, 2) && aligned(v, v_at, 2) && aligned(w, w_at, 2) && aligned(o, o_at, 2);
  p->numbers = batch.s5 > 0 ? 32 : 0; /* there are heads */
  begin_walk(&x->walkers, WALK_R, tiles, r, r_at, 2, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_K, tiles, k, k_at, 2, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_W, tiles, w, w_at, 2, p, first_step, 64 * p->part);
  begin_walk(&x->walkers, WALK_V, tiles, v, v_at, 2, p, first_step, COLUMNS * p->tile + 64 * p->part);
  begin_walk(&x->walkers, WALK_O, tiles, o, o_at, 2, p, first_step, COLUMNS * p->tile + 64 * p->part);
  barrier(CLK_LOCAL_MEM_FENCE); /* walkers are in local memory */

  copy_decays(x, tiles, 0, p, is_whole(p, all));
  copy_tokens(x, tiles, 0, p, is_whole(p, all));
  copy_values(x, tiles, 0, p, is_whole(p, all));
  x->late = 1.0f;
  x->scale = fabs(out_scale);
  x->sign = out_scale < 0.0f ? 0x80000000u : 0u;
  if (p->item < 32) store_ones(tiles, BEFORE, THROUGH, log(fabs(out_scale) * ENGINE_CUT * ENGINE_CUT), p);
  for (int i = p->item; i < 64; i += GROUP)
    bonus_of(tiles)[(i & 7) / 2 * SUMS_STRIDE + i / 8 * 2 + (i & 1)] = u[u_at + p->head * KEY_DIM + 64 * p->part + i];
  barrier(CLK_LOCAL_MEM_FENCE);
  global float *carried = carry + carry_at + state_at(p, p->unit.carry);
  global const float *from = start + start_at + state_at(p, start_is == START_OF_UNIT ? p->unit.number : p->unit.state);
  if (first_step == 0 && active && start_is == START_SUMS)
    join_units(&x->state, initial, initial_at, start + start_at, decays + decays_at, units, batch, dual, p);
  else
    load_state(&x->state, first_step > 0 ? carried : from, p, active && (first_step > 0 || start != 0));
  for (int n = 0; n * CHUNK < all; n++) go(x, tiles, n, p, all - n * CHUNK);

  give_late(x->late, tiles, p);
  decay_state(&x->state, FIRST_FACTORS, tiles, p);
  const bool ends_sequence = dual ? p->unit.first : p->unit.last, ends_unit = end == p->unit.length;
  global float *to = final + final_at + state_at(p, p->unit.state);
  if (active && (!ends_unit || (ends_sequence && final))) store_state(&x->state, ends_unit ? to : carried, p);
}
