/* SPDX-License-Identifier: MIT */
/* The double reference on the inputs of a case, rounded to its storage types. */
#ifndef RWKV6_SRC_CLI_TRUTH_H
#define RWKV6_SRC_CLI_TRUTH_H

#include "cli/case.h"

typedef struct cli_truth {
  double *tensor[RWKV6_TENSOR_COUNT]; /* packed; NULL: not computed. Owned; free with cli_truth_free */
} cli_truth;

/* Adds the outputs of one operation, token by token in double precision. */
rwkv6_status cli_truth_compute(const cli_case *loaded, rwkv6_operation operation, cli_truth *truth, rwkv6_error *error);

void cli_truth_free(cli_truth *truth);

#endif
