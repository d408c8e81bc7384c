/* SPDX-License-Identifier: MIT */
/* Chunk mode splits sequences in segments where sequences x heads cannot fill the device (docs/algorithm.md, "Segments"). */
#ifndef RWKV6_SRC_OPENCL_SEGMENTS_H
#define RWKV6_SRC_OPENCL_SEGMENTS_H

#include "opencl/units.h"

/*
 * A length that the problem fixes is rounded up to a multiple of `granule`, the least that a segment has, which bounds the
 * memory for states. Automatic: by the work-groups that a GPU wants for `each` of its compute units and the `tiles` of each
 * head of a unit; the last segment can then have half of that, as long as there are no more units than tokens / granule, which
 * is rounded up where sequences have one length.
 */
rwkv6_cl_segments rwkv6_cl_choose_segments(const rwkv6_device *device, const rwkv6_problem *problem, int64_t tiles, int each,
                                           int64_t granule);

#endif
