/* SPDX-License-Identifier: MIT */
/* The step of chunk mode that joins segments. Included after KEY_DIM, VALUE_DIM and WORK_GROUP are defined. */
#ifndef CHUNK_SCAN_H
#define CHUNK_SCAN_H

#include "unit.h"

/*
 * Turns `sums`, in place, into the state before each unit: S_{i+1} = diag(decays_i) S_i + sums_i along the units of a sequence
 * (in the direction asked for), beginning with `initial` [sequences, heads, K, V] (with `slots`, [slots, heads, K, V]) or 0.
 * One work-item an element of the state of one sequence; what a batch of units needs is loaded at once.
 */
#define SCAN_BATCH 8
#define STATE_GROUPS ((KEY_DIM * VALUE_DIM + WORK_GROUP - 1) / WORK_GROUP)
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_scan(global const float *initial, long initial_at, global const int *slots, long slots_at, global float *sums,
           long sums_at, global const float *decays, long decays_at, global const long8 *units, batch_t batch, int dual,
           long first_step, long last_step, long first_group) {
  const index_t group = first_group + (index_t)get_group_id(0);
  const index_t heads = BATCH_HEADS(batch);
  const index_t sequence_head = group / STATE_GROUPS;
  const index_t sequence = sequence_head / heads, head = sequence_head - sequence * heads;
  const int element = (int)(group - sequence_head * STATE_GROUPS) * WORK_GROUP + (int)get_local_id(0);

  index_t first, last;
  find_units_of(&first, &last, units, batch, sequence);
  unit_t unit;
  find_unit(&unit, units, batch, first);
  const bool present = find_state(&unit, slots, slots_at, batch);
  if (first_step > 0 || !present || element >= KEY_DIM * VALUE_DIM) return; /* the first: a rehearsal (launch.h) */

  index_t left = last - first, unit_head = (dual ? last : first) * heads + head;
  const index_t to_next = dual ? -heads : heads;
  const int row = element / VALUE_DIM;
  global float *sum = sums + sums_at + unit_head * KEY_DIM * VALUE_DIM + element;
  global const float *decay = decays + decays_at + unit_head * KEY_DIM + row;
  float state = initial ? initial[initial_at + (unit.state * heads + head) * KEY_DIM * VALUE_DIM + element] : 0.0f;
  for (;; left -= SCAN_BATCH) {
    float added[SCAN_BATCH], factor[SCAN_BATCH];
    UNROLL for (int i = 0; i < SCAN_BATCH; i++) {
      const index_t at = i <= left ? i * to_next : 0;
      added[i] = sum[at * KEY_DIM * VALUE_DIM], factor[i] = decay[at * KEY_DIM];
    }
    UNROLL for (int i = 0; i < SCAN_BATCH; i++) {
      if (i <= left) sum[i * to_next * KEY_DIM * VALUE_DIM] = state;
      state = fma(factor[i], state, added[i]); /* as outputs of few units do it (chunk_group_state.h) */
    }
    if (left < SCAN_BATCH) break;
    sum += SCAN_BATCH * to_next * KEY_DIM * VALUE_DIM, decay += SCAN_BATCH * to_next * KEY_DIM;
  }
}

#endif
