/* SPDX-License-Identifier: MIT */
/* The table of a ragged batch's units, as a fake library is given it: each unit has a turn, longest first. */
#include <string.h>

#include "cmocka_all.h"
#include "fake_opencl.h"
#include "opencl/units.h"

#define ROWS 16

static cl_long table[ROWS][8];
static size_t rows;
static cl_mem(CL_API_CALL *create_buffer)(cl_context, cl_mem_flags, size_t, void *, cl_int *);

static cl_mem CL_API_CALL keep_table(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
  rows = size / sizeof *table;
  if (host && rows <= ROWS) memcpy(table, host, rows * sizeof *table);
  return create_buffer(context, flags, size, host, code);
}

static rwkv6_opencl_function look_up(void *user, const char *name) {
  const rwkv6_opencl_function function = fake_opencl_lookup(user, name);
  if (strcmp(name, "clCreateBuffer")) return function;
  create_buffer = (cl_mem(CL_API_CALL *)(cl_context, cl_mem_flags, size_t, void *, cl_int *))function;
  return (rwkv6_opencl_function)keep_table;
}

static void make_table(const int64_t *cu_seqlens, int64_t sequences, rwkv6_cl_segments segments) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  rwkv6_problem problem;
  rwkv6_cl_units units;
  options.cache_dir = "off";
  if (rwkv6_device_open("opencl:0", &options, &device, &error)) fail_msg("%s", error.message);
  rwkv6_problem_init(&problem, sizeof problem, sequences, 1, 2, 8, 8);
  problem.tokens = cu_seqlens[sequences];
  problem.cu_seqlens = cu_seqlens;
  if (rwkv6_cl_units_make(device, &problem, segments, 0, INT64_MAX, &units, &error)) fail_msg("%s", error.message);
  assert_int_equal(rows, units.count);
  rwkv6_cl_units_release(device, &units);
  rwkv6_device_close(&device);
  if (fake_opencl_misuse()) fail_msg("%s", fake_opencl_misuse());
}

static void check_turns(const int64_t *units) {
  for (size_t i = 0; i < rows; i++) {
    assert_int_equal(table[i][3] >> 2, units[i]);
    if (i > 0) assert_true(table[units[i]][1] <= table[units[i - 1]][1]);
  }
}

/* Those of one length keep their order. */
static void test_sequences(void **state) {
  (void)state;
  static const int64_t cu_seqlens[] = {0, 5, 5, 14, 19, 34}, turns[] = {4, 2, 0, 3, 1};
  make_table(cu_seqlens, 5, rwkv6_cl_unsplit);
  check_turns(turns);
}

/* Rows stay in the order of sequences, so that the scan finds a sequence's units side by side. */
static void test_segments(void **state) {
  (void)state;
  static const int64_t cu_seqlens[] = {0, 100, 360, 500}, turns[] = {3, 2, 1, 0}, lengths[] = {100, 128, 132, 140};
  static const int64_t ends[] = {3, 1, 2, 3};
  const rwkv6_cl_segments segments = {128, 64};
  make_table(cu_seqlens, 3, segments);
  assert_int_equal(rows, 4);
  for (size_t i = 0; i < rows; i++) {
    assert_int_equal(table[i][1], lengths[i]);
    assert_int_equal(table[i][3] & 3, ends[i]);
  }
  check_turns(turns);
}

static int load(void **state) {
  (void)state;
  return rwkv6_opencl_load_symbols(look_up, NULL, NULL) ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences), cmocka_unit_test(test_segments)};
  return cmocka_run_group_tests_name("turns of units", tests, load, NULL);
}
