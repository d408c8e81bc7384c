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
 * `step`, 0 for tokens outside it. Nothing depends on a loaded value here, so that no load waits for another.
 */
static inline void fetch_channel(dtype_t *r, dtype_t *k, w_dtype_t *w, const inputs_t *in, const place_t *p, index_t step,
                                 int count, int t_first, int c, bool with_r) {
  walk_t k_walk;
  find_walk(&k_walk, in->k_at, &p->unit, p->head, step + t_first, p->reverse);
  walk_t w_walk;
  find_walk(&w_walk, in->w_at, &p->unit, p->head, step + t_first, p->reverse);
  walk_t r_walk;
  find_walk(&r_walk, in->r_at, &p->unit, p->head, step + t_first, p->reverse);
  global const dtype_t *k_from = in->k + k_walk.first + c;
  global const dtype_t *r_from = in->r + r_walk.first + c;
  global const w_dtype_t *w_from = in->w + w_walk.first + c;
  UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
    const bool present = t_first + n * KEYS_DOWN < count;
    k[n] = present ? *k_from : 0;
    w[n] = present ? *w_from : 0;
    if (with_r) r[n] = present ? *r_from : 0;
    k_from += KEYS_DOWN * k_walk.stride;
    w_from += KEYS_DOWN * w_walk.stride;
    r_from += KEYS_DOWN * r_walk.stride;
  }
}

#endif
