/* SPDX-License-Identifier: MIT */
/*
 * How rows of r, k and w get from memory into the registers of the work-items that put them into local memory later. Included
 * by a kernel's tiles, which say who takes what: neighbouring work-items take neighbouring channels, of every KEYS_DOWN-th
 * token of a chunk (KEY_TOKENS of them).
 */
#ifndef CHUNK_FETCH_H
#define CHUNK_FETCH_H

#include "unit.h"

/*
 * Channel c of k and w, of r too if asked, at tokens t_first, t_first + KEYS_DOWN, ... of the chunk of `count` tokens at
 * `step`. Nothing depends on a loaded value here, and a token outside the chunk reads the nearest one inside it, so that no
 * load waits for another.
 */
static inline void fetch_channel(dtype_t *r, dtype_t *k, w_dtype_t *w, const inputs_t *in, const place_t *p, index_t step,
                                 int count, int t_first, int c, bool with_r) {
  const int row = min(t_first, count - 1);
  walk_t k_walk;
  find_walk(&k_walk, in->k_at, &p->unit, p->head, step, p->reverse);
  walk_t w_walk;
  find_walk(&w_walk, in->w_at, &p->unit, p->head, step, p->reverse);
  walk_t r_walk;
  find_walk(&r_walk, in->r_at, &p->unit, p->head, step, p->reverse);
  global const dtype_t *k_from = in->k + k_walk.first + row * k_walk.stride + c;
  global const dtype_t *r_from = in->r + r_walk.first + row * r_walk.stride + c;
  global const w_dtype_t *w_from = in->w + w_walk.first + row * w_walk.stride + c;
  UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
    const bool more = t_first + (n + 1) * KEYS_DOWN < count;
    k[n] = *k_from;
    w[n] = *w_from;
    if (with_r) r[n] = *r_from;
    k_from += more ? KEYS_DOWN * k_walk.stride : 0;
    w_from += more ? KEYS_DOWN * w_walk.stride : 0;
    r_from += more ? KEYS_DOWN * r_walk.stride : 0;
  }
}

#endif
