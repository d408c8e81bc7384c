/* SPDX-License-Identifier: MIT */
/* What became of one case: made by execute.c, read by the table and the JSON. */
#ifndef RWKV6_SRC_CLI_RESULT_H
#define RWKV6_SRC_CLI_RESULT_H

#include "cli/cli.h"
#include "cli/compare.h"

typedef struct cli_operation_result {
  bool done;
  rwkv6_mode mode;
  const char *variant; /* static string */
  rwkv6_arithmetic arithmetic;
  char explanation[1024];
  double seconds; /* of one rwkv6_run, copies to and from the device included */
  uint64_t workspace;
  int64_t launches;
} cli_operation_result;

typedef struct cli_tensor_result {
  bool present;
  bool from_case; /* compared with the case's own reference, not with the double reference */
  cli_comparison comparison;
} cli_tensor_result;

typedef struct cli_case_result {
  const char *folder;
  const char *name;                  /* belongs to the caller */
  cli_exit outcome;                  /* failed: also if a tensor did not pass */
  rwkv6_error error;                 /* of a call that failed */
  rwkv6_problem problem;             /* if anything was computed; its cu_seqlens must not be used */
  cli_operation_result operation[2]; /* by rwkv6_operation */
  cli_tensor_result tensor[RWKV6_TENSOR_COUNT];
} cli_case_result;

#endif
