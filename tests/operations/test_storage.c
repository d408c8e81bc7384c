/* SPDX-License-Identifier: MIT */
/*
 * The conversions of 16-bit storage inside kernels, over all 65536 patterns, bit for bit against src/half.h. One token a
 * sequence, K = 1, no decay: then o = initial_state rounded to storage, and final_state = v as stored.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "each.h"
#include "half.h"

#define VALUES 256 /* channels of v */
#define SEQUENCES 256
#define PATTERNS (VALUES * SEQUENCES)

static test_devices devices;

typedef struct tensors16 {
  uint16_t r[SEQUENCES], k[SEQUENCES], w[SEQUENCES], v[PATTERNS], o[PATTERNS];
  float u, initial[PATTERNS], final[PATTERNS];
} tensors16;

static float widen(uint16_t half, rwkv6_dtype dtype) {
  return dtype == RWKV6_FP16 ? rwkv6_fp16_to_float(half) : rwkv6_bf16_to_float(half);
}

static uint16_t narrow(float value, rwkv6_dtype dtype) {
  return dtype == RWKV6_FP16 ? rwkv6_float_to_fp16(value) : rwkv6_float_to_bf16(value);
}

static void run(const conform_subject *subject, rwkv6_dtype dtype, tensors16 *t, uint32_t optional) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, SEQUENCES, SEQUENCES, 1, 1, VALUES);
  problem.dtype = problem.w_dtype = dtype;
  problem.scale = 1;
  problem.optional = optional;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = t->r, tensors.k = t->k, tensors.v = t->v, tensors.w = t->w, tensors.u = &t->u, tensors.o = t->o;
  if (optional & RWKV6_INITIAL_STATE) tensors.initial_state = t->initial;
  if (optional & RWKV6_FINAL_STATE) tensors.final_state = t->final;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &problem, &plan, &error);
  if (!status) status = rwkv6_run(plan, &tensors, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
}

/* Everything here passes through a state, and a state under 2^-120 may be flushed to 0. */
static bool may_be_zero(float value) {
  return fabsf(value) < 0x1p-120f;
}

static void check_loads(const conform_subject *subject, rwkv6_dtype dtype, tensors16 *t) {
  memset(t, 0, sizeof *t);
  for (int n = 0; n < SEQUENCES; n++) t->k[n] = narrow(1, dtype);
  for (int i = 0; i < PATTERNS; i++) t->v[i] = (uint16_t)i;
  run(subject, dtype, t, RWKV6_FINAL_STATE);
  for (int i = 0; i < PATTERNS; i++) {
    const float expected = widen((uint16_t)i, dtype), got = t->final[i];
    if (isnan(expected) ? isnan(got) : got == expected || (got == 0 && may_be_zero(expected))) continue;
    fail_msg("%s, mode %d: %s 0x%04x is %.9g, loaded as %.9g", subject->info->id, (int)subject->variant->mode,
             rwkv6_dtype_name(dtype), (unsigned)i, (double)expected, (double)got);
  }
}

/* Each 16-bit value, a step of fp32 above and below it, the middle to the next one (a tie) and a step to both sides of that. */
static float near_pattern(int i, int choice, rwkv6_dtype dtype) {
  const float at = widen((uint16_t)i, dtype), next = widen((uint16_t)(i + 1), dtype);
  const float middle = at + (next - at) / 2;
  const float base = choice < 3 ? at : middle;
  if (choice % 3 == 1) return nextafterf(base, INFINITY);
  return choice % 3 == 2 ? nextafterf(base, -INFINITY) : base;
}

static void check_stores(const conform_subject *subject, rwkv6_dtype dtype, tensors16 *t, int choice) {
  memset(t, 0, sizeof *t);
  for (int n = 0; n < SEQUENCES; n++) t->r[n] = narrow(1, dtype);
  for (int i = 0; i < PATTERNS; i++) t->initial[i] = near_pattern(i, choice, dtype);
  run(subject, dtype, t, RWKV6_INITIAL_STATE);
  for (int i = 0; i < PATTERNS; i++) {
    const float value = t->initial[i];
    const uint16_t expected = narrow(value, dtype), got = t->o[i];
    const bool both_nan = isnan(widen(expected, dtype)) && isnan(widen(got, dtype));
    /* +0 + -0 is +0: the sign of a zero is not kept */
    const bool both_zero = widen(got, dtype) == 0 && (widen(expected, dtype) == 0 || may_be_zero(value));
    if (got == expected || both_nan || both_zero) continue;
    fail_msg("%s, mode %d: %.9g (%a) stored as %s 0x%04x, expected 0x%04x", subject->info->id, (int)subject->variant->mode,
             (double)value, (double)value, rwkv6_dtype_name(dtype), (unsigned)got, (unsigned)expected);
  }
}

static void check_dtype(rwkv6_dtype dtype) {
  tensors16 *t = malloc(sizeof *t);
  assert_non_null(t);
  conform_case test = conform_case_make(1, 1, VALUES);
  test.dtype = test.w_dtype = dtype;
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], &test, RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
    for (size_t i = 0; i < count; i++) {
      const conform_subject subject = test_subject_of(&devices, device, variants[i]);
      check_loads(&subject, dtype, t);
      for (int choice = 0; choice < 6; choice++) check_stores(&subject, dtype, t, choice);
    }
  }
  free(t);
}

static void test_fp16(void **state) {
  (void)state;
  check_dtype(RWKV6_FP16);
}

static void test_bf16(void **state) {
  (void)state;
  check_dtype(RWKV6_BF16);
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp16), cmocka_unit_test(test_bf16)};
  const int failed = cmocka_run_group_tests_name("16-bit storage", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
