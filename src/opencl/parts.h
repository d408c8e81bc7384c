/* SPDX-License-Identifier: MIT */
/*
 * A batch as two, one computed after the other. Work-groups come in rounds, of as many as a device holds; what is left for a
 * round of its own takes most of a round's time, however little it is. So sequences or heads that fill whole rounds are the
 * first part, and the rest is a batch that leaves room to split its sequences (segments.h).
 */
#ifndef RWKV6_SRC_OPENCL_PARTS_H
#define RWKV6_SRC_OPENCL_PARTS_H

#include "opencl/call.h"
#include "opencl/segments.h"

#define RWKV6_CL_MAX_PARTS 2

/* All tokens of these sequences and heads. */
typedef struct rwkv6_cl_part {
  int64_t first_sequence, sequences, first_head, heads;
} rwkv6_cl_part;

/* Returns how many there are. One, the whole batch: if it is ragged, if the problem fixes a segment length, or if two would
 * gain little. */
int rwkv6_cl_choose_parts(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                          rwkv6_cl_part parts[RWKV6_CL_MAX_PARTS]);

/* `problem` for a part, with the strides of the whole. */
rwkv6_problem rwkv6_cl_part_problem(const rwkv6_problem *problem, const rwkv6_cl_part *part);

/* `call` for a part. It points to `problem`, which this fills. */
rwkv6_cl_call rwkv6_cl_part_call(const rwkv6_cl_call *call, const rwkv6_cl_part *part, rwkv6_problem *problem);

#endif
