/* SPDX-License-Identifier: MIT */
/* Errors, versions, devices, plans: what holds on a machine with OpenCL and on one without. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <stdio.h>
#include <stdlib.h>

#include "plan.h"
#include "refusal.h"

static void test_version_and_names(void **state) {
  (void)state;
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", RWKV6_VERSION_MAJOR, RWKV6_VERSION_MINOR, RWKV6_VERSION_PATCH);
  assert_string_equal(rwkv6_version(), version);
  assert_string_equal(rwkv6_status_name(RWKV6_OK), "RWKV6_OK");
  assert_string_equal(rwkv6_status_name(RWKV6_DEVICE_ERROR), "RWKV6_DEVICE_ERROR");
  assert_string_equal(rwkv6_status_name((rwkv6_status)99), "unknown status");
  assert_string_equal(rwkv6_status_name((rwkv6_status)-1), "unknown status");
}

/* An error struct of any size: the text is cut, always terminated, and nothing beyond is written. */
static void test_short_error_structs(void **state) {
  (void)state;
  for (size_t size = 0; size <= sizeof(rwkv6_error); size++) {
    rwkv6_error error;
    memset(&error, 0x5a, sizeof error);
    error.size = size;
    rwkv6_device *device = NULL;
    assert_int_equal(rwkv6_device_open("opencl:1000000", NULL, &device, &error), RWKV6_NO_DEVICE);
    const unsigned char *bytes = (const unsigned char *)&error;
    for (size_t i = size < sizeof size ? sizeof size : size; i < sizeof error; i++) assert_int_equal(bytes[i], 0x5a);
    if (size > offsetof(rwkv6_error, message)) assert_non_null(memchr(error.message, 0, size - offsetof(rwkv6_error, message)));
  }
}

static void test_success_leaves_the_error(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  error.status = RWKV6_DEVICE_ERROR;
  strcpy(error.message, "before");
  rwkv6_device *device;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, &error), RWKV6_OK);
  assert_int_equal(error.status, RWKV6_DEVICE_ERROR);
  assert_string_equal(error.message, "before");
  rwkv6_device_close(&device);
  assert_null(device);
}

static void test_device_list(void **state) {
  (void)state;
  size_t count = 0;
  assert_int_equal(rwkv6_device_list(NULL, 0, &count, NULL), RWKV6_OK);
  assert_true(count >= 1);
  rwkv6_device_info *infos = calloc(count + 1, sizeof *infos);
  assert_non_null(infos);
  for (size_t i = 0; i <= count; i++) infos[i].size = sizeof *infos;
  size_t again = 0;
  assert_int_equal(rwkv6_device_list(infos, count + 1, &again, NULL), RWKV6_OK);
  assert_int_equal(again, count);
  assert_string_equal(infos[0].id, "cpu");
  assert_int_equal(infos[0].kind, RWKV6_KIND_CPU);
  assert_string_equal(infos[count].name, "");
  for (size_t i = 1; i < count; i++) {
    char id[32];
    snprintf(id, sizeof id, "opencl:%zu", i - 1);
    assert_string_equal(infos[i].id, id);
    assert_int_not_equal(infos[i].kind, RWKV6_KIND_CPU);
    assert_true(strlen(infos[i].name) > 0 && infos[i].max_work_group > 0);
  }
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(rwkv6_opencl_available(&error) == RWKV6_OK, count > 1);
  if (count == 1) {
    assert_int_equal(error.status, RWKV6_NO_DEVICE);
    assert_true(strlen(error.message) > 0);
  }
  free(infos);
}

static void test_device_list_refusals(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  size_t count = 77;
  check_refusal(rwkv6_device_list(&info, 1, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "count", "NULL");
  check_refusal(rwkv6_device_list(NULL, 3, &count, &error), &error, RWKV6_INVALID_ARGUMENT, "infos", "3");
  info.size = 0;
  check_refusal(rwkv6_device_list(&info, 1, &count, &error), &error, RWKV6_INVALID_ARGUMENT, "size", "0");
  assert_int_equal(count, 77);
}

static void test_device_open_refusals(void **state) {
  (void)state;
  static const char *const absent[] = {
      "opencl:1000000", "opencl:-1", "opencl:", "opencl:x", "opencl:0x", "no such gadget", "opencl:18446744073709551616",
      "CPU of nobody",  " cpu"};
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    rwkv6_device *device = (rwkv6_device *)&error;
    check_refusal(rwkv6_device_open(absent[i], NULL, &device, &error), &error, RWKV6_NO_DEVICE, absent[i], "cpu");
    assert_null(device);
  }
  rwkv6_error error = RWKV6_ERROR_INIT;
  check_refusal(rwkv6_device_open("cpu", NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "device", "NULL");
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.size = 3;
  rwkv6_device *device;
  check_refusal(rwkv6_device_open("cpu", &options, &device, &error), &error, RWKV6_INVALID_ARGUMENT, "size", "3");
}

/* RWKV6_DEVICE has the same syntax; an explicit id wins over it. */
static void test_device_variable(void **state) {
  (void)state;
  const char *before = getenv("RWKV6_DEVICE");
  char *kept = before ? strdup(before) : NULL;
  rwkv6_device *device = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  setenv("RWKV6_DEVICE", "no such gadget", 1);
  check_refusal(rwkv6_device_open(NULL, NULL, &device, &error), &error, RWKV6_NO_DEVICE, "no such gadget", "cpu");
  check_refusal(rwkv6_device_open("", NULL, &device, &error), &error, RWKV6_NO_DEVICE, "no such gadget", "cpu");
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  rwkv6_device_close(&device);
  setenv("RWKV6_DEVICE", "cpu", 1);
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  assert_int_equal(rwkv6_device_open(NULL, NULL, &device, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_device_get_info(device, &info, NULL), RWKV6_OK);
  assert_string_equal(info.id, "cpu");
  rwkv6_device_close(&device);
  /* Nothing asked for: a GPU or the CPU path, never an OpenCL CPU device. */
  setenv("RWKV6_DEVICE", "", 1);
  assert_int_equal(rwkv6_device_open(NULL, NULL, &device, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_device_get_info(device, &info, NULL), RWKV6_OK);
  assert_true(info.kind == RWKV6_KIND_CPU || info.kind == RWKV6_KIND_OPENCL_GPU);
  rwkv6_device_close(&device);
  if (kept)
    setenv("RWKV6_DEVICE", kept, 1);
  else
    unsetenv("RWKV6_DEVICE");
  free(kept);
}

/* A shorter info struct of an older program: no byte beyond its size. */
static void test_short_info_structs(void **state) {
  (void)state;
  rwkv6_device *device;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  rwkv6_device_info info;
  memset(&info, 0x5a, sizeof info);
  info.size = offsetof(rwkv6_device_info, vendor);
  assert_int_equal(rwkv6_device_get_info(device, &info, NULL), RWKV6_OK);
  assert_string_equal(info.name, "cpu");
  assert_int_equal(info.size, offsetof(rwkv6_device_info, vendor));
  assert_int_equal((unsigned char)info.vendor[0], 0x5a);
  rwkv6_error error = RWKV6_ERROR_INIT;
  info.size = 1;
  check_refusal(rwkv6_device_get_info(device, &info, &error), &error, RWKV6_INVALID_ARGUMENT, "size", "1");
  check_refusal(rwkv6_device_get_info(device, NULL, &error), &error, RWKV6_INVALID_ARGUMENT, "info", "NULL");
  check_refusal(rwkv6_device_get_info(NULL, &info, &error), &error, RWKV6_INVALID_ARGUMENT, "device", "NULL");
  rwkv6_device_close(&device);
}

static void test_destroying_nothing(void **state) {
  (void)state;
  rwkv6_device *device = NULL;
  rwkv6_plan *plan = NULL;
  rwkv6_device_close(&device);
  rwkv6_device_close(NULL);
  rwkv6_plan_destroy(&plan);
  rwkv6_plan_destroy(NULL);
}

static rwkv6_problem one_token(void) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, 1, 1);
  return problem;
}

static void test_plan_refusals(void **state) {
  (void)state;
  const rwkv6_problem problem = one_token();
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device;
  rwkv6_plan *plan;
  size_t count;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  check_refusal(rwkv6_plan_create(NULL, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error), &error,
                RWKV6_INVALID_ARGUMENT, "device", "NULL");
  check_refusal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, &error), &error,
                RWKV6_INVALID_ARGUMENT, "plan", "NULL");
  check_refusal(rwkv6_variant_list(NULL, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, 0, &count, &error), &error,
                RWKV6_INVALID_ARGUMENT, "device", "NULL");
  check_refusal(rwkv6_variant_list(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, 0, NULL, &error), &error,
                RWKV6_INVALID_ARGUMENT, "count", "NULL");
  check_refusal(rwkv6_variant_list(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, NULL, 2, &count, &error), &error,
                RWKV6_INVALID_ARGUMENT, "infos", "2");
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  check_refusal(rwkv6_plan_get_info(NULL, &info, &error), &error, RWKV6_INVALID_ARGUMENT, "plan", "NULL");
  assert_string_equal(rwkv6_plan_build_log(NULL), "");
  rwkv6_device_close(&device);
}

/* The plan says what it is, lists the variants as variant_list does, and outlives the caller's hold on the device. */
static void test_plan_explains_itself_and_keeps_the_device(void **state) {
  (void)state;
  const rwkv6_problem problem = one_token();
  rwkv6_device *device;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  rwkv6_variant_info variants[4];
  for (int i = 0; i < 4; i++) variants[i].size = sizeof variants[i];
  size_t count = 0;
  assert_int_equal(rwkv6_variant_list(device, &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, variants, 4, &count, NULL), RWKV6_OK);
  assert_true(count >= 1 && variants[0].accepts == 1 && variants[0].mode == RWKV6_MODE_CHUNK);
  assert_string_equal(variants[0].reason, "");

  rwkv6_plan *plan;
  assert_int_equal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, NULL), RWKV6_OK);
  rwkv6_device_close(&device);
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  assert_int_equal(rwkv6_plan_get_info(plan, &info, NULL), RWKV6_OK);
  assert_int_equal(info.mode, RWKV6_MODE_CHUNK);
  assert_int_equal(info.operation, RWKV6_FORWARD);
  assert_string_equal(info.variant, variants[0].name);
  assert_non_null(strstr(info.explanation, info.variant));
  assert_int_equal(info.launches, 0);
  assert_string_equal(rwkv6_plan_build_log(plan), "");

  const float r = 2, k = 3, v = 5, w = -1, u = 7;
  float o = 0;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = &r, tensors.k = &k, tensors.v = &v, tensors.w = &w, tensors.u = &u, tensors.o = &o;
  assert_int_equal(rwkv6_run(plan, &tensors, NULL), RWKV6_OK);
  assert_true(o == 2 * 7 * 3 * 5);
  rwkv6_plan_destroy(&plan);
  assert_null(plan);
}

static void test_plan_of_a_named_variant(void **state) {
  (void)state;
  const rwkv6_problem problem = one_token();
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device;
  rwkv6_plan *plan = NULL;
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_plan_create_variant(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, "scalar", &plan, &error),
                   RWKV6_OK);
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  assert_int_equal(rwkv6_plan_get_info(plan, &info, NULL), RWKV6_OK);
  assert_string_equal(info.variant, "scalar");
  rwkv6_plan_destroy(&plan);
  check_refusal(rwkv6_plan_create_variant(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, "none", &plan, &error), &error,
                RWKV6_UNSUPPORTED, "none", "scalar");
  assert_null(plan);
  rwkv6_device_close(&device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_version_and_names),
      cmocka_unit_test(test_short_error_structs),
      cmocka_unit_test(test_success_leaves_the_error),
      cmocka_unit_test(test_device_list),
      cmocka_unit_test(test_device_list_refusals),
      cmocka_unit_test(test_device_open_refusals),
      cmocka_unit_test(test_device_variable),
      cmocka_unit_test(test_short_info_structs),
      cmocka_unit_test(test_destroying_nothing),
      cmocka_unit_test(test_plan_refusals),
      cmocka_unit_test(test_plan_explains_itself_and_keeps_the_device),
      cmocka_unit_test(test_plan_of_a_named_variant),
  };
  return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
