/* SPDX-License-Identifier: MIT */
/* Tiny cases for a simulator that checks every memory access: every kernel, every storage type, tails and empty sequences. */
#include "each.h"

static test_devices devices;

static void check(int32_t key_dim, int32_t value_dim, rwkv6_dtype dtype, rwkv6_decay decay, bool reverse, int32_t work_group) {
  conform_case test = conform_case_make(19, key_dim, value_dim);
  test.sequences = 2;
  test.ragged = true;
  test.dtype = test.w_dtype = dtype;
  test.decay = decay;
  test.reverse = reverse;
  test.strides = CONFORM_PADDED;
  test.distribution = CONFORM_RESETS;
  test.work_group = work_group;
  test_each_variant_once(&devices, &test, "tiny");
}

static void test_types(void **state) {
  (void)state;
  check(5, 3, RWKV6_FP32, RWKV6_DECAY_LOG, false, 0);
  check(8, 8, RWKV6_FP16, RWKV6_DECAY_RAW, true, 0);
  check(3, 9, RWKV6_BF16, RWKV6_DECAY_FACTOR, false, 0);
}

static void test_work_group_sizes(void **state) {
  (void)state;
  check(33, 20, RWKV6_FP32, RWKV6_DECAY_LOG, false, 32);
  check(33, 20, RWKV6_FP32, RWKV6_DECAY_LOG, false, 128);
}

/* Checkpoints and carried states, at their smallest. */
static void test_launches(void **state) {
  (void)state;
  conform_case test = conform_case_make(70, 2, 3);
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], 1e-9);
  test_each_variant_once(&devices, &test, "tiny launches");
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_work_group_sizes),
      cmocka_unit_test(test_launches),
  };
  const int failed = cmocka_run_group_tests_name("tiny cases", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
