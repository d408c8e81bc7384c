/* SPDX-License-Identifier: MIT */
/*
 * What the first plan of a case costs, measured in processes of their own: with nothing kept from before, with the library's
 * program cache filled, and with the driver's own cache on beside it.
 */
#ifndef RWKV6_SRC_CLI_BENCH_START_H
#define RWKV6_SRC_CLI_BENCH_START_H

#include "cli/bench/case.h"

typedef enum bench_start_kind {
  BENCH_START_COLD,        /* neither cache has anything */
  BENCH_START_WARM,        /* the library's cache is filled, the driver's is off */
  BENCH_START_WARM_DRIVER, /* both are filled */
  BENCH_START_KINDS
} bench_start_kind;

typedef struct bench_start_times {
  bool measured; /* false: a start before it failed */
  rwkv6_status status;
  char message[256]; /* of a failure, one line */
  bool opencl;       /* on the CPU path there is nothing to build */
  char variant[64];
  double open;  /* seconds to open the device, drivers and context included */
  double plan;  /* to make the plan */
  double first; /* for the first run of one short sequence of one head, where some drivers go on compiling */
} bench_start_times;

typedef struct bench_start {
  bench_case of;
  bench_start_times times[BENCH_START_KINDS];
} bench_start;

/*
 * Fills `start->times` for a case. It forks, so nothing of OpenCL may have been used in this process before.
 * False, with a message on stderr, if there are no temporary folders or processes to be had.
 */
bool bench_start_measure(const char *device, const bench_case *of, bench_start *start);

#endif
