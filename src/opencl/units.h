/* SPDX-License-Identifier: MIT */
/*
 * How the tokens of a batch are divided among work-groups: a unit is a sequence, or a segment of one where chunk mode splits
 * sequences. cl/unit.h reads what is made here.
 */
#ifndef RWKV6_SRC_OPENCL_UNITS_H
#define RWKV6_SRC_OPENCL_UNITS_H

#include "opencl/launch.h"
#include "problem.h"

typedef struct rwkv6_cl_units {
  cl_mem table;     /* one row a unit of a ragged batch; NULL for equal lengths */
  cl_long batch[8]; /* batch_t of cl/unit.h */
  int64_t count;
  int64_t longest;     /* steps of the longest unit */
  int64_t checkpoints; /* of all units */
  int64_t carries;     /* units that may need a carried state */
} rwkv6_cl_units;

/* How sequences are split: a rest of fewer than `least` tokens belongs to the last segment, so that no segment is short. */
typedef struct rwkv6_cl_segments {
  int64_t length; /* tokens; 0: never split */
  int64_t least;  /* tokens, at least 1 where length is not 0 */
} rwkv6_cl_segments;

extern const rwkv6_cl_segments rwkv6_cl_unsplit;

/* Of one sequence of so many tokens, and of the batch. */
int64_t rwkv6_cl_units_of(int64_t length, rwkv6_cl_segments segments);
int64_t rwkv6_cl_units_count(const rwkv6_problem *problem, rwkv6_cl_segments segments);
/* At least as many steps as the longest unit has, without a table being made: what windows are chosen by. */
int64_t rwkv6_cl_longest_unit(const rwkv6_problem *problem, rwkv6_cl_segments segments);

/* span: steps between checkpoints, 0: none are kept. window_steps: units longer than this are carried between launches. */
rwkv6_status rwkv6_cl_units_make(const rwkv6_device *device, const rwkv6_problem *problem, rwkv6_cl_segments segments,
                                 int64_t span, int64_t window_steps, rwkv6_cl_units *units, rwkv6_error *error);
void rwkv6_cl_units_release(const rwkv6_device *device, rwkv6_cl_units *units);

/* The two arguments `units, batch` of every kernel. */
void rwkv6_cl_arg_units(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, const rwkv6_cl_units *units);

#endif
