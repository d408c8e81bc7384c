/* SPDX-License-Identifier: MIT */
/* Rows of chunk_forward_pairs.cl and chunk_states_pairs.cl to local memory, and those of o from registers. */
#ifndef CHUNK_PAIRS_COPY_H
#define CHUNK_PAIRS_COPY_H

#include "chunk_pairs_tiles.h"

#include "chunk_group_walk.h" /* after tiles */

/* Chunk n of 64 channels of a tensor of numbers of `size` bytes, if `whole`. */
static inline void copy_channels(walkers_t *x, int which, int size, const tiles_t *tiles, int at, int n, const place_t *p,
                                 bool whole) {
  walker_t from;
  find_walker(&from, x, which, tiles, n, 0, p);
  UNROLL for (int j = 0; j < size / 2; j++) copy_rows(tiles->base + at + j * TILE, &from, 128 * j, p, whole);
  walk_on(x, which, &from);
}

/* As soon as chunk n - 2 is over. */
static inline void copy_keys_and_values(walkers_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_channels(x, WALK_K, BYTES, tiles, chunk_at(n) + AT_K, n, p, whole);
  copy_channels(x, WALK_V, BYTES, tiles, chunk_at(n) + AT_V, n, p, whole);
  engine_commit();
}

static inline void copy_decays(walkers_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_channels(x, WALK_W, W_BYTES, tiles, AT_W, n, p, whole);
}

#ifdef OUTPUTS
/* As soon as all sub-groups have read sums and their own have read r. */
static inline void copy_tokens(walkers_t *x, const tiles_t *tiles, int n, const place_t *p, bool whole) {
  copy_decays(x, tiles, n, p, whole);
  copy_channels(x, WALK_R, BYTES, tiles, AT_R, n, p, whole);
  engine_commit();
}
#endif

static inline void copy_some_channels(const walkers_t *x, int which, int size, const tiles_t *tiles, int at, int n,
                                      const place_t *p, int left) {
  ROLL for (int j = 0; j < size / 2; j++) {
    ENGINE_ROLLED;
    copy_some_rows(tiles->base + at + j * TILE, x, which, 128 * j, tiles, n, p, left);
  }
}

/* Chunk n, which is not whole. */
static inline void copy_rest(const walkers_t *x, const tiles_t *tiles, int n, const place_t *p, int left) {
  copy_some_channels(x, WALK_W, W_BYTES, tiles, AT_W, n, p, left);
  copy_some_channels(x, WALK_K, BYTES, tiles, chunk_at(n) + AT_K, n, p, left);
  copy_some_channels(x, WALK_V, BYTES, tiles, chunk_at(n) + AT_V, n, p, left);
#ifdef OUTPUTS
  copy_some_channels(x, WALK_R, BYTES, tiles, AT_R, n, p, left);
#endif
  engine_commit();
}

/* ---- outputs ---- */

static inline void put_fp32(global uchar *to, float4 x) {
  *(global float4 *)to = x;
}

static inline void put_bf16(global uchar *to, float4 x) {
  *(global uint2 *)to = (uint2)(engine_pack_bf16(x.x, x.y), engine_pack_bf16(x.z, x.w));
}

static inline void put_fp16(global uchar *to, float4 x) {
  ushort pairs[4];
  vstore_half4_rte(x, 0, (half *)pairs);
  *(global ushort4 *)to = vload4(0, pairs);
}

static inline void put_numbers(global uchar *to, float4 x) {
  global dtype_t *number = (global dtype_t *)to;
  store_d(number, x.x);
  store_d(number + 1, x.y);
  store_d(number + 2, x.z);
  store_d(number + 3, x.w);
}

/* o of octets 2 s and 2 s + 1 of token row + 8 h. */
static inline float4 output_of(const float out[32], int s, int h) {
  const float *from = out + 8 * s + 2 * h;
  return (float4)(from[0], from[1], from[4], from[5]);
}

/* o [16 tokens x 64 value channels] of this sub-group, of a chunk with `count` tokens. */
static inline void write_outputs(walkers_t *x, const float out[32], const tiles_t *tiles, int n, const place_t *p, int count) {
  const int token = ROWS * p->engine.warp + p->engine.row;
  walker_t to;
  find_walker(&to, x, WALK_O, tiles, n, 0, p);
  UNROLL for (int h = 0; h < 2; h++) {
    global uchar *row = to.place + (long)to.stride * (8 * h);
    UNROLL for (int s = 0; s < 4; s++) {
      if (p->whole && token + 8 * h < count) JOIN(put_, DTYPE)(row + 16 * s * BYTES, output_of(out, s, h));
      if (!p->whole && token + 8 * h < count) put_numbers(row + 16 * s * BYTES, output_of(out, s, h));
    }
  }
  walk_on(x, WALK_O, &to);
}

#endif
