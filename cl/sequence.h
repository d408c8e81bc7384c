/* SPDX-License-Identifier: MIT */
/* Which tokens a sequence owns and in which order the recurrence visits them. */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "storage.h"

/*
 * A ragged batch has a table with one row a sequence; without a table all sequences have `length` tokens and the rest follows.
 * Checkpoints and carries are places in the workspace (recurrent_backward.cl): each `heads` states.
 */
typedef struct sequence_t {
  index_t begin;            /* first token */
  index_t length;           /* tokens, may be 0 */
  index_t first_checkpoint; /* checkpoints of all sequences before this one */
  index_t carry;            /* place of the state that is carried from launch to launch */
} sequence_t;

static inline sequence_t sequence_of(global const long4 *table, index_t n, index_t length, index_t checkpoints) {
  sequence_t s;
  if (table) {
    const long4 row = table[n];
    s.begin = row.s0;
    s.length = row.s1;
    s.first_checkpoint = row.s2;
    s.carry = row.s3;
  } else {
    s.begin = n * length;
    s.length = length;
    s.first_checkpoint = n * checkpoints;
    s.carry = n;
  }
  return s;
}

/* The token that the recurrence visits at `step`. */
static inline index_t token_of(sequence_t s, index_t step, int reverse) {
  return s.begin + (reverse ? s.length - 1 - step : step);
}

#endif
