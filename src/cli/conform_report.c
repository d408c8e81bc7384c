/* SPDX-License-Identifier: MIT */
/* Reports as text, TAP and JSON; what JUnit wants is in conform_junit.c. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/conform.h"
#include "cli/devices.h"
#include "cli/progress.h"
#include "conform/memory.h"
#include "quirks.h"
#include "tensor.h"

#define DESCRIPTION 320 /* bytes of the first line */

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static const char *extent_name(const cli_conform_options *options) {
  if (options->suite.huge) return "huge";
  if (options->suite.one) return "one case";
  if (options->suite.golden) return "golden cases";
  if (options->suite.extent == CONFORM_QUICK) return "quick";
  return options->suite.extent == CONFORM_FULL ? "full" : "pairwise";
}

static bool as_text(const cli_conform_report *report) {
  return !report->options->tap && !report->options->json;
}

/* --------------------------------------------------------------------------------------------------------------- begin, end */

/* What is checked, and what it was restricted to. */
static const char *describe(const cli_conform_options *options, char text[DESCRIPTION]) {
  const conform_options *suite = &options->suite;
  const int length =
      snprintf(text, DESCRIPTION, "rwkv6cl %s, conform, %s, part %lld of %lld, seed %llu", rwkv6_version(),
               extent_name(options), (long long)suite->part + 1, (long long)suite->parts, (unsigned long long)suite->seed);
  snprintf(text + length, DESCRIPTION - (size_t)length, "%s%s%s%s%s%s", suite->operation ? ", operation " : "",
           suite->operation ? suite->operation : "", suite->variants ? ", variants " : "",
           suite->variants ? suite->variants : "", suite->has_dtype ? ", dtype " : "",
           suite->has_dtype ? rwkv6_dtype_name(suite->dtype) : "");
  return text;
}

static void begin_json(cli_conform_report *report) {
  const conform_options *suite = &report->options->suite;
  cli_json_init(&report->json);
  cli_json_string(&report->json, report->json.root, "version", rwkv6_version());
  cli_json_string(&report->json, report->json.root, "extent", extent_name(report->options));
  cli_json_number(&report->json, report->json.root, "part", (double)suite->part + 1);
  cli_json_number(&report->json, report->json.root, "parts", (double)suite->parts);
  char seed[24]; /* numbers of JSON are not exact beyond 2^53 */
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)suite->seed);
  cli_json_string(&report->json, report->json.root, "seed", seed);
  if (suite->operation) cli_json_string(&report->json, report->json.root, "operation", suite->operation);
  if (suite->variants) cli_json_string(&report->json, report->json.root, "variants", suite->variants);
  if (suite->has_dtype) cli_json_string(&report->json, report->json.root, "dtype", rwkv6_dtype_name(suite->dtype));
  report->devices = cli_json_array(&report->json, report->json.root, "devices");
}

static bool open_junit(cli_conform_report *report) {
  const char *path = report->options->junit;
  if (!path) return true;
  report->junit = fopen(path, "w");
  if (report->junit) {
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", report->junit);
    return true;
  }
  char message[512];
  snprintf(message, sizeof message, "cannot write %.300s: %s", path, strerror(errno));
  cli_complain(message);
  return false;
}

bool cli_conform_begin(cli_conform_report *report, const cli_conform_options *options) {
  char text[DESCRIPTION];
  report->options = options;
  if (!open_junit(report)) return false;
  if (options->tap) printf("TAP version 13\n# %s\n", describe(options, text));
  if (as_text(report)) printf("%s\n", describe(options, text));
  if (options->json) begin_json(report);
  return true;
}

static bool close_junit(cli_conform_report *report) {
  if (!report->junit) return true;
  fputs("</testsuites>\n", report->junit);
  const bool failed = ferror(report->junit) != 0;
  if (fclose(report->junit) == 0 && !failed) return true;
  char message[512];
  snprintf(message, sizeof message, "cannot write %.300s", report->options->junit);
  cli_complain(message);
  return false;
}

bool cli_conform_end(cli_conform_report *report) {
  bool right = close_junit(report);
  if (report->options->tap) printf("1..%zu\n", report->number);
  if (report->options->json) {
    right = cli_json_print(&report->json) && right;
    cli_json_free(&report->json);
  }
  return right;
}

/* ------------------------------------------------------------------------------------------------------------------- results
 */

static char *copy(const char *text) {
  char *made = conform_allocate(strlen(text) + 1, 1);
  return strcpy(made, text);
}

static void keep(cli_conform_report *report, const conform_result *result) {
  if (report->count == report->capacity) {
    const size_t capacity = report->capacity ? 2 * report->capacity : 256;
    cli_conform_record *grown = conform_allocate(capacity, sizeof *grown);
    if (report->count) memcpy(grown, report->records, report->count * sizeof *grown);
    free(report->records);
    report->records = grown;
    report->capacity = capacity;
  }
  const cli_conform_record record = {copy(result->operation), copy(result->variant), copy(result->case_text),
                                     copy(result->message),   copy(result->command), result->right};
  report->records[report->count++] = record;
  if (!result->right) report->failed++;
  report->number++;
}

/* Each line of a text as a comment of TAP. */
static void print_comment(const char *before, const char *text) {
  for (const char *line = text; *line;) {
    const size_t length = strcspn(line, "\n");
    printf("# %s%.*s\n", line == text ? before : "", (int)length, line);
    line += length + (line[length] == '\n');
  }
}

static void tell_tap(const cli_conform_report *report, const cli_conform_record *record) {
  printf("%s %zu - %s %s %s: %s\n", record->right ? "ok" : "not ok", report->number, report->info->id, record->operation,
         record->variant, record->text);
  if (record->right) return;
  print_comment("", record->message);
  print_comment("again with: ", record->command);
}

void cli_conform_result(void *user, const conform_result *result) {
  cli_conform_report *report = user;
  keep(report, result);
  const cli_conform_record *record = &report->records[report->count - 1];
  cli_progress("%s: %zu checked, %zu failed, %s", report->info->id, report->count, report->failed, record->operation);
  if (record->right && !report->options->tap) return;
  cli_progress_clear();
  if (report->options->tap)
    tell_tap(report, record);
  else if (!report->options->json)
    printf("not ok: %s, variant %s: %s\n  case: %s\n  again with: %s\n", record->operation, record->variant, record->message,
           record->text, record->command);
  fflush(stdout);
}

void cli_conform_log(void *user, rwkv6_log_level level, const char *message) {
  cli_conform_report *report = user;
  if (level != RWKV6_LOG_WARNING) return;
  const size_t before = report->log ? strlen(report->log) : 0, size = before + strlen(message) + 2;
  char *grown = conform_allocate(size, 1);
  snprintf(grown, size, "%s%s\n", report->log ? report->log : "", message);
  free(report->log);
  report->log = grown;
}

/* -------------------------------------------------------------------------------------------------------------------- device
 */

void cli_conform_device_begin(cli_conform_report *report, const rwkv6_device_info *info) {
  report->info = info;
  report->count = report->failed = 0;
  report->begun = seconds_now();
  conform_reset_ratios();
  if (as_text(report)) {
    printf("\n");
    cli_devices_print_info(info);
  } else if (report->options->tap) {
    printf("# %s: %s, %s, driver %s\n", info->id, info->name, info->platform, info->driver_version);
  }
  fflush(stdout);
}

/* Results of one operation and variant, found by their first record. */
static void print_summary(const cli_conform_report *report) {
  printf("  %-20s %-16s %7s %7s\n", "operation", "variant", "cases", "failed");
  for (size_t i = 0; i < report->count; i++) {
    const cli_conform_record *first = &report->records[i];
    size_t cases = 0, failed = 0, earlier = 0;
    for (size_t j = 0; j < report->count; j++) {
      const cli_conform_record *other = &report->records[j];
      if (strcmp(first->operation, other->operation) || strcmp(first->variant, other->variant)) continue;
      if (j < i) earlier++;
      cases++;
      failed += !other->right;
    }
    if (!earlier) printf("  %-20s %-16s %7zu %7zu\n", first->operation, first->variant, cases, failed);
  }
}

static void end_text(const cli_conform_report *report, double seconds) {
  print_summary(report);
  printf("  ");
  conform_print_ratios();
  if (report->log) printf("  log:\n%s", report->log);
  if (!report->count)
    printf("%s: nothing checked\n", report->info->id);
  else
    printf("%s: %zu results, %zu failed, %.1f s: %s\n", report->info->id, report->count, report->failed, seconds,
           report->failed ? "does not conform" : "conforms");
}

static void add_ratios(cli_conform_report *report, cJSON *device) {
  cJSON *ratios = cli_json_object(&report->json, device, "largest_error_to_tolerance");
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    for (int dtype = 0; dtype < 3; dtype++) {
      const double ratio = conform_worst_ratio((rwkv6_tensor_id)id, (rwkv6_dtype)dtype);
      char name[64];
      snprintf(name, sizeof name, "%s %s", rwkv6_tensor_table[id].name, rwkv6_dtype_name((rwkv6_dtype)dtype));
      if (ratio > 0) cli_json_number(&report->json, ratios, name, ratio);
    }
}

static void end_json(cli_conform_report *report, double seconds) {
  cli_json *json = &report->json;
  cJSON *device = cli_json_append(json, report->devices);
  cli_json_device(json, device, report->info);
  cJSON *quirks = cli_json_array(json, device, "quirks");
  for (const rwkv6_quirk *q = rwkv6_quirk_find(report->info, NULL); q; q = rwkv6_quirk_find(report->info, q)) {
    cJSON *quirk = cli_json_append(json, quirks);
    cli_json_string(json, quirk, "reason", q->reason);
    cli_json_string(json, quirk, "source", q->source);
  }
  cli_json_bool(json, device, "conforms", report->count && !report->failed);
  cli_json_number(json, device, "results", (double)report->count);
  cli_json_number(json, device, "failed", (double)report->failed);
  cli_json_number(json, device, "seconds", seconds);
  add_ratios(report, device);
  cJSON *failures = cli_json_array(json, device, "failures");
  for (size_t i = 0; i < report->count; i++) {
    const cli_conform_record *record = &report->records[i];
    if (record->right) continue;
    cJSON *failure = cli_json_append(json, failures);
    cli_json_string(json, failure, "operation", record->operation);
    cli_json_string(json, failure, "variant", record->variant);
    cli_json_string(json, failure, "case", record->text);
    cli_json_string(json, failure, "message", record->message);
    cli_json_string(json, failure, "command", record->command);
  }
  cli_json_string(json, device, "log", report->log ? report->log : "");
}

static void free_records(cli_conform_report *report) {
  for (size_t i = 0; i < report->count; i++) {
    const cli_conform_record *record = &report->records[i];
    free(record->operation);
    free(record->variant);
    free(record->text);
    free(record->message);
    free(record->command);
  }
  free(report->records);
  free(report->log);
  report->records = NULL;
  report->log = NULL;
  report->count = report->capacity = 0;
}

static void end_tap(const cli_conform_report *report, double seconds) {
  if (report->log) print_comment("", report->log);
  printf("# %s: %zu results, %zu failed, %.1f s\n", report->info->id, report->count, report->failed, seconds);
}

void cli_conform_device_end(cli_conform_report *report) {
  const double seconds = seconds_now() - report->begun;
  cli_progress_clear();
  if (as_text(report)) end_text(report, seconds);
  if (report->options->tap) end_tap(report, seconds);
  if (report->options->json) end_json(report, seconds);
  if (report->junit) cli_conform_junit_device(report, seconds);
  fflush(stdout);
  free_records(report);
}
