/* SPDX-License-Identifier: MIT */
/* rwkv6_state_*: copies of states, and their other layout. */
#include <string.h>

#include "refusal.h"

enum { SLOTS = 3, HEADS = 2, KEYS = 3, VALUES = 4, STATE = HEADS * KEYS * VALUES };

static rwkv6_problem pool_problem(void) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 7, 5, HEADS, KEYS, VALUES); /* 5 tokens for 7 sequences: not our business here */
  problem.pool_slots = SLOTS;
  return problem;
}

static void count_up(float *pool) {
  for (int i = 0; i < SLOTS * STATE; i++) pool[i] = (float)i;
}

static void test_copies(void **state) {
  (void)state;
  const rwkv6_problem problem = pool_problem();
  float pool[SLOTS * STATE], before[SLOTS * STATE], saved[STATE];
  count_up(pool);
  count_up(before);
  int64_t elements = 0;
  assert_int_equal(rwkv6_state_elements(&problem, &elements, NULL), RWKV6_OK);
  assert_int_equal(elements, STATE);
  assert_int_equal(rwkv6_state_save(&problem, pool, 2, saved, NULL), RWKV6_OK);
  assert_memory_equal(saved, before + 2 * STATE, sizeof saved);
  assert_int_equal(rwkv6_state_fork(&problem, pool, 0, 2, NULL), RWKV6_OK);
  assert_memory_equal(pool + 2 * STATE, before, sizeof saved);
  assert_int_equal(rwkv6_state_fork(&problem, pool, 1, 1, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_state_zero(&problem, pool, 0, NULL), RWKV6_OK);
  for (int i = 0; i < STATE; i++) assert_true(pool[i] == 0);
  assert_memory_equal(pool + STATE, before + STATE, sizeof saved);
  assert_int_equal(rwkv6_state_load(&problem, pool, 0, saved, NULL), RWKV6_OK);
  assert_memory_equal(pool, before + 2 * STATE, sizeof saved);
  assert_memory_equal(pool + STATE, before + STATE, sizeof saved);
}

static void test_layouts(void **state) {
  (void)state;
  const rwkv6_problem problem = pool_problem();
  float pool[SLOTS * STATE], other[SLOTS * STATE], back[SLOTS * STATE];
  count_up(pool);
  assert_int_equal(rwkv6_state_convert(&problem, RWKV6_STATE_VALUE_KEY, SLOTS, pool, other, NULL), RWKV6_OK);
  for (int n = 0; n < SLOTS * HEADS; n++)
    for (int k = 0; k < KEYS; k++)
      for (int v = 0; v < VALUES; v++) assert_true(other[(n * VALUES + v) * KEYS + k] == pool[(n * KEYS + k) * VALUES + v]);
  assert_int_equal(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, SLOTS, other, back, NULL), RWKV6_OK);
  assert_memory_equal(back, pool, sizeof pool);
  assert_int_equal(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, 0, other, back, NULL), RWKV6_OK);
}

#define REFUSED(call, argument, value) check_refusal(call, &error, RWKV6_INVALID_ARGUMENT, argument, value)

static void test_refusals(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem problem = pool_problem();
  float pool[SLOTS * STATE], before[SLOTS * STATE], saved[STATE] = {0};
  int64_t elements;
  count_up(pool);
  count_up(before);
  REFUSED(rwkv6_state_elements(NULL, &elements, &error), "problem", "NULL");
  REFUSED(rwkv6_state_elements(&problem, NULL, &error), "elements", "NULL");
  REFUSED(rwkv6_state_zero(NULL, pool, 0, &error), "problem", "NULL");
  REFUSED(rwkv6_state_zero(&problem, NULL, 0, &error), "pool", "NULL");
  REFUSED(rwkv6_state_zero(&problem, pool, SLOTS, &error), "slot", "3");
  REFUSED(rwkv6_state_zero(&problem, pool, -1, &error), "slot", "-1");
  REFUSED(rwkv6_state_fork(&problem, pool, 3, 0, &error), "from", "3");
  REFUSED(rwkv6_state_fork(&problem, pool, 0, INT32_MIN, &error), "to", "-2147483648");
  REFUSED(rwkv6_state_save(&problem, pool, 0, NULL, &error), "state", "NULL");
  REFUSED(rwkv6_state_load(&problem, pool, 0, NULL, &error), "state", "NULL");
  REFUSED(rwkv6_state_load(&problem, pool, 0, (const float *)(const void *)((const char *)saved + 2), &error), "state",
          "aligned");
  REFUSED(rwkv6_state_convert(&problem, (rwkv6_state_layout)2, 1, pool, saved, &error), "layout", "2");
  REFUSED(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, -1, pool, saved, &error), "count", "-1");
  REFUSED(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, INT64_MAX, pool, saved, &error), "count", "9223372036854775807");
  REFUSED(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, 1, NULL, saved, &error), "from", "NULL");
  REFUSED(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, 1, saved, NULL, &error), "to", "NULL");
  REFUSED(rwkv6_state_convert(&problem, RWKV6_STATE_KEY_VALUE, 1, pool, pool + STATE - 1, &error), "from", "overlaps");
  problem.pool_slots = 0;
  REFUSED(rwkv6_state_zero(&problem, pool, 0, &error), "pool_slots", "0");
  problem.pool_slots = SLOTS;
  problem.key_dim = 0;
  REFUSED(rwkv6_state_zero(&problem, pool, 0, &error), "key_dim", "0");
  problem = pool_problem();
  problem.heads = (int64_t)1 << 60;
  REFUSED(rwkv6_state_zero(&problem, pool, 0, &error), "pool", "size");
  assert_memory_equal(pool, before, sizeof pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_copies),
      cmocka_unit_test(test_layouts),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
