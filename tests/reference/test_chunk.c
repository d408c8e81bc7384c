/* SPDX-License-Identifier: MIT */
/* In double, the chunk form gives what the recurrent form gives, for every chunk length from 1 to one more than the sequence.
 */
#include <stdio.h>

#include "cmocka_all.h"
#include "conform/compare.h"

/* The tolerance of fp32, brought to the epsilon of double: the same sums in the same number. */
static double tolerance_in_double(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id) {
  return conform_sum_error(data, terms, id) * 0x1p-29;
}

static bool same(const conform_data *data, const conform_values *chunk, const conform_values *recurrent,
                 conform_message *message) {
  const conform_terms terms = conform_terms_of(data);
  bool right = true;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && right; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!recurrent->of[i]) continue;
    right = conform_compare(&data->resolved, id, RWKV6_FP64, chunk->of[i], recurrent->of[i],
                            tolerance_in_double(data, &terms, id), message);
  }
  return right;
}

static void check_chunk_length(conform_case test, rwkv6_operation operation, int64_t chunk_length) {
  test.chunk_length = chunk_length;
  conform_data data;
  conform_values recurrent, chunk;
  conform_message message;
  conform_data_create(&data, &test, operation, true);
  conform_reference(&data, RWKV6_MODE_RECURRENT, true, &recurrent);
  conform_reference(&data, RWKV6_MODE_CHUNK, true, &chunk);
  if (!same(&data, &chunk, &recurrent, &message)) {
    char line[CONFORM_CASE_TEXT];
    fail_msg("%s\n  %s", message.text, conform_case_format(&test, line));
  }
  conform_values_destroy(&recurrent);
  conform_values_destroy(&chunk);
  conform_data_destroy(&data);
}

static void check_all_lengths(const conform_case *test) {
  for (int64_t length = 1; length <= test->length + 1; length++) {
    check_chunk_length(*test, RWKV6_FORWARD, length);
    if (test->decay != RWKV6_DECAY_FACTOR) check_chunk_length(*test, RWKV6_BACKWARD, length);
  }
  check_chunk_length(*test, RWKV6_FORWARD, 0);
  if (test->decay != RWKV6_DECAY_FACTOR) check_chunk_length(*test, RWKV6_BACKWARD, 0);
}

/* Every distribution in every form, in both directions. */
static void test_distributions(void **state) {
  (void)state;
  for (int distribution = 0; distribution < CONFORM_DISTRIBUTIONS; distribution++)
    for (int decay = 0; decay < 3; decay++) {
      conform_case test = conform_case_make(11, 5, 4);
      test.distribution = (conform_distribution)distribution;
      test.decay = (rwkv6_decay)decay;
      test.reverse = (distribution + decay) % 2;
      test.seed = (uint64_t)(10 * distribution + decay + 1);
      check_all_lengths(&test);
    }
}

static void test_ragged_and_strided(void **state) {
  (void)state;
  for (int strides = 0; strides < CONFORM_STRIDES; strides++)
    for (int reverse = 0; reverse < 2; reverse++) {
      conform_case test = conform_case_make(9, 3, 7);
      test.sequences = 6;
      test.ragged = true;
      test.heads = 2;
      test.strides = (conform_strides)strides;
      test.reverse = reverse;
      test.distribution = reverse ? CONFORM_RESETS : CONFORM_STRONG;
      test.seed = (uint64_t)(2 * strides + reverse + 100);
      check_all_lengths(&test);
    }
}

static void test_without_optional_tensors(void **state) {
  (void)state;
  for (uint32_t optional = 0; optional < 16; optional++) {
    conform_case test = conform_case_make(7, 4, 3);
    test.sequences = 2;
    test.optional = optional;
    test.seed = optional + 200;
    check_all_lengths(&test);
  }
}

static void test_lengths_around_the_default(void **state) {
  (void)state;
  static const int64_t lengths[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    conform_case test = conform_case_make(lengths[i], 8, 8);
    test.seed = i + 300;
    check_chunk_length(test, RWKV6_FORWARD, 0);
    check_chunk_length(test, RWKV6_BACKWARD, 0);
    check_chunk_length(test, RWKV6_BACKWARD, 16);
    check_chunk_length(test, RWKV6_BACKWARD, 4096);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distributions),
      cmocka_unit_test(test_ragged_and_strided),
      cmocka_unit_test(test_without_optional_tensors),
      cmocka_unit_test(test_lengths_around_the_default),
  };
  return cmocka_run_group_tests_name("chunk equals recurrent", tests, NULL, NULL);
}
