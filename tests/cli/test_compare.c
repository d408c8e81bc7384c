/* SPDX-License-Identifier: MIT */
/* What passes and what fails, NaN, zeros and infinities included, and rounding to storage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/compare.h"
#include "cli/storage.h"

enum { COUNT = 8 };

static cli_comparison compare(rwkv6_dtype dtype, const float output[COUNT], const double reference[COUNT]) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 2, 2, 2, 2);
  problem.dtype = dtype;
  const cli_reference against = {NULL, reference};
  return cli_compare(&problem, RWKV6_TENSOR_O, RWKV6_ARITHMETIC_FP32, output, against);
}

static void fill(float output[COUNT], double reference[COUNT], double value) {
  for (int i = 0; i < COUNT; ++i) {
    reference[i] = value + i * 0.125;
    output[i] = (float)reference[i];
  }
}

static void test_equal_passes(void **state) {
  (void)state;
  float output[COUNT];
  double reference[COUNT];
  fill(output, reference, 1.0);
  const cli_comparison result = compare(RWKV6_FP32, output, reference);
  assert_true(result.pass && result.error == 0.0 && result.allowed > 0.0 && result.allowed < 1e-4);
}

static void test_wrong_fails(void **state) {
  (void)state;
  static const float wrong[] = {1.001f, NAN, INFINITY, -INFINITY, 3e38f};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    float output[COUNT];
    double reference[COUNT];
    fill(output, reference, 1.0);
    output[0] = wrong[i];
    assert_false(compare(RWKV6_FP32, output, reference).pass);
  }
}

static void test_reference_not_finite(void **state) {
  (void)state;
  float output[COUNT];
  double reference[COUNT];
  fill(output, reference, 1.0);
  reference[3] = NAN;
  assert_false(compare(RWKV6_FP32, output, reference).pass);
  reference[3] = INFINITY;
  assert_false(compare(RWKV6_FP32, output, reference).pass);
  output[3] = INFINITY;
  assert_true(compare(RWKV6_FP32, output, reference).pass);
  output[0] = 2.0f;
  assert_false(compare(RWKV6_FP32, output, reference).pass);
}

/* Beyond 65504 the right fp16 answer is infinity; it must not excuse the other elements. */
static void test_overflow_of_storage(void **state) {
  (void)state;
  float output[COUNT];
  double reference[COUNT];
  fill(output, reference, 1.0);
  reference[3] = 1e6;
  assert_false(compare(RWKV6_FP16, output, reference).pass);
  output[3] = INFINITY;
  assert_true(compare(RWKV6_FP16, output, reference).pass);
  output[0] = 2.0f;
  assert_false(compare(RWKV6_FP16, output, reference).pass);
}

static void test_all_zero_fails(void **state) {
  (void)state;
  float output[COUNT] = {0};
  double reference[COUNT] = {0};
  assert_true(compare(RWKV6_FP32, output, reference).pass);
  reference[0] = 1e-40;
  assert_true(compare(RWKV6_FP32, output, reference).pass);
  reference[0] = 1e-20;
  const cli_comparison result = compare(RWKV6_FP32, output, reference);
  assert_true(!result.pass && result.all_zero);
}

/* One element half-way between two bf16 numbers: rounding it costs 2^-9 = 1.95e-3, more than the bar. */
static void test_rounding_lifts_the_bar(void **state) {
  (void)state;
  float output[COUNT] = {1.0f};
  double reference[COUNT] = {1.0 + 0x1p-8};
  const cli_comparison result = compare(RWKV6_BF16, output, reference);
  assert_true(result.pass && result.error > 1.75e-3 && result.allowed < 4.1e-3);
  output[0] = 1.0f + 0x1p-6f;
  assert_false(compare(RWKV6_BF16, output, reference).pass);
}

static void test_round_once(void **state) {
  (void)state;
  assert_true(cli_storage_round(1.0 + 0x1p-11, RWKV6_FP16) == 1.0);
  assert_true(cli_storage_round(1.0 + 0x1p-11 + 0x1p-50, RWKV6_FP16) == 1.0 + 0x1p-10);
  assert_true(cli_storage_round(1.0 + 0x1p-10 + 0x1p-11 - 0x1p-50, RWKV6_FP16) == 1.0 + 0x1p-10);
  assert_true(cli_storage_round(-(1.0 + 0x1p-8 + 0x1p-40), RWKV6_BF16) == -(1.0 + 0x1p-7));
  assert_true(cli_storage_round(65519.999, RWKV6_FP16) == 65504.0);
  assert_true(isinf(cli_storage_round(65520.0, RWKV6_FP16)));
  assert_true(cli_storage_round(0x1p-25, RWKV6_FP16) == 0.0);
  assert_true(cli_storage_round(0x1p-25 * (1.0 + 0x1p-40), RWKV6_FP16) == 0x1p-24);
  assert_true(isinf(cli_storage_round(1e300, RWKV6_BF16)) && isnan(cli_storage_round(NAN, RWKV6_BF16)));
}

static void test_encode_and_decode(void **state) {
  (void)state;
  static const rwkv6_dtype dtypes[] = {RWKV6_FP32, RWKV6_FP16, RWKV6_BF16};
  const float values[COUNT] = {0.0f, -0.0f, 1.0f, 0.3333333f, -1e6f, 1e-30f, INFINITY, 65504.0f};
  for (int d = 0; d < 3; ++d) {
    float stored[COUNT], again[COUNT];
    cli_storage_encode(values, COUNT, dtypes[d], stored);
    cli_storage_decode(stored, COUNT, dtypes[d], again);
    for (int i = 0; i < COUNT; ++i) assert_true((double)again[i] == cli_storage_round((double)values[i], dtypes[d]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_equal_passes),         cmocka_unit_test(test_wrong_fails),
      cmocka_unit_test(test_reference_not_finite), cmocka_unit_test(test_overflow_of_storage),
      cmocka_unit_test(test_all_zero_fails),       cmocka_unit_test(test_rounding_lifts_the_bar),
      cmocka_unit_test(test_round_once),           cmocka_unit_test(test_encode_and_decode),
  };
  return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
