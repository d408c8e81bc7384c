/* SPDX-License-Identifier: MIT */
/* `rwkv6 bench`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/measure.h"
#include "cli/bench/options.h"
#include "cli/bench/report.h"
#include "cli/bench/suite.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/text.h"
#if RWKV6_HAVE_OPENCL
#include "cli/bench/trace.h"
#endif

typedef struct session {
  const bench_options *options;
  bench_cases cases;
  bench_start *start; /* [starts], owned */
  size_t starts;
  rwkv6_device *device;
  const bench_backend *backend;
  bench_report report;
} session;

static cli_exit complain(const rwkv6_error *error) {
  cli_complain(error->message);
  return cli_exit_of(error->status);
}

/* ----------------------------------------------------------------------------------------------------------------- starts */

static bool start_known(const session *now, const bench_case *timed) {
  for (size_t i = 0; i < now->starts; ++i)
    if (bench_case_same_program(&now->start[i].of, timed)) return true;
  return false;
}

/* One for each program; before this process itself uses OpenCL. */
static rwkv6_status measure_starts(session *now, rwkv6_error *error) {
  if (now->options->no_start) return RWKV6_OK;
  now->start = rwkv6_alloc(now->cases.count, sizeof *now->start, "the times of starting", error);
  if (!now->start) return RWKV6_OUT_OF_MEMORY;
  for (size_t i = 0; i < now->cases.count; ++i) {
    if (start_known(now, &now->cases.of[i])) continue;
    cli_progress("starting, %zu of at most %zu programs", now->starts + 1, now->cases.count);
    bench_start *start = &now->start[now->starts];
    if (!bench_start_measure(now->options->device, &now->cases.of[i], start)) break;
    if (!start->times[BENCH_START_COLD].opencl) break; /* nothing is built, or there is no such device */
    ++now->starts;
  }
  return RWKV6_OK;
}

/* ------------------------------------------------------------------------------------------------------------------ cases */

static rwkv6_status open_device(session *now, rwkv6_device_info *info, rwkv6_error *error) {
  cli_progress("opening the device");
  rwkv6_status status = rwkv6_device_open(now->options->device, NULL, &now->device, error);
  if (!status) status = rwkv6_device_get_info(now->device, info, error);
  if (status) return status;
  now->backend = &bench_backend_cpu;
#if RWKV6_HAVE_OPENCL
  if (info->kind != RWKV6_KIND_CPU) {
    now->backend = &bench_backend_opencl;
    status = bench_trace_install(now->device, error);
  }
#endif
  return status;
}

static cli_exit exit_of(const bench_case *timed, bench_outcome outcome) {
  switch (outcome) {
  case BENCH_PASSED: return CLI_EXIT_OK;
  case BENCH_REFUSED: return timed->of_suite ? CLI_EXIT_OK : CLI_EXIT_REFUSED;
  default: return CLI_EXIT_FAILED;
  }
}

static cli_exit measure_cases(session *now) {
  cli_exit worst = CLI_EXIT_OK;
  for (size_t i = 0; i < now->cases.count; ++i) {
    const bench_case *timed = &now->cases.of[i];
    char shape[BENCH_SHAPE_TEXT];
    bench_result result;
    cli_progress("case %zu of %zu: %s %s", i + 1, now->cases.count, cli_operation_name(timed->operation),
                 bench_shape_format(&timed->shape, shape));
    bench_measure(now->device, now->backend, now->report.peaks.host_clock, timed, &result);
    bench_report_case(&now->report, timed, &result);
    const cli_exit outcome = exit_of(timed, result.outcome);
    /* A failure says more than a refusal. */
    if (outcome && worst != CLI_EXIT_FAILED) worst = outcome;
  }
  return now->report.refused == now->cases.count ? CLI_EXIT_REFUSED : worst;
}

static rwkv6_status begin(session *now, rwkv6_device_info *info, rwkv6_error *error) {
  rwkv6_status status = bench_cases_make(now->options, &now->cases, error);
  if (!status && now->cases.count == 0)
    status = rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "bench: the suite has no case that all options leave");
  if (!status) status = measure_starts(now, error);
  if (!status) status = open_device(now, info, error);
  cli_progress("measuring what the device can do");
  if (!status) status = now->backend->peaks(now->device, &now->report.peaks, error);
  return status;
}

static cli_exit run(session *now) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  if (begin(now, &info, &error)) return complain(&error);
  now->report.as_json = now->options->json;
  bench_report_begin(&now->report, &info);
  for (size_t i = 0; i < now->starts; ++i) bench_report_start(&now->report, &now->start[i]);
  const cli_exit worst = measure_cases(now);
  return !bench_report_end(&now->report) && !worst ? CLI_EXIT_FAILED : worst;
}

cli_exit cli_bench(int argc, char **argv) {
  bench_options options;
  session now;
  memset(&now, 0, sizeof now);
  now.options = &options;
  cli_exit result = bench_options_parse(argc, argv, &options);
  if (!result && options.help)
    fputs(cli_help_bench, stdout);
  else if (!result)
    result = run(&now);
  rwkv6_device_close(&now.device);
  cli_progress_clear();
  free(now.cases.of);
  free(now.start);
  bench_options_free(&options);
  return result;
}
