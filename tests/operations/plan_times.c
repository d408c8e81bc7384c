/* SPDX-License-Identifier: MIT */
/*
 * plan_times DEVICE: makes a plan of each operation and mode and runs it, in a process of its own, and prints what each took,
 * in milliseconds: "OPERATION MODE PLAN RUN". What was compiled and what came from the cache goes to stderr.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "conform/data.h"
#include "plan.h"

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void print_log(void *user, rwkv6_log_level level, const char *message) {
  (void)user, (void)level;
  fprintf(stderr, "%s\n", message);
}

static void require(rwkv6_status status, const rwkv6_error *error) {
  if (!status) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static void measure(rwkv6_device *device, rwkv6_operation operation, rwkv6_mode mode) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  const conform_case test = conform_case_make(40, 64, 64);
  conform_data data;
  conform_data_create(&data, &test, operation, false);
  const conform_call call = conform_call_all(&data);
  const rwkv6_tensors tensors = conform_tensors(&data, &call);
  const double begin = now_ms();
  require(rwkv6_plan_create(device, &data.problem, operation, mode, &plan, &error), &error);
  const double made = now_ms();
  require(rwkv6_run(plan, &tensors, &error), &error);
  printf("%s %s %.1f %.1f\n", rwkv6_operation_name(operation), rwkv6_mode_name(mode), made - begin, now_ms() - made);
  rwkv6_plan_destroy(&plan);
  conform_data_destroy(&data);
}

int main(int argc, char **argv) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  options.log = print_log;
  if (argc < 2) return 2;
  const int count = argc > 2 ? atoi(argv[2]) : 4;
  require(rwkv6_device_open(argv[1], &options, &device, &error), &error);
  for (int i = 0; i < count && i < 4; i++)
    measure(device, i % 2 ? RWKV6_BACKWARD : RWKV6_FORWARD, i / 2 ? RWKV6_MODE_CHUNK : RWKV6_MODE_RECURRENT);
  rwkv6_device_close(&device);
  return 0;
}
