/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/bench/json.h"

#include <time.h>

#include "cli/bench/names.h"
#include "cli/text.h"

const char *bench_outcome_name(bench_outcome outcome) {
  static const char *const names[] = {"passed", "wrong", "refused", "failed"};
  return names[outcome];
}

static void add_program(cli_json *json, cJSON *object, const bench_case *timed) {
  cli_json_string(json, object, "operation", cli_operation_name(timed->operation));
  cli_json_string(json, object, "dtype", rwkv6_dtype_name(timed->dtype));
  cli_json_string(json, object, "w_dtype", rwkv6_dtype_name(timed->w_dtype));
  cli_json_string(json, object, "decay", cli_decay_name(timed->decay));
  cli_json_number(json, object, "key_dim", timed->shape.key_dim);
  cli_json_number(json, object, "value_dim", timed->shape.value_dim);
}

static void add_times(cli_json *json, cJSON *parent, const char *key, const bench_times *times) {
  cJSON *object = cli_json_object(json, parent, key);
  cli_json_number(json, object, "median", times->median);
  cli_json_number(json, object, "tenth", times->low);
  cli_json_number(json, object, "nine_tenths", times->high);
  cli_json_number(json, object, "least", times->least);
  cli_json_number(json, object, "most", times->most);
  cli_json_number(json, object, "runs", (double)times->runs);
}

void bench_json_begin(bench_report *report, const rwkv6_device_info *device) {
  cli_json *json = &report->json;
  char date[32] = "";
  const time_t now = time(NULL);
  struct tm utc;
  if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
  cli_json_init(json);
  cli_json_string(json, json->root, "version", rwkv6_version());
  cli_json_string(json, json->root, "date", date);
  cli_json_device(json, cli_json_object(json, json->root, "device"), device);
  cJSON *peaks = cli_json_object(json, json->root, "peaks");
  cli_json_number(json, peaks, "copy_bytes_per_second", report->peaks.copy);
  cli_json_number(json, peaks, "fma_operations_per_second", report->peaks.fma);
  cli_json_number(json, peaks, "matrix_operations_per_second", report->peaks.matrix);
  cli_json_string(json, peaks, "matrix_kind", report->peaks.matrix_kind);
  cli_json_string(json, json->root, "clock", report->peaks.host_clock ? "host" : "device");
  report->starts = cli_json_array(json, json->root, "starts");
  report->cases = cli_json_array(json, json->root, "cases");
}

static void add_start_times(cli_json *json, cJSON *start, const char *key, const bench_start_times *times) {
  if (!times->measured) return;
  cJSON *object = cli_json_object(json, start, key);
  cli_json_string(json, object, "error", times->status ? times->message : NULL);
  cli_json_number(json, object, "open", times->open);
  cli_json_number(json, object, "plan", times->plan);
  cli_json_number(json, object, "first_run", times->first);
}

void bench_json_start(bench_report *report, const bench_start *start) {
  cli_json *json = &report->json;
  char shape[BENCH_SHAPE_TEXT];
  cJSON *object = cli_json_append(json, report->starts);
  add_program(json, object, &start->of);
  cli_json_string(json, object, "shape", bench_shape_format(&start->of.shape, shape));
  cli_json_string(json, object, "mode", cli_mode_name(start->of.mode));
  cli_json_string(json, object, "precision", cli_precision_name(start->of.precision));
  cli_json_string(json, object, "variant", start->times[BENCH_START_COLD].variant);
  add_start_times(json, object, "cold", &start->times[BENCH_START_COLD]);
  add_start_times(json, object, "warm", &start->times[BENCH_START_WARM]);
  add_start_times(json, object, "warm_with_driver_cache", &start->times[BENCH_START_WARM_DRIVER]);
}

static void add_shape(cli_json *json, cJSON *object, const bench_case *timed, const bench_result *result) {
  char text[BENCH_SHAPE_TEXT];
  add_program(json, object, timed);
  cli_json_string(json, object, "distribution", bench_distribution_name(timed->distribution));
  cli_json_string(json, object, "shape", bench_shape_format(&timed->shape, text));
  cli_json_number(json, object, "sequences", (double)result->sequences);
  cli_json_number(json, object, "tokens", (double)(timed->shape.sequences * timed->shape.length));
  cli_json_number(json, object, "longest", (double)result->longest);
  cli_json_number(json, object, "heads", (double)timed->shape.heads);
  cli_json_bool(json, object, "ragged", timed->shape.ragged);
  cli_json_bool(json, object, "states", timed->shape.states);
  cli_json_bool(json, object, "reverse", timed->shape.reverse);
  cli_json_bool(json, object, "padded", timed->shape.padded);
}

/* The lengths of a ragged batch follow from its shape alone. */
static void add_lengths(cli_json *json, cJSON *object, const bench_case *timed) {
  bench_data data;
  if (timed->shape.ragged && bench_data_problem(timed, &data, NULL) == RWKV6_OK) {
    cJSON *lengths = cli_json_array(json, object, "lengths");
    for (int64_t n = 0; n < data.problem.sequences; ++n)
      cli_json_item(json, lengths, (double)(data.cu_seqlens[n + 1] - data.cu_seqlens[n]));
  }
  if (timed->shape.ragged) bench_data_free(&data);
}

static void add_plan(cli_json *json, cJSON *object, const bench_result *result) {
  cli_json_string(json, object, "mode", cli_mode_name(result->mode));
  cli_json_string(json, object, "precision", cli_precision_name(result->precision));
  cli_json_string(json, object, "variant", result->variant);
  cli_json_number(json, object, "plan", result->plan);
  cli_json_number(json, object, "launches", (double)result->launches);
  cli_json_number(json, object, "workspace_bytes", (double)result->workspace);
  cli_json_number(json, object, "extra_bytes", (double)result->extra);
  cli_json_number(json, object, "tensor_bytes", (double)result->tensor);
  cli_json_number(json, object, "floor_bytes", (double)result->floor);
}

static void add_measured(const bench_report *report, cli_json *json, cJSON *object, const bench_result *result) {
  const double floor = report->peaks.copy > 0 ? (double)result->floor / report->peaks.copy : 0;
  cli_json_number(json, object, "floor", floor);
  cli_json_number(json, object, "fraction_of_floor", result->device.median > 0 ? floor / result->device.median : 0);
  cli_json_number(json, object, "sets", (double)result->sets);
  cli_json_number(json, object, "footprint_bytes", (double)result->footprint);
  add_times(json, object, "time", &result->device);
  cli_json_number(json, object, "launches_alone", result->busy);
  if (result->batch <= 0) return; /* nothing is enqueued on the CPU path */
  cli_json_number(json, object, "back_to_back", result->batch);
  cli_json_number(json, object, "enqueue", result->enqueue);
  add_times(json, object, "enqueue_to_finished", &result->latency);
}

static void add_tensors(cli_json *json, cJSON *object, const bench_result *result) {
  cli_json_number(json, object, "heads_checked", (double)result->heads_checked);
  cJSON *tensors = cli_json_array(json, object, "tensors");
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (!result->checked[id]) continue;
    cJSON *tensor = cli_json_append(json, tensors);
    cli_json_string(json, tensor, "name", rwkv6_tensor_table[id].name);
    cli_json_number(json, tensor, "error", result->comparison[id].error);
    cli_json_number(json, tensor, "allowed", result->comparison[id].allowed);
    cli_json_bool(json, tensor, "pass", result->comparison[id].pass);
  }
}

void bench_json_case(bench_report *report, const bench_case *timed, const bench_result *result) {
  cli_json *json = &report->json;
  cJSON *object = cli_json_append(json, report->cases);
  cli_json_string(json, object, "result", bench_outcome_name(result->outcome));
  cli_json_string(json, object, "error", result->error.message[0] ? result->error.message : NULL);
  add_shape(json, object, timed, result);
  if (result->outcome == BENCH_REFUSED || result->outcome == BENCH_FAILED) {
    cli_json_string(json, object, "mode", cli_mode_name(timed->mode));
    cli_json_string(json, object, "precision", cli_precision_name(timed->precision));
    cli_json_string(json, object, "variant", timed->variant);
    return;
  }
  add_plan(json, object, result);
  add_measured(report, json, object, result);
  add_lengths(json, object, timed);
  add_tensors(json, object, result);
}

bool bench_json_end(bench_report *report) {
  cli_json *json = &report->json;
  cli_json_number(json, json->root, "passed", (double)report->passed);
  cli_json_number(json, json->root, "wrong", (double)report->wrong);
  cli_json_number(json, json->root, "refused", (double)report->refused);
  cli_json_number(json, json->root, "failed", (double)report->failed);
  const bool printed = cli_json_print(json);
  cli_json_free(json);
  return printed;
}
