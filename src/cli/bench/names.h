/* SPDX-License-Identifier: MIT */
/* Words of the command line, the table and the JSON. */
#ifndef RWKV6_SRC_CLI_BENCH_NAMES_H
#define RWKV6_SRC_CLI_BENCH_NAMES_H

#include "cli/bench/case.h"

const char *bench_distribution_name(conform_distribution distribution);

/* False if the text is none of the names. */
bool bench_distribution_parse(const char *text, conform_distribution *distribution);
bool bench_decay_parse(const char *text, rwkv6_decay *decay);
bool bench_mode_parse(const char *text, rwkv6_mode *mode);
bool bench_operation_parse(const char *text, rwkv6_operation *operation);

#endif
