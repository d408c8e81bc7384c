/* SPDX-License-Identifier: MIT */
/* Golden cases (tests/golden/README.md) as test data: inputs in images, the stored results as expected values. */
#ifndef RWKV6_SRC_CONFORM_GOLDEN_H
#define RWKV6_SRC_CONFORM_GOLDEN_H

#include "cli/case.h"
#include "conform/check.h"

typedef struct conform_golden {
  cli_case loaded;
  conform_data data;
  conform_values expected; /* what the files say; NULL where the case has no such file */
} conform_golden;

/* ---- from a case in memory */

/* Makes data and expected values for an operation from golden->loaded. `wide`: inputs as fp64. */
rwkv6_status conform_golden_fill(conform_golden *golden, rwkv6_operation operation, bool wide, rwkv6_error *error);
/* Frees what conform_golden_fill made. */
void conform_golden_empty(conform_golden *golden);
/* `got` against the stored results. */
bool conform_golden_compare(const conform_golden *golden, const conform_values *got, double tolerance,
                            conform_message *message);
/* Runs it from device buffers or, with `host` and on the CPU path, from host pointers: results within the bars, guards, gaps,
 * inputs and unwritten elements. */
bool conform_golden_check(const conform_subject *subject, conform_golden *golden, bool host, conform_message *message);

/* The files hold the exact values rounded to float. */
#define CONFORM_GOLDEN_STORED_ERROR 0x1p-24

/* ---- from files */

/* Names of the cases in `folder`, sorted; 0 if there are none. */
size_t conform_golden_names(const char *folder, char names[][64], size_t capacity);
/* Loads folder/name for an operation. `wide`: inputs as fp64. Destroy it also if that fails. */
rwkv6_status conform_golden_create(conform_golden *golden, const char *folder, const char *name, rwkv6_operation operation,
                                   bool wide, rwkv6_error *error);
void conform_golden_destroy(conform_golden *golden);

#define CONFORM_MAX_GOLDEN 64

#endif
