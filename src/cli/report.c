/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"

static const char *outcome_name(cli_exit outcome) {
  return outcome == CLI_EXIT_OK ? "pass" : outcome == CLI_EXIT_FAILED ? "fail" : "refused";
}

static void add_operation(cli_json *json, cJSON *operations, rwkv6_operation operation, const cli_operation_result *result) {
  if (!result->done) return;
  cJSON *object = cli_json_append(json, operations);
  cli_json_string(json, object, "operation", cli_operation_name(operation));
  cli_json_string(json, object, "mode", cli_mode_name(result->mode));
  cli_json_string(json, object, "variant", result->variant);
  cli_json_string(json, object, "explanation", result->explanation);
  cli_json_number(json, object, "seconds", result->seconds);
  cli_json_number(json, object, "workspace", (double)result->workspace);
  cli_json_number(json, object, "launches", (double)result->launches);
}

static void add_tensor(cli_json *json, cJSON *tensors, rwkv6_tensor_id id, const cli_tensor_result *result) {
  if (!result->present) return;
  cJSON *object = cli_json_append(json, tensors);
  cli_json_string(json, object, "name", rwkv6_tensor_table[id].name);
  cli_json_number(json, object, "error", result->comparison.error);
  cli_json_number(json, object, "allowed", result->comparison.allowed);
  cli_json_string(json, object, "reference", result->from_case ? "case" : "double");
  cli_json_bool(json, object, "pass", result->comparison.pass);
}

static void add_case(cli_report *report, const cli_case_result *result) {
  cli_json *json = &report->json;
  cJSON *object = cli_json_append(json, report->cases);
  const bool computed = result->operation[RWKV6_FORWARD].done;
  cli_json_string(json, object, "case", result->name);
  cli_json_string(json, object, "folder", result->folder);
  cli_json_string(json, object, "result", outcome_name(result->outcome));
  cli_json_string(json, object, "error", result->error.message[0] ? result->error.message : NULL);
  cli_json_string(json, object, "dtype", computed ? rwkv6_dtype_name(result->problem.dtype) : NULL);
  cli_json_string(json, object, "w_dtype", computed ? rwkv6_dtype_name(result->problem.w_dtype) : NULL);
  cli_json_string(json, object, "decay", computed ? cli_decay_name(result->problem.decay) : NULL);
  cli_json_string(json, object, "precision", computed ? cli_precision_name(result->problem.precision) : NULL);
  cJSON *operations = cli_json_array(json, object, "operations");
  for (int i = 0; i < 2; ++i) add_operation(json, operations, (rwkv6_operation)i, &result->operation[i]);
  cJSON *tensors = cli_json_array(json, object, "tensors");
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) add_tensor(json, tensors, (rwkv6_tensor_id)id, &result->tensor[id]);
}

void cli_report_begin(cli_report *report, const rwkv6_device_info *device, rwkv6_mode mode, const char *out) {
  cli_progress_clear();
  if (!report->as_json) {
    printf("device %s: %s\n", device->id, device->name);
    cli_table_head(report);
    return;
  }
  cli_json *json = &report->json;
  cli_json_init(json);
  cli_json_string(json, json->root, "version", rwkv6_version());
  cli_json_device(json, cli_json_object(json, json->root, "device"), device);
  cli_json_string(json, json->root, "mode", cli_mode_name(mode));
  cli_json_string(json, json->root, "out", out);
  report->cases = cli_json_array(json, json->root, "cases");
}

/* What went wrong with a call goes to stderr in either form. */
void cli_report_case(cli_report *report, const cli_case_result *result) {
  cli_progress_clear();
  if (result->outcome == CLI_EXIT_OK) ++report->passed;
  if (result->outcome == CLI_EXIT_FAILED) ++report->failed;
  if (result->outcome == CLI_EXIT_REFUSED) ++report->refused;
  if (result->error.message[0]) cli_complain(result->error.message);
  if (report->as_json) {
    add_case(report, result);
  } else {
    cli_table_case(report, result);
  }
  fflush(stdout);
}

bool cli_report_end(cli_report *report) {
  if (!report->as_json) {
    printf("\n%zu passed, %zu failed, %zu refused\n", report->passed, report->failed, report->refused);
    return true;
  }
  cli_json *json = &report->json;
  cli_json_number(json, json->root, "passed", (double)report->passed);
  cli_json_number(json, json->root, "failed", (double)report->failed);
  cli_json_number(json, json->root, "refused", (double)report->refused);
  const bool printed = cli_json_print(json);
  cli_json_free(json);
  return printed;
}
