/* SPDX-License-Identifier: MIT */
/* Golden cases (tests/golden/README.md) as test data: inputs in images, the stored results as expected values. */
#ifndef RWKV6_TESTS_SUPPORT_GOLDEN_H
#define RWKV6_TESTS_SUPPORT_GOLDEN_H

#include "cli/case.h"
#include "data.h"

typedef struct test_golden {
  cli_case loaded;
  test_data data;
  test_values expected; /* what the files say; NULL where the case has no such file */
} test_golden;

/* Names of the folders in `folder`, sorted; exits the program if there are none. */
size_t test_golden_names(const char *folder, char names[][64], size_t capacity);
/* Loads folder/name for an operation. `wide`: inputs as fp64. False and a printed reason if it cannot. */
bool test_golden_create(test_golden *golden, const char *folder, const char *name, rwkv6_operation operation, bool wide);
void test_golden_destroy(test_golden *golden);

#define TEST_MAX_GOLDEN 64

#endif
