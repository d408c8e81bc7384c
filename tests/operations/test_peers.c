/* SPDX-License-Identifier: MIT */
/* Mistakes found in other implementations of this operator: one test each, on every device and variant. */
#include "each.h"

static test_devices devices;

/* fla's recurrent backward drops the gradient of the final state: nothing but dfinal_state drives a long memory here. */
static void test_gradient_of_final_state(void **state) {
  (void)state;
  conform_case test = conform_case_make(40, 32, 32);
  test.optional = RWKV6_DFINAL_STATE;
  test.distribution = CONFORM_WEAK;
  test_each_variant(&devices, &test, "only dfinal_state");
  test.optional = RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE;
  test.length = 0;
  test.sequences = 2;
  test_each_variant(&devices, &test, "no tokens between the states");
}

/* fla's recurrent backward gives a wrong dw in reverse. */
static void test_reverse_dw(void **state) {
  (void)state;
  conform_case test = conform_case_make(40, 32, 32);
  test.reverse = true;
  test_each_variant(&devices, &test, "reverse");
  test.sequences = 3;
  test.ragged = true;
  test_each_variant(&devices, &test, "reverse, ragged");
}

/* Several CUDA kernels index the state without the sequence, and are right for a batch of one. */
static void test_states_of_a_batch(void **state) {
  (void)state;
  conform_case test = conform_case_make(3, 32, 32);
  test.sequences = 5;
  test.heads = 3;
  test_each_variant(&devices, &test, "states of 5 sequences");
}

/* One token at -20000 spoils a difference of cumulative sums, -inf makes it NaN. */
static void test_spikes_and_resets(void **state) {
  (void)state;
  conform_case test = conform_case_make(130, 32, 32);
  test.distribution = CONFORM_SPIKES;
  test_each_variant(&devices, &test, "spikes");
  test.distribution = CONFORM_RESETS;
  test_each_variant(&devices, &test, "resets");
}

/* Clamped exponents and 1/decay: wrong under strong decay, and at no decay. */
static void test_no_clamping(void **state) {
  (void)state;
  conform_case test = conform_case_make(70, 32, 32);
  static const conform_distribution distributions[] = {CONFORM_MINUS_10, CONFORM_MINUS_20, CONFORM_NONE, CONFORM_DENORMAL};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
    test.distribution = distributions[i];
    test_each_variant(&devices, &test, "extreme decay");
  }
}

/* dw as a suffix sum of r dr - k dk loses a digit for each power of ten of length. */
static void test_dw_of_a_long_sequence(void **state) {
  (void)state;
  conform_case test = conform_case_make(16384, 8, 8);
  test.distribution = CONFORM_MINUS_10;
  test_each_variant_once(&devices, &test, "16384 tokens at -10");
  test.length = 2048;
  test.distribution = CONFORM_ORDINARY;
  test_each_variant(&devices, &test, "2048 tokens");
}

/* Loads without a mask: K no power of two, T no multiple of the chunk. The guards are NaN. */
static void test_odd_dimensions(void **state) {
  (void)state;
  conform_case test = conform_case_make(65, 60, 60);
  test.strides = CONFORM_PADDED;
  test_each_variant(&devices, &test, "K = V = 60, T = 65");
}

/* A grid over 65535 work-groups: 4 x 17000 sequences and heads. */
static void test_many_heads(void **state) {
  (void)state;
  conform_case test = conform_case_make(1, 2, 2);
  test.sequences = 4;
  test.heads = 17000;
  test_each_variant_once(&devices, &test, "68000 sequences x heads");
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gradient_of_final_state),
      cmocka_unit_test(test_reverse_dw),
      cmocka_unit_test(test_states_of_a_batch),
      cmocka_unit_test(test_spikes_and_resets),
      cmocka_unit_test(test_no_clamping),
      cmocka_unit_test(test_dw_of_a_long_sequence),
      cmocka_unit_test(test_odd_dimensions),
      cmocka_unit_test(test_many_heads),
  };
  const int failed = cmocka_run_group_tests_name("mistakes of others", tests, NULL, NULL);
  conform_print_ratios();
  test_devices_close(&devices);
  return failed;
}
