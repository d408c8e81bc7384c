/* SPDX-License-Identifier: MIT */
/* chunk_group_exact.h's way, exact for every decay, with operands that are sums of two numbers in bf16. */
#ifndef CHUNK_PAIRS_EXACT_H
#define CHUNK_PAIRS_EXACT_H

#include "chunk_pairs_tiles.h"

#include "chunk_group_tree.h" /* after tiles */

/* Factors; of tokens that are not there, 1. */
static inline void load_factors(tokens_t *x, const tiles_t *tiles, const place_t *p, int count) {
  const engine_t *e = &p->engine;
  local uchar *first = four_of(tiles->base + AT_W + ROWS * 128 * e->warp, e->row, e->pair, W_BYTES);
  UNROLL for (int s = 0; s < 4; s++) {
    UNROLL for (int h = 0; h < 2; h++) {
      const bool there = DECAY == DECAY_LOG || ROWS * e->warp + e->row + 8 * h < count;
      const float4 w = four_w(fours_at(first, 1024 * h, s, W_BYTES));
      const float4 logs = (float4)(decay_log(w.x), decay_log(w.y), decay_log(w.z), decay_log(w.w)) * LOG2_E;
      const float4 factors = (float4)(engine_exp2(logs.x), engine_exp2(logs.y), engine_exp2(logs.z), engine_exp2(logs.w));
      put_four(x, s, h, there ? factors : (float4)(1.0f));
    }
  }
}

/* C [16 x 8] += A B of 16 numbers that are sums of two: without the product of the lower ones. */
static inline void multiply_parts(float c[4], const split_t *a, int step, const uint upper[2], const uint lower[2],
                                  const place_t *p) {
  uint x[4], y[4];
  operand_of(x, a->upper, step);
  operand_of(y, a->lower, step);
  engine_multiply_bf16(c, y, upper[0], upper[1], &p->engine);
  engine_multiply_bf16(c, x, lower[0], lower[1], &p->engine);
  engine_multiply_bf16(c, x, upper[0], upper[1], &p->engine);
}

/* r k^T of the sub-group's own tokens: [16 tokens i x 8 tokens j] for j below 8 and above. */
static inline void multiply_tokens(float sum[8], const tokens_t *r, const tokens_t *k, const place_t *p) {
  split_t a, b;
  UNROLL for (int q = 0; q < 8; q++) sum[q] = 0.0f;
  UNROLL for (int step = 0; step < 4; step++) {
    UNROLL for (int n = 2 * step; n < 2 * step + 2; n++) {
      split_octet(&a, r->at[n], n);
      split_octet(&b, k->at[n], n);
    }
    UNROLL for (int h = 0; h < 2; h++) multiply_parts(sum + 4 * h, &a, step, b.upper[h] + 2 * step, b.lower[h] + 2 * step, p);
  }
}

/* As join_tokens of chunk_group_exact.h. The first products are those of neighbours, without decays. */
static inline void join_tokens(float A[8], tokens_t *r, tokens_t *k, tokens_t *w, const place_t *p) {
  UNROLL for (int q = 0; q < 8; q++) A[q] = 0.0f;
  ROLL for (int size = 1; size < 16; size *= 2) {
    ENGINE_ROLLED;
    float sum[8];
    multiply_tokens(sum, r, k, p);
    add_pairs(A, sum, size, p);
    if (size < 8) join_blocks(r, k, w, size, p);
  }
  join_halves(r, k, w);
}

/*
 * Keys for pairs of tokens of two sub-groups, where the logarithms were: with the decays until the end of their 16 tokens;
 * those of sub-group 0 that sub-groups 2 and 3 want with those of sub-group 1 too, so theirs for sub-group 1 are where
 * sub-group 3, which nobody asks, would have its own.
 */
static inline void store_keys_for_pairs(const tiles_t *tiles, const tokens_t *k, const place_t *p) {
  const int warp = p->engine.warp;
  split_t parts;
  if (warp == 0) {
    float decay[16];
    tokens_t through;
    find_decays_between(decay, tiles, 1, 1, p);
    decay_tokens(&through, k, decay);
    split_tokens(&parts, &through);
    store_split(tiles->rows, &parts, AT_W, 2, p);
  }
  split_tokens(&parts, k);
  if (warp < 3) store_split(tiles->rows, &parts, AT_W + (warp == 0 ? 3 * ROWS * 128 : 0), 2, p);
}

/* A of this sub-group's tokens and 16 keys, whose rows begin `row` rows after this sub-group's own. */
static inline void multiply_pair(float A[8], const split_t *r, const tiles_t *tiles, int row, const place_t *p) {
  UNROLL for (int octet = 0; octet < 2; octet++) {
    UNROLL for (int step = 0; step < 4; step += 2) {
      uint upper[4], lower[4];
      engine_load_rows(upper, tiles->rows + row * 128, AT_W + 1024 * octet, 2 * step, &p->engine);
      engine_load_rows(lower, tiles->rows + row * 128, AT_W + TILE + 1024 * octet, 2 * step, &p->engine);
      UNROLL for (int i = 0; i < 2; i++) multiply_parts(A + 4 * octet, r, step + i, upper + 2 * i, lower + 2 * i, p);
    }
  }
}

/* All columns, from the 16 x 16 and r with the decays since the beginning of its 16 tokens. */
static inline void multiply_pairs(float A[32], const float own[8], const tokens_t *r, const tiles_t *tiles, const place_t *p) {
  const int warp = p->engine.warp;
  tokens_t since_middle = *r;
  split_t parts;
  if (warp == 3) {
    float decay[16];
    find_decays_between(decay, tiles, 2, 2, p);
    decay_tokens(&since_middle, r, decay);
  }
  split_tokens(&parts, &since_middle);
  UNROLL for (int q = 0; q < 32; q++) A[q] = 0.0f;
  if (!ENGINE_INDEPENDENT || warp > 0) multiply_pair(A, &parts, tiles, warp == 1 ? 2 * ROWS : -ROWS * warp, p);
  if (!ENGINE_INDEPENDENT || warp > 1) multiply_pair(A + 8, &parts, tiles, ROWS - ROWS * warp, p);
  split_tokens(&parts, r);
  if (!ENGINE_INDEPENDENT || warp > 2) multiply_pair(A + 16, &parts, tiles, 2 * ROWS - ROWS * warp, p);
  UNROLL for (int n = 0; n < 4; n++) {
    UNROLL for (int q = 0; q < 8; q++) A[8 * n + q] = n < warp ? A[8 * n + q] : own[q];
  }
}

#endif
