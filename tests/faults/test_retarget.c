/* SPDX-License-Identifier: MIT */
/*
 * Programs with hidden instructions (src/opencl/retarget.h), on a fake library: what they are built from in the end, whatever
 * fails on the way, and from the cache.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "device.h"
#include "fake_opencl.h"
#include "faults.h"
#include "folder.h"
#include "opencl/cache.h"
#include "opencl/context.h"

#define OPTIONS "-cl-std=CL1.2 -DKEY_DIM=64 -DENGINE_NVIDIA"
#define EMULATED "-cl-std=CL1.2 -DKEY_DIM=64"

/* The target is set once; what else looks so is not for the assembler. */
static const char hidden[] = "// .target sm_90\n"
                             ".version 8.4\n"
                             ".target sm_90, texmode_independent\n"
                             ".address_size 64\n"
                             "// .target sm_90\n"
                             "\t// begin inline asm\n"
                             "\t//@wgmma.fence.sync.aligned;\n"
                             "\t// end inline asm\n"
                             "\t//@/*\n\tret; //@*/\n"
                             "{ //@wgmma.wait_group.sync.aligned 0; //@ret; }\n"
                             ".global .b8 name[] = \".target sm_90\n.target sm_90\";\n"
                             "// @ // /@";
static const char shown[] = "// .target sm_90\n"
                            ".version 8.4\n"
                            ".target sm_90a, texmode_independent\n"
                            ".address_size 64\n"
                            "// .target sm_90\n"
                            "\t// begin inline asm\n"
                            "\twgmma.fence.sync.aligned;\n"
                            "\t// end inline asm\n"
                            "\t/*\n\tret; */\n"
                            "{ wgmma.wait_group.sync.aligned 0; ret; }\n"
                            ".global .b8 name[] = \".target sm_90\n.target sm_90\";\n"
                            "// @ // /@";

static char logged[4096]; /* all of it */

static void keep_log(void *user, rwkv6_log_level level, const char *message) {
  (void)user, (void)level;
  strncat(logged, message, sizeof logged - strlen(logged) - 1);
}

static rwkv6_device *open_device(const char *cache_dir) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  options.log = keep_log;
  options.cache_dir = cache_dir;
  logged[0] = '\0';
  if (rwkv6_device_open("opencl:0", &options, &device, &error)) fail_msg("%s", error.message);
  return device;
}

static const char *const name = "a";

static rwkv6_status build(rwkv6_device *device, const char *file, const char *options, rwkv6_error *error) {
  rwkv6_cl_program *program;
  return rwkv6_cl_program_get(device, file, options, &name, 1, &program, error);
}

static long calls_of(const char *function) {
  const char *found;
  for (size_t i = 0;; i++) {
    const long calls = fake_opencl_calls(i, &found);
    if (!found) fail_msg("no function %s", function);
    if (!strcmp(found, function)) return calls;
  }
}

static void check_nothing_left(long allocated) {
  if (fake_opencl_misuse()) fail_msg("%s", fake_opencl_misuse());
  assert_int_equal(fake_opencl_alive(), 0);
  assert_int_equal(faults_allocated(), allocated);
}

/* The last program was built from these bytes (NULL: from source). */
static void check_built(const void *bytes, size_t size, const char *options) {
  const void *binary;
  size_t binary_size;
  assert_string_equal(fake_opencl_built(&binary, &binary_size), options);
  if (!bytes) {
    assert_null(binary);
    return;
  }
  assert_non_null(binary);
  assert_int_equal(binary_size, size);
  assert_memory_equal(binary, bytes, size);
}

/* `ending`: bytes from the zero on. */
static void check_shown(size_t ending) {
  const long before = faults_allocated(), builds = calls_of("clBuildProgram");
  rwkv6_error error = RWKV6_ERROR_INIT;
  fake_opencl_set_binary(hidden, sizeof hidden - 1 + ending);
  rwkv6_device *device = open_device("off");
  if (build(device, "hides.cl", OPTIONS, &error)) fail_msg("%s", error.message);
  assert_int_equal(calls_of("clBuildProgram") - builds, 2);
  check_built(shown, sizeof shown - 1 + ending, OPTIONS);
  assert_int_equal(fake_opencl_alive(), 2); /* the context and one program */
  rwkv6_device_close(&device);
  check_nothing_left(before);
}

static void test_shown(void **state) {
  (void)state;
  check_shown(1);
  check_shown(0); /* a driver that leaves out the zero */
}

/* Bytes behind a zero are kept as they are. */
static void test_bytes_behind_a_zero(void **state) {
  (void)state;
  static const char more[] = ".target sm_90\n//@x\0\0//", wanted[] = ".target sm_90a\nx\0\0//";
  rwkv6_error error = RWKV6_ERROR_INIT;
  fake_opencl_set_binary(more, sizeof more);
  rwkv6_device *device = open_device("off");
  if (build(device, "hides.cl", OPTIONS, &error)) fail_msg("%s", error.message);
  check_built(wanted, sizeof wanted, OPTIONS);
  rwkv6_device_close(&device);
}

static void check_refused(const char *binary, size_t size, const char *word) {
  const long before = faults_allocated(), made = calls_of("clCreateProgramWithBinary");
  rwkv6_error error = RWKV6_ERROR_INIT;
  fake_opencl_set_binary(binary, size);
  rwkv6_device *device = open_device("off");
  const rwkv6_status status = build(device, "hides.cl", OPTIONS, &error);
  if (status != RWKV6_BUILD_FAILED || error.status != status) fail_msg("\"%s\" is taken", binary);
  if (!strstr(error.message, word)) fail_msg("\"%s\" is refused with: %s", binary, error.message);
  assert_int_equal(calls_of("clCreateProgramWithBinary"), made);
  rwkv6_device_close(&device);
  check_nothing_left(before);
}

static void test_refused(void **state) {
  (void)state;
  static const char elf[] = "\177ELF\0\n.target sm_90\n//@x";
  static const char *const others[] = {
      ".target sm_80\n//@x",
      ".target sm_900\n//@x",
      ".target sm_90a\n//@x",
      "// .target sm_90\n//@x",
      ".version 8.4 .target sm_90",
      ".target sm_9",
      "//@x",
      "x",
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) check_refused(others[i], strlen(others[i]) + 1, "sm_90");
  check_refused(elf, sizeof elf, "not PTX");
  check_refused(".target sm_90\nret;", 19, "lost");
}

/* Of other programs the binary is not even asked for: PoCL adds nothing to one that it has handed out. */
static void check_left_alone(const char *file, const char *options) {
  const long asked = calls_of("clGetProgramInfo"), builds = calls_of("clBuildProgram");
  rwkv6_device *device = open_device("off");
  assert_int_equal(build(device, file, options, NULL), RWKV6_OK);
  assert_int_equal(calls_of("clGetProgramInfo"), asked);
  assert_int_equal(calls_of("clBuildProgram") - builds, 1);
  check_built(NULL, 0, options);
  rwkv6_device_close(&device);
}

static void test_left_alone(void **state) {
  (void)state;
  fake_opencl_set_binary(hidden, sizeof hidden);
  check_left_alone("plain.cl", OPTIONS);
  check_left_alone("hides.cl", EMULATED);
}

/* Each call of a kind fails once, or it and all after it. The build is right or says why not, and nothing stays behind. */
static long fail_each(fault_kind kind, bool lasting, bool *assembler) {
  long at = 1;
  fake_opencl_set_binary(hidden, sizeof hidden);
  for (;; at++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    const long before = faults_allocated();
    rwkv6_device *device = open_device("off");
    faults_begin(kind, at, lasting);
    const rwkv6_status status = build(device, "hides.cl", OPTIONS, &error);
    const char *failed = faults_failed();
    faults_begin(kind, 0, false);
    if (!status) check_built(shown, sizeof shown, OPTIONS);
    rwkv6_device_close(&device);
    check_nothing_left(before);
    if (!failed) break;
    const bool bears_it = !strcmp(failed, "clGetProgramBuildInfo") || !strncmp(failed, "clRelease", 9);
    if (!status && !lasting && !bears_it && strcmp(failed, "clGetDeviceInfo") != 0 && strcmp(failed, "clGetPlatformInfo") != 0)
      fail_msg("%s, call %ld: no error came out", failed, at);
    if (status != error.status || (status && !error.message[0])) fail_msg("%s, call %ld: no text", failed, at);
    if (kind == FAULT_MEMORY) assert_int_equal(status, RWKV6_OUT_OF_MEMORY);
    if (strcmp(failed, "clBuildProgram of a binary") != 0) continue;
    *assembler = true;
    assert_int_equal(status, RWKV6_BUILD_FAILED);
    assert_int_equal(error.opencl_error, CL_DEVICE_NOT_AVAILABLE);
    if (!lasting) assert_non_null(strstr(error.message, "a build log"));
    if (!lasting) assert_non_null(strstr(logged, "a build log"));
  }
  return at - 1;
}

static void test_failures(void **state) {
  (void)state;
  bool assembler = false;
  assert_true(fail_each(FAULT_OPENCL, false, &assembler) >= 10);
  assert_true(assembler);
  fail_each(FAULT_OPENCL, true, &assembler);
  assert_true(fail_each(FAULT_MEMORY, false, &assembler) >= 4);
}

static rwkv6_cl_program *get_kept(rwkv6_device *device) {
  rwkv6_cl_program *program;
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (rwkv6_cl_program_get(device, "hides.cl", OPTIONS, &name, 1, &program, &error)) fail_msg("%s", error.message);
  return program;
}

/* What is kept is the program that has the instructions; it is loaded, and not looked into again. */
static void test_cache(void **state) {
  (void)state;
  fake_opencl_set_binary(hidden, sizeof hidden);
  rwkv6_device *device = open_device(test_path("programs"));
  rwkv6_cl_program_complete(device, get_kept(device), 1);
  rwkv6_device_close(&device);

  const long sources = calls_of("clCreateProgramWithSource"), builds = calls_of("clBuildProgram");
  const long asked = calls_of("clGetProgramInfo");
  device = open_device(test_path("programs"));
  assert_true(get_kept(device)->in_cache);
  assert_int_equal(calls_of("clCreateProgramWithSource"), sources);
  assert_int_equal(calls_of("clBuildProgram") - builds, 1);
  assert_int_equal(calls_of("clGetProgramInfo"), asked);
  check_built(shown, sizeof shown, OPTIONS);
  rwkv6_device_close(&device);
}

static void write_kernel(const char *file, const char *text) {
  FILE *out = fopen(test_path(file), "wb");
  assert_non_null(out);
  assert_true(fputs(text, out) >= 0);
  assert_int_equal(fclose(out), 0);
}

static int set_up(void **state) {
  if (test_folder_make(state) || rwkv6_opencl_load_symbols(fake_opencl_lookup, NULL, NULL)) return -1;
  write_kernel("hides.cl", "kernel void a(void) { __asm__(\"//@wgmma\"); }\n");
  write_kernel("plain.cl", "kernel void a(void) {} // @\n");
  return setenv("RWKV6_KERNEL_DIR", test_folder, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shown),    cmocka_unit_test(test_bytes_behind_a_zero),
      cmocka_unit_test(test_refused),  cmocka_unit_test(test_left_alone),
      cmocka_unit_test(test_failures), cmocka_unit_test(test_cache),
  };
  return cmocka_run_group_tests_name("programs for another target", tests, set_up, test_folder_remove);
}
