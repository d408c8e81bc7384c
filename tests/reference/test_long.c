/* SPDX-License-Identifier: MIT */
/* The fp32 build over long sequences: the errors must not grow with the length, dw under strong decay least of all. */
#include <stdio.h>

#include "cmocka_all.h"
#include "compare.h"

static void check_case(const test_case *test, rwkv6_operation operation, rwkv6_mode mode) {
  test_data data;
  test_values exact, single;
  test_message message;
  test_data_create(&data, test, operation, false);
  const test_terms terms = test_terms_of(&data);
  test_reference(&data, RWKV6_MODE_RECURRENT, true, &exact);
  test_reference(&data, mode, false, &single);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!exact.of[i]) continue;
    if (test_compare(rwkv6_tensor_table[i].name, RWKV6_FP32, single.of[i], exact.of[i],
                     rwkv6_tensor_elements(&data.resolved, id), rwkv6_tensor_channels(&data.resolved, id),
                     test_tolerance(&data, &terms, id, exact.of[i]), &message))
      continue;
    char line[TEST_CASE_TEXT];
    fail_msg("mode %d: %s\n  %s", (int)mode, message.text, test_case_format(test, line));
  }
  test_values_destroy(&exact);
  test_values_destroy(&single);
  test_data_destroy(&data);
}

static void check_both_modes(const test_case *test) {
  check_case(test, RWKV6_FORWARD, RWKV6_MODE_RECURRENT);
  check_case(test, RWKV6_FORWARD, RWKV6_MODE_CHUNK);
  check_case(test, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT);
  check_case(test, RWKV6_BACKWARD, RWKV6_MODE_CHUNK);
}

/* A difference of suffix sums is off by 10 % at -12. */
static void test_strong_decay(void **state) {
  (void)state;
  static const test_distribution distributions[] = {TEST_MINUS_8, TEST_MINUS_12, TEST_MINUS_20, TEST_STRONG, TEST_SPIKES};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++)
    for (int decay = 0; decay < 2; decay++) {
      test_case test = test_case_make(4096, 16, 16);
      test.distribution = distributions[i];
      test.decay = (rwkv6_decay)decay;
      check_both_modes(&test);
    }
}

static void test_16384_tokens(void **state) {
  (void)state;
  static const test_distribution distributions[] = {TEST_MINUS_12, TEST_ORDINARY, TEST_WEAK, TEST_RESETS};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
    test_case test = test_case_make(16384, 16, 16);
    test.distribution = distributions[i];
    check_both_modes(&test);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_strong_decay), cmocka_unit_test(test_16384_tokens)};
  const int failed = cmocka_run_group_tests_name("long sequences in fp32", tests, NULL, NULL);
  test_print_ratios();
  return failed;
}
