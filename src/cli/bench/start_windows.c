/* SPDX-License-Identifier: MIT */
/* Starting is measured in processes that inherit what this one has read so far, which Windows does not offer. */
#include "cli/bench/start.h"
#include "cli/cli.h"

bool bench_start_measure(const char *device, const bench_case *of, bench_start *start) {
  (void)device, (void)of, (void)start;
  cli_complain("bench: starting is not measured on Windows");
  return false;
}
