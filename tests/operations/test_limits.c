/* SPDX-License-Identifier: MIT */
/* Small work-groups, many small launches, little workspace: what other devices and longer inputs would bring. OpenCL only. */
#include <inttypes.h>
#include <stdio.h>

#include "each.h"

static test_devices devices;

/* A test that fails leaves its launch budget behind. */
static int reset(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], RWKV6_LAUNCH_BUDGET_MS);
  return 0;
}

/* ------------------------------------------------------------------------------------------------------------ work-groups */

typedef struct shape {
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype;
  rwkv6_decay decay;
} shape;

static void check_work_group(int32_t work_items, const shape *shapes, size_t count) {
  char about[64];
  snprintf(about, sizeof about, "work-groups of %d", (int)work_items);
  for (size_t i = 0; i < count; i++) {
    conform_case test = conform_case_make(shapes[i].key_dim == 256 ? 9 : 67, shapes[i].key_dim, shapes[i].value_dim);
    test.dtype = shapes[i].dtype;
    test.decay = shapes[i].decay;
    test.sequences = 2;
    test.heads = 2;
    test.work_group = work_items;
    test_each_variant(&devices, &test, about);
  }
}

/* The largest and the smallest state with the largest and the smallest work-group only: those in between are what kernels
 * prefer, so `rwkv6 conform` has them. */
static const shape shapes[] = {{64, 64, RWKV6_FP32, RWKV6_DECAY_LOG},
                               {33, 100, RWKV6_BF16, RWKV6_DECAY_RAW},
                               {256, 256, RWKV6_FP16, RWKV6_DECAY_LOG},
                               {1, 8, RWKV6_FP32, RWKV6_DECAY_LOG}};

static void test_work_group_32(void **state) {
  (void)state;
  check_work_group(32, shapes, 4);
}

static void test_work_group_64(void **state) {
  (void)state;
  check_work_group(64, shapes, 2);
}

static void test_work_group_128(void **state) {
  (void)state;
  check_work_group(128, shapes, 2);
}

static void test_work_group_256(void **state) {
  (void)state;
  check_work_group(256, shapes, 4);
}

/* --------------------------------------------------------------------------------------------------------------- launches */

static void run_call(const conform_subject *subject, conform_data *data, double budget) {
  const conform_call call = conform_call_all(data);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  conform_data_poison(data);
  rwkv6_device_set_launch_budget(subject->device, budget);
  rwkv6_status status = conform_plan_create(subject, &data->problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("budget %g ms: %s", budget, error.message);
}

static void fail_split(const conform_subject *subject, const conform_data *data, double budget,
                       const conform_message *message) {
  char text[1024];
  conform_describe(subject, &data->test, text, sizeof text);
  fail_msg("launch budget %g ms: %s\n  %s", budget, message->text, text);
}

/* Work split over launches: the same bits as in one. */
static void check_split(const conform_subject *subject, conform_data *data) {
  static const double budgets[] = {1e-9, 0.02, 0.3};
  conform_values whole;
  conform_message message;
  run_call(subject, data, 1e9);
  const int64_t launches = test_plan_info(subject, &data->problem).launches;
  conform_values_read(data, &whole);
  for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
    run_call(subject, data, budgets[i]);
    if (i == 0 && test_plan_info(subject, &data->problem).launches <= launches) fail_msg("a budget of 0 splits nothing");
    if (!conform_check_images(data, -1, &message) || !conform_check_bits(data, &whole, -1, "split over launches", &message))
      fail_split(subject, data, budgets[i], &message);
  }
  conform_values_destroy(&whole);
}

static void check_split_everywhere(const conform_case *test) {
  for (size_t device = 0; device < devices.count; device++)
    for (int operation = 0; operation < 2; operation++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count =
          conform_variants(devices.device[device], test, (rwkv6_operation)operation, RWKV6_MODE_AUTO, variants);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        conform_data data;
        conform_data_create(&data, test, (rwkv6_operation)operation, false);
        check_split(&subject, &data);
        conform_data_destroy(&data);
      }
    }
}

static void test_split_equal_lengths(void **state) {
  (void)state;
  conform_case test = conform_case_make(200, 33, 20);
  test.sequences = 2;
  test.heads = 3;
  check_split_everywhere(&test);
  test.reverse = true;
  test.optional = 0;
  check_split_everywhere(&test);
}

/* Segments of more steps than a launch has: a state is carried inside a segment. */
static void test_split_segments(void **state) {
  (void)state;
  conform_case test = conform_case_make(1100, 33, 20);
  test.segment_length = 512;
  check_split_everywhere(&test);
  test.length = 700;
  test.sequences = 3;
  test.ragged = true;
  test.reverse = true;
  check_split_everywhere(&test);
}

/* Sequences that end in earlier launches, or have nothing in any, or end where a launch does. */
static void test_split_ragged(void **state) {
  (void)state;
  conform_case test = conform_case_make(300, 33, 20);
  test.sequences = 17;
  test.ragged = true;
  test.distribution = CONFORM_RESETS;
  check_split_everywhere(&test);
  test.length = 128;
  test.reverse = true;
  test.seed = 2;
  check_split_everywhere(&test);
}

/* A server's step: a token or none for each of many users, in one launch however little a launch may take. Only planned. */
static void test_decode_step(void **state) {
  (void)state;
  enum { USERS = 1024 };
  static int64_t cu_seqlens[USERS + 1];
  for (int n = 0; n < USERS; n++) cu_seqlens[n + 1] = cu_seqlens[n] + (n % 3 != 1);
  const conform_case test = conform_case_make(1, 64, 64);
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], &test, RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
    assert_true(count >= 2);
    for (size_t i = 0; i < 2 * count; i++) {
      const conform_subject subject = test_subject_of(&devices, device, variants[i / 2]);
      rwkv6_problem problem;
      rwkv6_problem_init(&problem, sizeof problem, USERS, i % 2 ? cu_seqlens[USERS] : USERS, 32, 64, 64);
      problem.cu_seqlens = i % 2 ? cu_seqlens : NULL;
      problem.optional = RWKV6_STATE_POOL;
      problem.pool_slots = USERS;
      if (i / 2) rwkv6_device_set_launch_budget(subject.device, 1e-9);
      assert_int_equal(test_plan_info(&subject, &problem).launches, 1);
    }
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_work_group_32, reset),       cmocka_unit_test_setup(test_work_group_64, reset),
      cmocka_unit_test_setup(test_work_group_128, reset),      cmocka_unit_test_setup(test_work_group_256, reset),
      cmocka_unit_test_setup(test_split_equal_lengths, reset), cmocka_unit_test_setup(test_split_ragged, reset),
      cmocka_unit_test_setup(test_split_segments, reset),      cmocka_unit_test_setup(test_decode_step, reset),
  };
  const int failed = cmocka_run_group_tests_name("limits", tests, NULL, NULL);
  conform_print_ratios();
  test_devices_close(&devices);
  return failed;
}
