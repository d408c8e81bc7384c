/* SPDX-License-Identifier: MIT */
/* How many tokens the chunks of a portable kernel have: as many as local memory has room for. */
#ifndef RWKV6_SRC_OPENCL_CHUNK_LENGTH_H
#define RWKV6_SRC_OPENCL_CHUNK_LENGTH_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv6/rwkv6.h"

/* Takes a chunk length and a round (tokens whose partial sums are in local memory at once) into a launcher's geometry, and says
 * whether local memory has room for them. */
typedef bool rwkv6_cl_chunk_fits(const rwkv6_problem *problem, void *geometry, int chunk, int round);

/* The problem's chunk length, or the longest of 16, 8, 4, 2 and 1 that fits; with it the longest round, up to 8 tokens. False
 * if none does. */
bool rwkv6_cl_fit_chunk(const rwkv6_problem *problem, rwkv6_cl_chunk_fits *fits, void *geometry);

/* Chooses a launcher's geometry for a work-group; false if there is none. */
typedef bool rwkv6_cl_choose_geometry(const rwkv6_problem *problem, int work_group, void *geometry);

/* Whether the smallest work-group takes the chunk length that the problem fixes; if not, `reason` says what it takes. */
bool rwkv6_cl_takes_chunk_length(const rwkv6_problem *problem, rwkv6_cl_choose_geometry *choose, void *geometry, char *reason,
                                 size_t size);

#endif
