/* SPDX-License-Identifier: MIT */
#include "opencl/chunk_length.h"

#include <stdio.h>

#include "opencl/launch.h"

#define LONGEST_CHUNK 16
#define LONGEST_ROUND 8

static bool fit_round(const rwkv6_problem *problem, rwkv6_cl_chunk_fits *fits, void *geometry, int chunk) {
  for (int round = chunk < LONGEST_ROUND ? chunk : LONGEST_ROUND; round > 0; round /= 2)
    if (fits(problem, geometry, chunk, round)) return true;
  return false;
}

bool rwkv6_cl_fit_chunk(const rwkv6_problem *problem, rwkv6_cl_chunk_fits *fits, void *geometry) {
  if (problem->chunk_length)
    return problem->chunk_length <= LONGEST_CHUNK && fit_round(problem, fits, geometry, (int)problem->chunk_length);
  for (int chunk = LONGEST_CHUNK; chunk > 0; chunk /= 2)
    if (fit_round(problem, fits, geometry, chunk)) return true;
  return false;
}

bool rwkv6_cl_takes_chunk_length(const rwkv6_problem *problem, rwkv6_cl_choose_geometry *choose, void *geometry, char *reason,
                                 size_t size) {
  if (choose(problem, RWKV6_MIN_WORK_GROUP, geometry)) return true;
  rwkv6_problem shorter = *problem;
  for (shorter.chunk_length = LONGEST_CHUNK; shorter.chunk_length > 1; shorter.chunk_length--)
    if (choose(&shorter, RWKV6_MIN_WORK_GROUP, geometry)) break;
  snprintf(reason, size, "takes chunk_length 1 to %d for key_dim %d and value_dim %d, or 0 (automatic), not %d",
           (int)shorter.chunk_length, problem->key_dim, problem->value_dim, (int)problem->chunk_length);
  return false;
}
