/* SPDX-License-Identifier: MIT */
#include "opencl/segments.h"

static int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/* Work-groups that keep every compute unit busy. */
static int64_t wanted_groups(const rwkv6_device *device) {
  const int64_t units = device->info.compute_units > 0 ? device->info.compute_units : 1;
  return device->info.kind == RWKV6_KIND_OPENCL_GPU ? 4 * units : units;
}

/* Splitting reads k, v and w twice and adds about half the arithmetic: it has to give several times the work-groups. */
static int64_t automatic(const rwkv6_device *device, const rwkv6_problem *problem, int64_t tiles, int64_t granule) {
  const int64_t longest = rwkv6_problem_longest(problem);
  const int64_t groups = problem->heads * tiles * divide_up(problem->tokens, longest > 0 ? longest : 1);
  const int64_t segments = wanted_groups(device) / (groups > 0 ? groups : 1);
  if (segments < 3 || longest < 2 * granule) return 0;
  return divide_up(divide_up(longest, segments), granule) * granule;
}

int64_t rwkv6_cl_segment_length(const rwkv6_device *device, const rwkv6_problem *problem, int64_t tiles, int64_t granule) {
  if (problem->segment_length < 0) return 0;
  if (problem->segment_length == 0) return automatic(device, problem, tiles, granule);
  const int64_t longest = rwkv6_problem_longest(problem);
  const int64_t wanted = problem->segment_length < longest ? problem->segment_length : longest;
  return divide_up(wanted > 0 ? wanted : 1, granule) * granule;
}
