/* SPDX-License-Identifier: MIT */
/*
 * A of a chunk of chunk_forward_group.cl by a way that is exact for every decay: no quotients. A sub-group makes the 16 x 16 of
 * its own tokens as a tree, and, with keys that the others have stored, those of its tokens and earlier ones.
 */
#ifndef CHUNK_GROUP_EXACT_H
#define CHUNK_GROUP_EXACT_H

#include "chunk_group_tiles.h"

#include "chunk_group_tree.h" /* after tiles */

static inline void widen_rows(tokens_t *x, const rows_t *rows, float scale, uint sign) {
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int h = 0; h < 2; h++) {
      x->at[n][2 * h] = low_of(rows->at[h][n], sign) * scale;
      x->at[n][2 * h + 1] = high_of(rows->at[h][n], sign) * scale;
    }
  }
}

/* Factors; of tokens that are not there, 1. */
static inline void widen_decays(tokens_t *x, const rows_t *w, const place_t *p, int count) {
  const int token = ROWS * p->engine.warp + p->engine.row;
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int q = 0; q < 4; q++) {
      const uint pair = w->at[q / 2][n], number = q & 1 ? pair & 0xffff0000u : pair << 16;
      x->at[n][q] = engine_exp2(LOG2_E * (DIRECT_LOGS ? as_float(number) : log_of(number, token + q / 2 * 8 < count)));
    }
  }
}

/* r k^T of neighbours, without decays: [16 tokens i x 8 tokens j] for j below 8 and above. */
static inline void multiply_rows(float sum[8], const rows_t *r, const rows_t *k, const place_t *p) {
  UNROLL for (int q = 0; q < 8; q++) sum[q] = 0.0f;
  UNROLL for (int step = 0; step < 4; step++) {
    uint a[4];
    operand_of(a, r->at, step);
    UNROLL for (int h = 0; h < 2; h++)
        engine_multiply_bf16(sum + 4 * h, a, k->at[h][2 * step], k->at[h][2 * step + 1], &p->engine);
  }
}

/* The same with decays. */
static inline void multiply_tokens(float sum[8], const tokens_t *r, const tokens_t *k, const place_t *p) {
  UNROLL for (int q = 0; q < 8; q++) sum[q] = 0.0f;
  UNROLL for (int n = 0; n < 8; n++) {
    uint a[4];
    tokens_of(a, r, n);
    engine_multiply(sum, a, as_uint(k->at[n][0]), as_uint(k->at[n][1]), &p->engine);
    engine_multiply(sum + 4, a, as_uint(k->at[n][2]), as_uint(k->at[n][3]), &p->engine);
  }
}

/*
 * The 16 x 16 of a sub-group, below the diagonal: pairs that meet in a block of 2 size tokens, size by size. r and k become
 * what they are with the decays since the beginning of the 16 tokens, and until their end.
 */
static inline void join_tokens(float A[8], tokens_t *r, tokens_t *k, const rows_t *r_rows, const rows_t *k_rows, tokens_t *w,
                               float scale, const place_t *p) {
  float sum[8];
  UNROLL for (int q = 0; q < 8; q++) A[q] = 0.0f;
  multiply_rows(sum, r_rows, k_rows, p);
  UNROLL for (int q = 0; q < 8; q++) sum[q] *= scale;
  add_pairs(A, sum, 1, p);
  ROLL for (int size = 1; size < 8; size *= 2) {
    ENGINE_ROLLED;
    join_blocks(r, k, w, size, p);
    multiply_tokens(sum, r, k, p);
    add_pairs(A, sum, 2 * size, p);
  }
  join_halves(r, k, w);
}

/*
 * Keys for pairs of tokens of two sub-groups, with the decays until the end of their 16 tokens; those of sub-group 0 that
 * sub-groups 2 and 3 want with those of sub-group 1 too, so theirs for sub-group 1 are where sub-group 3, which nobody asks,
 * would have its own.
 */
static inline void store_keys_for_pairs(const tiles_t *tiles, const tokens_t *k, const place_t *p) {
  const int warp = p->engine.warp;
  tokens_t through;
  if (warp == 0) {
    float decay[16];
    find_decays_between(decay, tiles, 1, 1, p);
    decay_tokens(&through, k, decay);
  }
  UNROLL for (int i = 0; i < 8; i += 4) {
    if (warp == 0) store_keys(tiles->keys, &through, i, p);
    if (warp < 3) store_keys(tiles->keys + (warp == 0 ? 3 * ROWS * 128 : 0), k, i, p);
  }
}

/* A of this sub-group's tokens and 16 keys, whose rows begin `row` rows after this sub-group's own. */
static inline void multiply_pair(float A[8], const tokens_t *r, const tiles_t *tiles, int row, const place_t *p) {
  UNROLL for (int octet = 0; octet < 2; octet++) {
    UNROLL for (int n = 0; n < 8; n += 2) {
      uint keys[4], a[4];
      engine_load_rows(keys, tiles->keys + row * 128, n / 4 * TILE + 1024 * octet, 2 * (n & 3), &p->engine);
      tokens_of(a, r, n);
      engine_multiply(A + 4 * octet, a, keys[0], keys[1], &p->engine);
      tokens_of(a, r, n + 1);
      engine_multiply(A + 4 * octet, a, keys[2], keys[3], &p->engine);
    }
  }
}

/* All columns, from the 16 x 16 and r with the decays since the beginning of its 16 tokens. */
static inline void multiply_pairs(float A[32], const float own[8], const tokens_t *r, const tiles_t *tiles, const place_t *p) {
  const int warp = p->engine.warp;
  tokens_t since_middle = *r;
  if (warp == 3) {
    float decay[16];
    find_decays_between(decay, tiles, 2, 2, p);
    decay_tokens(&since_middle, r, decay);
  }
  UNROLL for (int q = 0; q < 32; q++) A[q] = 0.0f;
  if (!ENGINE_INDEPENDENT || warp > 0) multiply_pair(A, &since_middle, tiles, warp == 1 ? 2 * ROWS : -ROWS * warp, p);
  if (!ENGINE_INDEPENDENT || warp > 1) multiply_pair(A + 8, &since_middle, tiles, ROWS - ROWS * warp, p);
  if (!ENGINE_INDEPENDENT || warp > 2) multiply_pair(A + 16, r, tiles, 2 * ROWS - ROWS * warp, p);
  UNROLL for (int n = 0; n < 4; n++) {
    UNROLL for (int q = 0; q < 8; q++) A[8 * n + q] = n < warp ? A[8 * n + q] : own[q];
  }
}

#endif
