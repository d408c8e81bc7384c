/* SPDX-License-Identifier: MIT */
/* A table in Markdown on stdout that grows line by line, or JSON at the end. */
#ifndef RWKV6_SRC_CLI_BENCH_REPORT_H
#define RWKV6_SRC_CLI_BENCH_REPORT_H

#include "cli/bench/backend.h"
#include "cli/bench/start.h"
#include "cli/json.h"

typedef struct bench_report {
  bool as_json, started; /* started: the head of the table of starts is printed */
  bench_peaks peaks;
  size_t passed, wrong, refused, failed;
  cli_json json;
  cJSON *starts, *cases;
} bench_report;

void bench_report_begin(bench_report *report, const rwkv6_device_info *device);
void bench_report_start(bench_report *report, const bench_start *start);
void bench_report_case(bench_report *report, const bench_case *timed, const bench_result *result);

/* Sums up; false if the JSON could not be built. */
bool bench_report_end(bench_report *report);

#endif
