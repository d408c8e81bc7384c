/* SPDX-License-Identifier: MIT */
/* An OpenCL library that the caller gives: refused if it cannot be used, taken once, and the only one from then on. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "opencl/loader.h"
#include "rwkv6/rwkv6.h"

static void check(rwkv6_status status, rwkv6_status expected, const rwkv6_error *error, const char *part) {
  if (status != expected || error->status != expected || !strstr(error->message, part))
    fail_msg("%s, expected %s with \"%s\": %s", rwkv6_status_name(status), rwkv6_status_name(expected), part, error->message);
}

static void test_arguments(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  check(rwkv6_opencl_load_library(NULL, &error), RWKV6_INVALID_ARGUMENT, &error, "path is NULL");
  check(rwkv6_opencl_load_library("", &error), RWKV6_INVALID_ARGUMENT, &error, "path is empty");
  check(rwkv6_opencl_load_symbols(NULL, NULL, &error), RWKV6_INVALID_ARGUMENT, &error, "lookup is NULL");
}

/* The caller's choice is not passed over for the system's library. */
static void check_cpu_only(const char *why) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  size_t count = 0;
  rwkv6_device *device = NULL;
  check(rwkv6_opencl_available(&error), RWKV6_NO_DEVICE, &error, why);
  assert_int_equal(rwkv6_device_list(NULL, 0, &count, NULL), RWKV6_OK);
  assert_int_equal(count, 1);
  assert_int_equal(rwkv6_device_open("cpu", NULL, &device, NULL), RWKV6_OK);
  rwkv6_device_close(&device);
}

static void test_unusable_library(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  check(rwkv6_opencl_load_library("/nonexistent/libOpenCL.so", &error), RWKV6_NO_DEVICE, &error, "/nonexistent/libOpenCL.so");
  check_cpu_only("/nonexistent/libOpenCL.so");
  check(rwkv6_opencl_load_library("libm.so.6", &error), RWKV6_NO_DEVICE, &error, "lacks clGetPlatformIDs");
  check_cpu_only("lacks clGetPlatformIDs");
}

#define NAME(name) "cl" #name,
static const char *const names[] = {RWKV6_CL_FUNCTIONS(NAME)};
#define COUNT (sizeof names / sizeof *names)
static const char *const bench_names[] = {RWKV6_CL_BENCH_FUNCTIONS(NAME)};
#define BENCH_COUNT (sizeof bench_names / sizeof *bench_names)

static void never_called(void) {
  abort();
}

typedef struct symbols {
  size_t missing; /* COUNT: none */
  size_t asked;
  size_t bench_asked; /* for what only `rwkv6 bench` calls: always missing */
} symbols;

static rwkv6_opencl_function lookup(void *user, const char *name) {
  symbols *from = user;
  for (size_t i = 0; i < COUNT; i++)
    if (strcmp(name, names[i]) == 0) {
      from->asked++;
      return i == from->missing ? NULL : never_called;
    }
  for (size_t i = 0; i < BENCH_COUNT; i++)
    if (strcmp(name, bench_names[i]) == 0) {
      from->bench_asked++;
      return NULL;
    }
  fail_msg("asked for %s", name);
  return NULL;
}

static void test_missing_functions(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    symbols from = {i, 0, 0};
    rwkv6_error error = RWKV6_ERROR_INIT;
    char part[64] = "lacks ";
    strcat(part, names[i]);
    check(rwkv6_opencl_load_symbols(lookup, &from, &error), RWKV6_NO_DEVICE, &error, part);
    assert_int_equal(from.asked, i + 1);
    check_cpu_only(part);
  }
}

static void test_taken_once(void **state) {
  (void)state;
  symbols from = {COUNT, 0, 0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(rwkv6_opencl_load_symbols(lookup, &from, &error), RWKV6_OK);
  assert_int_equal(from.asked, COUNT);
  assert_int_equal(from.bench_asked, BENCH_COUNT);
  check(rwkv6_opencl_load_symbols(lookup, &from, &error), RWKV6_INVALID_ARGUMENT, &error, "in use already");
  check(rwkv6_opencl_load_library("libm.so.6", &error), RWKV6_INVALID_ARGUMENT, &error, "in use already");
  assert_int_equal(from.asked, COUNT);
}

/* A library without what only `rwkv6 bench` calls serves, but for that. */
static void test_missing_bench_functions(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  const rwkv6_cl_functions *loaded = rwkv6_cl_functions_get(&error);
  assert_non_null(loaded);
  rwkv6_cl_functions cl = *loaded;
  check(rwkv6_cl_bench_functions_check(&cl, &error), RWKV6_UNSUPPORTED, &error, "clEnqueueReadBufferRect");
  memcpy(&cl.EnqueueReadBufferRect, &cl.EnqueueReadBuffer, sizeof cl.EnqueueReadBuffer);
  check(rwkv6_cl_bench_functions_check(&cl, &error), RWKV6_UNSUPPORTED, &error, "clGetEventProfilingInfo");
  memcpy(&cl.GetEventProfilingInfo, &cl.EnqueueReadBuffer, sizeof cl.EnqueueReadBuffer);
  check(rwkv6_cl_bench_functions_check(&cl, &error), RWKV6_UNSUPPORTED, &error, "clRetainEvent");
  memcpy(&cl.RetainEvent, &cl.EnqueueReadBuffer, sizeof cl.EnqueueReadBuffer);
  assert_int_equal(rwkv6_cl_bench_functions_check(&cl, &error), RWKV6_OK);
}

/* Every code that OpenCL 1.2 defines has a name, no two the same, and no other code has one. */
static void test_names_of_errors(void **state) {
  (void)state;
  for (cl_int code = 0; code >= -80; code--) {
    const bool in_gap = code < CL_KERNEL_ARG_INFO_NOT_AVAILABLE && code > CL_INVALID_VALUE;
    const bool defined = !in_gap && code >= CL_INVALID_DEVICE_PARTITION_COUNT;
    const char *name = rwkv6_cl_error_name(code);
    if (defined != (strncmp(name, "CL_", 3) == 0)) fail_msg("%d: %s", code, name);
    for (cl_int other = 0; other > code && defined; other--) assert_string_not_equal(rwkv6_cl_error_name(other), name);
  }
  assert_string_equal(rwkv6_cl_error_name(-13), "CL_MISALIGNED_SUB_BUFFER_OFFSET");
  assert_string_equal(rwkv6_cl_error_name(-14), "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST");
  assert_string_equal(rwkv6_cl_error_name(-1001), "CL_PLATFORM_NOT_FOUND_KHR");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_arguments),
                                     cmocka_unit_test(test_unusable_library),
                                     cmocka_unit_test(test_missing_functions),
                                     cmocka_unit_test(test_taken_once),
                                     cmocka_unit_test(test_missing_bench_functions),
                                     cmocka_unit_test(test_names_of_errors)};
  return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
