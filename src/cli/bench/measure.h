/* SPDX-License-Identifier: MIT */
/* One case from its plan to its verdict. */
#ifndef RWKV6_SRC_CLI_BENCH_MEASURE_H
#define RWKV6_SRC_CLI_BENCH_MEASURE_H

#include "cli/bench/backend.h"

/* Everything that can go wrong is in the result. */
void bench_measure(rwkv6_device *device, const bench_backend *backend, const bench_case *timed, bench_result *result);

#endif
