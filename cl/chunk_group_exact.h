/* SPDX-License-Identifier: MIT */
/*
 * A of a chunk of chunk_forward_group.cl by a way that is exact for every decay: no quotients. A sub-group makes the 16 x 16 of its
 * own tokens as a tree, and, with keys that the others have stored, those of its tokens and earlier ones.
 */
#ifndef CHUNK_GROUP_EXACT_H
#define CHUNK_GROUP_EXACT_H

#include "chunk_group_tiles.h"

/* [16 tokens x 64 channels] in accumulators' order */
typedef struct tokens_t {
  float at[8][4];
} tokens_t;

static inline void widen_rows(tokens_t *x, const uint rows[2][8], float scale) {
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int h = 0; h < 2; h++) {
      x->at[n][2 * h] = low(rows[h][n]) * scale;
      x->at[n][2 * h + 1] = high(rows[h][n]) * scale;
    }
  }
}

/* r k^T, [16 tokens i x 8 tokens j] for j below 8 and above; channels 2 pair, 2 pair + 1 are pair, pair + 4 of the product. */
static inline void multiply_tokens(float sum[8], const tokens_t *r, const tokens_t *k, const place_t *p) {
  UNROLL for (int q = 0; q < 8; q++) sum[q] = 0.0f;
  UNROLL for (int n = 0; n < 8; n++) {
    uint a[4], b[4];
    UNROLL for (int q = 0; q < 4; q++) {
      a[q] = engine_round(r->at[n][(q & 1) * 2 + q / 2]);
      b[q] = engine_round(k->at[n][q]);
    }
    engine_multiply(sum, a, b[0], b[1], &p->engine);
    engine_multiply(sum + 4, a, b[2], b[3], &p->engine);
  }
}

/*
 * The 16 x 16 of a sub-group, below the diagonal: pairs (i, j) that meet in a block of 2 size tokens, size by size. Before each step
 * r_i holds the decays since the beginning of its block of `size` tokens, and k_j those until the end of its own; at last those
 * of all 16.
 */
static inline void join_tokens(float A[8], tokens_t *r, tokens_t *k, const rows_t *w, int block, const place_t *p, int count) {
  ROLL for (int size = 1; size < ROWS; size *= 2) {
    float sum[8];
    multiply_tokens(sum, r, k, p);
    UNROLL for (int q = 0; q < 8; q++) {
      const int i = p->engine.row + (q & 2) * 4, j = q / 4 * 8 + 2 * p->engine.pair + (q & 1);
      A[q] += ((i ^ j) & -size) == size && i > j ? sum[q] : 0.0f;
    }
    UNROLL for (int n = 0; n < 8; n++) {
      float beside[4];
      sum_octet(beside, BESIDE + size, w, block, n, p, count);
      UNROLL for (int q = 0; q < 4; q++) {
        const float decay = engine_exp2(beside[q] * LOG2_E);
        const bool later = ((p->engine.row + (q & 2) * 4) & size) != 0;
        r->at[n][q] *= later ? decay : 1.0f;
        k->at[n][q] *= later ? 1.0f : decay;
      }
    }
  }
}

/* With the decays of all tokens of sub-groups `first` to `last`. */
static inline void decay_tokens(split_t *parts, const tokens_t *x, const tiles_t *tiles, int block, int first, int last,
                                const place_t *p) {
  float sum[8][4];
  UNROLL for (int n = 0; n < 32; n++) sum[n / 4][n & 3] = 0.0f;
  add_sums(sum, tiles, block, first, last, 1.0f, p);
  UNROLL for (int n = 0; n < 8; n++) {
    const float2 decay = (float2)(engine_exp2(sum[n][0]), engine_exp2(sum[n][1]));
    UNROLL for (int h = 0; h < 2; h++) split_pair(parts, h, n, x->at[n][2 * h] * decay.x, x->at[n][2 * h + 1] * decay.y);
  }
}

/* A of this sub-group's tokens and those of an earlier one, 16 columns: r [16 x 64] k^T of a block. */
static inline void multiply_pair(float A[8], const split_t *r, local const uchar *keys, int other, const place_t *p) {
  UNROLL for (int octet = 0; octet < 2; octet++) {
    UNROLL for (int unit = 0; unit < 8; unit += 4) {
      uint upper[4], lower[4];
      engine_load_rows(upper, keys, ROWS * other + 8 * octet, unit, &p->engine);
      engine_load_rows(lower, keys + BLOCKS * TILE, ROWS * other + 8 * octet, unit, &p->engine);
      UNROLL for (int n = 0; n < 2; n++) {
        uint x[4], y[4];
        operand_of(x, r->upper, unit / 2 + n);
        operand_of(y, r->lower, unit / 2 + n);
        engine_multiply_bf16(A + 4 * octet, y, upper[2 * n], upper[2 * n + 1], false, &p->engine);
        engine_multiply_bf16(A + 4 * octet, x, lower[2 * n], lower[2 * n + 1], false, &p->engine);
        engine_multiply_bf16(A + 4 * octet, x, upper[2 * n], upper[2 * n + 1], false, &p->engine);
      }
    }
  }
}

/* All columns, from the 16 x 16 and what r and k have become in join_tokens; k's are in the tiles of keys. */
static inline void multiply_pairs(float A[32], const float own[8], const tokens_t r[BLOCKS], const tiles_t *tiles,
                                  const place_t *p) {
  UNROLL for (int q = 0; q < 32; q++) A[q] = 0.0f;
  UNROLL for (int block = 0; block < BLOCKS; block++) {
    UNROLL for (int other = 0; other < 3; other++) {
      if (!ENGINE_INDEPENDENT || other < p->engine.warp) {
        split_t parts;
        decay_tokens(&parts, &r[block], tiles, block, other + 1, p->engine.warp - 1, p);
        multiply_pair(A + 8 * other, &parts, tile_of_keys(tiles, block), other, p);
      }
    }
  }
  UNROLL for (int n = 0; n < 4; n++) {
    UNROLL for (int q = 0; q < 8; q++) A[8 * n + q] = n < p->engine.warp ? A[8 * n + q] : own[q];
  }
}

#endif
