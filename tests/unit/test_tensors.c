/* SPDX-License-Identifier: MIT */
/* What rwkv6_run refuses, and that it has then written nothing. */
#include <math.h>
#include <stdio.h>

#include "conform/data.h"
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

typedef struct fixture {
  conform_data data;
  rwkv6_plan *plan;
  rwkv6_tensors tensors;
} fixture;

static void set_up(fixture *f, const conform_case *test, rwkv6_operation operation, uint32_t checks) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  conform_data_create(&f->data, test, operation, false);
  f->data.problem.checks = checks;
  if (rwkv6_plan_create(cpu, &f->data.problem, operation, RWKV6_MODE_RECURRENT, &f->plan, &error))
    fail_msg("no plan: %s", error.message);
  const conform_call call = conform_call_all(&f->data);
  f->tensors = conform_tensors(&f->data, &call);
}

static void tear_down(fixture *f) {
  rwkv6_plan_destroy(&f->plan);
  conform_data_destroy(&f->data);
}

/* The call is refused; inputs and outputs are as they were. */
static void refused(fixture *f, const char *argument, const char *value) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  check_refusal(rwkv6_run(f->plan, &f->tensors, &error), &error, RWKV6_INVALID_ARGUMENT, argument, value);
  assert_int_equal(rwkv6_run(f->plan, &f->tensors, NULL), RWKV6_INVALID_ARGUMENT);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    conform_place place;
    const conform_image *image = &f->data.image[i];
    if (!image->memory) continue;
    const bool right = rwkv6_tensor_table[i].output ? conform_image_check_output(image, &f->data.resolved, 0, 0, &place)
                                                    : conform_image_check_input(image, &place);
    if (!right) fail_msg("a refused call (%s) has written %s", argument, rwkv6_tensor_table[i].name);
  }
}

static void accepted(fixture *f) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (rwkv6_run(f->plan, &f->tensors, &error)) fail_msg("refused: %s", error.message);
}

static const char *address(const void *pointer) {
  static char text[32];
  snprintf(text, sizeof text, "%p", pointer);
  return text;
}

/* Each tensor of the operation in turn: missing, then misaligned. */
static void check_each_pointer(rwkv6_operation operation, rwkv6_dtype dtype) {
  conform_case test = conform_case_make(4, 5, 6);
  test.heads = 2;
  test.dtype = dtype;
  fixture f;
  set_up(&f, &test, operation, 0);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    char name[64];
    snprintf(name, sizeof name, "tensors.%s", rwkv6_tensor_table[i].name);
    void *right = conform_image_pointer(&f.data.image[i], 0);
    if (right) {
      conform_tensors_set(&f.tensors, i, NULL);
      refused(&f, name, "NULL");
      conform_tensors_set(&f.tensors, i, (char *)right + 1);
      refused(&f, name, address((char *)right + 1));
    } else {
      float extra[1024] = {0};
      conform_tensors_set(&f.tensors, i, extra);
      refused(&f, name, address(extra));
    }
    conform_tensors_set(&f.tensors, i, right);
  }
  accepted(&f);
  tear_down(&f);
}

static void test_missing_extra_misaligned(void **state) {
  (void)state;
  check_each_pointer(RWKV6_FORWARD, RWKV6_FP32);
  check_each_pointer(RWKV6_BACKWARD, RWKV6_FP32);
  check_each_pointer(RWKV6_FORWARD, RWKV6_FP16);
  check_each_pointer(RWKV6_BACKWARD, RWKV6_BF16);
}

/* Tensors that problem.optional leaves out must not be given. */
static void test_optional_given_but_absent(void **state) {
  (void)state;
  conform_case test = conform_case_make(4, 5, 6);
  test.optional = 0;
  float extra[64] = {0};
  fixture f;
  set_up(&f, &test, RWKV6_FORWARD, 0);
  f.tensors.initial_state = extra;
  refused(&f, "tensors.initial_state", address(extra));
  f.tensors.initial_state = NULL;
  f.tensors.final_state = extra;
  refused(&f, "tensors.final_state", address(extra));
  tear_down(&f);
  set_up(&f, &test, RWKV6_BACKWARD, 0);
  f.tensors.dfinal_state = extra;
  refused(&f, "tensors.dfinal_state", address(extra));
  f.tensors.dfinal_state = NULL;
  f.tensors.dinitial_state = extra;
  refused(&f, "tensors.dinitial_state", address(extra));
  tear_down(&f);
}

static void test_structs(void **state) {
  (void)state;
  const conform_case test = conform_case_make(4, 5, 6);
  fixture f;
  set_up(&f, &test, RWKV6_FORWARD, 0);
  f.tensors.size = 8;
  refused(&f, "tensors.size", "8");
  rwkv6_error error = RWKV6_ERROR_INIT;
  check_refusal(rwkv6_run(f.plan, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "tensors", "NULL");
  /* An older header: what lies behind its struct is not ours to read. A newer one: its fields must be 0. */
  f.tensors.size = offsetof(rwkv6_tensors, pool);
  f.tensors.slots = (const int32_t *)(const void *)&error;
  accepted(&f);
  struct {
    rwkv6_tensors known;
    const void *unknown;
  } newer = {f.tensors, NULL};
  newer.known.slots = NULL;
  newer.known.size = sizeof newer;
  assert_int_equal(rwkv6_run(f.plan, &newer.known, &error), RWKV6_OK);
  newer.unknown = &error;
  check_refusal(rwkv6_run(f.plan, &newer.known, &error), &error, RWKV6_INVALID_ARGUMENT, "tensors.size", rwkv6_version());
  f.tensors.size = sizeof f.tensors;
  check_refusal(rwkv6_run(NULL, &f.tensors, &error), &error, RWKV6_INVALID_ARGUMENT, "plan", "NULL");
  tear_down(&f);
}

/* 5 sequences, 4 slots; the third sequence is left out. */
static void set_up_pool(fixture *f, uint32_t checks, float *pool, const int32_t *slots) {
  conform_case test = conform_case_make(2, 3, 2);
  test.sequences = 5;
  test.optional = 0;
  rwkv6_error error = RWKV6_ERROR_INIT;
  conform_data_create(&f->data, &test, RWKV6_FORWARD, false);
  f->data.problem.optional = RWKV6_STATE_POOL;
  f->data.problem.pool_slots = 4;
  f->data.problem.checks = checks;
  if (rwkv6_plan_create(cpu, &f->data.problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &f->plan, &error))
    fail_msg("no plan: %s", error.message);
  const conform_call call = conform_call_all(&f->data);
  f->tensors = conform_tensors(&f->data, &call);
  f->tensors.pool = pool;
  f->tensors.slots = slots;
}

static void test_slots(void **state) {
  (void)state;
  float pool[4 * 6] = {0}, before[4 * 6] = {0};
  int32_t slots[5] = {3, 0, -1, 2, 1};
  fixture f;
  set_up_pool(&f, 0, pool, slots);
  slots[1] = 4;
  refused(&f, "tensors.slots[1]", "4");
  slots[1] = -2;
  refused(&f, "tensors.slots[1]", "-2");
  slots[1] = INT32_MIN;
  refused(&f, "tensors.slots[1]", "-2147483648");
  slots[1] = 0;
  slots[4] = 3;
  refused(&f, "tensors.slots[4]", "3, as that of an earlier");
  slots[4] = 1;
  f.tensors.slots = NULL;
  refused(&f, "tensors.slots", "NULL");
  f.tensors.slots = (const int32_t *)(const void *)((const char *)slots + 1);
  refused(&f, "tensors.slots", "aligned");
  f.tensors.slots = slots;
  f.tensors.pool = NULL;
  refused(&f, "tensors.pool", "NULL");
  f.tensors.pool = pool;
  f.tensors.initial_state = pool;
  refused(&f, "tensors.initial_state", address(pool));
  f.tensors.initial_state = NULL;
  f.tensors.final_state = before;
  refused(&f, "tensors.final_state", address(before));
  f.tensors.final_state = NULL;
  f.tensors.o = pool + 23;
  refused(&f, "tensors.o", "overlap");
  f.tensors.o = conform_image_pointer(&f.data.image[RWKV6_TENSOR_O], 0);
  f.tensors.pool = (float *)(void *)slots;
  refused(&f, "tensors.slots", "overlap");
  f.tensors.pool = pool;
  assert_memory_equal(pool, before, sizeof pool);
  accepted(&f);
  tear_down(&f);
}

/* NaN in a slot that nobody has is nobody's business. */
static void test_values_of_the_pool(void **state) {
  (void)state;
  float pool[4 * 6] = {0};
  const int32_t slots[5] = {3, 0, -1, -1, 1};
  fixture f;
  set_up_pool(&f, RWKV6_CHECK_VALUES, pool, slots);
  pool[2 * 6] = NAN;
  accepted(&f);
  pool[1 * 6 + 5] = NAN;
  conform_data_poison(&f.data);
  refused(&f, "tensors.pool", "nan");
  tear_down(&f);
}

static void test_pool_not_asked_for(void **state) {
  (void)state;
  const conform_case test = conform_case_make(4, 5, 6);
  float pool[64] = {0};
  const int32_t slot = 0;
  fixture f;
  set_up(&f, &test, RWKV6_FORWARD, 0);
  f.tensors.pool = pool;
  refused(&f, "tensors.pool", address(pool));
  f.tensors.pool = NULL;
  f.tensors.slots = &slot;
  refused(&f, "tensors.slots", address(&slot));
  tear_down(&f);
}

/* An output laid over every other tensor in turn, whole and by one element. */
static void check_overlaps(rwkv6_operation operation) {
  conform_case test = conform_case_make(8, 8, 8);
  fixture f;
  set_up(&f, &test, operation, 0);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    for (int j = 0; j < RWKV6_TENSOR_COUNT; j++) {
      const conform_image *other = &f.data.image[j];
      if (i == j || !conform_is_output(&f.data, i) || !other->memory) continue;
      const bool legal = i == RWKV6_TENSOR_FINAL_STATE && j == RWKV6_TENSOR_INITIAL_STATE;
      const int64_t last = rwkv6_tensor_extent(&f.data.resolved, (rwkv6_tensor_id)j) - 1;
      if (!legal) {
        conform_tensors_set(&f.tensors, i, conform_image_pointer(other, 0));
        refused(&f, "overlap", rwkv6_tensor_table[i].name);
      }
      conform_tensors_set(&f.tensors, i, conform_image_pointer(other, last));
      refused(&f, "overlap", rwkv6_tensor_table[j].name);
      conform_tensors_set(&f.tensors, i, conform_image_pointer(&f.data.image[i], 0));
    }
  accepted(&f);
  tear_down(&f);
}

static void test_overlapping_outputs(void **state) {
  (void)state;
  check_overlaps(RWKV6_FORWARD);
  check_overlaps(RWKV6_BACKWARD);
}

static void test_state_in_place_is_legal(void **state) {
  (void)state;
  const conform_case test = conform_case_make(4, 5, 6);
  fixture f;
  set_up(&f, &test, RWKV6_FORWARD, 0);
  f.tensors.final_state = conform_image_pointer(&f.data.image[RWKV6_TENSOR_INITIAL_STATE], 0);
  accepted(&f);
  tear_down(&f);
}

/* dr, dk, dv and dw as slices of one fused row: their extents overlap, their elements do not. */
static void test_fused_outputs_are_legal(void **state) {
  (void)state;
  conform_case test = conform_case_make(8, 4, 4);
  test.strides = CONFORM_FUSED;
  fixture f;
  set_up(&f, &test, RWKV6_BACKWARD, 0);
  float fused[8 * 16];
  f.tensors.dr = fused, f.tensors.dk = fused + 4, f.tensors.dv = fused + 8, f.tensors.dw = fused + 12;
  accepted(&f);
  f.tensors.dw = fused + 11;
  rwkv6_error error = RWKV6_ERROR_INIT;
  check_refusal(rwkv6_run(f.plan, &f.tensors, &error), &error, RWKV6_INVALID_ARGUMENT, "tensors.dw", "overlap");
  tear_down(&f);
}

static void test_inputs_may_overlap(void **state) {
  (void)state;
  const conform_case test = conform_case_make(4, 6, 6);
  fixture f;
  set_up(&f, &test, RWKV6_FORWARD, 0);
  f.tensors.k = f.tensors.v = f.tensors.r;
  accepted(&f);
  tear_down(&f);
}

/* Writes one bad value into an input of a problem that checks values. */
static void bad_value(rwkv6_operation operation, rwkv6_decay decay, rwkv6_dtype dtype, int id, double value, const char *text) {
  conform_case test = conform_case_make(3, 5, 4);
  test.heads = 2;
  test.decay = decay;
  test.dtype = test.w_dtype = dtype;
  test.strides = CONFORM_PADDED;
  fixture f;
  char name[64];
  snprintf(name, sizeof name, "tensors.%s", rwkv6_tensor_table[id].name);
  set_up(&f, &test, operation, RWKV6_CHECK_VALUES);
  conform_image *image = &f.data.image[id];
  const int64_t last = rwkv6_tensor_extent(&f.data.resolved, (rwkv6_tensor_id)id) - 1;
  conform_image_write(image, last, value);
  conform_image_keep(image);
  refused(&f, name, text);
  tear_down(&f);
}

static void test_value_checks(void **state) {
  (void)state;
  static const rwkv6_dtype dtypes[] = {RWKV6_FP32, RWKV6_FP16, RWKV6_BF16};
  for (int i = 0; i < 3; i++) {
    bad_value(RWKV6_FORWARD, RWKV6_DECAY_LOG, dtypes[i], RWKV6_TENSOR_W, 0.5, "0.5");
    bad_value(RWKV6_BACKWARD, RWKV6_DECAY_LOG, dtypes[i], RWKV6_TENSOR_W, INFINITY, "inf");
    bad_value(RWKV6_FORWARD, RWKV6_DECAY_FACTOR, dtypes[i], RWKV6_TENSOR_W, 1.5, "1.5");
    bad_value(RWKV6_FORWARD, RWKV6_DECAY_FACTOR, dtypes[i], RWKV6_TENSOR_W, -0.25, "-0.25");
    bad_value(RWKV6_FORWARD, RWKV6_DECAY_RAW, dtypes[i], RWKV6_TENSOR_W, NAN, "nan");
    bad_value(RWKV6_BACKWARD, RWKV6_DECAY_LOG, dtypes[i], RWKV6_TENSOR_DO, NAN, "nan");
  }
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (!rwkv6_tensor_table[id].output && rwkv6_tensor_table[id].in_backward)
      bad_value(RWKV6_BACKWARD, RWKV6_DECAY_LOG, RWKV6_FP32, id, NAN, "nan");
}

/* -inf, 0 and both ends of [0, 1] are legal, and NaN in the gaps of strides is nobody's business. */
static void test_values_at_the_ends(void **state) {
  (void)state;
  static const conform_distribution distributions[] = {CONFORM_RESETS, CONFORM_NONE, CONFORM_SPIKES};
  for (int i = 0; i < 3; i++)
    for (int decay = 0; decay < 3; decay++) {
      conform_case test = conform_case_make(40, 5, 4);
      test.distribution = distributions[i];
      test.decay = (rwkv6_decay)decay;
      test.strides = CONFORM_PADDED;
      fixture f;
      set_up(&f, &test, RWKV6_FORWARD, RWKV6_CHECK_VALUES);
      accepted(&f);
      tear_down(&f);
    }
}

/* Without tokens there is nothing to point at. */
static void test_no_tokens(void **state) {
  (void)state;
  for (int operation = 0; operation < 2; operation++) {
    conform_case test = conform_case_make(0, 3, 4);
    test.sequences = 2;
    fixture f;
    set_up(&f, &test, (rwkv6_operation)operation, 0);
    for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
      if (rwkv6_tensor_stride(&f.data.resolved, (rwkv6_tensor_id)i)) conform_tensors_set(&f.tensors, i, NULL);
    accepted(&f);
    tear_down(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_missing_extra_misaligned),
      cmocka_unit_test(test_optional_given_but_absent),
      cmocka_unit_test(test_structs),
      cmocka_unit_test(test_slots),
      cmocka_unit_test(test_values_of_the_pool),
      cmocka_unit_test(test_pool_not_asked_for),
      cmocka_unit_test(test_overlapping_outputs),
      cmocka_unit_test(test_state_in_place_is_legal),
      cmocka_unit_test(test_fused_outputs_are_legal),
      cmocka_unit_test(test_inputs_may_overlap),
      cmocka_unit_test(test_value_checks),
      cmocka_unit_test(test_values_at_the_ends),
      cmocka_unit_test(test_no_tokens),
  };
  return cmocka_run_group_tests_name("tensors", tests, open_cpu, close_cpu);
}
