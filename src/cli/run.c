/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/execute.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/truth.h"
#include "error.h"

/* One invocation of the command. */
typedef struct session {
  const cli_options *options;
  rwkv6_device *device;
  char **names; /* of the cases, in order; owned */
  cli_report report;
} session;

static rwkv6_status complain(const rwkv6_error *error) {
  cli_complain(error->message);
  return error->status;
}

/* user: the options. */
static void log_line(void *user, rwkv6_log_level level, const char *message) {
  const cli_options *options = user;
  if (level == RWKV6_LOG_WARNING || options->verbose) cli_complain(message);
}

/* ------------------------------------------------------------------------------------------------------------- one case */

static rwkv6_operation operation_of(rwkv6_tensor_id id) {
  return rwkv6_tensor_table[id].in_forward ? RWKV6_FORWARD : RWKV6_BACKWARD;
}

/* The case's own results are for its own dtype only. */
static cli_reference reference_of(const cli_case *loaded, rwkv6_tensor_id id, const cli_truth *truth) {
  const bool own = loaded->problem.dtype == loaded->dtype;
  const cli_reference reference = {own ? loaded->tensor[id] : NULL, truth->tensor[id]};
  return reference;
}

static rwkv6_status complete_truth(const cli_case *loaded, const cli_outputs *outputs, cli_truth *truth, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!outputs->tensor[id]) continue;
    const cli_reference reference = reference_of(loaded, id, truth);
    if (!reference.from_case && !reference.computed) status = cli_truth_compute(loaded, operation_of(id), truth, error);
  }
  return status;
}

static void compare_all(const cli_case *loaded, const cli_outputs *outputs, const cli_truth *truth, cli_case_result *result) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!outputs->tensor[id]) continue;
    cli_reference reference = reference_of(loaded, id, truth);
    if (reference.from_case) reference.computed = NULL;
    cli_tensor_result *tensor = &result->tensor[id];
    tensor->present = true;
    tensor->from_case = reference.from_case != NULL;
    tensor->comparison =
        cli_compare(&loaded->problem, id, result->operation[operation_of(id)].arithmetic, outputs->tensor[id], reference);
    if (!tensor->comparison.pass) result->outcome = CLI_EXIT_FAILED;
  }
}

static rwkv6_status compare(const cli_case *loaded, const cli_outputs *outputs, cli_case_result *result) {
  cli_truth truth = {{NULL}};
  const rwkv6_status status = complete_truth(loaded, outputs, &truth, &result->error);
  cli_progress("%s: comparing", loaded->name);
  if (!status) compare_all(loaded, outputs, &truth, result);
  cli_truth_free(&truth);
  return status;
}

/* Tells which case it was where the library speaks of arguments. */
static rwkv6_status name_case(const char *folder, rwkv6_error *error) {
  rwkv6_error original = *error;
  return rwkv6_fail(error, original.status, "%s: %s", folder, original.message);
}

static rwkv6_status compute_case(const session *now, const cli_case *loaded, cli_case_result *result) {
  cli_outputs outputs;
  rwkv6_status status = cli_execute(now->device, loaded, now->options->mode, &outputs, result->operation, &result->error);
  if (!status) status = compare(loaded, &outputs, result);
  if (status) name_case(result->folder, &result->error);
  if (!status) status = cli_output_write(now->options->out, loaded, &outputs, &result->error);
  cli_outputs_free(&outputs);
  return status;
}

static rwkv6_status prepare_case(const session *now, const char *folder, cli_case *loaded, rwkv6_error *error) {
  rwkv6_status status = cli_case_load(folder, loaded, error);
  if (!status) status = cli_output_check(now->options->out, loaded->name, folder, error);
  if (now->options->has_dtype) cli_case_set_dtype(loaded, now->options->dtype);
  if (now->options->forward_only) loaded->backward = false;
  loaded->problem.precision = now->options->precision;
  return status;
}

static void tell_explanation(const cli_case_result *result) {
  for (int i = 0; i < 2; ++i) {
    if (!result->operation[i].done) continue;
    cli_progress_clear();
    fprintf(stderr, "%s %s: %s\n", result->name, cli_operation_name((rwkv6_operation)i), result->operation[i].explanation);
  }
}

static cli_exit run_case(session *now, size_t index) {
  cli_case_result result;
  memset(&result, 0, sizeof result);
  result.folder = now->options->cases[index];
  result.name = now->names[index];
  result.error.size = sizeof result.error;
  cli_case loaded;
  cli_progress("%zu of %zu, %s: reading", index + 1, now->options->case_count, result.name);
  rwkv6_status status = prepare_case(now, result.folder, &loaded, &result.error);
  if (!status) status = compute_case(now, &loaded, &result);
  result.problem = loaded.problem;
  if (status) result.outcome = cli_exit_of(status);
  if (now->options->verbose) tell_explanation(&result);
  cli_report_case(&now->report, &result);
  cli_case_free(&loaded);
  return result.outcome;
}

/* ------------------------------------------------------------------------------------------------------------ all cases */

static rwkv6_status check_names(const session *now, rwkv6_error *error) {
  const cli_options *options = now->options;
  for (size_t i = 0; i < options->case_count; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (strcmp(now->names[i], now->names[j]) != 0) continue;
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "cases %s and %s would both write %s/%s; run them with different --out",
                        options->cases[j], options->cases[i], options->out, now->names[i]);
    }
  }
  return RWKV6_OK;
}

static rwkv6_status find_names(session *now, rwkv6_error *error) {
  const cli_options *options = now->options;
  now->names = rwkv6_alloc(options->case_count, sizeof *now->names, "the names of the cases", error);
  if (!now->names) return RWKV6_OUT_OF_MEMORY;
  now->report.name_width = 4;
  for (size_t i = 0; i < options->case_count; ++i) {
    now->names[i] = cli_case_name(options->cases[i], error);
    if (!now->names[i]) return error->status;
    const size_t width = strlen(now->names[i]);
    if (width > (size_t)now->report.name_width && width < 64) now->report.name_width = (int)width;
  }
  return check_names(now, error);
}

static rwkv6_status open_device(session *now, rwkv6_device_info *info, rwkv6_error *error) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.log = log_line;
  options.log_user = (void *)now->options; /* only read there */
  cli_progress("opening the device");
  const rwkv6_status status = rwkv6_device_open(now->options->device, &options, &now->device, error);
  return status ? status : rwkv6_device_get_info(now->device, info, error);
}

/* Everything that can be refused is, before anything is computed. */
static rwkv6_status begin(session *now, rwkv6_device_info *info) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_status status = find_names(now, &error);
  if (!status) status = open_device(now, info, &error);
  if (!status) status = cli_output_prepare(now->options->out, &error);
  return status ? complain(&error) : RWKV6_OK;
}

static cli_exit run_all(session *now, const rwkv6_device_info *info) {
  const cli_options *options = now->options;
  cli_exit worst = CLI_EXIT_OK;
  now->report.as_json = options->json;
  now->report.device = info->id;
  cli_report_begin(&now->report, info, options->mode, options->out);
  for (size_t i = 0; i < options->case_count; ++i) {
    const cli_exit outcome = run_case(now, i);
    if (outcome > worst) worst = outcome;
  }
  if (!cli_report_end(&now->report) && !worst) worst = CLI_EXIT_FAILED;
  return worst;
}

static void end(session *now) {
  for (size_t i = 0; now->names && i < now->options->case_count; ++i) free(now->names[i]);
  free(now->names);
  rwkv6_device_close(&now->device);
  cli_progress_clear();
}

static cli_exit run(const cli_options *options) {
  session now;
  memset(&now, 0, sizeof now);
  now.options = options;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  const rwkv6_status status = begin(&now, &info);
  const cli_exit result = status ? cli_exit_of(status) : run_all(&now, &info);
  end(&now);
  return result;
}

cli_exit cli_run(int argc, char **argv) {
  cli_options options;
  cli_exit result = cli_options_parse(CLI_COMMAND_RUN, argc, argv, &options);
  if (!result && options.help) {
    fputs(cli_help_run, stdout);
  } else if (!result) {
    result = run(&options);
  }
  cli_options_free(&options);
  return result;
}
