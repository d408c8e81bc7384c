/* SPDX-License-Identifier: MIT */
/* What both chunk operations do alike: decay products over parts of a chunk, and handing a state over a whole chunk. */
#ifndef RWKV6_SRC_REFERENCE_CHUNK_H
#define RWKV6_SRC_REFERENCE_CHUNK_H

#include "reference/decay.h"
#include "reference/matrix.h"

/*
 * from_start[C + 1][K]: row i is prod(b..i-1), the decay from the start of the chunk to just before token i; row C that of the
 * whole chunk. to_end[C][K]: row j is prod(j+1..c-1), from just after token j to the end of the chunk. Both are built up
 * token by token: a quotient or a difference of logs would be 0/0 or lose all digits after a strong decay. The decay of the
 * whole chunk is rounded with a carry[K] of its own, because the states of many chunks are multiplied by it in turn.
 */
static inline void chunk_decay_products(real *from_start, real *to_end, double *carry, const real *d, int64_t C, int64_t K) {
  for (int64_t ch = 0; ch < K; ++ch) {
    double product = 1;
    for (int64_t i = 0; i < C; ++i) {
      from_start[i * K + ch] = flush((real)product);
      product *= d[i * K + ch];
    }
    from_start[C * K + ch] = flush(round_decay(product, &carry[ch]));
    product = 1;
    for (int64_t j = C; j-- > 0;) {
      to_end[j * K + ch] = flush((real)product);
      product *= d[j * K + ch];
    }
  }
}

/*
 * state[K][V] = diag(total) state + sum_i (x_i * products_i) y_i^T, with x, products: [C][K] and y: [C][V]. The state goes
 * over a chunk with x = k, products = to_end, y = v; its gradient goes back with x = r, products = from_start, y = do.
 * column[C] is scratch: one key channel of all tokens.
 */
static inline void chunk_hand_over(real *state, const real *total, const real *x, const real *products, const real *y,
                                   real *column, int64_t C, int64_t K, int64_t V) {
  for (int64_t ch = 0; ch < K; ++ch) {
    real *row = state + ch * V;
    for (int64_t i = 0; i < C; ++i) column[i] = x[i * K + ch] * products[i * K + ch];
    for (int64_t c = 0; c < V; ++c) row[c] = flush(total[ch] * row[c]);
    add_row_times_matrix(row, column, y, C, V);
  }
}

/*
 * Pairs of a token i with each earlier token j of the chunk need between_j = prod(j+1..i-1). between[C][K] holds them for one
 * i at a time; this takes row j on to i + 1.
 */
static inline void chunk_extend_between(real *restrict between_j, const real *restrict d_i, int64_t K) {
  for (int64_t ch = 0; ch < K; ++ch) between_j[ch] = flush(between_j[ch] * d_i[ch]);
}

/* The token before i enters the pairs with nothing between. */
static inline void chunk_start_between(real *between_j, int64_t K) {
  for (int64_t ch = 0; ch < K; ++ch) between_j[ch] = 1;
}

#endif
