/* SPDX-License-Identifier: MIT */
/*
 * Threads that make plans of one device while programs are built, rehearsed and kept. The OpenCL library is given by a function
 * that puts hooks into three of the driver's, so that the other thread comes at the worst moment. Built with ThreadSanitizer
 * too (tests/run.sh).
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka_all.h"
#include "devices.h"
#include "folder.h"
#include "opencl/loader.h"

enum { THREADS = 4, DIMS = 4, TOKENS = 5 };

static test_devices devices;
static char folder[300];

static int set_up(void **state) {
  if (test_folder_make(state)) return -1;
  snprintf(folder, sizeof folder, "%s/programs", test_folder);
  return 0;
}

/* ---- hooks: called once, by the thread that comes there next */

typedef cl_int hook(void); /* an error code takes the place of the driver's function */

static _Atomic(hook *) before_build, before_launch, before_binary;
static cl_api_clBuildProgram driver_build;
static cl_api_clEnqueueNDRangeKernel driver_launch;
static cl_api_clGetProgramInfo driver_program_info;
static atomic_int launches;

static cl_int take(_Atomic(hook *) *place) {
  hook *taken = atomic_exchange(place, NULL);
  return taken ? taken() : CL_SUCCESS;
}

static cl_int CL_API_CALL build(cl_program program, cl_uint count, const cl_device_id *ids, const char *options,
                                void(CL_CALLBACK *notify)(cl_program, void *), void *user) {
  const cl_int code = take(&before_build);
  return code ? code : driver_build(program, count, ids, options, notify, user);
}

static cl_int CL_API_CALL launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                 const size_t *global, const size_t *local, cl_uint count, const cl_event *wait_list,
                                 cl_event *event) {
  const cl_int code = take(&before_launch);
  launches++;
  return code ? code : driver_launch(queue, kernel, dimensions, offset, global, local, count, wait_list, event);
}

/* A program that is too much for the driver is kept before any is launched; that is not the moment. */
static cl_int CL_API_CALL program_info(cl_program program, cl_program_info name, size_t size, void *value, size_t *size_ret) {
  const cl_int code = name == CL_PROGRAM_BINARIES && launches ? take(&before_binary) : CL_SUCCESS;
  return code ? code : driver_program_info(program, name, size, value, size_ret);
}

static rwkv6_opencl_function lookup(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  rwkv6_opencl_function function = NULL;
  memcpy(&function, &symbol, sizeof function);
  if (!symbol) return NULL;
  if (strcmp(name, "clBuildProgram") == 0) {
    memcpy(&driver_build, &symbol, sizeof driver_build);
    return (rwkv6_opencl_function)build;
  }
  if (strcmp(name, "clEnqueueNDRangeKernel") == 0) {
    memcpy(&driver_launch, &symbol, sizeof driver_launch);
    return (rwkv6_opencl_function)launch;
  }
  if (strcmp(name, "clGetProgramInfo") == 0) {
    memcpy(&driver_program_info, &symbol, sizeof driver_program_info);
    return (rwkv6_opencl_function)program_info;
  }
  return function;
}

/* ---- plans, and what the device says of its programs */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char compiled[64][256];
static int compiled_count, kept_count;

static void listen(void *user, rwkv6_log_level level, const char *message) {
  (void)user, (void)level;
  pthread_mutex_lock(&log_lock);
  kept_count += strncmp(message, "kept in the cache: ", 19) == 0;
  if (strncmp(message, "compiled ", 9) == 0 && compiled_count < 64)
    snprintf(compiled[compiled_count++], 256, "%.255s", message);
  pthread_mutex_unlock(&log_lock);
}

static rwkv6_device *device;

static void open_device(size_t i) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_error error = RWKV6_ERROR_INIT;
  options.log = listen;
  options.cache_dir = folder;
  compiled_count = kept_count = 0;
  if (rwkv6_device_open(devices.info[i].id, &options, &device, &error)) fail_msg("%s", error.message);
}

/* `dim` makes it another program, `heads` does not. */
static rwkv6_status make_plan(int32_t dim, int64_t heads) {
  rwkv6_problem problem;
  rwkv6_plan *plan = NULL;
  rwkv6_problem_init(&problem, sizeof problem, 1, TOKENS, heads, dim, dim);
  const rwkv6_status status = rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, NULL);
  rwkv6_plan_destroy(&plan);
  return status;
}

static int count_files(void) {
  int count = 0;
  DIR *list = opendir(folder);
  for (const struct dirent *entry; list && (entry = readdir(list));) count += entry->d_name[0] != '.';
  if (list) closedir(list);
  return count;
}

/* ---- the other thread */

static pthread_t other;
static atomic_int other_is_done;
static rwkv6_status other_status;
static int files;
static size_t saved; /* bytes of all programs, as the other thread sees them */

static void *make_other_plans(void *unused) {
  (void)unused;
  other_status = make_plan(8, 2); /* a known one */
  if (!other_status) other_status = make_plan(24, 1);
  if (!other_status) other_status = rwkv6_device_save_programs(device, NULL, 0, &saved, NULL);
  if (!other_status) other_status = rwkv6_device_load_programs(device, "", 0, NULL, NULL);
  other_is_done = 1;
  return NULL;
}

static void *make_same_plan(void *unused) {
  (void)unused;
  other_status = make_plan(20, 2);
  other_is_done = 1;
  return NULL;
}

static void wait_ms(long milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static cl_int while_rehearsed(void) {
  pthread_create(&other, NULL, make_other_plans, NULL);
  pthread_join(other, NULL);
  files = count_files();
  return CL_SUCCESS;
}

/* For long enough that the other thread would have come through. */
static cl_int while_built(void) {
  pthread_create(&other, NULL, make_other_plans, NULL);
  for (int i = 0; i < 1000 && !other_is_done; i++) wait_ms(10);
  files = other_is_done;
  return CL_SUCCESS;
}

static cl_int other_waits(void) {
  pthread_create(&other, NULL, make_same_plan, NULL);
  wait_ms(100);
  files = other_is_done;
  return CL_SUCCESS;
}

static cl_int build_fails(void) {
  other_waits();
  return CL_BUILD_PROGRAM_FAILURE;
}

static cl_int launch_fails(void) {
  other_waits();
  return CL_OUT_OF_RESOURCES;
}

static void begin(size_t i) {
  open_device(i);
  other_is_done = 0;
  assert_int_equal(make_plan(8, 1), RWKV6_OK);
}

static void end(void) {
  rwkv6_device_close(&device);
  char command[400];
  snprintf(command, sizeof command, "rm -f %s/*", folder);
  assert_int_equal(system(command), 0);
}

/* Drivers that compile at first launches have only half a program then: what other threads do must not keep it. */
static void test_kept_when_rehearsed(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    begin(i);
    before_launch = while_rehearsed;
    assert_int_equal(make_plan(12, 1), RWKV6_OK);
    assert_null(before_launch);
    assert_int_equal(other_status, RWKV6_OK);
    size_t size;
    assert_int_equal(rwkv6_device_save_programs(device, NULL, 0, &size, NULL), RWKV6_OK);
    assert_true(saved < size);
    assert_true(files < count_files()); /* programs that are too much for the driver are kept at once: they are not launched */
    assert_int_equal(kept_count, count_files());
    assert_int_equal(kept_count, compiled_count);
    end();
  }
}

static void test_others_do_not_wait(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    begin(i);
    before_build = while_built;
    assert_int_equal(make_plan(16, 1), RWKV6_OK);
    pthread_join(other, NULL);
    assert_int_equal(other_status, RWKV6_OK);
    assert_true(files);
    end();
  }
}

/* Who waited for a build or a rehearsal that failed does it for itself. */
static void check_failure(_Atomic(hook *) *place, hook *fails, rwkv6_status status) {
  for (size_t i = 0; i < devices.count; i++) {
    begin(i);
    *place = fails;
    assert_int_equal(make_plan(20, 1), status);
    pthread_join(other, NULL);
    assert_false(files); /* it waited */
    assert_int_equal(other_status, RWKV6_OK);
    assert_int_equal(make_plan(20, 1), RWKV6_OK);
    assert_int_equal(kept_count, compiled_count);
    end();
  }
}

static void test_failed_build(void **state) {
  (void)state;
  check_failure(&before_build, build_fails, RWKV6_BUILD_FAILED);
}

static void test_failed_rehearsal(void **state) {
  (void)state;
  check_failure(&before_launch, launch_fails, RWKV6_DEVICE_ERROR);
}

/* Who wants kernels that another thread rehearses and keeps waits until it has done both, and launches none. */
static void check_waits(_Atomic(hook *) *place) {
  for (size_t i = 0; i < devices.count; i++) {
    launches = 0;
    begin(i);
    const int of_one = launches; /* of a plan that is made alone */
    launches = 0;
    *place = other_waits;
    assert_int_equal(make_plan(20, 1), RWKV6_OK);
    assert_null(*place);
    pthread_join(other, NULL);
    assert_false(files);
    assert_int_equal(other_status, RWKV6_OK);
    assert_true(of_one > 0);
    assert_int_equal(launches, of_one);
    end();
  }
}

static void test_rehearsal_elsewhere(void **state) {
  (void)state;
  check_waits(&before_launch);
}

static void test_kept_elsewhere(void **state) {
  (void)state;
  check_waits(&before_binary);
}

static void *make_plans(void *number) {
  for (int i = 0; i < 3 * DIMS; i++) {
    const int step = (i + *(int *)number) % DIMS;
    if (make_plan(8 + 4 * step, 1 + i / DIMS)) return number;
  }
  return NULL;
}

/* Nothing is compiled twice, nothing is kept twice. */
static void test_many_threads(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    pthread_t threads[THREADS];
    int numbers[THREADS];
    open_device(i);
    for (int t = 0; t < THREADS; t++) numbers[t] = t / 2; /* two each want the same program first */
    for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_create(&threads[t], NULL, make_plans, &numbers[t]), 0);
    for (int t = 0; t < THREADS; t++) {
      void *failed;
      pthread_join(threads[t], &failed);
      assert_null(failed);
    }
    assert_true(compiled_count >= DIMS);
    for (int a = 0; a < compiled_count; a++)
      for (int b = 0; b < a; b++) assert_string_not_equal(compiled[a], compiled[b]);
    assert_int_equal(kept_count, compiled_count);
    assert_int_equal(count_files(), compiled_count);
    end();
  }
}

int main(void) {
  void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (library && rwkv6_opencl_load_symbols(lookup, library, &error)) return puts(error.message), 1;
  const int status = test_devices_open(&devices);
  if (status) return status;
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, test_folder_remove)
  const struct CMUnitTest tests[] = {IN_FOLDER(test_kept_when_rehearsed), IN_FOLDER(test_others_do_not_wait),
                                     IN_FOLDER(test_failed_build),        IN_FOLDER(test_failed_rehearsal),
                                     IN_FOLDER(test_rehearsal_elsewhere), IN_FOLDER(test_kept_elsewhere),
                                     IN_FOLDER(test_many_threads)};
  const int failed = cmocka_run_group_tests_name("threads and programs", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
