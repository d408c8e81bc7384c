/* SPDX-License-Identifier: MIT */
/* conform_golden FOLDER: every golden case, every device, mode and variant, within the bars of the project. */
#include <stdio.h>

#include "conform/golden.h"
#include "each.h"

static test_devices devices;
static const char *folder;

static void compare(const conform_golden *golden, const conform_subject *subject, const char *name) {
  conform_message message;
  if (conform_golden_check(golden, &message)) return;
  fail_msg("%s, %s, variant %s of mode %d: %s\n  again with: RWKV6_TEST_DEVICE=%s test_golden %s", name, subject->info->id,
           subject->variant->name, (int)subject->variant->mode, message.text, subject->info->id, folder);
}

static void check_subject(conform_golden *golden, const conform_subject *subject, const char *name) {
  const conform_call call = conform_call_all(&golden->data);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  conform_data_poison(&golden->data);
  rwkv6_status status = conform_plan_create(subject, &golden->data.problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, &golden->data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s on %s: %s", name, subject->info->id, error.message);
  compare(golden, subject, name);
}

static void check_operation(const char *name, rwkv6_operation operation) {
  conform_golden golden;
  assert_true(conform_golden_create(&golden, folder, name, operation, false));
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], &golden.data.test, operation, RWKV6_MODE_AUTO, variants);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++) {
      conform_subject subject = test_subject_of(&devices, device, variants[i]);
      check_subject(&golden, &subject, name);
      if (!subject.buffers) continue;
      subject.buffers = false;
      check_subject(&golden, &subject, name);
    }
  }
  conform_golden_destroy(&golden);
}

static void test_case_folder(void **state) {
  conform_golden golden;
  assert_true(conform_golden_create(&golden, folder, *state, RWKV6_FORWARD, false));
  const bool backward = golden.loaded.backward;
  conform_golden_destroy(&golden);
  check_operation(*state, RWKV6_FORWARD);
  if (backward) check_operation(*state, RWKV6_BACKWARD);
}

int main(int count, char **arguments) {
  static char names[CONFORM_MAX_GOLDEN][64];
  static struct CMUnitTest tests[CONFORM_MAX_GOLDEN];
  if (count != 2) {
    printf("usage: %s FOLDER-OF-GOLDEN-CASES\n", arguments[0]);
    return 2;
  }
  folder = arguments[1];
  const int status = test_devices_open(&devices);
  if (status) return status;
  const size_t found = conform_golden_names(folder, names, CONFORM_MAX_GOLDEN);
  for (size_t i = 0; i < found; i++) {
    const struct CMUnitTest test = {names[i], test_case_folder, NULL, NULL, names[i]};
    tests[i] = test;
  }
  const int failed = _cmocka_run_group_tests("golden data", tests, found, NULL, NULL);
  conform_print_ratios();
  test_devices_close(&devices);
  return failed;
}
