/* SPDX-License-Identifier: MIT */
/* The last step of du, for both modes. */
#ifndef SUM_DU_H
#define SUM_DU_H

#include "storage.h"

/*
 * du [heads, K] = sum over units of du_partial [units, heads, K], in order, with the rounding error of each addition carried
 * along: the number of units has no limit.
 */
kernel void sum_du(global const float *du_partial, long du_partial_at, global float *du, long du_at, long units,
                   long heads_key) {
  const index_t i = (index_t)get_global_id(0);
  if (i >= heads_key) return;
  float sum = 0.0f, lost = 0.0f;
  for (index_t n = 0; n < units; n++) {
    const float term = du_partial[du_partial_at + n * heads_key + i] - lost;
    const float next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  du[du_at + i] = sum;
}

#endif
