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

/* "bf16"; where w is stored otherwise, "bf16, w in fp32"; where relaxed precision was asked for, with ", relaxed" behind it,
 * or, if the kernels made no use of that, ", relaxed as full". */
#define BENCH_STORAGE_TEXT 40
const char *bench_storage_format(const bench_case *timed, rwkv6_precision computed, char text[BENCH_STORAGE_TEXT]);

#endif
