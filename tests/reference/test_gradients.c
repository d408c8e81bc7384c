/* SPDX-License-Identifier: MIT */
/*
 * In double, every gradient is the derivative of sum(o * do) + sum(final_state * dfinal_state), by finite differences.
 *
 * Each single element of r, k, v, u and the initial state enters linearly, so that a central difference with a step of 1 is
 * exact but for rounding. w does not: two steps and an extrapolation leave an error of the fourth power of the step.
 */
#include <math.h>
#include <stdio.h>

#include "cmocka_all.h"
#include "conform/compare.h"

#define STEP_OF_W 1e-3

typedef struct gradient_of {
  rwkv6_tensor_id input, gradient;
} gradient_of;

static const gradient_of gradients[] = {
    {RWKV6_TENSOR_R, RWKV6_TENSOR_DR}, {RWKV6_TENSOR_K, RWKV6_TENSOR_DK},
    {RWKV6_TENSOR_V, RWKV6_TENSOR_DV}, {RWKV6_TENSOR_W, RWKV6_TENSOR_DW},
    {RWKV6_TENSOR_U, RWKV6_TENSOR_DU}, {RWKV6_TENSOR_INITIAL_STATE, RWKV6_TENSOR_DINITIAL_STATE},
};

/* sum(values * rows of the image) */
static double dot(const conform_data *data, rwkv6_tensor_id weights, const double *values) {
  if (!data->image[weights].memory || !values) return 0;
  const int64_t channels = rwkv6_tensor_channels(&data->resolved, weights), rows = conform_rows(&data->resolved, weights);
  double sum = 0;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t c = 0; c < channels; c++)
      sum += *values++ * conform_image_read(&data->image[weights], conform_row_offset(&data->resolved, weights, row) + c);
  return sum;
}

/* `forward` has the inputs, `backward` has do and dfinal_state. */
static double loss(const conform_data *forward, const conform_data *backward) {
  conform_values values;
  conform_reference(forward, RWKV6_MODE_RECURRENT, true, &values);
  const double sum = dot(backward, RWKV6_TENSOR_DO, values.of[RWKV6_TENSOR_O]) +
                     dot(backward, RWKV6_TENSOR_DFINAL_STATE, values.of[RWKV6_TENSOR_FINAL_STATE]);
  conform_values_destroy(&values);
  return sum;
}

static double difference(conform_data *forward, const conform_data *backward, rwkv6_tensor_id id, int64_t element,
                         double step) {
  conform_image *image = &forward->image[id];
  const double middle = conform_image_read(image, element);
  conform_image_write(image, element, middle + step);
  const double above = loss(forward, backward);
  conform_image_write(image, element, middle - step);
  const double below = loss(forward, backward);
  conform_image_write(image, element, middle);
  return (above - below) / (2 * step);
}

static double derivative(conform_data *forward, const conform_data *backward, rwkv6_tensor_id id, int64_t element) {
  if (id != RWKV6_TENSOR_W) return difference(forward, backward, id, element, 1);
  /* At an infinite w nothing moves: the gradient is exactly 0. */
  if (isinf(conform_image_read(&forward->image[id], element))) return 0;
  const double near = difference(forward, backward, id, element, STEP_OF_W);
  const double far = difference(forward, backward, id, element, 2 * STEP_OF_W);
  return (4 * near - far) / 3;
}

/* Relative to the norm of a gradient: truncation (w only), and rounding of two losses that are nearly the same. The losses are
 * sums of terms around 1. */
static double allowed_error(const conform_data *forward, const conform_data *backward, gradient_of pair, const double *analytic,
                            int64_t elements) {
  const double rounding = 64 * 0x1p-53 * (1 + fabs(loss(forward, backward))) * sqrt((double)elements);
  const bool linear = pair.input != RWKV6_TENSOR_W;
  const double norm = fmax(conform_measure(analytic, analytic, elements).norm, 0x1p-100);
  return (linear ? 1e-12 : 1e-10) + rounding / (linear ? 1 : STEP_OF_W) / norm;
}

static void check_tensor(conform_data *forward, const conform_data *backward, gradient_of pair, const double *analytic,
                         const conform_case *test, const char *mode) {
  const int64_t channels = rwkv6_tensor_channels(&forward->resolved, pair.input);
  const int64_t rows = conform_rows(&forward->resolved, pair.input);
  static double numeric[4096];
  assert_true(rows * channels <= 4096);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t c = 0; c < channels; c++)
      numeric[row * channels + c] =
          derivative(forward, backward, pair.input, conform_row_offset(&forward->resolved, pair.input, row) + c);
  conform_message message;
  const double tolerance = allowed_error(forward, backward, pair, analytic, rows * channels);
  if (!conform_compare(&backward->resolved, pair.gradient, RWKV6_FP64, analytic, numeric, tolerance, &message)) {
    char line[CONFORM_CASE_TEXT];
    fail_msg("%s: %s\n  %s", mode, message.text, conform_case_format(test, line));
  }
}

static void check_case(const conform_case *test) {
  conform_data forward, backward;
  conform_values recurrent, chunk;
  conform_data_create(&forward, test, RWKV6_FORWARD, true);
  conform_data_create(&backward, test, RWKV6_BACKWARD, true);
  conform_reference(&backward, RWKV6_MODE_RECURRENT, true, &recurrent);
  conform_reference(&backward, RWKV6_MODE_CHUNK, true, &chunk);
  for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++) {
    if (!recurrent.of[gradients[i].gradient]) continue;
    check_tensor(&forward, &backward, gradients[i], recurrent.of[gradients[i].gradient], test, "recurrent");
    check_tensor(&forward, &backward, gradients[i], chunk.of[gradients[i].gradient], test, "chunk");
  }
  conform_values_destroy(&recurrent);
  conform_values_destroy(&chunk);
  conform_data_destroy(&forward);
  conform_data_destroy(&backward);
}

static conform_case small_case(void) {
  conform_case test = conform_case_make(5, 3, 2);
  test.chunk_length = 2;
  return test;
}

static void check_form(rwkv6_decay decay) {
  static const conform_distribution distributions[] = {CONFORM_ORDINARY, CONFORM_WEAK, CONFORM_MINUS_10, CONFORM_SPIKES,
                                                       CONFORM_RESETS,   CONFORM_NONE, CONFORM_STRONG};
  for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++)
    for (int reverse = 0; reverse < 2; reverse++) {
      conform_case test = small_case();
      test.distribution = distributions[i];
      test.decay = decay;
      test.reverse = reverse;
      test.seed = 2 * i + (uint64_t)reverse + 1;
      check_case(&test);
    }
}

static void test_log_form(void **state) {
  (void)state;
  check_form(RWKV6_DECAY_LOG);
}

static void test_raw_form(void **state) {
  (void)state;
  check_form(RWKV6_DECAY_RAW);
}

/* A reset in the middle of each sequence, for certain, in each form. */
static void test_reset_in_the_middle(void **state) {
  (void)state;
  for (int decay = 0; decay < 2; decay++) {
    conform_case test = small_case();
    test.distribution = CONFORM_RESETS;
    test.decay = (rwkv6_decay)decay;
    test.length = 24;
    test.key_dim = 2;
    test.seed = 40;
    check_case(&test);
  }
}

static void test_ragged_batches(void **state) {
  (void)state;
  for (int reverse = 0; reverse < 2; reverse++) {
    conform_case test = small_case();
    test.sequences = 4;
    test.ragged = true;
    test.heads = 2;
    test.strides = CONFORM_PADDED;
    test.reverse = reverse;
    test.scale = 1.5;
    test.seed = 50 + (uint64_t)reverse;
    check_case(&test);
  }
}

/* Each combination of optional tensors: a gradient that is not given counts as zero. */
static void test_optional_tensors(void **state) {
  (void)state;
  for (uint32_t optional = 0; optional < 16; optional++) {
    /* without dinitial_state there is nothing to compare for the initial state, without initial_state nothing to move */
    if ((optional & RWKV6_DINITIAL_STATE) && !(optional & RWKV6_INITIAL_STATE)) continue;
    /* the loss counts dfinal_state only if forward has a final state */
    if (!(optional & RWKV6_FINAL_STATE) != !(optional & RWKV6_DFINAL_STATE)) continue;
    conform_case test = small_case();
    test.optional = optional;
    test.seed = 60 + optional;
    check_case(&test);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_log_form),
      cmocka_unit_test(test_raw_form),
      cmocka_unit_test(test_reset_in_the_middle),
      cmocka_unit_test(test_ragged_batches),
      cmocka_unit_test(test_optional_tensors),
  };
  return cmocka_run_group_tests_name("gradients are derivatives", tests, NULL, NULL);
}
