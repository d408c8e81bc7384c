/* SPDX-License-Identifier: MIT */
/* The JSON of `rwkv6 bench`: seconds and bytes throughout. */
#ifndef RWKV6_SRC_CLI_BENCH_JSON_H
#define RWKV6_SRC_CLI_BENCH_JSON_H

#include "cli/bench/report.h"

void bench_json_begin(bench_report *report, const rwkv6_device_info *device);
void bench_json_start(bench_report *report, const bench_start *start);
void bench_json_case(bench_report *report, const bench_case *timed, const bench_result *result);
bool bench_json_end(bench_report *report);

/* "passed", "wrong", "refused", "failed". */
const char *bench_outcome_name(bench_outcome outcome);

#endif
