/* SPDX-License-Identifier: MIT */
/*
 * Which tokens a work-group's part of the recurrence covers, and in which order it visits them. A unit is a sequence, or, where
 * chunk mode splits sequences to fill the device, a segment of one.
 */
#ifndef UNIT_H
#define UNIT_H

#include "storage.h"

/*
 * What holds for the whole batch: (length, segment length, segments, checkpoints of a full segment, checkpoints of a sequence,
 * heads, reverse, slots of the pool or 1). The first five are for batches of equal lengths; a ragged batch has a table with
 * one row a unit: (first token, tokens, sequence, 1 if first + 2 if last of its sequence + 4 x the unit whose turn it is when
 * work-groups come to the number of the row, first checkpoint, carry, and, of the sequence that has the number of the row, its
 * first and its last unit). Turns are longest first: a device takes up work-groups by their numbers, and one that begins late
 * is to be short.
 */
typedef long8 batch_t;

#define BATCH_HEADS(batch) ((batch).s5)
#define BATCH_REVERSE(batch) ((batch).s6 != 0)
#define BATCH_SLOTS(batch) ((batch).s7)

/* Structs go to functions by address, here and in the kernels: Oclgrind's checks do not follow structs that are passed or
 * returned. */
typedef struct unit_t {
  index_t begin;  /* first token in memory */
  index_t length; /* tokens, may be 0 */
  index_t sequence;
  index_t state;            /* set by find_state */
  index_t number;           /* of the unit itself */
  index_t first_checkpoint; /* checkpoints of all units before this one; each has `heads` states */
  index_t carry;            /* place of the state that is carried from launch to launch */
  bool first, last;         /* of its sequence, in the order of the recurrence */
} unit_t;

static inline void find_unit(unit_t *unit, global const long8 *table, batch_t batch, index_t number) {
  unit->number = number;
  if (table) {
    const long8 row = table[number];
    unit->begin = row.s0;
    unit->length = row.s1;
    unit->sequence = row.s2;
    unit->first = (row.s3 & 1) != 0;
    unit->last = (row.s3 & 2) != 0;
    unit->first_checkpoint = row.s4;
    unit->carry = row.s5;
  } else {
    unit->sequence = number / batch.s2;
    const index_t segment = number - unit->sequence * batch.s2;
    const index_t step = segment * batch.s1; /* of the sequence, in the order of the recurrence */
    unit->length = segment == batch.s2 - 1 ? (index_t)batch.s0 - step : (index_t)batch.s1; /* the last can be longer */
    unit->begin = unit->sequence * batch.s0 + (BATCH_REVERSE(batch) ? batch.s0 - step - unit->length : step);
    unit->first = segment == 0;
    unit->last = segment == batch.s2 - 1;
    unit->first_checkpoint = unit->sequence * batch.s4 + segment * batch.s3;
    unit->carry = number;
  }
}

/* The unit whose turn it is. */
static inline index_t unit_in_turn(global const long8 *table, index_t turn) {
  return table ? (index_t)(table[turn].s3 >> 2) : turn;
}

/*
 * The unit and the head that a work-group works at, of groups that are numbered by turn, head and tile; returns its tile, of
 * `tiles` in a head.
 */
static inline index_t find_head(unit_t *unit, index_t *head, global const long8 *table, batch_t batch, index_t group,
                                int tiles) {
  const index_t turn_head = group / tiles, turn = turn_head / BATCH_HEADS(batch);
  find_unit(unit, table, batch, unit_in_turn(table, turn));
  *head = turn_head - turn * BATCH_HEADS(batch);
  return group - turn_head * tiles;
}

/*
 * Which state of `initial` and `final` is the unit's: that of its sequence, or, with a pool, that in the slot of its sequence
 * (slots [sequences]; NULL: no pool). False if it has no slot: it then has no tokens either, and nothing is written for it. A
 * slot past the end of the pool counts as none.
 */
static inline bool find_state(unit_t *unit, global const int *slots, index_t slots_at, batch_t batch) {
  const uint slot = slots ? (uint)slots[slots_at + unit->sequence] : 0u;
  const bool present = slot < (uint)BATCH_SLOTS(batch); /* in 32 bits: rusticl of Mesa 22.3 gets a range of 64 bits wrong */
  unit->state = slots && present ? (index_t)slot : unit->sequence;
  unit->length = present ? unit->length : 0;
  return present;
}

/* The first and the last unit of a sequence, in the order of the recurrence. */
static inline void find_units_of(index_t *first, index_t *last, global const long8 *table, batch_t batch, index_t sequence) {
  *first = table ? table[sequence].s6 : sequence * batch.s2;
  *last = table ? table[sequence].s7 : *first + batch.s2 - 1;
}

/* The token that is visited at `step` of the unit; backward_in_time: from its last token to its first. */
static inline index_t token_of(const unit_t *unit, index_t step, bool backward_in_time) {
  return unit->begin + (backward_in_time ? unit->length - 1 - step : step);
}

/*
 * Rows of one head, step by step: `first` is the offset of the row at `step`, `stride` what leads from a step to the next.
 * Loops add strides instead of multiplying 64-bit numbers for every element.
 */
typedef struct walk_t {
  index_t first, stride;
} walk_t;

static inline void find_walk(walk_t *walk, layout_t at, const unit_t *unit, index_t head, index_t step, bool backward_in_time) {
  walk->first = row_at(at, token_of(unit, step, backward_in_time), head);
  walk->stride = backward_in_time ? -at.s1 : at.s1;
}

#endif
