/* SPDX-License-Identifier: MIT */
/* Two results that are each within tolerance do not agree if they are off in opposite directions. */
#include <string.h>

#include "cmocka_all.h"
#include "conform/check.h"
#include "conform/memory.h"

static const rwkv6_variant recurrent = {.name = "one", .mode = RWKV6_MODE_RECURRENT};
static const rwkv6_variant chunk = {.name = "other", .mode = RWKV6_MODE_CHUNK};

static double tolerance_of(const conform_trial *trial, const rwkv6_variant *variant, rwkv6_tensor_id id) {
  conform_terms terms = trial->terms;
  terms.arithmetic = variant->arithmetic;
  return conform_tolerance(&trial->data, &terms, id, trial->expected.of[id]);
}

/* The expected values, off by `part` of what is allowed. */
static void set_off(const conform_trial *trial, const rwkv6_variant *variant, double part, conform_values *values) {
  memset(values, 0, sizeof *values);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!trial->expected.of[i]) continue;
    const int64_t elements = rwkv6_tensor_elements(&trial->data.resolved, id);
    const double tolerance = tolerance_of(trial, variant, id);
    values->of[i] = conform_allocate((size_t)elements, sizeof(double));
    for (int64_t e = 0; e < elements; e++) values->of[i][e] = trial->expected.of[i][e] * (1 + part * tolerance);
  }
}

static bool is_right(const conform_trial *trial, const rwkv6_variant *variant, const conform_values *values) {
  conform_message message;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!values->of[i]) continue;
    const double tolerance = tolerance_of(trial, variant, id);
    if (!conform_compare(&trial->data.resolved, id, RWKV6_FP64, values->of[i], trial->expected.of[i], tolerance, &message))
      return false;
  }
  return true;
}

static bool agree_with(const conform_trial *trial, const rwkv6_variant *first, const rwkv6_variant *second, double part,
                       double other_part, conform_message *message) {
  conform_outcome one = {.variant = first}, other = {.variant = second};
  set_off(trial, first, part, &one.values);
  set_off(trial, second, other_part, &other.values);
  assert_true(is_right(trial, first, &one.values) && is_right(trial, second, &other.values));
  const bool right = conform_check_agree(trial, &one, &other, message);
  conform_values_destroy(&one.values);
  conform_values_destroy(&other.values);
  return right;
}

static bool agree(const conform_trial *trial, double part, double other_part, conform_message *message) {
  return agree_with(trial, &recurrent, &chunk, part, other_part, message);
}

static void check(rwkv6_dtype dtype, rwkv6_operation operation) {
  conform_case test = conform_case_make(40, 8, 12);
  conform_trial trial;
  conform_message message;
  test.dtype = test.w_dtype = dtype;
  conform_trial_create(&trial, &test, operation);
  assert_true(agree(&trial, 0, 0.9, &message));
  assert_true(agree(&trial, 0.9, 0.8, &message));
  assert_true(agree(&trial, 0.7, -0.6, &message));
  assert_false(agree(&trial, 0.9, -0.9, &message));
  assert_non_null(strstr(message.text, "chunk other against recurrent one: "));
  conform_trial_destroy(&trial);
}

static void test_agreement(void **state) {
  (void)state;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int operation = 0; operation < 2; operation++) check((rwkv6_dtype)dtype, (rwkv6_operation)operation);
}

static const rwkv6_variant matrix = {.name = "matrix", .mode = RWKV6_MODE_CHUNK, .arithmetic = RWKV6_ARITHMETIC_TF32};

/* Whether `tensor` is the first to differ of two results of `variant` that are off in opposite directions. */
static bool differs_in(const char *tensor, int tokens, rwkv6_dtype dtype, rwkv6_operation operation,
                       const rwkv6_variant *variant) {
  conform_case test = conform_case_make(tokens, 16, 16);
  conform_trial trial;
  conform_message message;
  test.dtype = test.w_dtype = dtype;
  conform_trial_create(&trial, &test, operation);
  assert_false(agree_with(&trial, variant, variant, 0.9, -0.9, &message));
  conform_trial_destroy(&trial);
  return strstr(message.text, tensor) != NULL;
}

/* Matrix units round one operand for a whole row, so in few rows of 16 bits errors may add up. Not in fp32, as states are. */
static void test_few_rows(void **state) {
  (void)state;
  for (int tokens = 1; tokens <= 32; tokens++) {
    const char *tensor = tokens < 32 ? ": final_state: " : ": o: ";
    assert_true(differs_in(tensor, tokens, RWKV6_FP16, RWKV6_FORWARD, &matrix));
    assert_true(differs_in(": o: ", tokens, RWKV6_FP16, RWKV6_FORWARD, &chunk));
    assert_true(differs_in(": o: ", tokens, RWKV6_FP32, RWKV6_FORWARD, &matrix));
  }
  assert_true(differs_in(": du: ", 1, RWKV6_BF16, RWKV6_BACKWARD, &matrix));
}

static void check_pairs(int tokens, rwkv6_dtype dtype, rwkv6_decay decay, conform_distribution distribution) {
  static const rwkv6_variant pairs = {.arithmetic = RWKV6_ARITHMETIC_PAIRS};
  static const rwkv6_tensor_id results[] = {RWKV6_TENSOR_O, RWKV6_TENSOR_FINAL_STATE};
  conform_case test = conform_case_make(tokens, 64, 64);
  conform_trial trial;
  test.dtype = dtype;
  test.decay = decay;
  test.distribution = distribution;
  conform_trial_create(&trial, &test, RWKV6_FORWARD);
  for (size_t i = 0; i < 2; i++) {
    const double allowed = tolerance_of(&trial, &pairs, results[i]);
    const double of_tf32 = tolerance_of(&trial, &matrix, results[i]);
    assert_true(dtype == RWKV6_FP32 ? allowed >= of_tf32 && allowed <= 1e-5 : allowed == of_tf32);
  }
  conform_trial_destroy(&trial);
}

static double relaxed_tolerance(const rwkv6_variant *variant, rwkv6_dtype w_dtype, int heads, rwkv6_tensor_id id) {
  conform_case test = conform_case_make(200, 64, 64);
  conform_trial trial;
  test.heads = heads;
  test.dtype = RWKV6_BF16;
  test.w_dtype = w_dtype;
  test.precision = RWKV6_PRECISION_RELAXED;
  conform_trial_create(&trial, &test, RWKV6_FORWARD);
  const double relaxed = tolerance_of(&trial, variant, id);
  trial.data.resolved.precision = RWKV6_PRECISION_FULL;
  const double full = tolerance_of(&trial, variant, id);
  conform_trial_destroy(&trial);
  assert_true(full <= 2e-3);
  return relaxed == full ? 0 : relaxed;
}

/* Only o, only where all is in bf16, only for those who make use of it: 2.4e-3, and somewhat more in few rows. */
static void test_relaxed(void **state) {
  (void)state;
  static const rwkv6_variant pairs = {.arithmetic = RWKV6_ARITHMETIC_PAIRS};
  const double of_200 = relaxed_tolerance(&pairs, RWKV6_BF16, 1, RWKV6_TENSOR_O);
  const double of_2000 = relaxed_tolerance(&pairs, RWKV6_BF16, 10, RWKV6_TENSOR_O);
  assert_true(of_2000 > 2.4e-3 && of_2000 < 2.53e-3 && of_200 > of_2000 && of_200 < 2.8e-3);
  assert_true(relaxed_tolerance(&pairs, RWKV6_BF16, 1, RWKV6_TENSOR_FINAL_STATE) == 0);
  assert_true(relaxed_tolerance(&pairs, RWKV6_FP32, 1, RWKV6_TENSOR_O) == 0);
  assert_true(relaxed_tolerance(&matrix, RWKV6_BF16, 1, RWKV6_TENSOR_O) == 0);
  assert_true(relaxed_tolerance(&chunk, RWKV6_BF16, 1, RWKV6_TENSOR_O) == 0);
}

/* Sums of two numbers in bf16 are no excuse to miss the bar of fp32, and nothing in 16 bits, where they replace tf32. */
static void test_pairs(void **state) {
  (void)state;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int decay = 0; decay < 3; decay++)
      for (int distribution = 0; distribution < CONFORM_DISTRIBUTIONS; distribution++)
        for (int tokens = 16; tokens <= 256; tokens *= 16) /* with fewer the bar may grow */
          check_pairs(tokens, (rwkv6_dtype)dtype, (rwkv6_decay)decay, (conform_distribution)distribution);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_agreement), cmocka_unit_test(test_few_rows),
                                     cmocka_unit_test(test_pairs), cmocka_unit_test(test_relaxed)};
  return cmocka_run_group_tests_name("agreement of variants", tests, NULL, NULL);
}
