/* SPDX-License-Identifier: MIT */
/*
 * Plans where a variant accepts a problem and its kernels do not compile, on a fake library whose device says that it has
 * NVIDIA's compute capability 9.0: what is taken instead, what is told of it, and when there is no plan.
 */
#include <string.h>

#include "cmocka_all.h"
#include "fake_opencl.h"
#include "faults.h"
#include "plan.h"

#define HOPPER_WARNING "variant hopper does not compile here and is passed over"

/* What the variant hopper builds its programs from, and what is no such thing. */
static const char not_taken_back[] =
    ".version 8.4\n.target sm_90\n//@wgmma.fence.sync.aligned;!"; /* the fake looks at the last letter */
static const char ptx[] = ".version 8.4\n.target sm_90\n//@wgmma.fence.sync.aligned;\n";
static const char elf[] = "\177ELF";

static char logged[16384]; /* warnings */

static void keep_warnings(void *user, rwkv6_log_level level, const char *message) {
  (void)user;
  if (level > RWKV6_LOG_WARNING) return;
  strncat(logged, message, sizeof logged - strlen(logged) - 1);
  strncat(logged, "\n", sizeof logged - strlen(logged) - 1);
}

static rwkv6_device *open_device(void) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  options.log = keep_warnings;
  options.cache_dir = "off";
  logged[0] = '\0';
  if (rwkv6_device_open("opencl:0", &options, &device, &error)) fail_msg("%s", error.message);
  return device;
}

/* One that the variant hopper takes. */
static rwkv6_problem make_problem(void) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 600, 1, 64, 64);
  problem.dtype = problem.w_dtype = RWKV6_BF16;
  return problem;
}

static void check_nothing_left(long allocated) {
  if (fake_opencl_misuse()) fail_msg("%s", fake_opencl_misuse());
  assert_int_equal(fake_opencl_alive(), 0);
  assert_int_equal(faults_allocated(), allocated);
}

static void check_told(const char *text, const char *word) {
  if (!strstr(text, word)) fail_msg("no \"%s\" in: %s", word, text);
}

/* A plan of that mode is made of `variant`, whatever else does not compile; its explanation and the log have these words. */
static void check_taken(rwkv6_operation operation, rwkv6_mode mode, const char *variant, const char *explained,
                        const char *warning) {
  const long before = faults_allocated();
  const rwkv6_problem problem = make_problem();
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  rwkv6_device *device = open_device();
  rwkv6_plan *plan;
  if (rwkv6_plan_create(device, &problem, operation, mode, &plan, &error)) fail_msg("%s", error.message);
  assert_int_equal(error.status, RWKV6_OK); /* untouched */
  assert_string_equal(error.message, "");
  assert_int_equal(rwkv6_plan_get_info(plan, &info, NULL), RWKV6_OK);
  assert_string_equal(info.variant, variant);
  check_told(info.explanation, explained);
  if (warning)
    check_told(logged, warning);
  else
    assert_string_equal(logged, "");
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&device);
  check_nothing_left(before);
}

/* There is no plan; `variant`: one asked for by name, or NULL. The error has that word, no warning has `not_logged`. */
static void check_refused(rwkv6_operation operation, const char *variant, const char *word, cl_int opencl_error,
                          const char *not_logged) {
  const long before = faults_allocated();
  const rwkv6_problem problem = make_problem();
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = open_device();
  rwkv6_plan *plan = (rwkv6_plan *)&error; /* anything but NULL */
  const rwkv6_status status = rwkv6_plan_create_variant(device, &problem, operation, RWKV6_MODE_AUTO, variant, &plan, &error);
  assert_int_equal(status, RWKV6_BUILD_FAILED);
  assert_int_equal(error.status, RWKV6_BUILD_FAILED);
  assert_null(plan);
  assert_int_equal(error.opencl_error, opencl_error);
  check_told(error.message, word);
  if (not_logged && strstr(logged, not_logged)) fail_msg("\"%s\" is in the log: %s", not_logged, logged);
  rwkv6_device_close(&device);
  check_nothing_left(before);
}

static void set_up(const char *binary, size_t size, const char *refused) {
  fake_opencl_set_compute_capability(90);
  fake_opencl_set_binary(binary, size);
  fake_opencl_refuse_builds(refused);
}

/* The driver compiles everything. */
static void test_first(void **state) {
  (void)state;
  set_up(ptx, sizeof ptx, NULL);
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "hopper", "chunk_forward hopper: chosen\nchunk_forward nvidia: would do", NULL);
}

/* Binaries that the variant cannot be made of, and none: the next one needs none. */
static void test_next(void **state) {
  (void)state;
  static const char explained[] = "chunk_forward hopper: does not compile here\nchunk_forward nvidia: chosen\n";
  set_up(elf, sizeof elf, NULL);
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "nvidia", explained, HOPPER_WARNING);
  check_taken(RWKV6_FORWARD, RWKV6_MODE_CHUNK, "nvidia", explained, HOPPER_WARNING);
  check_taken(RWKV6_FORWARD, RWKV6_MODE_RECURRENT, "portable", "recurrent_forward portable: chosen\n", NULL);
  set_up(not_taken_back, sizeof not_taken_back - 1, NULL);
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "nvidia", explained, HOPPER_WARNING);
  set_up(ptx, sizeof ptx, "-DWORK_GROUP=128 -DENGINE_NVIDIA"); /* the variant's alone */
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "nvidia", explained, HOPPER_WARNING);
}

/* Further down the list, and into the other mode. */
static void test_later(void **state) {
  (void)state;
  set_up(ptx, sizeof ptx, "-DENGINE_NVIDIA");
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "portable",
              "chunk_forward hopper: does not compile here\nchunk_forward nvidia: does not compile here\n",
              "variant nvidia does not compile here and is passed over");
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "portable", "chunk_forward portable: chosen\n", HOPPER_WARNING);
  check_taken(RWKV6_BACKWARD, RWKV6_MODE_AUTO, "portable",
              "chunk_backward nvidia: does not compile here\nchunk_backward emulated: emulates matrix units, for tests only\n"
              "chunk_backward portable: chosen\n",
              "variant nvidia does not compile here and is passed over");
  set_up(ptx, sizeof ptx, "-DWORK_GROUP=128"); /* every program of chunk mode, none of recurrent mode */
  check_taken(RWKV6_FORWARD, RWKV6_MODE_AUTO, "portable",
              "chunk_forward portable: does not compile here\nrecurrent_forward portable: chosen\n",
              "variant portable does not compile here and is passed over");
}

/* Who asks for a variant gets that or the reason. */
static void test_by_name(void **state) {
  (void)state;
  set_up(elf, sizeof elf, NULL);
  check_refused(RWKV6_FORWARD, "hopper", "not PTX", 0, "passed over");
  set_up(ptx, sizeof ptx, "-DENGINE_NVIDIA");
  check_refused(RWKV6_FORWARD, "nvidia", "a build log", CL_BUILD_PROGRAM_FAILURE, "passed over");
}

static void test_none(void **state) {
  (void)state;
  set_up(ptx, sizeof ptx, "-DKEY_DIM=");
  check_refused(RWKV6_FORWARD, NULL, "a build log", CL_BUILD_PROGRAM_FAILURE, NULL);
  check_refused(RWKV6_BACKWARD, NULL, "a build log", CL_BUILD_PROGRAM_FAILURE, NULL);
  check_told(logged, "a build log");
}

/* Any other failure ends it: memory that is short would be for the next variant too. */
static void test_failures(void **state) {
  (void)state;
  const rwkv6_problem problem = make_problem();
  set_up(elf, sizeof elf, NULL);
  for (long at = 1;; at++) {
    const long before = faults_allocated();
    rwkv6_error error = RWKV6_ERROR_INIT;
    rwkv6_device *device = open_device();
    rwkv6_plan *plan;
    faults_begin(FAULT_MEMORY, at, false);
    const rwkv6_status status = rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error);
    const bool failed = faults_failed() != NULL;
    faults_begin(FAULT_MEMORY, 0, false);
    assert_int_equal(status, failed ? RWKV6_OUT_OF_MEMORY : RWKV6_OK);
    if (failed) assert_int_equal(error.status, status);
    rwkv6_plan_destroy(&plan);
    rwkv6_device_close(&device);
    check_nothing_left(before);
    if (failed) continue;
    assert_true(at > 10);
    break;
  }
}

static int load(void **state) {
  (void)state;
  return rwkv6_opencl_load_symbols(fake_opencl_lookup, NULL, NULL) ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first),   cmocka_unit_test(test_next), cmocka_unit_test(test_later),
      cmocka_unit_test(test_by_name), cmocka_unit_test(test_none), cmocka_unit_test(test_failures),
  };
  return cmocka_run_group_tests_name("variants that do not compile", tests, load, NULL);
}
