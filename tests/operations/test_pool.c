/* SPDX-License-Identifier: MIT */
/*
 * States in a pool: the same bits as with a tensor of states, whichever slots they are in; what has no slot, and every slot
 * that no sequence has, stays as it was. Both modes, every variant, split over launches and segments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "each.h"

static test_devices devices;

#define POISON 0x7fe5c0deu /* a NaN that no computation gives */

/* A pool for the sequences of `data`, and the rows of o as a call with it leaves them. */
typedef struct pool {
  int64_t slots, state; /* states; elements of one */
  float *states;
  int32_t slot[CONFORM_MAX_SEQUENCES];
} pool;

static float poison(void) {
  const uint32_t bits = POISON;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static const float *initial_state(const conform_data *data, int64_t n, int64_t state) {
  return (const float *)conform_image_pointer(&data->image[RWKV6_TENSOR_INITIAL_STATE], 0) + n * state;
}

/* Slots in an order of their own, with some between them that nobody has; `left_out` sequences have none. */
static void pool_create(pool *p, const conform_data *data, int64_t left_out) {
  const rwkv6_problem *problem = &data->resolved;
  p->state = problem->heads * problem->key_dim * problem->value_dim;
  p->slots = 2 * problem->sequences + 3;
  p->states = malloc((size_t)(p->slots * p->state) * sizeof(float));
  assert_non_null(p->states);
  for (int64_t i = 0; i < p->slots * p->state; i++) p->states[i] = poison();
  for (int64_t n = 0; n < problem->sequences; n++) {
    p->slot[n] = n % 3 == 1 && left_out-- > 0 ? -1 : (int32_t)(p->slots - 1 - (2 * n + n % 2));
    if (p->slot[n] >= 0)
      memcpy(p->states + p->slot[n] * p->state, initial_state(data, n, p->state), (size_t)p->state * sizeof(float));
  }
}

static rwkv6_problem pool_problem(const conform_data *data, const pool *p) {
  rwkv6_problem problem = data->problem;
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = p->slots;
  return problem;
}

static void run_pool(const conform_subject *subject, conform_data *data, pool *p) {
  const conform_call call = conform_call_all(data);
  rwkv6_tensors tensors = conform_tensors(data, &call);
  tensors.initial_state = NULL;
  tensors.final_state = NULL;
  tensors.pool = p->states;
  tensors.slots = p->slot;
  const rwkv6_problem problem = pool_problem(data, p);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &problem, &plan, &error);
  if (!status) status = rwkv6_run(plan, &tensors, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
}

static void fail_pool(const conform_subject *subject, const conform_data *data, const char *what, int64_t n) {
  char text[1024];
  conform_describe(subject, &data->test, text, sizeof text);
  fail_msg("with a pool: %s of sequence or slot %d\n  %s", what, (int)n, text);
}

static bool state_is(const pool *p, int32_t slot, const float *expected) {
  return !memcmp(p->states + slot * p->state, expected, (size_t)p->state * sizeof(float));
}

/* Slots in use hold the final states, all others what they held. */
static void check_states(const conform_subject *subject, const conform_data *data, const pool *p, const float *final) {
  bool used[2 * CONFORM_MAX_SEQUENCES + 3] = {false};
  for (int64_t n = 0; n < data->resolved.sequences; n++) {
    if (p->slot[n] < 0) continue;
    used[p->slot[n]] = true;
    if (!state_is(p, p->slot[n], final + n * p->state)) fail_pool(subject, data, "the state", n);
  }
  for (int64_t slot = 0; slot < p->slots; slot++)
    for (int64_t i = 0; i < p->state && !used[slot]; i++) {
      const float expected = poison();
      if (memcmp(&p->states[slot * p->state + i], &expected, sizeof expected)) fail_pool(subject, data, "an unused slot", slot);
    }
}

/* Rows of sequences with a slot have the bits of `o`, the others are unwritten. */
static void check_outputs(const conform_subject *subject, const conform_data *data, const pool *p,
                          const conform_values *before) {
  const conform_image *o = &data->image[RWKV6_TENSOR_O];
  for (int64_t n = 0; n < data->resolved.sequences; n++) {
    int64_t first, last;
    conform_sequence_rows(data, RWKV6_TENSOR_O, n, &first, &last);
    for (int64_t row = first; row < last; row++)
      for (int64_t c = 0; c < data->resolved.value_dim; c++) {
        const int64_t at = conform_row_offset(&data->resolved, RWKV6_TENSOR_O, row) + c;
        const double value = conform_image_read(o, at),
                     expected = before->of[RWKV6_TENSOR_O][row * data->resolved.value_dim + c];
        const bool right = p->slot[n] < 0 ? conform_image_is_poison(o, at) : !memcmp(&value, &expected, sizeof value);
        if (!right) fail_pool(subject, data, "o", n);
      }
  }
}

static void check_variant(const conform_subject *subject, const conform_case *test, int64_t left_out) {
  conform_data data;
  conform_values before;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  pool p;
  conform_data_create(&data, test, RWKV6_FORWARD, false);
  const conform_call call = conform_call_all(&data);
  data.test.host = true;
  rwkv6_status status = conform_plan_create(subject, &data.problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, &data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
  conform_values_read(&data, &before);
  pool_create(&p, &data, left_out);
  conform_image_poison(&data.image[RWKV6_TENSOR_O]);
  run_pool(subject, &data, &p);
  check_states(subject, &data, &p, conform_image_pointer(&data.image[RWKV6_TENSOR_FINAL_STATE], 0));
  check_outputs(subject, &data, &p, &before);
  free(p.states);
  conform_values_destroy(&before);
  conform_data_destroy(&data);
}

static void check_everywhere(const conform_case *test, int64_t left_out) {
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], test, RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
    assert_true(count >= 2);
    for (size_t i = 0; i < count; i++) {
      const conform_subject subject = test_subject_of(&devices, device, variants[i]);
      check_variant(&subject, test, left_out);
    }
  }
}

static conform_case pool_case(int64_t sequences, int64_t length) {
  conform_case test = conform_case_make(length, 33, 20);
  test.sequences = sequences;
  test.heads = 2;
  test.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  return test;
}

/* A decode step. */
static void test_single_tokens(void **state) {
  (void)state;
  conform_case test = pool_case(9, 1);
  check_everywhere(&test, 0);
  check_everywhere(&test, 2);
  test.strides = CONFORM_FUSED;
  check_everywhere(&test, 9);
}

/* Prompts, single tokens and nothing at all in one call. */
static void test_mixed_lengths(void **state) {
  (void)state;
  conform_case test = pool_case(8, 70);
  test.ragged = true;
  test.strides = CONFORM_PADDED;
  check_everywhere(&test, 0);
  check_everywhere(&test, 2);
  test.reverse = true;
  test.seed = 3;
  check_everywhere(&test, 1);
}

static void test_equal_lengths(void **state) {
  (void)state;
  conform_case test = pool_case(4, 40);
  test.distribution = CONFORM_RESETS;
  check_everywhere(&test, 1);
}

/* Segments read the pool in one launch and write it in another. */
static void test_segments(void **state) {
  (void)state;
  conform_case test = pool_case(3, 300);
  test.segment_length = 64;
  check_everywhere(&test, 1);
  test.ragged = true;
  test.reverse = true;
  check_everywhere(&test, 1);
}

static int reset(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], RWKV6_LAUNCH_BUDGET_MS);
  return 0;
}

/* Many launches, with states carried between them. */
static void test_split_over_launches(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], 1e-9);
  conform_case test = pool_case(4, 300);
  check_everywhere(&test, 1);
  test.ragged = true;
  check_everywhere(&test, 1);
}

/* For a simulator that checks every access and is thousands of times slower. */
static void test_tiny(void **state) {
  (void)state;
  conform_case test = conform_case_make(5, 2, 3);
  test.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  test.sequences = 4;
  test.ragged = true;
  check_everywhere(&test, 1);
}

int main(int count, char **arguments) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_single_tokens),
      cmocka_unit_test(test_mixed_lengths),
      cmocka_unit_test(test_equal_lengths),
      cmocka_unit_test(test_segments),
      cmocka_unit_test_teardown(test_split_over_launches, reset),
  };
  const struct CMUnitTest tiny[] = {cmocka_unit_test(test_tiny)};
  const int failed = count > 1 && !strcmp(arguments[1], "--tiny")
                         ? cmocka_run_group_tests_name("tiny state pool", tiny, NULL, NULL)
                         : cmocka_run_group_tests_name("state pool", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
