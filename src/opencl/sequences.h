/* SPDX-License-Identifier: MIT */
/* Where each sequence's tokens, checkpoints and carried state lie: cl/sequence.h reads it. */
#ifndef RWKV6_SRC_OPENCL_SEQUENCES_H
#define RWKV6_SRC_OPENCL_SEQUENCES_H

#include "opencl/context.h"
#include "problem.h"

typedef struct rwkv6_cl_sequences {
  cl_mem table;             /* one row a sequence of a ragged batch; NULL for equal lengths */
  int64_t length;           /* tokens of each sequence of an equal batch */
  int64_t longest;
  int64_t checkpoints_each; /* of each sequence of an equal batch */
  int64_t checkpoints;      /* of all */
  int64_t carries;          /* sequences longer than `window_steps` */
} rwkv6_cl_sequences;

/* span: steps between checkpoints, 0: none are kept. */
rwkv6_status rwkv6_cl_sequences_make(const rwkv6_device *device, const rwkv6_problem *problem, int64_t span, int64_t window_steps,
                                     rwkv6_cl_sequences *sequences, rwkv6_error *error);
void rwkv6_cl_sequences_release(const rwkv6_device *device, rwkv6_cl_sequences *sequences);

#endif
