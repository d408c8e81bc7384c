/* SPDX-License-Identifier: MIT */
#include "cli/bench/backend.h"

#define BUDGET 0.5 /* seconds for the runs of one measurement */

int64_t bench_set_stride(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  const int64_t row = 256 / (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  return (rwkv6_tensor_extent(problem, id) + row - 1) / row * row;
}

size_t bench_runs_for(double seconds) {
  const double fitting = BUDGET / (seconds > 1e-9 ? seconds : 1e-9);
  if (fitting < 5) return seconds < 2 ? 5 : 3;
  return fitting > BENCH_MOST_RUNS ? BENCH_MOST_RUNS : (size_t)fitting;
}
