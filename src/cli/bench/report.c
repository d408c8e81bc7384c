/* SPDX-License-Identifier: MIT */
#include "cli/bench/report.h"

#include <stdio.h>

#include "cli/bench/json.h"
#include "cli/bench/names.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/text.h"

static const char *const start_head = "\n| program | variant | start | device opened, s | plan, s | first run, s |\n"
                                      "|---|---|---|---|---|---|\n";
#define COLUMNS 16
#define COLUMNS_OF_NAME 4

static const char *const case_head =
    "\n| operation | N,T,H,K,V | type, decay | variant | ms | 10 to 90 % | floor, ms | of floor | back to back, ms | to "
    "enqueue, us | "
    "to finish, us | worst error | workspace, tensors | all extra, tensors | launches | plan, s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

static void print_peaks(const bench_peaks *peaks) {
  printf("copy: %.1f GB/s read and written\nmultiply-add, fp32: %.2f TFLOP/s\n", 1e-9 * peaks->copy, 1e-12 * peaks->fma);
  printf("times: by the %s clock\n", peaks->host_clock ? "host's" : "device's");
  if (peaks->matrix_kind) printf("matrix units, %s: %.1f TFLOP/s\n", peaks->matrix_kind, 1e-12 * peaks->matrix);
}

void bench_report_begin(bench_report *report, const rwkv6_device_info *device) {
  cli_progress_clear();
  if (report->as_json) {
    bench_json_begin(report, device);
    return;
  }
  printf("rwkv6 %s on %s: %s, driver %s%s%s\n", rwkv6_version(), device->id, device->name,
         device->driver_version[0] ? device->driver_version : "none", device->device_version[0] ? ", " : "",
         device->device_version);
  print_peaks(&report->peaks);
  fflush(stdout);
}

static void print_start(const bench_start *start, const char *name, const bench_start_times *times) {
  char storage[BENCH_STORAGE_TEXT], shape[BENCH_SHAPE_TEXT];
  printf("| %s %s %s, %s | %s | %s |", cli_mode_name(start->of.mode), cli_operation_name(start->of.operation),
         bench_storage_format(&start->of, start->of.precision, storage), bench_shape_format(&start->of.shape, shape),
         times->variant, name);
  if (times->status)
    printf(" %s | | |\n", times->message);
  else
    printf(" %.3f | %.4f | %.4f |\n", times->open, times->plan, times->first);
}

void bench_report_start(bench_report *report, const bench_start *start) {
  static const char *const names[] = {"cold", "library's cache", "library's and driver's cache"};
  cli_progress_clear();
  if (report->as_json) {
    bench_json_start(report, start);
    return;
  }
  if (!report->started) fputs(start_head, stdout);
  report->started = true;
  for (int kind = 0; kind < BENCH_START_KINDS; ++kind)
    if (start->times[kind].measured) print_start(start, names[kind], &start->times[kind]);
  fflush(stdout);
}

/* The tensor that is nearest to its bar, or furthest above it. */
static int worst_tensor(const bench_result *result) {
  int worst = -1;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (!result->checked[id]) continue;
    const cli_comparison *here = &result->comparison[id], *there = &result->comparison[worst < 0 ? id : worst];
    if (worst < 0 || (there->pass && (!here->pass || here->error / here->allowed > there->error / there->allowed))) worst = id;
  }
  return worst;
}

static void print_name(const bench_case *timed, const bench_result *result) {
  char shape[BENCH_SHAPE_TEXT], storage[BENCH_STORAGE_TEXT];
  const char *asked = timed->variant ? timed->variant : "";
  bench_storage_format(timed, result->precision, storage);
  printf("| %s %s | %s | %s, %s%s%s | %s |", cli_mode_name(result->mode), cli_operation_name(timed->operation),
         bench_shape_format(&timed->shape, shape), storage, bench_distribution_name(timed->distribution),
         timed->decay == RWKV6_DECAY_LOG ? "" : " ", timed->decay == RWKV6_DECAY_LOG ? "" : cli_decay_name(timed->decay),
         result->variant[0] ? result->variant : asked);
}

static void print_times(const bench_report *report, const bench_result *result) {
  const double floor = (double)result->floor / report->peaks.copy;
  const bool opencl = result->latency.runs > 0;
  printf(" %.4f | %.4f to %.4f | %.4f | %.0f %% |", 1e3 * result->device.median, 1e3 * result->device.low,
         1e3 * result->device.high, 1e3 * floor, 100 * floor / result->device.median);
  if (opencl)
    printf(" %.4f | %.1f | %.1f |", 1e3 * result->batch, 1e6 * result->enqueue, 1e6 * result->latency.median);
  else
    printf(" - | - | - |");
}

static void print_case(const bench_report *report, const bench_case *timed, const bench_result *result) {
  const int worst = worst_tensor(result);
  const double tensor = (double)result->tensor;
  print_name(timed, result);
  print_times(report, result);
  printf(" %.2e %s%s | %.2f | %.2f | %lld | %.3f |\n", result->comparison[worst].error, rwkv6_tensor_table[worst].name,
         result->comparison[worst].pass ? "" : " WRONG", (double)result->workspace / tensor, (double)result->extra / tensor,
         (long long)result->launches, result->plan);
}

static void tell_wrong(const bench_case *timed, const bench_result *result) {
  char shape[BENCH_SHAPE_TEXT], message[512];
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    const cli_comparison *found = &result->comparison[id];
    if (!result->checked[id] || found->pass) continue;
    snprintf(message, sizeof message, "bench: %s %s %s: %s: error %.3e, allowed is at most %.3e%s", cli_mode_name(result->mode),
             cli_operation_name(timed->operation), bench_shape_format(&timed->shape, shape), rwkv6_tensor_table[id].name,
             found->error, found->allowed, found->all_zero ? "; zero everywhere, which the reference is not" : "");
    cli_complain(message);
  }
}

/* Refusals of a suite's rows belong into the table: which rows a device can do differs. */
static void print_not_timed(const bench_case *timed, const bench_result *result) {
  const char *end = result->error.message;
  print_name(timed, result);
  while (*end && *end != '\n') ++end;
  printf(" %s: %.*s |", bench_outcome_name(result->outcome), (int)(end - result->error.message), result->error.message);
  for (int i = COLUMNS_OF_NAME + 1; i < COLUMNS; ++i) fputs(" - |", stdout);
  putchar('\n');
}

static void count(bench_report *report, bench_outcome outcome) {
  size_t *const counts[] = {&report->passed, &report->wrong, &report->refused, &report->failed};
  ++*counts[outcome];
}

void bench_report_case(bench_report *report, const bench_case *timed, const bench_result *result) {
  const bool timed_at_all = result->outcome == BENCH_PASSED || result->outcome == BENCH_WRONG;
  const bool first = report->passed + report->wrong + report->refused + report->failed == 0;
  cli_progress_clear();
  count(report, result->outcome);
  if (timed_at_all)
    tell_wrong(timed, result);
  else
    cli_complain(result->error.message);
  if (report->as_json) {
    bench_json_case(report, timed, result);
    return;
  }
  if (first) fputs(case_head, stdout);
  if (timed_at_all)
    print_case(report, timed, result);
  else
    print_not_timed(timed, result);
  fflush(stdout);
}

bool bench_report_end(bench_report *report) {
  if (report->as_json) return bench_json_end(report);
  printf("\n%zu passed, %zu wrong, %zu refused, %zu failed\n", report->passed, report->wrong, report->refused, report->failed);
  return true;
}
