/* SPDX-License-Identifier: MIT */
/* Selections hold the combinations that they promise: every two values of all that a case is made of. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "conform/selection.h"
#include "tensor.h"

enum {
  KEY,
  VALUE,
  DTYPE,
  W_FP32,
  DECAY,
  CHUNK,
  GROUP,
  DISTRIBUTION,
  LENGTH,
  SEQUENCES,
  RAGGED,
  HEADS,
  STRIDES,
  REVERSE,
  INITIAL,
  FINAL,
  DFINAL,
  DINITIAL,
  SCALE,
  HOST,
  SEGMENT,
  PRECISION,
  FIELDS
};

static const char *const names[FIELDS] = {"K",     "V",      "dtype",  "w",      "decay",   "chunk",    "group", "dist",
                                          "t",     "n",      "ragged", "h",      "strides", "reverse",  "first", "last state",
                                          "dlast", "dfirst", "scale",  "memory", "segment", "precision"};

#define LONG_LENGTH 600

/* What a case has of each field. */
static void read_fields(const conform_case *t, int fields[FIELDS]) {
  const int read[FIELDS] = {t->key_dim,
                            t->value_dim,
                            (int)t->dtype,
                            t->w_dtype != t->dtype,
                            (int)t->decay,
                            t->chunk_length != 0,
                            t->work_group,
                            (int)t->distribution,
                            (int)t->length,
                            (int)t->sequences,
                            t->ragged,
                            (int)t->heads,
                            (int)t->strides,
                            t->reverse,
                            (t->optional & RWKV6_INITIAL_STATE) != 0,
                            (t->optional & RWKV6_FINAL_STATE) != 0,
                            (t->optional & RWKV6_DFINAL_STATE) != 0,
                            (t->optional & RWKV6_DINITIAL_STATE) != 0,
                            (int)(100 * t->scale),
                            t->host,
                            (int)t->segment_length,
                            (int)t->precision};
  memcpy(fields, read, sizeof read);
}

typedef struct set {
  int value[64], count;
} set;

static void add(set *values, int value) {
  for (int i = 0; i < values->count; i++)
    if (values->value[i] == value) return;
  values->value[values->count++] = value;
}

static bool meet(int (*rows)[FIELDS], size_t count, int a, int one, int b, int other) {
  for (size_t i = 0; i < count; i++)
    if (rows[i][a] == one && rows[i][b] == other) return true;
  return false;
}

/* An fp32 problem has no other type for w; in a selection of pairs K and V do not all meet. */
static bool is_excepted(conform_extent extent, int a, int b, int one, int other) {
  if (a == DTYPE && b == W_FP32) return one == RWKV6_FP32 && other;
  return a == KEY && b == VALUE && extent == CONFORM_PAIRWISE;
}

/* The cases of an extent without the long ones, which are not part of the array; how many there are of each field's values. */
static void check_pairs(conform_extent extent, uint64_t seed, const int wanted[FIELDS]) {
  conform_selected *selected;
  size_t rows_count = 0;
  const size_t count = conform_select_cases(extent, seed, CONFORM_WORK, &selected);
  int(*rows)[FIELDS] = malloc(count * sizeof *rows);
  set values[FIELDS] = {{{0}, 0}};
  assert_non_null(rows);
  for (size_t i = 0; i < count; i++) {
    if (selected[i].test.length == LONG_LENGTH) continue;
    read_fields(&selected[i].test, rows[rows_count]);
    for (int field = 0; field < FIELDS; field++) add(&values[field], rows[rows_count][field]);
    rows_count++;
  }
  for (int a = 0; a < FIELDS; a++) {
    if (values[a].count != wanted[a]) fail_msg("%s: %d values, not %d", names[a], values[a].count, wanted[a]);
    for (int b = a + 1; b < FIELDS; b++)
      for (int i = 0; i < values[a].count; i++)
        for (int j = 0; j < values[b].count; j++) {
          const int one = values[a].value[i], other = values[b].value[j];
          if (!is_excepted(extent, a, b, one, other) && !meet(rows, rows_count, a, one, b, other))
            fail_msg("seed %d: %s = %d never meets %s = %d", (int)seed, names[a], one, names[b], other);
        }
  }
  free(rows);
  free(selected);
}

static void test_quick(void **state) {
  (void)state;
  static const int wanted[FIELDS] = {3, 3, 3, 2, 3, 2, 2, CONFORM_DISTRIBUTIONS, 8, 4, 2, 3, CONFORM_STRIDES, 2, 2,
                                     2, 2, 2, 3, 2, 4, 2};
  for (uint64_t seed = 0; seed < 40; seed++) check_pairs(CONFORM_QUICK, seed, wanted);
}

static void test_pairwise_and_full(void **state) {
  (void)state;
  static const int wanted[FIELDS] = {8, 8, 3, 2, 3, 2, 2, CONFORM_DISTRIBUTIONS, 8, 4, 2, 3, CONFORM_STRIDES, 2, 2,
                                     2, 2, 2, 3, 2, 4, 2};
  for (uint64_t seed = 0; seed < 3; seed++) check_pairs(CONFORM_PAIRWISE, seed, wanted);
  check_pairs(CONFORM_FULL, 1, wanted);
}

static size_t count_cases(conform_extent extent, bool (*counts)(const conform_case *test)) {
  conform_selected *selected;
  size_t found = 0;
  const size_t count = conform_select_cases(extent, 1, CONFORM_WORK, &selected);
  for (size_t i = 0; i < count; i++) found += counts(&selected[i].test);
  free(selected);
  return found;
}

/* What models have, in more than one segment of either operation. */
static bool is_model_shape(const conform_case *t) {
  return t->key_dim == 64 && t->value_dim == 64 && t->dtype == RWKV6_BF16 && t->w_dtype == RWKV6_BF16 &&
         t->decay == RWKV6_DECAY_LOG && t->length == LONG_LENGTH && t->segment_length == 64;
}

static bool is_past_a_checkpoint(const conform_case *t) {
  return t->key_dim == 256 && t->value_dim == 256 && t->length > 256 && t->decay != RWKV6_DECAY_FACTOR;
}

/* Between the multiples of 64 and of 16 that kernels for matrix units tell apart. */
static bool is_odd_for_engines(const conform_case *t) {
  return t->key_dim == 80 && t->value_dim == 80 && t->length == LONG_LENGTH;
}

static void test_long_cases(void **state) {
  (void)state;
  for (int extent = CONFORM_QUICK; extent <= CONFORM_FULL; extent++)
    assert_true(count_cases((conform_extent)extent, is_model_shape) >= 1);
  assert_int_equal(count_cases(CONFORM_PAIRWISE, is_odd_for_engines), 3);
  assert_int_equal(count_cases(CONFORM_FULL, is_odd_for_engines), 3);
  assert_true(count_cases(CONFORM_PAIRWISE, is_past_a_checkpoint) + count_cases(CONFORM_FULL, is_past_a_checkpoint) >= 2);
}

/* Every chunk length from 1 to 16 occurs in a default run. A run is as many programs as it is said to be. */
static void test_programs(void **state) {
  (void)state;
  static conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS];
  int chunks[17] = {0};
  assert_int_equal(conform_select_specializations(CONFORM_QUICK, selected), 10);
  assert_int_equal(conform_select_specializations(CONFORM_FULL, selected), CONFORM_ALL_SPECIALIZATIONS);
  const size_t count = conform_select_specializations(CONFORM_PAIRWISE, selected);
  assert_int_equal(count, 51);
  for (size_t i = 0; i < count; i++) chunks[selected[i].chunk_length]++;
  for (int i = 0; i <= 16; i++) assert_true(chunks[i] >= 1);
}

/* A simulator gets small cases only. */
static void test_little_work(void **state) {
  (void)state;
  conform_selected *selected;
  const size_t count = conform_select_cases(CONFORM_QUICK, 1, 2e3, &selected);
  assert_true(count >= 10);
  for (size_t i = 0; i < count; i++) {
    const conform_case *t = &selected[i].test;
    const int64_t work = t->sequences * t->length * t->heads * t->key_dim * t->value_dim;
    assert_true(work <= 2000 || (t->length == 1 && t->sequences == 1 && t->heads == 1));
  }
  free(selected);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quick),    cmocka_unit_test(test_pairwise_and_full), cmocka_unit_test(test_long_cases),
      cmocka_unit_test(test_programs), cmocka_unit_test(test_little_work),
  };
  return cmocka_run_group_tests_name("selection", tests, NULL, NULL);
}
