/* SPDX-License-Identifier: MIT */
#include "opencl/segments.h"

int64_t rwkv6_cl_wanted_groups(const rwkv6_device *device, int each) {
  const int64_t units = device->info.compute_units > 0 ? device->info.compute_units : 1;
  return device->info.kind == RWKV6_KIND_OPENCL_GPU ? each * units : units;
}

double rwkv6_cl_rounds(const rwkv6_device *device, int each, int64_t groups) {
  const int64_t size = rwkv6_cl_wanted_groups(device, each), units = size / each, rest = groups % size;
  const double last = rest ? 0.4 + 0.6 * (double)rwkv6_divide_up(rest, units) / each : 0.0;
  return (double)(groups / size) + last;
}

/* Every unit has room for states, unsplit ones of the batch too: many of those that are short forbid splitting. */
static bool is_cheap(const rwkv6_problem *problem, rwkv6_cl_segments segments, int64_t granule) {
  const int64_t rest = problem->cu_seqlens && problem->sequences > 1 ? 0 : granule - 1;
  return rwkv6_cl_units_count(problem, segments) * granule <= problem->tokens + rest;
}

/*
 * Splitting reads k, v and w twice and adds about half the arithmetic: it has to give several times the work-groups. Lengths
 * are rounded to nearest, and a rest of half a granule is a segment, so that a token more or less changes little.
 */
static rwkv6_cl_segments automatic(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how) {
  const int64_t longest = rwkv6_problem_longest(problem), granule = how->granule;
  const int64_t groups = problem->heads * how->tiles * rwkv6_divide_up(problem->tokens, longest > 0 ? longest : 1);
  const int64_t segments = rwkv6_cl_wanted_groups(device, how->each) / (groups > 0 ? groups : 1);
  if (segments < 3 || longest < how->from) return rwkv6_cl_unsplit;
  const int64_t granules = (rwkv6_divide_up(longest, segments) + granule / 2) / granule;
  const rwkv6_cl_segments shorter = {granule * (granules > 0 ? granules : 1), granule / 2}, longer = {shorter.length, granule};
  return is_cheap(problem, shorter, granule) ? shorter : is_cheap(problem, longer, granule) ? longer : rwkv6_cl_unsplit;
}

rwkv6_cl_segments rwkv6_cl_choose_segments(const rwkv6_device *device, const rwkv6_problem *problem,
                                           const rwkv6_cl_splitting *how) {
  if (problem->segment_length == 0) return automatic(device, problem, how);
  const int64_t longest = rwkv6_problem_longest(problem);
  const int64_t wanted = problem->segment_length < longest ? problem->segment_length : longest;
  const rwkv6_cl_segments fixed = {rwkv6_divide_up(wanted > 0 ? wanted : 1, how->granule) * how->granule, how->granule};
  return wanted < 0 ? rwkv6_cl_unsplit : fixed;
}
