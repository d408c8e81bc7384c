/* SPDX-License-Identifier: MIT */
/* Chunk mode splits sequences in segments where sequences x heads cannot fill the device (docs/algorithm.md, "Segments"). */
#ifndef RWKV6_SRC_OPENCL_SEGMENTS_H
#define RWKV6_SRC_OPENCL_SEGMENTS_H

#include "opencl/units.h"

typedef struct rwkv6_cl_splitting {
  int64_t tiles;   /* work-groups of one head of a unit */
  int each;        /* work-groups that a compute unit of a GPU wants */
  int64_t granule; /* tokens: the least that a segment has, which bounds the memory for states */
  int64_t from;    /* tokens of the shortest sequence that is worth splitting */
} rwkv6_cl_splitting;

/* Work-groups that keep every compute unit busy, at `each` to a unit of a GPU. */
int64_t rwkv6_cl_wanted_groups(const rwkv6_device *device, int each);

/* The time that so many work-groups take on a GPU, in rounds of these. The last round is faster with fewer work-groups on each
 * compute unit: with one instead of two it takes 0.7 of the time (docs/performance-notes.md, "The last round"). */
double rwkv6_cl_rounds(const rwkv6_device *device, int each, int64_t groups);

/*
 * A length that the problem fixes is rounded up to a multiple of the granule. Automatic: by the work-groups that a device
 * wants; the last segment can then have half a granule, as long as there are no more units than tokens / granule, which is
 * rounded up where sequences have one length.
 */
rwkv6_cl_segments rwkv6_cl_choose_segments(const rwkv6_device *device, const rwkv6_problem *problem,
                                           const rwkv6_cl_splitting *how);

#endif
