/* SPDX-License-Identifier: MIT */
/* A [64 tokens x 64 tokens] on its diagonal and above. */
#ifndef CHUNK_GROUP_MASK_H
#define CHUNK_GROUP_MASK_H

#include "chunk_group_place.h"

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

#endif
