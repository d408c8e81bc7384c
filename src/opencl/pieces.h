/* SPDX-License-Identifier: MIT */
/*
 * Units in pieces. Where sequences are split, outputs wait for the states of all units but each sequence's last. With few of
 * those, much of the device is idle for as long as the chain of chunks of a whole unit is: then several work-groups make the
 * states of a unit, each of a piece, and outputs join the pieces (docs/algorithm.md, "Segments").
 */
#ifndef RWKV6_SRC_OPENCL_PIECES_H
#define RWKV6_SRC_OPENCL_PIECES_H

#include "opencl/segments.h"

/* Of each unit of a batch that is split; 1 where that is fastest, and where the problem fixes the length of segments, which
 * fixes the bits. The sums take no more memory than those of units may. */
int rwkv6_cl_choose_pieces(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                           rwkv6_cl_segments segments);

#endif
