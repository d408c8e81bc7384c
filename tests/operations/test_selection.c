/* SPDX-License-Identifier: MIT */
/* The default selection holds the combinations that it promises. */
#include "cmocka_all.h"
#include "conform/selection.h"
#include "tensor.h"

#include <string.h>

static conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS];

enum { KEY, VALUE, DTYPE, W_DTYPE, DECAY, FIELDS };

static int field(const conform_specialization *s, int which) {
  const int fields[FIELDS] = {s->key_dim, s->value_dim, (int)s->dtype, s->w_dtype == s->dtype, (int)s->decay};
  return fields[which];
}

/* Pairs of values of two fields that occur; an fp32 problem has no choice of w and does not count for it. */
static int count_pairs(size_t count, int a, int b) {
  int seen[CONFORM_ALL_SPECIALIZATIONS][2], found = 0;
  for (size_t i = 0; i < count; i++) {
    const int pair[2] = {field(&selected[i], a), field(&selected[i], b)};
    if ((a == W_DTYPE || b == W_DTYPE) && selected[i].dtype == RWKV6_FP32) continue;
    int j = 0;
    while (j < found && memcmp(seen[j], pair, sizeof pair)) j++;
    if (j == found) memcpy(seen[found++], pair, sizeof pair);
  }
  return found;
}

static void test_pairwise(void **state) {
  (void)state;
  const size_t count = conform_select_specializations(CONFORM_PAIRWISE, selected);
  assert_true(count <= 60);
  assert_int_equal(count_pairs(count, KEY, DTYPE), 8 * 3);
  assert_int_equal(count_pairs(count, VALUE, DTYPE), 8 * 3);
  assert_int_equal(count_pairs(count, KEY, W_DTYPE), 8 * 2);
  assert_int_equal(count_pairs(count, VALUE, W_DTYPE), 8 * 2);
  assert_int_equal(count_pairs(count, KEY, DECAY), 8 * 3);
  assert_int_equal(count_pairs(count, VALUE, DECAY), 8 * 3);
  assert_int_equal(count_pairs(count, DTYPE, DECAY), 3 * 3);
  assert_int_equal(count_pairs(count, DTYPE, W_DTYPE), 2 * 2);
  assert_int_equal(count_pairs(count, W_DTYPE, DECAY), 2 * 3);
  assert_int_equal(count_pairs(count, KEY, VALUE), 24);
}

static void test_quick(void **state) {
  (void)state;
  const size_t count = conform_select_specializations(CONFORM_QUICK, selected);
  assert_int_equal(count, 9);
  assert_int_equal(count_pairs(count, KEY, DTYPE), 3 * 3);
  assert_int_equal(count_pairs(count, VALUE, DTYPE), 3 * 3);
  assert_int_equal(count_pairs(count, KEY, DECAY), 3 * 3);
  assert_int_equal(count_pairs(count, VALUE, DECAY), 3 * 3);
  assert_int_equal(count_pairs(count, KEY, VALUE), 3 * 3);
  assert_int_equal(count_pairs(count, DTYPE, DECAY), 3 * 3);
  assert_int_equal(count_pairs(count, DTYPE, W_DTYPE), 2 * 2);
  assert_int_equal(count_pairs(count, W_DTYPE, DECAY), 2 * 3);
}

/* Whatever the seed, each type and each decay form meets each distribution. */
static void test_quick_distributions(void **state) {
  (void)state;
  const size_t count = conform_select_specializations(CONFORM_QUICK, selected);
  for (uint64_t seed = 1; seed < 20; seed++) {
    int by_dtype[3][CONFORM_DISTRIBUTIONS] = {{0}}, by_decay[3][CONFORM_DISTRIBUTIONS] = {{0}};
    for (size_t i = 0; i < count; i++)
      for (int64_t index = 0; index < CONFORM_CASES; index++) {
        const conform_case test = conform_select_case(&selected[i], index, CONFORM_QUICK, seed, 1e6);
        by_dtype[test.dtype][test.distribution]++;
        by_decay[test.decay][test.distribution]++;
      }
    for (int i = 0; i < 3; i++)
      for (int d = 0; d < CONFORM_DISTRIBUTIONS; d++) assert_true(by_dtype[i][d] >= 1 && by_decay[i][d] >= 1);
  }
}

static void test_full(void **state) {
  (void)state;
  const size_t count = conform_select_specializations(CONFORM_FULL, selected);
  assert_int_equal(count, CONFORM_ALL_SPECIALIZATIONS);
  assert_int_equal(count_pairs(count, KEY, VALUE), 64);
  assert_int_equal(count_pairs(count, DTYPE, W_DTYPE), 4);
}

/* Over all cases of a default run every length, distribution, stride, direction and chunk length occurs, and the largest ragged
 * batch; chunk lengths included, they need 60 programs of an operation at most. */
static void test_cases(void **state) {
  (void)state;
  const size_t count = conform_select_specializations(CONFORM_PAIRWISE, selected);
  int lengths[301] = {0}, distributions[CONFORM_DISTRIBUTIONS] = {0}, strides[CONFORM_STRIDES] = {0}, reverse = 0, most = 0;
  int chunks[17] = {0}, programs = 0;
  for (size_t i = 0; i < count; i++) {
    int compiled[17] = {0};
    for (int64_t index = 0; index < CONFORM_CASES; index++) {
      const conform_case test = conform_select_case(&selected[i], index, CONFORM_PAIRWISE, 1, 4e6);
      chunks[test.chunk_length]++;
      programs += !compiled[test.chunk_length]++;
      lengths[test.length]++;
      distributions[test.distribution]++;
      strides[test.strides]++;
      reverse += test.reverse;
      if (test.sequences == 17 && test.ragged) most++;
    }
  }
  static const int wanted[] = {1, 15, 16, 17, 63, 64, 65, 300};
  for (int i = 0; i < 8; i++) assert_true(lengths[wanted[i]] >= 4);
  for (int i = 0; i < CONFORM_DISTRIBUTIONS; i++) assert_true(distributions[i] >= 4);
  for (int i = 0; i < CONFORM_STRIDES; i++) assert_true(strides[i] >= 4);
  for (int i = 0; i <= 16; i++) assert_true(chunks[i] >= 2);
  assert_true(reverse >= 4 && most >= 1 && programs <= 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pairwise), cmocka_unit_test(test_quick), cmocka_unit_test(test_quick_distributions),
      cmocka_unit_test(test_full),     cmocka_unit_test(test_cases),
  };
  return cmocka_run_group_tests_name("selection", tests, NULL, NULL);
}
