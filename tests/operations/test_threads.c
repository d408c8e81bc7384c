/* SPDX-License-Identifier: MIT */
/* Threads that share a device and have a plan each get the bits that one thread alone gets. */
#include <pthread.h>
#include <stdio.h>

#include "each.h"

#define THREADS 4
#define ROUNDS 5

static test_devices devices;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* what compares with the reference keeps account of the errors found */

typedef struct job {
  conform_subject subject;
  conform_case test;
  bool right;
  conform_message message;
} job;

static bool run_once(job *work, conform_data *data, conform_values *values) {
  const conform_call call = conform_call_all(data);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  conform_data_poison(data);
  rwkv6_status status = conform_plan_create(&work->subject, &data->problem, &plan, &error);
  if (!status) status = conform_run(&work->subject, plan, data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) return conform_fail(&work->message, "%.1000s", error.message);
  if (values) conform_values_read(data, values);
  return true;
}

static void *run_job(void *argument) {
  job *work = argument;
  conform_data data;
  conform_values first;
  conform_data_create(&data, &work->test, work->subject.variant->operation, false);
  work->right = run_once(work, &data, &first);
  if (work->right) {
    const conform_terms terms = conform_terms_of(&data);
    conform_values expected;
    conform_reference(&data, RWKV6_MODE_RECURRENT, true, &expected);
    pthread_mutex_lock(&lock);
    work->right = conform_check_values(&data, &terms, &expected, &work->message);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < ROUNDS && work->right; i++)
      work->right = run_once(work, &data, NULL) && conform_check_bits(&data, &first, -1, "another round", &work->message);
    conform_values_destroy(&expected);
    conform_values_destroy(&first);
  }
  conform_data_destroy(&data);
  return NULL;
}

/* Two threads share a specialization, so that both want it built at the same moment. */
static void check_device(size_t device, bool buffers) {
  job jobs[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    /* programs that other tests need too */
    conform_case test = i < 2 ? conform_case_make(40 + i, 33, 20) : conform_case_make(40 + i, 8, 8);
    test.seed = (uint64_t)i + 1;
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const rwkv6_operation operation = i % 2 ? RWKV6_BACKWARD : RWKV6_FORWARD;
    assert_true(conform_variants(devices.device[device], &test, operation, RWKV6_MODE_AUTO, variants) >= 1);
    jobs[i].test = test;
    jobs[i].subject = test_subject_of(&devices, device, variants[0]);
    jobs[i].test.host = !buffers;
  }
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++)
    if (!jobs[i].right) fail_msg("%s, thread %d: %s", devices.info[device].id, i, jobs[i].message.text);
}

static void test_shared_device(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    check_device(device, false);
    if (devices.info[device].kind != RWKV6_KIND_CPU) check_device(device, true);
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_device)};
  const int failed = cmocka_run_group_tests_name("threads", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
