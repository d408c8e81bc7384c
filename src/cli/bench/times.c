/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/bench/times.h"

#include <stdlib.h>
#include <time.h>

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_rest(double seconds) {
  const struct timespec time = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
  nanosleep(&time, NULL);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

bench_times bench_times_of(double *seconds, size_t runs) {
  if (runs == 0) return (bench_times){0};
  qsort(seconds, runs, sizeof *seconds, ascending);
  const size_t tenth = runs / 10;
  return (bench_times){.median = (seconds[(runs - 1) / 2] + seconds[runs / 2]) / 2,
                       .low = seconds[tenth],
                       .high = seconds[runs - 1 - tenth],
                       .least = seconds[0],
                       .most = seconds[runs - 1],
                       .runs = runs};
}
