/* SPDX-License-Identifier: MIT */
/* Golden cases (tests/golden/README.md) as test data: inputs in images, the stored results as expected values. */
#ifndef RWKV6_SRC_CONFORM_GOLDEN_H
#define RWKV6_SRC_CONFORM_GOLDEN_H

#include "cli/case.h"
#include "conform/data.h"

typedef struct conform_golden {
  cli_case loaded;
  conform_data data;
  conform_values expected; /* what the files say; NULL where the case has no such file */
} conform_golden;

/* Names of the folders in `folder`, sorted; exits the program if there are none. */
size_t conform_golden_names(const char *folder, char names[][64], size_t capacity);
/* Loads folder/name for an operation. `wide`: inputs as fp64. False and a printed reason if it cannot. */
bool conform_golden_create(conform_golden *golden, const char *folder, const char *name, rwkv6_operation operation, bool wide);
void conform_golden_destroy(conform_golden *golden);

#define CONFORM_MAX_GOLDEN 64

#endif
