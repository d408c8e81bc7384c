/* SPDX-License-Identifier: MIT */
/*
 * The n-th call fails, for n over every call that is made: of OpenCL, of the allocator, of the operating system. Each time the
 * error comes out, or the failure is one that may be got over and everything is computed; nothing stays allocated, on the host
 * or in OpenCL; what is in the cache is whole; and afterwards everything works.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "device.h"
#include "fake_opencl.h"
#include "faults.h"
#include "life.h"
#include "opencl/cache.h"
#include "opencl/loader.h"
#include "opencl/source.h"

static char base[32], folder[64], kernels[64];
static bool few; /* what is left of it under a sanitizer, where all takes minutes */

/* A folder of files. */
static void remove_folder(const char *path) {
  DIR *list = opendir(path);
  for (const struct dirent *entry; list && (entry = readdir(list));) {
    char file[400];
    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
    unlink(file);
  }
  if (list) closedir(list);
  rmdir(path);
}

static unsigned char file_bytes[1 << 16];

/* The file is one program and nothing else. */
static void check_file(const char *path) {
  rwkv6_cl_entry entry;
  const char *why;
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  const size_t size = fread(file_bytes, 1, sizeof file_bytes, file);
  fclose(file);
  if (rwkv6_cl_entry_read(file_bytes, size, &entry, &why) != size) fail_msg("%s: %s", path, why);
}

/* Returns the number of programs; fails on anything else. */
static int check_cache(void) {
  int count = 0;
  DIR *list = opendir(folder);
  for (const struct dirent *entry; list && (entry = readdir(list));) {
    char path[400];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (strlen(path) < 8 || strcmp(path + strlen(path) - 8, ".program") != 0)
      fail_msg("%s is left in the cache", entry->d_name);
    check_file(path);
    count++;
  }
  if (list) closedir(list);
  return count;
}

static void check_nothing_left(long allocated, const char *failed, long at) {
  if (fake_opencl_misuse()) fail_msg("%s, call %ld: %s", failed, at, fake_opencl_misuse());
  if (fake_opencl_alive()) fail_msg("%s, call %ld: %d OpenCL objects are left", failed, at, fake_opencl_alive());
  if (faults_allocated() != allocated)
    fail_msg("%s, call %ld: %ld allocations are left", failed, at, faults_allocated() - allocated);
}

/* A life in which nothing fails. Returns how many calls of the kind it has. */
static long plain_life(const char *cache_dir, fault_kind kind) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  const long before = faults_allocated();
  faults_begin(kind, 0, false);
  if (life(cache_dir, &error)) fail_msg("%s", error.message);
  const long count = faults_count(kind);
  check_nothing_left(before, "nothing failed", 0);
  return count;
}

typedef enum cache_state { NO_CACHE, COLD, WARM } cache_state;
static const char *const state_names[] = {"no cache", "cold cache", "warm cache"};

/* A failure that may be got over: what is asked only to know it, what the cache needs, and what is given back. */
static bool may_go_on(const char *failed, cache_state state) {
  static const char *const names[] = {"clGetDeviceInfo",           "clGetPlatformInfo",          "clGetProgramBuildInfo",
                                      "clCreateProgramWithBinary", "clBuildProgram of a binary", "clCreateKernel of a binary"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(failed, names[i]) == 0) return true;
  return strncmp(failed, "clRelease", 9) == 0 || (state != NO_CACHE && strcmp(failed, "clGetProgramInfo") == 0);
}

/* The error tells what failed, by the name of the call or of its code, and keeps the code. */
static void check_error(const rwkv6_error *error, rwkv6_status status, cl_int code, const char *failed, long at) {
  const bool asked = strcmp(failed, "clGetDeviceInfo") == 0 || strcmp(failed, "clGetPlatformInfo") == 0;
  const bool listed = strcmp(failed, "clGetDeviceIDs") == 0 || strcmp(failed, "clGetPlatformIDs") == 0;
  if (error->status != status || !error->message[0]) fail_msg("%s, call %ld: no text", failed, at);
  if (asked || listed) return; /* "no device": the reasons are many */
  char call[64];
  snprintf(call, sizeof call, "%.*s", (int)strcspn(failed, " "), failed);
  if (!strstr(error->message, call) && !strstr(error->message, rwkv6_cl_error_name(code)))
    fail_msg("%s, call %ld: \"%s\" names neither the call nor %s", failed, at, error->message, rwkv6_cl_error_name(code));
  if (strstr(error->message, "the table of units") && !strstr(error->message, " bytes for "))
    fail_msg("%s, call %ld: \"%s\" does not say how much", failed, at, error->message);
  if (error->opencl_error != code)
    fail_msg("%s, call %ld: opencl_error is %d instead of %d: %s", failed, at, error->opencl_error, code, error->message);
}

static void prepare(cache_state state) {
  fake_opencl_forget();
  if (state == COLD) remove_folder(folder);
}

/* Returns how many calls failed, each in a life of its own. */
static long fail_each_call(cache_state state, bool lasting, cl_int code) {
  const char *const cache_dir = state == NO_CACHE ? "off" : folder;
  long gone_on = 0, at;
  fake_opencl_set_code(code);
  plain_life(cache_dir, FAULT_OPENCL);
  for (at = 1;; at++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    const long before = faults_allocated();
    prepare(state);
    faults_begin(FAULT_OPENCL, at, lasting);
    const rwkv6_status status = life(cache_dir, &error);
    const char *failed = faults_failed();
    faults_begin(FAULT_OPENCL, 0, false);
    if (!failed) break;
    check_nothing_left(before, failed, at);
    check_cache();
    if (status)
      check_error(&error, status, code, failed, at);
    else if (may_go_on(failed, state))
      gone_on++;
    else
      fail_msg("%s, call %ld: no error came out", failed, at);
  }
  plain_life(cache_dir, FAULT_OPENCL);
  print_message("%s, %s, %s: %ld calls failed, %ld of them got over\n", state_names[state],
                lasting ? "device lost for good" : "one call", rwkv6_cl_error_name(code), at - 1, gone_on);
  return at - 1;
}

/* Thousands of lives go faster with kernels that have no text to speak of. */
static int use_short_kernels(void **unused) {
  (void)unused;
  if (mkdir(kernels, 0700)) return -1;
  for (const rwkv6_cl_file *file = rwkv6_cl_files; file->name; file++) {
    char path[200];
    snprintf(path, sizeof path, "%s/%.100s", kernels, file->name);
    FILE *out = fopen(path, "w");
    if (!out || fputs("/* no kernel */\n", out) < 0 || fclose(out)) return -1;
  }
  return setenv("RWKV6_KERNEL_DIR", kernels, 1);
}

static int use_own_kernels(void **unused) {
  (void)unused;
  remove_folder(kernels);
  return unsetenv("RWKV6_KERNEL_DIR");
}

static void test_opencl(void **unused) {
  (void)unused;
  fail_each_call(COLD, false, CL_DEVICE_NOT_AVAILABLE);
  fail_each_call(WARM, true, CL_DEVICE_NOT_AVAILABLE);
  if (few) return;
  fail_each_call(NO_CACHE, false, CL_DEVICE_NOT_AVAILABLE);
  fail_each_call(COLD, true, CL_DEVICE_NOT_AVAILABLE);
  fail_each_call(WARM, false, CL_DEVICE_NOT_AVAILABLE);
  fail_each_call(NO_CACHE, false, CL_OUT_OF_RESOURCES);
  fail_each_call(NO_CACHE, false, CL_OUT_OF_HOST_MEMORY);
  fail_each_call(NO_CACHE, false, CL_MEM_OBJECT_ALLOCATION_FAILURE);
}

/* Kernels that take only small work-groups: programs are compiled again. */
static void test_small_work_groups(void **unused) {
  (void)unused;
  fake_opencl_set_work_group("", 32);
  fail_each_call(COLD, false, CL_DEVICE_NOT_AVAILABLE);
  if (!few) fail_each_call(WARM, true, CL_DEVICE_NOT_AVAILABLE);
  fake_opencl_set_work_group("", 1024);
}

/* Two programs of a plan, of which one takes only small work-groups: the other follows. */
static void test_one_small_work_group(void **unused) {
  (void)unused;
  static const char *const small[] = {"chunk_forward", "chunk_states", "chunk_scan"};
  for (int i = 0; i < (few ? 1 : 3); i++) {
    fake_opencl_set_work_group(small[i], 32);
    fail_each_call(NO_CACHE, false, CL_DEVICE_NOT_AVAILABLE);
  }
  fake_opencl_set_work_group("", 1024);
}

/* The same where the device is told how many work-items to begin with: it has to end. */
static void test_set_work_group(void **unused) {
  (void)unused;
  static const char *const small[] = {"chunk_forward", "chunk_states", "chunk_scan"};
  for (int i = 0; i < 3; i++)
    for (int operation = 0; operation < 2; operation++) {
      rwkv6_error error = RWKV6_ERROR_INIT;
      rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
      rwkv6_device *device = NULL;
      rwkv6_plan *plan = NULL;
      rwkv6_problem problem;
      options.cache_dir = "off";
      rwkv6_problem_init(&problem, sizeof problem, 1, 900, 2, 64, 64);
      problem.segment_length = 1;
      fake_opencl_set_work_group(small[i], 128);
      if (rwkv6_device_open("opencl:0", &options, &device, &error)) fail_msg("%s", error.message);
      rwkv6_device_set_work_group(device, 256);
      if (rwkv6_plan_create(device, &problem, (rwkv6_operation)operation, RWKV6_MODE_CHUNK, &plan, &error))
        fail_msg("%s", error.message);
      rwkv6_plan_destroy(&plan);
      rwkv6_device_close(&device);
    }
  fake_opencl_set_work_group("", 1024);
}

static void test_memory(void **unused) {
  (void)unused;
  for (cache_state state = NO_CACHE; state <= WARM; state++) {
    const char *const cache_dir = state == NO_CACHE ? "off" : folder;
    long gone_on = 0, at;
    plain_life(cache_dir, FAULT_MEMORY);
    for (at = 1;; at++) {
      rwkv6_error error = RWKV6_ERROR_INIT;
      const long before = faults_allocated();
      prepare(state);
      faults_begin(FAULT_MEMORY, at, false);
      const rwkv6_status status = life(cache_dir, &error);
      const char *failed = faults_failed();
      faults_begin(FAULT_MEMORY, 0, false);
      if (!failed) break;
      check_nothing_left(before, failed, at);
      check_cache();
      if (status == RWKV6_OK && state != NO_CACHE)
        gone_on++;
      else if (status != RWKV6_OUT_OF_MEMORY || !(strstr(error.message, "memory") || strstr(error.message, "MEMORY")))
        fail_msg("%s, allocation %ld: %s: %s", failed, at, rwkv6_status_name(status), error.message);
    }
    plain_life(cache_dir, FAULT_MEMORY);
    print_message("%s: %ld allocations failed, %ld of them got over\n", state_names[state], at - 1, gone_on);
  }
}

/* Nothing that the disk does can fail a call. */
static void test_operating_system(void **unused) {
  (void)unused;
  for (cache_state state = COLD; state <= WARM; state++)
    for (int lasting = 0; lasting < 2; lasting++) {
      long at;
      remove_folder(folder);
      plain_life(folder, FAULT_SYSTEM);
      for (at = 1;; at++) {
        rwkv6_error error = RWKV6_ERROR_INIT;
        const long before = faults_allocated();
        prepare(state);
        faults_begin(FAULT_SYSTEM, at, lasting);
        const rwkv6_status status = life(folder, &error);
        const char *failed = faults_failed();
        faults_begin(FAULT_SYSTEM, 0, false);
        if (!failed) break;
        check_nothing_left(before, failed, at);
        check_cache();
        if (status) fail_msg("%s, call %ld: %s", failed, at, error.message);
      }
      plain_life(folder, FAULT_SYSTEM);
      assert_true(check_cache() > 0);
      print_message("%s, %s: %ld calls of the system failed\n", state_names[state], lasting ? "disk gone" : "one call", at - 1);
    }
}

static void find_key(const rwkv6_device *device, const char *options, const char *source, unsigned char *name) {
  rwkv6_cl_key key;
  assert_true(rwkv6_cl_cache_key(device, options, source, &key));
  memcpy(name, key.program, sizeof key.program);
}

/* Options, source, and each text that tells which device and driver it is, make another program of it; nothing else does. */
static void test_keys(void **unused) {
  (void)unused;
  unsigned char name[FAKE_TEXTS + 4][RWKV6_SHA256_BYTES], again[RWKV6_SHA256_BYTES];
  int count = 0;
  rwkv6_device *device = NULL;
  assert_int_equal(rwkv6_device_open("opencl:0", NULL, &device, NULL), RWKV6_OK);
  find_key(device, "-DA", "source", name[count++]);
  find_key(device, "-DB", "source", name[count++]);
  find_key(device, "-DA", "source ", name[count++]);
  find_key(device, "-DAs", "ource", name[count++]);
  for (int i = 1; i <= FAKE_TEXTS; i++) {
    fake_opencl_set_text(i);
    find_key(device, "-DA", "source", name[count++]);
  }
  fake_opencl_set_text(0);
  find_key(device, "-DA", "source", again);
  assert_memory_equal(again, name[0], sizeof again);
  rwkv6_cl_key key;
  assert_true(rwkv6_cl_cache_key_of(device, rwkv6_version(), "-DA", "source", &key));
  assert_memory_equal(key.program, name[0], sizeof key.program);
  assert_true(rwkv6_cl_cache_key_of(device, "0.0.1", "-DA", "source", &key));
  assert_memory_not_equal(key.program, name[0], sizeof key.program);
  for (int i = 0; i < count; i++)
    for (int j = 0; j < i; j++)
      if (memcmp(name[i], name[j], sizeof name[i]) == 0) fail_msg("keys %d and %d are the same", i, j);
  rwkv6_device_close(&device);
}

/* Last: nothing that the library can call was left out. */
static void test_every_function(void **unused) {
  (void)unused;
  const char *name;
  long all = 0;
  for (size_t i = 0; fake_opencl_calls(i, &name), name; i++) {
    const long calls = fake_opencl_calls(i, &name);
    if (!calls) fail_msg("%s was never called", name);
    all += calls;
  }
  print_message("%ld calls of OpenCL in all\n", all);
}

/* In memory, where there is such a place: the cache is written thousands of times. */
static bool make_base(const char *where) {
  snprintf(base, sizeof base, "%s/rwkv6-faults-XXXXXX", where);
  return mkdtemp(base) != NULL;
}

static int set_up(void **unused) {
  (void)unused;
  if (!make_base("/dev/shm") && !make_base("/tmp")) return -1;
  snprintf(folder, sizeof folder, "%s/programs", base);
  snprintf(kernels, sizeof kernels, "%s/kernels", base);
  return rwkv6_opencl_load_symbols(fake_opencl_lookup, NULL, NULL) == RWKV6_OK ? 0 : -1;
}

static int tear_down(void **unused) {
  (void)unused;
  remove_folder(folder);
  return rmdir(base);
}

int main(int count, char **arguments) {
#define SHORT(test) cmocka_unit_test_setup_teardown(test, use_short_kernels, use_own_kernels)
  const struct CMUnitTest tests[] = {
      SHORT(test_opencl),          SHORT(test_small_work_groups),        SHORT(test_one_small_work_group),
      SHORT(test_set_work_group),  cmocka_unit_test(test_memory),        cmocka_unit_test(test_operating_system),
      cmocka_unit_test(test_keys), cmocka_unit_test(test_every_function)};
  few = count > 1 && !strcmp(arguments[1], "--few");
  return cmocka_run_group_tests_name("faults", tests, set_up, tear_down);
}
