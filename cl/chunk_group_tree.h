/* SPDX-License-Identifier: MIT */
/* Tokens of a sub-group joined block by block, for A without quotients. Included after tiles. */
#ifndef CHUNK_GROUP_TREE_H
#define CHUNK_GROUP_TREE_H

/* A += the pairs (i, j) of `sum` that meet in a block of 2 size tokens, and not before. */
static inline void add_pairs(float A[8], const float sum[8], int size, const place_t *p) {
  UNROLL for (int q = 0; q < 8; q++) {
    const int i = p->engine.row + (q & 2) * 4, j = q / 4 * 8 + 2 * p->engine.pair + (q & 1);
    A[q] += ((i ^ j) & -size) == size && i > j ? sum[q] : 0.0f;
  }
}

/*
 * Blocks of `size` tokens, less than 8, become twice as large: r_i is to hold the decays since the beginning of its block, k_j
 * those until the end of its own, w those of all tokens of the block.
 */
static inline void join_blocks(tokens_t *r, tokens_t *k, tokens_t *w, int size, const place_t *p) {
  const bool later = (p->engine.row & size) != 0;
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int q = 0; q < 4; q++) {
      const float beside = engine_swap(w->at[n][q], 4 * size, &p->engine);
      r->at[n][q] = engine_scale(r->at[n][q], beside, later);
      k->at[n][q] = engine_scale(k->at[n][q], beside, !later);
      w->at[n][q] *= beside;
    }
  }
}

/* Blocks of 8 tokens. */
static inline void join_halves(tokens_t *r, tokens_t *k, const tokens_t *w) {
  UNROLL for (int n = 0; n < 8; n++) {
    UNROLL for (int q = 0; q < 2; q++) {
      r->at[n][2 + q] *= w->at[n][q];
      k->at[n][q] *= w->at[n][2 + q];
    }
  }
}

/* Decays of all tokens of sub-groups `first` to `last`, of this work-item's channels. */
static inline void find_decays_between(float decay[16], const tiles_t *tiles, int first, int last, const place_t *p) {
  find_sums_between(decay, tiles, first, last, p);
  UNROLL for (int i = 0; i < 16; i++) decay[i] = engine_exp2(decay[i] * LOG2_E);
}

/* y = x with these. */
static inline void decay_tokens(tokens_t *y, const tokens_t *x, const float decay[16]) {
  UNROLL for (int i = 0; i < 16; i++) {
    UNROLL for (int h = 0; h < 2; h++) y->at[i / 2][2 * h + (i & 1)] = x->at[i / 2][2 * h + (i & 1)] * decay[i];
  }
}

#endif
