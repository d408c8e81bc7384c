/* SPDX-License-Identifier: MIT */
/* Every problem that must be refused when a plan is made, and the odd ones that must not. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "problem.h"
#include "refusal.h"

static rwkv6_device *cpu;

static int open_cpu(void **state) {
  (void)state;
  return rwkv6_device_open("cpu", NULL, &cpu, NULL) != RWKV6_OK;
}

static int close_cpu(void **state) {
  (void)state;
  rwkv6_device_close(&cpu);
  return 0;
}

static rwkv6_problem good(void) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 2, 8, 3, 16, 24);
  return problem;
}

static void refused_by(const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_mode mode, const char *field,
                       const char *value) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = (rwkv6_plan *)&error;
  const rwkv6_status status = rwkv6_plan_create(cpu, problem, operation, mode, &plan, &error);
  assert_null(plan);
  check_refusal(status, &error, RWKV6_INVALID_ARGUMENT, field, value);

  const rwkv6_error empty = RWKV6_ERROR_INIT;
  error = empty;
  size_t count = 12345;
  check_refusal(rwkv6_variant_list(cpu, problem, operation, mode, NULL, 0, &count, &error), &error, RWKV6_INVALID_ARGUMENT,
                field, value);
  assert_int_equal(count, 12345);
  /* Without an error struct: the same status, no crash. */
  assert_int_equal(rwkv6_plan_create(cpu, problem, operation, mode, &plan, NULL), RWKV6_INVALID_ARGUMENT);
}

static void refused(const rwkv6_problem *problem, const char *field, const char *value) {
  refused_by(problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, field, value);
  refused_by(problem, RWKV6_BACKWARD, RWKV6_MODE_CHUNK, field, value);
}

static void accepted(const rwkv6_problem *problem) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  size_t count;
  if (rwkv6_variant_list(cpu, problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, 0, &count, &error))
    fail_msg("refused: %s", error.message);
  assert_true(count >= 1);
  assert_int_equal(error.status, RWKV6_OK);
  assert_string_equal(error.message, "");
}

#define REFUSED(field, bad, value)                                                                                             \
  do {                                                                                                                         \
    rwkv6_problem problem = good();                                                                                            \
    problem.field = (bad);                                                                                                     \
    refused(&problem, #field, value);                                                                                          \
  } while (0)

#define STRIDE_REFUSED(tensor, part, bad, value)                                                                               \
  do {                                                                                                                         \
    rwkv6_problem problem = good();                                                                                            \
    problem.tensor.part = (bad);                                                                                               \
    /* do_ is called do in texts */                                                                                            \
    refused(&problem, strcmp(#tensor, "do_") ? "stride of " #tensor : "stride of do", value);                                  \
  } while (0)

#define ACCEPTED(field, fine)                                                                                                  \
  do {                                                                                                                         \
    rwkv6_problem problem = good();                                                                                            \
    problem.field = (fine);                                                                                                    \
    accepted(&problem);                                                                                                        \
  } while (0)

static void test_defaults(void **state) {
  (void)state;
  const rwkv6_problem problem = good();
  assert_int_equal(problem.size, sizeof problem);
  assert_int_equal(problem.sequences, 2);
  assert_int_equal(problem.tokens, 8);
  assert_int_equal(problem.heads, 3);
  assert_int_equal(problem.key_dim, 16);
  assert_int_equal(problem.value_dim, 24);
  assert_true(problem.scale == 0.25);
  assert_int_equal(problem.dtype, RWKV6_FP32);
  assert_int_equal(problem.w_dtype, RWKV6_FP32);
  assert_int_equal(problem.decay, RWKV6_DECAY_LOG);
  assert_int_equal(problem.reverse | (int)problem.optional | (int)problem.checks, 0);
  assert_int_equal(problem.precision, RWKV6_PRECISION_FULL);
  assert_null(problem.cu_seqlens);
  assert_int_equal(problem.dw.token | problem.dw.head | problem.chunk_length | problem.segment_length, 0);
  accepted(&problem);
  rwkv6_problem_init(NULL, sizeof problem, 1, 1, 1, 1, 1);
}

/* A caller compiled with a shorter struct: nothing past its end is written. */
static void test_init_writes_only_its_size(void **state) {
  (void)state;
  unsigned char memory[sizeof(rwkv6_problem)];
  memset(memory, 0xa5, sizeof memory);
  rwkv6_problem_init((rwkv6_problem *)(void *)memory, offsetof(rwkv6_problem, scale), 1, 2, 3, 4, 5);
  for (size_t i = offsetof(rwkv6_problem, scale); i < sizeof memory; i++) assert_int_equal(memory[i], 0xa5);
}

static void test_sizes(void **state) {
  (void)state;
  REFUSED(sequences, 0, "0");
  REFUSED(sequences, -7, "-7");
  REFUSED(tokens, -8, "-8");
  REFUSED(heads, 0, "0");
  REFUSED(heads, INT64_MIN, "-9223372036854775808");
  REFUSED(key_dim, 0, "0");
  REFUSED(key_dim, -1, "-1");
  REFUSED(key_dim, 257, "257");
  REFUSED(value_dim, 0, "0");
  REFUSED(value_dim, 257, "257");
  REFUSED(value_dim, INT32_MAX, "2147483647");
  REFUSED(chunk_length, -1, "-1");
  REFUSED(chunk_length, 4097, "4097");
  REFUSED(segment_length, -2, "-2");
  ACCEPTED(tokens, 0);
  ACCEPTED(key_dim, 1);
  ACCEPTED(key_dim, 256);
  ACCEPTED(value_dim, 256);
  ACCEPTED(chunk_length, 4096);
  ACCEPTED(segment_length, -1);
  ACCEPTED(segment_length, 100000);
}

static void test_tokens_not_shared_equally(void **state) {
  (void)state;
  REFUSED(tokens, 9, "9");
}

static void test_choices(void **state) {
  (void)state;
  REFUSED(dtype, (rwkv6_dtype)3, "3"); /* fp64 is for the tests of the reference only */
  REFUSED(dtype, (rwkv6_dtype)-1, "-1");
  REFUSED(w_dtype, (rwkv6_dtype)7, "7");
  REFUSED(w_dtype, RWKV6_BF16, "2"); /* r in fp32 */
  REFUSED(decay, (rwkv6_decay)3, "3");
  REFUSED(scale, (double)NAN, "nan");
  REFUSED(scale, (double)INFINITY, "inf");
  REFUSED(optional, 32u, "32");
  REFUSED(checks, 4u, "4");
  REFUSED(precision, (rwkv6_precision)2, "2");
  REFUSED(precision, (rwkv6_precision)-1, "-1");
  ACCEPTED(precision, RWKV6_PRECISION_RELAXED);
  REFUSED(reserved, 1, "1");
  ACCEPTED(scale, 0.0);
  ACCEPTED(scale, -2.0);
  ACCEPTED(reverse, -1);
  rwkv6_problem mixed = good();
  mixed.dtype = RWKV6_FP16;
  accepted(&mixed); /* w in fp32 */
  mixed.w_dtype = RWKV6_BF16;
  refused(&mixed, "w_dtype", "2");
}

static void test_operation_and_mode(void **state) {
  (void)state;
  const rwkv6_problem problem = good();
  refused_by(&problem, (rwkv6_operation)2, RWKV6_MODE_AUTO, "operation", "2");
  refused_by(&problem, RWKV6_FORWARD, (rwkv6_mode)3, "mode", "3");
  refused_by(&problem, RWKV6_FORWARD, (rwkv6_mode)-1, "mode", "-1");
  refused_by(NULL, RWKV6_FORWARD, RWKV6_MODE_AUTO, "problem", "NULL");
}

static void test_factor_form_has_no_backward(void **state) {
  (void)state;
  rwkv6_problem problem = good();
  problem.decay = RWKV6_DECAY_FACTOR;
  accepted(&problem);
  refused_by(&problem, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, "decay", "RWKV6_DECAY_FACTOR");
  refused_by(&problem, RWKV6_BACKWARD, RWKV6_MODE_AUTO, "decay", "RWKV6_DECAY_FACTOR");
}

static void test_pool(void **state) {
  (void)state;
  REFUSED(pool_slots, 3, "3"); /* without RWKV6_STATE_POOL */
  REFUSED(pool_slots, -1, "-1");
  rwkv6_problem problem = good();
  problem.optional = RWKV6_STATE_POOL;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "pool_slots", "0");
  problem.pool_slots = -1;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "pool_slots", "-1");
  problem.pool_slots = (int64_t)INT32_MAX + 1;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "pool_slots", "2147483648");
  problem.pool_slots = INT32_MAX;
  problem.heads = (int64_t)1 << 40;
  problem.tokens = 0;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "pool", "size");
  problem = good();
  problem.pool_slots = 1; /* fewer than sequences: some have to be left out */
  problem.optional = RWKV6_STATE_POOL | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE;
  accepted(&problem);
  refused_by(&problem, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, "RWKV6_STATE_POOL", "forward only");
  refused_by(&problem, RWKV6_BACKWARD, RWKV6_MODE_AUTO, "RWKV6_STATE_POOL", "forward only");
  problem.optional = RWKV6_STATE_POOL | RWKV6_INITIAL_STATE;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "optional", "17");
  problem.optional = RWKV6_STATE_POOL | RWKV6_FINAL_STATE;
  refused_by(&problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, "optional", "18");
}

static void test_struct_sizes(void **state) {
  (void)state;
  char value[32];
  rwkv6_problem problem = good();
  problem.size = 8;
  refused(&problem, "size", "8");
  problem.size = 0;
  refused(&problem, "size", "0");

  /* A newer header: unknown fields at 0 are fine, set they are not. */
  struct {
    rwkv6_problem known;
    int64_t unknown[2];
  } newer = {good(), {0, 0}};
  newer.known.size = sizeof newer;
  accepted(&newer.known);
  newer.unknown[1] = 1;
  snprintf(value, sizeof value, "%zu", sizeof newer);
  refused(&newer.known, "size", value);

  /* An older header: what lies behind its struct is not ours to read. */
  problem = good();
  problem.size = offsetof(rwkv6_problem, pool_slots);
  problem.pool_slots = -1;
  problem.precision = (rwkv6_precision)7;
  problem.reserved = 7;
  accepted(&problem);
  problem.size--;
  snprintf(value, sizeof value, "%zu", problem.size);
  refused(&problem, "size", value);
}

static void test_overflow(void **state) {
  (void)state;
  rwkv6_problem problem = good();
  problem.tokens = INT64_MAX - 1;
  refused(&problem, "tensor r", "63 bits");
  problem = good();
  problem.tokens = (int64_t)1 << 52;
  problem.heads = (int64_t)1 << 12;
  refused(&problem, "tensor r", "63 bits");
  problem = good();
  problem.sequences = problem.tokens = (int64_t)1 << 56;
  problem.heads = 1;
  problem.key_dim = problem.value_dim = 256;
  refused(&problem, "tensor initial_state", "63 bits");
  problem = good();
  problem.heads = INT64_MAX;
  problem.tokens = 0;
  refused(&problem, "tensor", "63 bits");
  problem = good();
  problem.dw.token = INT64_MAX / 4;
  refused(&problem, "tensor dw", "63 bits");
  problem = good();
  problem.o.head = INT64_MAX / 2;
  refused(&problem, "tensor o", "63 bits");
}

/* 8 tokens, 3 heads of 16 key channels */
static void test_strides(void **state) {
  (void)state;
  STRIDE_REFUSED(r, token, -48, "-48");
  STRIDE_REFUSED(dv, head, -1, "-1");
  STRIDE_REFUSED(r, token, 47, "47"); /* one less than packed */
  STRIDE_REFUSED(k, token, 1, "1");
  STRIDE_REFUSED(w, head, 15, "15");
  STRIDE_REFUSED(do_, head, 23, "23");
  ACCEPTED(r.token, 48);
  ACCEPTED(r.token, 1000003);
  ACCEPTED(r.head, 16);

  /* heads outside, tokens inside */
  rwkv6_problem problem = good();
  problem.r.token = 16;
  problem.r.head = 8 * 16;
  accepted(&problem);
  problem.r.head = 8 * 16 - 1;
  refused(&problem, "stride of r", "127");

  /* rows that interleave without touching: token 40, head 20 overlaps (2 heads = 1 token); head 24 leaves gaps of 4 */
  problem = good();
  problem.r.token = 40;
  problem.r.head = 20;
  refused(&problem, "stride of r", "40");
  problem.r.token = 50;
  problem.r.head = 16;
  accepted(&problem);

  /* one head only: its stride does not matter */
  rwkv6_problem_init(&problem, sizeof problem, 1, 4, 1, 16, 16);
  problem.r.head = 3;
  accepted(&problem);
  /* one token only: neither does the token's */
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 4, 16, 16);
  problem.r.token = 3;
  accepted(&problem);

  /* more heads than can be walked one by one; only the check of the problem, as no machine has the memory */
  rwkv6_problem resolved;
  rwkv6_problem_init(&problem, sizeof problem, 1, 0, (int64_t)1 << 55, 1, 1);
  assert_int_equal(rwkv6_problem_resolve(&problem, RWKV6_FORWARD, &resolved, NULL), RWKV6_OK);
  problem.tokens = 2;
  problem.r.token = 1;
  problem.r.head = 2;
  assert_int_equal(rwkv6_problem_resolve(&problem, RWKV6_FORWARD, &resolved, NULL), RWKV6_OK);
}

/* Whatever the strides: the answer agrees with marking every element of a small tensor. */
static bool overlaps_by_marking(int64_t token, int64_t head, int64_t tokens, int64_t heads, int64_t channels) {
  static unsigned char marks[4096];
  memset(marks, 0, sizeof marks);
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t c = 0; c < channels; c++)
        if (marks[t * token + h * head + c]++) return true;
  return false;
}

static void test_strides_by_marking(void **state) {
  (void)state;
  int refusals = 0, total = 0;
  for (int64_t tokens = 1; tokens <= 5; tokens++)
    for (int64_t heads = 1; heads <= 4; heads++)
      for (int64_t token = 1; token <= 24; token++)
        for (int64_t head = 1; head <= 24; head++) {
          rwkv6_problem problem;
          rwkv6_problem_init(&problem, sizeof problem, 1, tokens, heads, 3, 3);
          problem.k.token = token;
          problem.k.head = head;
          size_t count;
          const rwkv6_status status = rwkv6_variant_list(cpu, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, 0, &count, NULL);
          const bool overlaps = overlaps_by_marking(token, head, tokens, heads, 3);
          if ((status != RWKV6_OK) != overlaps)
            fail_msg("tokens %d heads %d strides %d %d: %s", (int)tokens, (int)heads, (int)token, (int)head,
                     overlaps ? "accepted although rows overlap" : "refused although rows are apart");
          refusals += overlaps;
          total++;
        }
  assert_true(refusals > total / 10 && refusals < total);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_init_writes_only_its_size),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_tokens_not_shared_equally),
      cmocka_unit_test(test_choices),
      cmocka_unit_test(test_operation_and_mode),
      cmocka_unit_test(test_factor_form_has_no_backward),
      cmocka_unit_test(test_pool),
      cmocka_unit_test(test_struct_sizes),
      cmocka_unit_test(test_overflow),
      cmocka_unit_test(test_strides),
      cmocka_unit_test(test_strides_by_marking),
  };
  return cmocka_run_group_tests_name("problem", tests, open_cpu, close_cpu);
}
