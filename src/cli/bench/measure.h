/* SPDX-License-Identifier: MIT */
/* One case from its plan to its verdict. */
#ifndef RWKV6_SRC_CLI_BENCH_MEASURE_H
#define RWKV6_SRC_CLI_BENCH_MEASURE_H

#include "cli/bench/backend.h"

/* Everything that can go wrong is in the result. host_clock: as the peaks say. */
void bench_measure(rwkv6_device *device, const bench_backend *backend, bool host_clock, const bench_case *timed,
                   bench_result *result);

#endif
