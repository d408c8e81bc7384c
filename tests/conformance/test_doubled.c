/* SPDX-License-Identifier: MIT */
/* How far an element may be off its double where a term that underflows decides a tie: by what its sum is multiplied by. */
#include <math.h>

#include "cmocka_all.h"
#include "conform/check.h"
#include "conform/tolerance.h"

static int64_t largest(const double *values, int64_t elements) {
  int64_t found = 0;
  for (int64_t i = 1; i < elements; i++)
    if (fabs(values[i]) > fabs(values[found])) found = i;
  return found;
}

/* Whether the CPU path's outputs pass with `elements` elements of one of them, its largest and those behind it, that many unit
 * roundoffs off. */
static bool passes(rwkv6_dtype dtype, rwkv6_decay decay, rwkv6_operation operation, rwkv6_tensor_id id, double roundoffs,
                   int elements) {
  conform_case test = conform_case_make(40, 8, 12);
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  conform_subject subject = {.info = &info};
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  conform_trial trial;
  conform_values first;
  conform_message message;
  test.dtype = dtype;
  test.decay = decay;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &subject.device, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_device_get_info(subject.device, &info, NULL), RWKV6_OK);
  assert_int_equal(conform_variants(subject.device, &test, operation, RWKV6_MODE_RECURRENT, variants), 1);
  subject.variant = variants[0];
  conform_trial_create(&trial, &test, operation);
  assert_true(conform_run_all(&subject, &trial.data, &message));
  conform_values_read(&trial.data, &first);
  const int64_t all = rwkv6_tensor_elements(&trial.data.resolved, id), at = largest(first.of[id], all);
  for (int i = 0; i < elements; i++)
    first.of[id][(at + i) % all] *= 1 + roundoffs * conform_unit_roundoff(rwkv6_tensor_dtype(&trial.data.resolved, id));
  const conform_context context = {&subject, &trial, &first};
  const bool right = conform_check_double(&context, &message);
  conform_values_destroy(&first);
  conform_trial_destroy(&trial);
  rwkv6_device_close(&subject.device);
  return right;
}

/* `roundoffs` may be off, and no more; in a thousandth of the elements, and none of fp32. */
static void check(rwkv6_decay decay, rwkv6_operation operation, rwkv6_tensor_id id, double roundoffs) {
  assert_true(passes(RWKV6_BF16, decay, operation, id, 0, 1));
  assert_true(passes(RWKV6_BF16, decay, operation, id, roundoffs, 1));
  assert_false(passes(RWKV6_BF16, decay, operation, id, roundoffs + 0.1, 1));
  assert_false(passes(RWKV6_BF16, decay, operation, id, roundoffs, 12));
  assert_false(passes(RWKV6_FP32, decay, operation, id, roundoffs, 1));
}

static void test_forward(void **state) {
  (void)state;
  check(RWKV6_DECAY_LOG, RWKV6_FORWARD, RWKV6_TENSOR_O, 4);
  check(RWKV6_DECAY_RAW, RWKV6_FORWARD, RWKV6_TENSOR_FINAL_STATE, 2);
}

static void test_backward(void **state) {
  (void)state;
  check(RWKV6_DECAY_LOG, RWKV6_BACKWARD, RWKV6_TENSOR_DR, 4);
  check(RWKV6_DECAY_LOG, RWKV6_BACKWARD, RWKV6_TENSOR_DK, 2);
  check(RWKV6_DECAY_LOG, RWKV6_BACKWARD, RWKV6_TENSOR_DW, 4);
  check(RWKV6_DECAY_RAW, RWKV6_BACKWARD, RWKV6_TENSOR_DW, 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forward), cmocka_unit_test(test_backward)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
