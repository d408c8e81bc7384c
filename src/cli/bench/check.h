/* SPDX-License-Identifier: MIT */
/* Whether what was timed is right. */
#ifndef RWKV6_SRC_CLI_BENCH_CHECK_H
#define RWKV6_SRC_CLI_BENCH_CHECK_H

#include "cli/bench/backend.h"

/*
 * Compares the outputs of a set with the double reference on a few heads, drawn at random, over all sequences and tokens; fills
 * heads_checked, checked, comparison and, if one does not pass, outcome. The reference runs on all cores.
 */
rwkv6_status bench_check(const bench_backend *backend, const bench_run *run, int64_t set, bench_result *result,
                         rwkv6_error *error);

#endif
