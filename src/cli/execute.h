/* SPDX-License-Identifier: MIT */
/* Computing a case. */
#ifndef RWKV6_SRC_CLI_EXECUTE_H
#define RWKV6_SRC_CLI_EXECUTE_H

#include "cli/case.h"
#include "cli/result.h"

/* Outputs widened to float, packed. Owned; free with cli_outputs_free. */
typedef struct cli_outputs {
  float *tensor[RWKV6_TENSOR_COUNT]; /* NULL: not computed */
} cli_outputs;

/*
 * Runs forward and, if the case has one, backward. Inputs are converted to the storage types of the problem first. Outputs
 * are filled with NaN before the run, so an element that no kernel writes shows.
 * On failure `outputs` holds nothing.
 */
rwkv6_status cli_execute(rwkv6_device *device, const cli_case *loaded, rwkv6_mode mode, cli_outputs *outputs,
                         cli_operation_result results[2], rwkv6_error *error);

void cli_outputs_free(cli_outputs *outputs);

#endif
