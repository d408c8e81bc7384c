/* SPDX-License-Identifier: MIT */
/*
 * Two devices of a platform in one context of the caller's, as Meson starts it: PoCL's "pthread" and "basic". Each has its
 * queue, its programs in the cache and its blob. Skipped where no platform has two devices.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka_all.h"
#include "devices.h"
#include "folder.h"
#include "opencl/context.h"
#include "rwkv6/opencl.h"

enum { DEVICES = 2, SEQUENCES = 2, TOKENS = 5, DIM = 8, ELEMENTS = SEQUENCES * TOKENS * DIM };

static const rwkv6_cl_functions *cl;
static cl_device_id ids[DEVICES];
static cl_context context;
static char folder[300], log_text[8192];
static bool trouble;

static bool find_devices(void) {
  cl_platform_id platforms[16];
  cl_uint count = 0;
  cl = rwkv6_cl_functions_get(NULL);
  if (!cl || cl->GetPlatformIDs(16, platforms, &count) != CL_SUCCESS) return false;
  for (cl_uint i = 0; i < count && i < 16; i++) {
    cl_uint found = 0;
    if (cl->GetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES, ids, &found) == CL_SUCCESS && found >= DEVICES) return true;
  }
  return false;
}

static int set_up(void **state) {
  cl_int code;
  context = cl->CreateContext(NULL, DEVICES, ids, NULL, NULL, &code);
  if (code != CL_SUCCESS || test_folder_make(state)) return -1;
  snprintf(folder, sizeof folder, "%s/programs", test_folder);
  return 0;
}

/* PoCL's threads may let go of an event, and so of the context, a moment after clFinish. */
static cl_uint holders_of_context(void) {
  const struct timespec moment = {0, 10000000};
  cl_uint holders = 2;
  for (int i = 0; i < 500 && holders != 1; i++) {
    if (cl->GetContextInfo(context, CL_CONTEXT_REFERENCE_COUNT, sizeof holders, &holders, NULL) != CL_SUCCESS) return 0;
    if (holders != 1) nanosleep(&moment, NULL);
  }
  return holders;
}

static int tear_down(void **state) {
  const cl_uint holders = holders_of_context();
  if (holders != 1) print_error("the context has %u holders\n", holders);
  cl->ReleaseContext(context);
  return test_folder_remove(state) || holders != 1;
}

static void listen(void *user, rwkv6_log_level level, const char *message) {
  (void)user;
  const size_t used = strlen(log_text);
  snprintf(log_text + used, sizeof log_text - used, "%s\n", message);
  if (level != RWKV6_LOG_DEBUG) trouble = true;
}

static rwkv6_device *wrap(int i, const char *cache_dir) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  log_text[0] = '\0';
  trouble = false;
  options.log = listen;
  options.cache_dir = cache_dir;
  if (rwkv6_opencl_device_wrap(context, ids[i], &options, &device, &error)) fail_msg("%s", error.message);
  return device;
}

static rwkv6_plan *plan_of(rwkv6_device *device) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, SEQUENCES, SEQUENCES * TOKENS, 1, DIM, DIM);
  if (rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error)) fail_msg("%s", error.message);
  return plan;
}

/* All programs came from there, and nothing went wrong. */
static void expect_programs(bool from_cache) {
  const char *expected = from_cache ? "from the cache: " : "compiled ", *other = from_cache ? "compiled " : "from the cache: ";
  if (trouble || !strstr(log_text, expected) || strstr(log_text, other)) fail_msg("expected \"%s\": %s", expected, log_text);
}

static void test_cache(void **state) {
  (void)state;
  for (int again = 0; again < 2; again++)
    for (int i = 0; i < DEVICES; i++) {
      rwkv6_device *device = wrap(i, folder);
      rwkv6_plan *plan = plan_of(device);
      expect_programs(again);
      rwkv6_plan_destroy(&plan);
      rwkv6_device_close(&device);
    }
}

static void test_blobs(void **state) {
  (void)state;
  for (int i = 0; i < DEVICES; i++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    size_t size, taken = 0;
    rwkv6_device *device = wrap(i, "off");
    rwkv6_plan *plan = plan_of(device);
    if (rwkv6_device_save_programs(device, NULL, 0, &size, &error)) fail_msg("%s", error.message);
    unsigned char *blob = malloc(size);
    assert_non_null(blob);
    assert_int_equal(rwkv6_device_save_programs(device, blob, size, &size, &error), RWKV6_OK);
    rwkv6_plan_destroy(&plan);
    rwkv6_device_close(&device);

    device = wrap(1 - i, "off");
    assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, &error), RWKV6_OK);
    assert_int_equal(taken, 0); /* the other one's */
    rwkv6_device_close(&device);

    device = wrap(i, "off");
    assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, &error), RWKV6_OK);
    assert_true(taken >= 1);
    plan = plan_of(device);
    expect_programs(true);
    rwkv6_plan_destroy(&plan);
    rwkv6_device_close(&device);
    free(blob);
  }
}

static cl_mem buffer_of(size_t bytes, const float *data) {
  cl_int code;
  const cl_mem buffer =
      cl->CreateBuffer(context, CL_MEM_READ_WRITE | (data ? CL_MEM_COPY_HOST_PTR : 0), bytes, (void *)(uintptr_t)data, &code);
  assert_int_equal(code, CL_SUCCESS);
  return buffer;
}

/* A plan takes its device's queue and no other; both devices compute the same bits. */
static void test_queues(void **state) {
  (void)state;
  float rows[ELEMENTS], u[DIM] = {0.5f}, o[DEVICES][ELEMENTS];
  for (int i = 0; i < ELEMENTS; i++) rows[i] = -0.01f * (float)(i % 31);
  const cl_mem in = buffer_of(sizeof rows, rows), bonus = buffer_of(sizeof u, u), out = buffer_of(sizeof rows, rows);
  rwkv6_opencl_tensors tensors = RWKV6_OPENCL_TENSORS_INIT;
  tensors.r.buffer = tensors.k.buffer = tensors.v.buffer = tensors.w.buffer = in;
  tensors.u.buffer = bonus;
  tensors.o.buffer = out;
  cl_command_queue queues[DEVICES];
  cl_int code;
  for (int i = 0; i < DEVICES; i++) {
    queues[i] = cl->CreateCommandQueue(context, ids[i], 0, &code);
    assert_int_equal(code, CL_SUCCESS);
  }
  for (int i = 0; i < DEVICES; i++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    rwkv6_device *device = wrap(i, "off");
    rwkv6_plan *plan = plan_of(device);
    assert_int_equal(rwkv6_opencl_enqueue(plan, queues[1 - i], &tensors, 0, NULL, NULL, &error), RWKV6_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "queue"));
    if (rwkv6_opencl_enqueue(plan, queues[i], &tensors, 0, NULL, NULL, &error)) fail_msg("%s", error.message);
    assert_int_equal(cl->EnqueueReadBuffer(queues[i], out, CL_TRUE, 0, sizeof o[i], o[i], 0, NULL, NULL), CL_SUCCESS);
    rwkv6_plan_destroy(&plan);
    rwkv6_device_close(&device);
  }
  assert_memory_equal(o[0], o[1], sizeof o[0]);
  assert_memory_not_equal(o[0], rows, sizeof rows);
  for (int i = 0; i < DEVICES; i++) cl->ReleaseCommandQueue(queues[i]);
  cl->ReleaseMemObject(in);
  cl->ReleaseMemObject(bonus);
  cl->ReleaseMemObject(out);
}

int main(void) {
  if (!find_devices()) {
    puts("skipped: no platform with two devices");
    return TEST_EXIT_SKIP;
  }
#define IN_CONTEXT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {IN_CONTEXT(test_cache), IN_CONTEXT(test_blobs), IN_CONTEXT(test_queues)};
  return cmocka_run_group_tests_name("two devices of one context", tests, NULL, NULL);
}
