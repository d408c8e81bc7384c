/* SPDX-License-Identifier: MIT */
/* States in a pool where they matter most: decode steps, mixed lengths, segments, many launches. Every variant, both modes. */
#include <string.h>

#include "each.h"

static test_devices devices;

/* Seeds 0 to 2 mod 3 leave out no sequence, every third one, and one (src/conform/pool.c). */
static void check_everywhere(conform_case test) {
  test.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  for (test.seed = 3; test.seed < 6; test.seed++)
    for (size_t device = 0; device < devices.count; device++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count = conform_variants(devices.device[device], &test, RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
      assert_true(count >= 2);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        test.host = test.seed == 3;
        test_check(&subject, &test, CONFORM_CHECK_POOL, "pool");
      }
    }
}

static conform_case pool_case(int64_t sequences, int64_t length) {
  conform_case test = conform_case_make(length, 33, 20);
  test.sequences = sequences;
  test.heads = 2;
  return test;
}

/* A decode step. */
static void test_single_tokens(void **state) {
  (void)state;
  conform_case test = pool_case(9, 1);
  check_everywhere(test);
  test.strides = CONFORM_FUSED;
  check_everywhere(test);
}

/* Prompts, single tokens and nothing at all in one call. */
static void test_mixed_lengths(void **state) {
  (void)state;
  conform_case test = pool_case(8, 70);
  test.ragged = true;
  test.strides = CONFORM_PADDED;
  check_everywhere(test);
  test.reverse = true;
  check_everywhere(test);
}

static void test_equal_lengths(void **state) {
  (void)state;
  conform_case test = pool_case(4, 40);
  test.distribution = CONFORM_RESETS;
  check_everywhere(test);
}

/* Segments read the pool in one launch and write it in another. */
static void test_segments(void **state) {
  (void)state;
  conform_case test = pool_case(3, 300);
  test.segment_length = 64;
  check_everywhere(test);
  test.ragged = true;
  test.reverse = true;
  check_everywhere(test);
}

static int reset(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], RWKV6_LAUNCH_BUDGET_MS);
  return 0;
}

/* Many launches, with states carried between them. */
static void test_split_over_launches(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], 1e-9);
  conform_case test = pool_case(4, 300);
  check_everywhere(test);
  test.ragged = true;
  check_everywhere(test);
}

/* For a simulator that checks every access and is thousands of times slower. */
static void test_tiny(void **state) {
  (void)state;
  conform_case test = conform_case_make(5, 2, 3);
  test.sequences = 4;
  test.ragged = true;
  check_everywhere(test);
}

int main(int count, char **arguments) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_single_tokens),
      cmocka_unit_test(test_mixed_lengths),
      cmocka_unit_test(test_equal_lengths),
      cmocka_unit_test(test_segments),
      cmocka_unit_test_teardown(test_split_over_launches, reset),
  };
  const struct CMUnitTest tiny[] = {cmocka_unit_test(test_tiny)};
  const int failed = count > 1 && !strcmp(arguments[1], "--tiny")
                         ? cmocka_run_group_tests_name("tiny state pool", tiny, NULL, NULL)
                         : cmocka_run_group_tests_name("state pool", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
