/* SPDX-License-Identifier: MIT */
/*
 * plan_times DEVICE DIM KIND...: makes a plan of each kind with K = V = DIM and runs it, in a process of its own, and prints
 * what each took, in milliseconds: "KIND PLAN RUN". What was compiled and what came from the cache goes to stderr.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conform/data.h"
#include "plan.h"

/* Kinds of one operation and mode share their programs. */
typedef struct kind {
  const char *name;
  rwkv6_operation operation;
  rwkv6_mode mode;
  int64_t length, segment_length;
  bool large; /* as many heads as make a launch of 65536 work-items */
} kind;

static const kind kinds[] = {
    {"forward-recurrent", RWKV6_FORWARD, RWKV6_MODE_RECURRENT, 40, 0, false},
    {"backward-recurrent", RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, 40, 0, false},
    {"forward-chunk", RWKV6_FORWARD, RWKV6_MODE_CHUNK, 40, -1, false},
    {"backward-chunk", RWKV6_BACKWARD, RWKV6_MODE_CHUNK, 40, -1, false},
    {"many-heads", RWKV6_FORWARD, RWKV6_MODE_RECURRENT, 1, 0, true},
    {"checkpoints", RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, 100, 0, false},
    {"segments", RWKV6_FORWARD, RWKV6_MODE_CHUNK, 300, 64, false},
    {"more-segments", RWKV6_FORWARD, RWKV6_MODE_CHUNK, 900, 200, false},
};

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

static void measure(rwkv6_device *device, const kind *k, int dim) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  conform_case test = conform_case_make(k->length, dim, dim);
  test.segment_length = k->segment_length;
  if (k->large) test.heads = 65536 / (4 * dim);
  conform_data data;
  conform_data_create(&data, &test, k->operation, false);
  const conform_call call = conform_call_all(&data);
  const rwkv6_tensors tensors = conform_tensors(&data, &call);
  const double begin = now_ms();
  require(rwkv6_plan_create(device, &data.problem, k->operation, k->mode, &plan, &error), &error);
  const double made = now_ms();
  require(rwkv6_run(plan, &tensors, &error), &error);
  printf("%s %.1f %.1f\n", k->name, made - begin, now_ms() - made);
  rwkv6_plan_destroy(&plan);
  conform_data_destroy(&data);
}

static const kind *find_kind(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  fprintf(stderr, "no kind \"%s\"\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  options.log = print_log;
  if (argc < 4) return 2;
  require(rwkv6_device_open(argv[1], &options, &device, &error), &error);
  for (int i = 3; i < argc; i++) measure(device, find_kind(argv[i]), atoi(argv[2]));
  rwkv6_device_close(&device);
  return 0;
}
