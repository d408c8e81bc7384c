/* SPDX-License-Identifier: MIT */
/* The table of `rwkv6 run`: one line per case. */
#ifndef RWKV6_SRC_CLI_TABLE_H
#define RWKV6_SRC_CLI_TABLE_H

#include "cli/report.h"

void cli_table_head(const cli_report *report);

/* A tensor that does not pass has its error marked and a line of its own below, with what is allowed. */
void cli_table_case(const cli_report *report, const cli_case_result *result);

#endif
