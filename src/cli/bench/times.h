/* SPDX-License-Identifier: MIT */
/* Clocks and what is told of many measurements. */
#ifndef RWKV6_SRC_CLI_BENCH_TIMES_H
#define RWKV6_SRC_CLI_BENCH_TIMES_H

#include <stddef.h>

/* Seconds. A tenth of the runs took less than `low`, a tenth more than `high`. */
typedef struct bench_times {
  double median, low, high, least, most;
  size_t runs; /* 0: not measured */
} bench_times;

/* Sorts `seconds` in place. */
bench_times bench_times_of(double *seconds, size_t runs);

/* Seconds on a clock that never goes back. */
double bench_now(void);

void bench_rest(double seconds);

#endif
