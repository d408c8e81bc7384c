/* SPDX-License-Identifier: MIT */
/* The command line of `rwkv6 bench`. */
#ifndef RWKV6_SRC_CLI_BENCH_OPTIONS_H
#define RWKV6_SRC_CLI_BENCH_OPTIONS_H

#include "cli/bench/case.h"
#include "cli/cli.h"

typedef enum bench_suite { BENCH_SUITE_NONE, BENCH_SUITE_SHORT, BENCH_SUITE_FULL } bench_suite;

/* What is not given is open: the cases of a suite are then taken whatever they have there, and a shape gets the default. */
typedef struct bench_options {
  bool help, json, no_start;
  bool has_operation, has_mode, has_dtype, has_distribution, has_decay;
  bool both_modes; /* --mode both; has_mode is false */
  rwkv6_operation operation;
  rwkv6_mode mode;
  rwkv6_dtype dtype, w_dtype; /* both or neither given */
  conform_distribution distribution;
  rwkv6_decay decay;
  rwkv6_precision precision;    /* full if not given */
  const char *device, *variant; /* NULL: not given */
  bench_suite suite;
  bench_shape *shape; /* [shapes], owned */
  size_t shapes;
} bench_options;

/* Reads a command line (argv[0] is the command); what is wrong with it goes to stderr. Free with bench_options_free always. */
cli_exit bench_options_parse(int argc, char **argv, bench_options *options);

void bench_options_free(bench_options *options);

#endif
