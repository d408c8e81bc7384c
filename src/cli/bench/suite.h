/* SPDX-License-Identifier: MIT */
/* The cases that a command line asks for. */
#ifndef RWKV6_SRC_CLI_BENCH_SUITE_H
#define RWKV6_SRC_CLI_BENCH_SUITE_H

#include "cli/bench/options.h"

typedef struct bench_cases {
  bench_case *of; /* [count], owned: free it */
  size_t count, capacity;
} bench_cases;

/* The shapes of the command line, then the rows of its suite that its other options leave. OUT_OF_MEMORY. */
rwkv6_status bench_cases_make(const bench_options *options, bench_cases *cases, rwkv6_error *error);

#endif
