/* SPDX-License-Identifier: MIT */
/* Tables of sequences: cu_seqlens, equal lengths, empty sequences. */
#include "problem.h"
#include "refusal.h"

static rwkv6_status resolve(int64_t sequences, int64_t tokens, const int64_t *cu_seqlens, rwkv6_problem *resolved,
                            rwkv6_error *error) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, sequences, tokens, 2, 4, 4);
  problem.cu_seqlens = cu_seqlens;
  return rwkv6_problem_resolve(&problem, RWKV6_FORWARD, resolved, error);
}

static void refused(int64_t sequences, int64_t tokens, const int64_t *cu_seqlens, const char *entry, const char *value) {
  rwkv6_problem resolved;
  rwkv6_error error = RWKV6_ERROR_INIT;
  check_refusal(resolve(sequences, tokens, cu_seqlens, &resolved, &error), &error, RWKV6_INVALID_ARGUMENT, entry, value);
}

static void test_bad_tables(void **state) {
  (void)state;
  refused(2, 8, (const int64_t[]){1, 4, 8}, "cu_seqlens[0]", "1");
  refused(2, 8, (const int64_t[]){-1, 4, 8}, "cu_seqlens[0]", "-1");
  refused(3, 8, (const int64_t[]){0, 5, 4, 8}, "cu_seqlens[2]", "4");
  refused(3, 8, (const int64_t[]){0, 5, INT64_MIN, 8}, "cu_seqlens[2]", "-9223372036854775808");
  refused(2, 8, (const int64_t[]){0, 4, 9}, "cu_seqlens[2]", "9");
  refused(2, 8, (const int64_t[]){0, 4, 7}, "cu_seqlens[2]", "7");
  refused(2, 8, (const int64_t[]){0, INT64_MAX, INT64_MAX}, "cu_seqlens[2]", "9223372036854775807");
  refused(1, 0, (const int64_t[]){0, 1}, "cu_seqlens[1]", "1");
  const int64_t table[4] = {0, 0, 0, 0};
  refused(2, 0, (const int64_t *)(const void *)((const char *)table + 1), "cu_seqlens", "aligned");
}

static void check_sequence(const rwkv6_problem *problem, int64_t n, int64_t begin, int64_t length) {
  const rwkv6_sequence sequence = rwkv6_problem_sequence(problem, n);
  assert_int_equal(sequence.begin, begin);
  assert_int_equal(sequence.length, length);
}

static void test_good_tables(void **state) {
  (void)state;
  rwkv6_problem resolved;
  assert_int_equal(resolve(5, 8, (const int64_t[]){0, 0, 3, 3, 8, 8}, &resolved, NULL), RWKV6_OK);
  check_sequence(&resolved, 0, 0, 0);
  check_sequence(&resolved, 1, 0, 3);
  check_sequence(&resolved, 2, 3, 0);
  check_sequence(&resolved, 3, 3, 5);
  check_sequence(&resolved, 4, 8, 0);
  assert_int_equal(rwkv6_problem_longest(&resolved), 5);

  assert_int_equal(resolve(4, 12, NULL, &resolved, NULL), RWKV6_OK);
  for (int64_t n = 0; n < 4; n++) check_sequence(&resolved, n, 3 * n, 3);
  assert_int_equal(rwkv6_problem_longest(&resolved), 3);

  assert_int_equal(resolve(2, 0, (const int64_t[]){0, 0, 0}, &resolved, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_problem_longest(&resolved), 0);
  assert_int_equal(resolve(3, 0, NULL, &resolved, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_problem_longest(&resolved), 0);
}

/* A plan owns its copy: the caller may free the table. */
static void test_plan_copies_the_table(void **state) {
  (void)state;
  rwkv6_device *cpu;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &cpu, NULL), RWKV6_OK);
  int64_t table[3] = {0, 1, 2};
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 2, 2, 1, 1, 1);
  problem.cu_seqlens = table;
  problem.scale = 1;
  problem.optional = RWKV6_FINAL_STATE;
  rwkv6_plan *plan;
  assert_int_equal(rwkv6_plan_create(cpu, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, NULL), RWKV6_OK);
  table[1] = 1000000;
  const float r[2] = {1, 1}, k[2] = {2, 3}, v[2] = {5, 7}, w[2] = {0, 0}, u = 0;
  float o[2], final[2];
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = &u, tensors.o = o, tensors.final_state = final;
  assert_int_equal(rwkv6_run(plan, &tensors, NULL), RWKV6_OK);
  assert_true(final[0] == 10 && final[1] == 21);
  assert_true(o[0] == 0 && o[1] == 0);
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&cpu);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_tables),
      cmocka_unit_test(test_good_tables),
      cmocka_unit_test(test_plan_copies_the_table),
  };
  return cmocka_run_group_tests_name("ragged", tests, NULL, NULL);
}
