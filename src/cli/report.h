/* SPDX-License-Identifier: MIT */
/* Telling what became of the cases: a table on stdout that grows line by line, or JSON at the end. */
#ifndef RWKV6_SRC_CLI_REPORT_H
#define RWKV6_SRC_CLI_REPORT_H

#include "cli/json.h"
#include "cli/result.h"

typedef struct cli_report {
  bool as_json;
  const char *device; /* id */
  int name_width;     /* of the longest name of a case */
  size_t passed, failed, refused;
  cli_json json;
  cJSON *cases;
} cli_report;

void cli_report_begin(cli_report *report, const rwkv6_device_info *device, rwkv6_mode mode, const char *out);
void cli_report_case(cli_report *report, const cli_case_result *result);

/* Sums up; false if the JSON could not be built. */
bool cli_report_end(cli_report *report);

#endif
