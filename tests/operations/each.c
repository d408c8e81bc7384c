/* SPDX-License-Identifier: MIT */
#include "each.h"

conform_subject test_subject_of(const test_devices *devices, size_t device, const rwkv6_variant *variant) {
  const conform_subject subject = {devices->device[device], &devices->info[device], variant};
  return subject;
}

rwkv6_plan_info test_plan_info(const conform_subject *subject, const rwkv6_problem *problem) {
  rwkv6_plan *plan = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  if (conform_plan_create(subject, problem, &plan, &error)) fail_msg("%s", error.message);
  rwkv6_plan_get_info(plan, &info, NULL);
  rwkv6_plan_destroy(&plan);
  return info;
}

void test_check(const conform_subject *subject, const conform_case *test, unsigned checks, const char *about) {
  conform_message message;
  if (conform_check_case(subject, test, checks, &message)) return;
  char text[1024];
  conform_describe(subject, test, text, sizeof text);
  fail_msg("%s: %s\n  %s", about, message.text, text);
}

static size_t each_mode(const test_devices *devices, size_t device, const conform_case *test, rwkv6_operation operation,
                        unsigned checks, const char *about) {
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t count = conform_variants(devices->device[device], test, operation, RWKV6_MODE_AUTO, variants);
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = test_subject_of(devices, device, variants[i]);
    test_check(&subject, test, checks, about);
  }
  return count;
}

static void each_device(const test_devices *devices, const conform_case *test, unsigned checks, const char *about) {
  size_t count = 0;
  for (size_t device = 0; device < devices->count; device++) {
    count += each_mode(devices, device, test, RWKV6_FORWARD, checks, about);
    if (test->decay != RWKV6_DECAY_FACTOR) count += each_mode(devices, device, test, RWKV6_BACKWARD, checks, about);
  }
  if (!count) fail_msg("%s: no variant took it", about);
}

void test_each_variant(const test_devices *devices, const conform_case *test, const char *about) {
  each_device(devices, test, CONFORM_CHECK_ALL, about);
}

void test_each_variant_once(const test_devices *devices, const conform_case *test, const char *about) {
  each_device(devices, test, 0, about);
}
