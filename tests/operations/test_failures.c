/* SPDX-License-Identifier: MIT */
/* OpenCL devices that cannot: kernels that do not compile, memory that is not there, a mode without a kernel. */
#define _POSIX_C_SOURCE 200809L /* setenv, mkdtemp */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "each.h"

#if RWKV6_HAVE_OPENCL
#include "opencl/context.h"
#endif

static test_devices devices;

static void check(rwkv6_status status, rwkv6_status expected, const rwkv6_error *error, const char *part) {
  if (status != expected || error->status != expected || !strstr(error->message, part))
    fail_msg("%s, expected %s with \"%s\": %s", rwkv6_status_name(status), rwkv6_status_name(expected), part, error->message);
}

static char logged[8192];

static void keep_log(void *user, rwkv6_log_level level, const char *message) {
  (void)user, (void)level;
  strncat(logged, message, sizeof logged - strlen(logged) - 1);
}

static const char *const kernel_files[] = {"recurrent_forward.cl", "recurrent_backward.cl", "chunk_forward.cl",
                                           "chunk_states.cl", "chunk_backward.cl"};

/* text: NULL removes them, and the folder. */
static void write_kernels(const char *folder, const char *text) {
  for (size_t i = 0; i < sizeof kernel_files / sizeof *kernel_files; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, kernel_files[i]);
    if (!text) {
      remove(path);
      continue;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
  }
  if (!text) rmdir(folder);
}

static void check_build_failure(const char *id, rwkv6_operation operation, rwkv6_mode mode) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 4, 1, 7, 9);
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.log = keep_log;
  rwkv6_device *device = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  logged[0] = 0;
  assert_int_equal(rwkv6_device_open(id, &options, &device, NULL), RWKV6_OK);
  rwkv6_plan *plan = (rwkv6_plan *)&error;
  check(rwkv6_plan_create(device, &problem, operation, mode, &plan, &error), RWKV6_BUILD_FAILED, &error,
        mode == RWKV6_MODE_CHUNK ? "chunk_" : "recurrent_");
  assert_null(plan);
  assert_true(error.opencl_error != 0);
  assert_true(strlen(logged) > 0);
  rwkv6_device_close(&device);
}

/* Kernels from a folder that do not compile: the error begins with what failed, the log callback gets the compiler's words. */
static void test_build_failure(void **state) {
  (void)state;
  char folder[] = "/tmp/rwkv6-kernels-XXXXXX";
  assert_non_null(mkdtemp(folder));
  write_kernels(folder, "kernel void recurrent_forward(global float *x) { *x = no_such_function(*x) }\n");
  setenv("RWKV6_KERNEL_DIR", folder, 1);
  for (size_t i = 0; i < devices.count; i++)
    for (int operation = 0; operation < 2; operation++)
      for (int mode = RWKV6_MODE_RECURRENT; mode <= RWKV6_MODE_CHUNK; mode++)
        check_build_failure(devices.info[i].id, (rwkv6_operation)operation, (rwkv6_mode)mode);
  unsetenv("RWKV6_KERNEL_DIR");
  write_kernels(folder, NULL);
}

static void test_kernel_folder_missing(void **state) {
  (void)state;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 4, 1, 7, 9);
  setenv("RWKV6_KERNEL_DIR", "/nonexistent-kernels", 1);
  for (size_t i = 0; i < devices.count; i++) {
    rwkv6_plan *plan = NULL;
    rwkv6_error error = RWKV6_ERROR_INIT;
    check(rwkv6_plan_create(devices.device[i], &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error),
          RWKV6_BUILD_FAILED, &error, "/nonexistent-kernels");
  }
  unsetenv("RWKV6_KERNEL_DIR");
}

static void test_kernel_file_empty(void **state) {
  (void)state;
  char folder[] = "/tmp/rwkv6-kernels-XXXXXX";
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 4, 1, 7, 9);
  assert_non_null(mkdtemp(folder));
  write_kernels(folder, "");
  setenv("RWKV6_KERNEL_DIR", folder, 1);
  for (size_t i = 0; i < devices.count; i++) {
    rwkv6_device *device = NULL;
    rwkv6_plan *plan = NULL;
    rwkv6_error error = RWKV6_ERROR_INIT;
    assert_int_equal(rwkv6_device_open(devices.info[i].id, NULL, &device, NULL), RWKV6_OK);
    check(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error), RWKV6_BUILD_FAILED, &error,
          "recurrent_forward.cl is empty");
    rwkv6_device_close(&device);
  }
  unsetenv("RWKV6_KERNEL_DIR");
  write_kernels(folder, NULL);
}

/* More tokens than one buffer can hold. Addresses are made up: they must not be touched. */
static void check_out_of_device_memory(size_t device, rwkv6_mode mode) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, (int64_t)(devices.info[device].max_allocation / 256) + 64, 1, 64, 64);
  rwkv6_plan *plan = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (rwkv6_plan_create(devices.device[device], &problem, RWKV6_FORWARD, mode, &plan, &error)) fail_msg("%s", error.message);
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  char *const made_up = (char *)((uintptr_t)1 << 46);
  const ptrdiff_t apart = (ptrdiff_t)1 << 43;
  const void **inputs[] = {&tensors.r, &tensors.k, &tensors.v, &tensors.w};
  for (int j = 0; j < 4; j++) *inputs[j] = made_up + j * apart;
  tensors.u = (const float *)(const void *)(made_up + 4 * apart);
  tensors.o = made_up + 5 * apart;
  char bytes[32];
  snprintf(bytes, sizeof bytes, "%" PRId64, problem.tokens * 64 * 4);
  check(rwkv6_run(plan, &tensors, &error), RWKV6_OUT_OF_DEVICE_MEMORY, &error, bytes);
  rwkv6_plan_destroy(&plan);
}

static void test_out_of_device_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    check_out_of_device_memory(i, RWKV6_MODE_RECURRENT);
    check_out_of_device_memory(i, RWKV6_MODE_CHUNK);
  }
}

#if RWKV6_HAVE_OPENCL

static cl_int CL_API_CALL no_memory_to_finish(cl_command_queue queue) {
  (void)queue;
  return CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

/* A driver that allocates when buffers are first used finds out late that it cannot: that error has the size too. */
static void test_out_of_device_memory_late(void **state) {
  (void)state;
  const float in[64] = {0};
  float o[64];
  for (size_t i = 0; i < devices.count; i++) {
    rwkv6_problem problem;
    rwkv6_problem_init(&problem, sizeof problem, 1, 16, 1, 4, 4);
    rwkv6_plan *plan = NULL;
    rwkv6_error error = RWKV6_ERROR_INIT;
    if (rwkv6_plan_create(devices.device[i], &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error))
      fail_msg("%s", error.message);
    rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
    tensors.r = tensors.k = tensors.v = tensors.w = tensors.u = in;
    tensors.o = o;
    const rwkv6_cl_functions *right = devices.device[i]->cl->cl;
    rwkv6_cl_functions late = *right;
    late.Finish = no_memory_to_finish;
    devices.device[i]->cl->cl = &late;
    const rwkv6_status status = rwkv6_run(plan, &tensors, &error);
    devices.device[i]->cl->cl = right;
    check(status, RWKV6_OUT_OF_DEVICE_MEMORY, &error, "1296 bytes"); /* 5 tensors of 16 x 4, and u */
    check(status, RWKV6_OUT_OF_DEVICE_MEMORY, &error, "clFinish");
    assert_int_equal(error.opencl_error, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    assert_int_equal(rwkv6_run(plan, &tensors, &error), RWKV6_OK);
    rwkv6_plan_destroy(&plan);
  }
}

#endif

/* A mode that no variant of the device has is refused with the reason; auto takes what is there. */
static void test_mode_without_variant(void **state) {
  (void)state;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 40, 1, 7, 9);
  problem.chunk_length = 64; /* more than a work-group of any device has local memory for */
  for (size_t i = 0; i < devices.count; i++) {
    rwkv6_plan *plan = NULL;
    rwkv6_error error = RWKV6_ERROR_INIT;
    check(rwkv6_plan_create(devices.device[i], &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, &error), RWKV6_UNSUPPORTED,
          &error, "chunk_length 1 to");
    assert_null(plan);
    assert_int_equal(rwkv6_plan_create(devices.device[i], &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, NULL), RWKV6_OK);
    rwkv6_plan_destroy(&plan);
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_build_failure),
    cmocka_unit_test(test_kernel_folder_missing),
    cmocka_unit_test(test_kernel_file_empty),
    cmocka_unit_test(test_out_of_device_memory),
#if RWKV6_HAVE_OPENCL
    cmocka_unit_test(test_out_of_device_memory_late),
#endif
    cmocka_unit_test(test_mode_without_variant),
  };
  const int failed = cmocka_run_group_tests_name("failures of devices", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
