/* SPDX-License-Identifier: MIT */
/* The fp32 build over long sequences: the errors must not grow with the length, dw under strong decay least of all. */
#include <stdio.h>

#include "cmocka_all.h"
#include "conform/compare.h"

static void check_case(const conform_case *test, rwkv6_operation operation, rwkv6_mode mode) {
  conform_data data;
  conform_values exact, single;
  conform_message message;
  conform_data_create(&data, test, operation, false);
  const conform_terms terms = conform_terms_of(&data);
  conform_reference(&data, RWKV6_MODE_RECURRENT, true, &exact);
  conform_reference(&data, mode, false, &single);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!exact.of[i]) continue;
    if (conform_compare(&data.resolved, id, RWKV6_FP32, single.of[i], exact.of[i],
                        conform_tolerance(&data, &terms, id, exact.of[i]), &message))
      continue;
    char line[CONFORM_CASE_TEXT];
    fail_msg("mode %d: %s\n  %s", (int)mode, message.text, conform_case_format(test, line));
  }
  conform_values_destroy(&exact);
  conform_values_destroy(&single);
  conform_data_destroy(&data);
}

static void check_both_modes(const conform_case *test) {
  check_case(test, RWKV6_FORWARD, RWKV6_MODE_RECURRENT);
  check_case(test, RWKV6_FORWARD, RWKV6_MODE_CHUNK);
  check_case(test, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT);
  check_case(test, RWKV6_BACKWARD, RWKV6_MODE_CHUNK);
}

/* A difference of suffix sums is off by 10 % at -12. */
static void test_strong_decay(void **state) {
  (void)state;
  static const conform_distribution distributions[] = {CONFORM_MINUS_10, CONFORM_MINUS_12, CONFORM_MINUS_20, CONFORM_STRONG,
                                                       CONFORM_SPIKES};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++)
    for (int decay = 0; decay < 2; decay++) {
      conform_case test = conform_case_make(4096, 16, 16);
      test.distribution = distributions[i];
      test.decay = (rwkv6_decay)decay;
      check_both_modes(&test);
    }
}

static void test_16384_tokens(void **state) {
  (void)state;
  static const conform_distribution distributions[] = {CONFORM_MINUS_12, CONFORM_ORDINARY, CONFORM_WEAK, CONFORM_RESETS};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
    conform_case test = conform_case_make(16384, 16, 16);
    test.distribution = distributions[i];
    check_both_modes(&test);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_strong_decay), cmocka_unit_test(test_16384_tokens)};
  const int failed = cmocka_run_group_tests_name("long sequences in fp32", tests, NULL, NULL);
  conform_print_ratios();
  return failed;
}
