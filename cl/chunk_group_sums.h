/* SPDX-License-Identifier: MIT */
/* What chunk_states_group.cl and chunk_states_pairs.cl keep from chunk to chunk. Included after state_t and walkers_t. */
#ifndef CHUNK_GROUP_SUMS_H
#define CHUNK_GROUP_SUMS_H

typedef struct keep_t {
  state_t state;
  walkers_t walkers;
  float decay[2]; /* of all chunks so far, of this work-item's two key channels of S */
} keep_t;

/* S = D S, with the decays of both halves of a chunk. */
static inline void decay_sums(keep_t *x, const float early[2], const float late[2]) {
  const float D[2] = {early[0] * late[0], early[1] * late[1]};
  UNROLL for (int h = 0; h < 2; h++) x->decay[h] *= D[h];
  decay_state(&x->state, D);
}

#endif
