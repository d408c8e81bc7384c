/* SPDX-License-Identifier: MIT */
/*
 * Threads that open a device each for itself: when the process first asks what devices there are, and when all of them build,
 * rehearse and keep the same programs. Drivers have things that all contexts of a process share.
 */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <pthread.h>
#include <stdio.h>

#include "cmocka_all.h"
#include "devices.h"
#include "folder.h"

enum { THREADS = 4, ROUNDS = 8 };

static test_devices devices;
static pthread_barrier_t together;

typedef struct job {
  const char *id;
  size_t count; /* of devices */
  char folder[320];
  rwkv6_status status;
  rwkv6_error error;
} job;

static job jobs[THREADS];

static void run(void *(*function)(void *)) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&together, NULL, THREADS);
  for (int t = 0; t < THREADS; t++) pthread_create(&threads[t], NULL, function, &jobs[t]);
  for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
  pthread_barrier_destroy(&together);
}

static void *list(void *argument) {
  job *work = argument;
  pthread_barrier_wait(&together);
  rwkv6_device_list(NULL, 0, &work->count, NULL);
  return NULL;
}

/* `main` has had all threads ask before anything else. */
static void test_first_question(void **state) {
  (void)state;
  size_t count = 0;
  rwkv6_device_list(NULL, 0, &count, NULL);
  for (int t = 0; t < THREADS; t++) assert_int_equal(jobs[t].count, count);
}

/* Another program in each round, with another number of heads in each thread. */
static rwkv6_status make_plan(job *work, int round) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  rwkv6_plan *plan = NULL;
  rwkv6_problem problem;
  options.cache_dir = work->folder;
  work->error.status = RWKV6_OK;
  rwkv6_status status = rwkv6_device_open(work->id, &options, &device, &work->error);
  pthread_barrier_wait(&together);
  rwkv6_problem_init(&problem, sizeof problem, 1, 8, 1 + (work - jobs), 8 + 2 * round, 8);
  if (!status) status = rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &work->error);
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&device);
  return status;
}

static void *make_plans(void *argument) {
  job *work = argument;
  work->status = RWKV6_OK;
  for (int round = 0; round < ROUNDS; round++) {
    const rwkv6_status status = make_plan(work, round);
    if (status) work->status = status;
  }
  return NULL;
}

static void test_same_programs(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    for (int t = 0; t < THREADS; t++) {
      jobs[t].id = devices.info[i].id;
      snprintf(jobs[t].folder, sizeof jobs[t].folder, "%s/%d", test_folder, t);
    }
    run(make_plans);
    for (int t = 0; t < THREADS; t++)
      if (jobs[t].status) fail_msg("%s", jobs[t].error.message);
  }
}

int main(void) {
  run(list);
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_question),
                                     cmocka_unit_test_setup_teardown(test_same_programs, test_folder_make, test_folder_remove)};
  const int failed = cmocka_run_group_tests_name("devices of threads", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
