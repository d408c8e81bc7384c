/* SPDX-License-Identifier: MIT */
#include "cli/conform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "conform/golden.h"
#include "problem.h"

typedef struct session {
  const cli_conform_options *options;
  cli_conform_report report;
  size_t results, failed;
} session;

static void check_device(session *now, rwkv6_device *device, const rwkv6_device_info *info) {
  cli_conform_device_begin(&now->report, info);
  now->results += conform_device(device, info, &now->options->suite, cli_conform_result, &now->report);
  now->failed += now->report.failed;
  cli_conform_device_end(&now->report);
}

static rwkv6_status check_id(session *now, const char *id) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  rwkv6_device *device = NULL;
  options.log = cli_conform_log;
  options.log_user = &now->report;
  rwkv6_status status = rwkv6_device_open(id, &options, &device, &error);
  if (!status) status = rwkv6_device_get_info(device, &info, &error);
  if (status)
    cli_complain(error.message);
  else
    check_device(now, device, &info);
  rwkv6_device_close(&device);
  return status;
}

#define MAX_DEVICES 64

/* A device that is there and cannot be opened does not conform. */
static cli_exit check_all(session *now) {
  static rwkv6_device_info list[MAX_DEVICES];
  rwkv6_error error = RWKV6_ERROR_INIT;
  size_t count = 0;
  for (size_t i = 0; i < MAX_DEVICES; ++i) list[i].size = sizeof list[i];
  const rwkv6_status status = rwkv6_device_list(list, MAX_DEVICES, &count, &error);
  if (status) {
    cli_complain(error.message);
    return cli_exit_of(status);
  }
  cli_exit worst = CLI_EXIT_OK;
  for (size_t i = 0; i < count && i < MAX_DEVICES; ++i)
    if (check_id(now, list[i].id)) worst = CLI_EXIT_FAILED;
  return worst;
}

static cli_exit check(session *now) {
  const char *device = now->options->device;
  if (device && !strcmp(device, "all")) return check_all(now);
  const rwkv6_status status = check_id(now, device);
  return status == RWKV6_NO_DEVICE ? CLI_EXIT_NO_DEVICE : cli_exit_of(status);
}

/* Golden cases are read once before anything is computed. */
static bool can_read_golden(const char *folder) {
  static char names[CONFORM_MAX_GOLDEN][64];
  const size_t count = conform_golden_names(folder, names, CONFORM_MAX_GOLDEN);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_status status = RWKV6_OK;
  if (!count) rwkv6_fail(&error, RWKV6_INVALID_ARGUMENT, "no cases (folders with a meta.json) in %s", folder);
  for (size_t i = 0; i < count && !status; ++i) {
    conform_golden golden;
    status = conform_golden_create(&golden, folder, names[i], RWKV6_FORWARD, false, &error);
    conform_golden_destroy(&golden);
  }
  if (count && !status) return true;
  cli_complain(error.message);
  return false;
}

static bool is_legal(const conform_case *test) {
  conform_data data;
  rwkv6_problem resolved;
  rwkv6_error error = RWKV6_ERROR_INIT;
  conform_data_prepare(&data, test, RWKV6_FORWARD);
  if (!rwkv6_problem_resolve(&data.problem, RWKV6_FORWARD, &resolved, &error)) return true;
  cli_complain(error.message);
  return false;
}

static cli_exit run(const cli_conform_options *options) {
  session now;
  memset(&now, 0, sizeof now);
  now.options = options;
  if (options->suite.golden && !can_read_golden(options->suite.golden)) return CLI_EXIT_REFUSED;
  if (options->suite.one && !is_legal(options->suite.one)) return CLI_EXIT_REFUSED;
  if (!cli_conform_begin(&now.report, options)) return CLI_EXIT_REFUSED;
  cli_exit result = check(&now);
  if (!cli_conform_end(&now.report) && !result) result = CLI_EXIT_REFUSED;
  if (!result && !now.results) {
    cli_complain("conform: nothing to check: no variant takes what was asked for");
    return CLI_EXIT_REFUSED;
  }
  return result ? result : now.failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

cli_exit cli_conform(int argc, char **argv) {
  cli_conform_options options;
  const cli_exit result = cli_conform_parse(argc, argv, &options);
  if (result || !options.help) return result ? result : run(&options);
  fputs(cli_help_conform, stdout);
  return CLI_EXIT_OK;
}
