/* SPDX-License-Identifier: MIT */
/* The checks of tests/support must be able to fail: right outputs are spoiled in one way at a time, and each must be noticed.
 */
#include <math.h>

#include "cmocka_all.h"
#include "conform/compare.h"

#include <string.h>

typedef struct fixture {
  conform_data data;
  conform_terms terms;
  conform_values expected;
  conform_message message;
} fixture;

/* Outputs that are the rounded exact values, in a strided ragged batch. */
static void set_up(fixture *f, rwkv6_operation operation, rwkv6_dtype dtype) {
  conform_case test = conform_case_make(9, 12, 10);
  test.sequences = 4;
  test.ragged = true;
  test.heads = 2;
  test.dtype = dtype;
  test.strides = CONFORM_PADDED;
  conform_data_create(&f->data, &test, operation, false);
  f->terms = conform_terms_of(&f->data);
  conform_reference(&f->data, RWKV6_MODE_RECURRENT, true, &f->expected);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!conform_is_output(&f->data, i)) continue;
    const int64_t channels = rwkv6_tensor_channels(&f->data.resolved, id);
    for (int64_t row = 0; row < conform_rows(&f->data.resolved, id); row++)
      for (int64_t c = 0; c < channels; c++)
        conform_image_write(&f->data.image[i], conform_row_offset(&f->data.resolved, id, row) + c,
                            f->expected.of[i][row * channels + c]);
  }
}

static void tear_down(fixture *f) {
  conform_values_destroy(&f->expected);
  conform_data_destroy(&f->data);
}

static bool passes(fixture *f) {
  f->message.text[0] = 0;
  return conform_check_images(&f->data, -1, &f->message) &&
         conform_check_values(&f->data, &f->terms, &f->expected, &f->message);
}

/* Puts `value` at an element of a tensor and expects a message with both texts; then puts back what was there. */
static void spoil(fixture *f, rwkv6_tensor_id id, int64_t element, double value, const char *what) {
  conform_image *image = &f->data.image[id];
  const size_t size = rwkv6_dtype_size(image->dtype);
  unsigned char kept[8];
  memcpy(kept, conform_image_pointer(image, element), size);
  conform_image_write(image, element, value);
  if (passes(f)) fail_msg("%s spoiled at %d (%s) went unnoticed", rwkv6_tensor_table[id].name, (int)element, what);
  if (!strstr(f->message.text, rwkv6_tensor_table[id].name) || !strstr(f->message.text, what))
    fail_msg("wrong message: %s", f->message.text);
  memcpy(conform_image_pointer(image, element), kept, size);
  if (!passes(f)) fail_msg("still failing: %s", f->message.text);
}

static void spoil_everything(rwkv6_operation operation, rwkv6_dtype dtype) {
  fixture f;
  set_up(&f, operation, dtype);
  if (!passes(&f)) fail_msg("right outputs fail: %s", f.message.text);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    const conform_image *image = &f.data.image[i];
    if (!image->memory) continue;
    const int64_t extent = rwkv6_tensor_extent(&f.data.resolved, id), channels = rwkv6_tensor_channels(&f.data.resolved, id);
    if (!rwkv6_tensor_table[i].output) {
      spoil(&f, id, 0, 0.125, "input changed");
      spoil(&f, id, extent, 0, "input changed");
      continue;
    }
    spoil(&f, id, -1, 0, "guard or gap written");
    spoil(&f, id, -CONFORM_GUARD_ELEMENTS, 0, "guard or gap written");
    spoil(&f, id, extent, 0, "guard or gap written");
    spoil(&f, id, extent + CONFORM_GUARD_ELEMENTS - 1, 0, "guard or gap written");
    if (rwkv6_tensor_stride(&f.data.resolved, id)) spoil(&f, id, channels, 0, "guard or gap written");
    spoil(&f, id, 0, NAN, "nan");
    spoil(&f, id, extent - 1, INFINITY, "inf");
    const double right = conform_image_read(image, 1);
    spoil(&f, id, 1, right + 0.5, "relative error");
    spoil(&f, id, 1, -right, "relative error");
  }
  tear_down(&f);
}

static void test_spoiled_outputs(void **state) {
  (void)state;
  spoil_everything(RWKV6_FORWARD, RWKV6_FP32);
  spoil_everything(RWKV6_FORWARD, RWKV6_BF16);
  spoil_everything(RWKV6_BACKWARD, RWKV6_FP32);
  spoil_everything(RWKV6_BACKWARD, RWKV6_FP16);
}

static void test_unwritten_element(void **state) {
  (void)state;
  fixture f;
  set_up(&f, RWKV6_FORWARD, RWKV6_FP32);
  const conform_image poisoned = f.data.image[RWKV6_TENSOR_O];
  conform_values right;
  conform_values_read(&f.data, &right);
  conform_image_poison(&f.data.image[RWKV6_TENSOR_O]);
  assert_false(passes(&f));
  assert_non_null(strstr(f.message.text, "not written"));
  assert_ptr_equal(poisoned.memory, f.data.image[RWKV6_TENSOR_O].memory);
  conform_values_destroy(&right);
  tear_down(&f);
}

/* All zero where the exact values are small but not nothing: within any absolute tolerance, and wrong. */
static void test_zeros(void **state) {
  (void)state;
  const double expected[3] = {1e-20, -2e-20, 1e-20}, zeros[3] = {0, 0, 0}, tiny[3] = {1e-40, 0, 0};
  conform_message message;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, 3, 3);
  assert_false(conform_compare(&problem, RWKV6_TENSOR_O, RWKV6_FP32, zeros, expected, 2.0, &message));
  assert_non_null(strstr(message.text, "all zero"));
  assert_true(conform_compare(&problem, RWKV6_TENSOR_O, RWKV6_FP32, zeros, tiny, 1e-6, &message));
  assert_true(conform_compare(&problem, RWKV6_TENSOR_O, RWKV6_FP32, zeros, zeros, 0, &message));
  assert_false(conform_compare(&problem, RWKV6_TENSOR_O, RWKV6_FP32, expected, zeros, 1e-5, &message));
}

static void test_changed_bits(void **state) {
  (void)state;
  fixture f;
  conform_values before;
  set_up(&f, RWKV6_BACKWARD, RWKV6_FP32);
  conform_values_read(&f.data, &before);
  assert_true(conform_check_bits(&f.data, &before, -1, "again", &f.message));
  const double right = conform_image_read(&f.data.image[RWKV6_TENSOR_DK], 0);
  conform_image_write(&f.data.image[RWKV6_TENSOR_DK], 0, (double)nextafterf((float)right, 10));
  assert_false(conform_check_bits(&f.data, &before, -1, "again", &f.message));
  assert_non_null(strstr(f.message.text, "dk: again"));
  conform_values_destroy(&before);
  tear_down(&f);
}

/* Terms left out on purpose: the derived tolerances are far below what any of them changes. */
static void test_missing_terms_are_seen(void **state) {
  (void)state;
  conform_case test = conform_case_make(65, 64, 64);
  for (int i = 0; i < 3; i++) {
    test.dtype = (rwkv6_dtype)i;
    conform_data data;
    conform_data_create(&data, &test, RWKV6_FORWARD, false);
    const conform_terms terms = conform_terms_of(&data);
    conform_values right, wrong;
    conform_message message;
    conform_reference(&data, RWKV6_MODE_RECURRENT, true, &right);
    /* one element of k of one token */
    conform_image *k = &data.image[RWKV6_TENSOR_K];
    conform_image_write(k, 20 * 64 + 3, 0);
    conform_reference(&data, RWKV6_MODE_RECURRENT, true, &wrong);
    const double tolerance = conform_tolerance(&data, &terms, RWKV6_TENSOR_O, right.of[RWKV6_TENSOR_O]);
    assert_false(conform_compare(&data.resolved, RWKV6_TENSOR_O, test.dtype, wrong.of[RWKV6_TENSOR_O], right.of[RWKV6_TENSOR_O],
                                 tolerance, &message));
    conform_values_destroy(&right);
    conform_values_destroy(&wrong);
    conform_data_destroy(&data);
  }
}

static void test_case_text_round_trip(void **state) {
  (void)state;
  conform_case test = conform_case_make(65, 33, 60), again = conform_case_make(1, 1, 1);
  test.sequences = 5, test.ragged = true, test.heads = 3, test.dtype = RWKV6_BF16, test.w_dtype = RWKV6_FP32;
  test.decay = RWKV6_DECAY_RAW, test.distribution = CONFORM_DENORMAL, test.strides = CONFORM_HEADS_FIRST, test.reverse = true;
  test.optional = 5, test.scale = 0.3, test.chunk_length = 7, test.segment_length = -1, test.host = true, test.work_group = 64,
  test.precision = RWKV6_PRECISION_RELAXED, test.seed = UINT64_MAX;
  char text[CONFORM_CASE_TEXT], text_again[CONFORM_CASE_TEXT], wrong[64];
  assert_true(conform_case_parse(conform_case_format(&test, text), &again, wrong));
  assert_string_equal(conform_case_format(&again, text_again), text);
  assert_false(conform_case_parse("t=5 colour=red", &again, wrong));
  assert_string_equal(wrong, "colour=red");
  assert_false(conform_case_parse("dtype=fp8", &again, wrong));
  assert_false(conform_case_parse("t=5x", &again, wrong));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spoiled_outputs),
      cmocka_unit_test(test_unwritten_element),
      cmocka_unit_test(test_zeros),
      cmocka_unit_test(test_changed_bits),
      cmocka_unit_test(test_missing_terms_are_seen),
      cmocka_unit_test(test_case_text_round_trip),
  };
  return cmocka_run_group_tests_name("harness", tests, NULL, NULL);
}
