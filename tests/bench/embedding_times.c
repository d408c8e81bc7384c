/* SPDX-License-Identifier: MIT */
/*
 * What a server pays on the host for each step: a plan for another batch, and enqueueing it.
 *
 *     embedding_times [DEVICE]     default: opencl
 *
 * Least and median of many, in microseconds. Enqueueing ends when rwkv6_opencl_enqueue returns; the queue is finished between
 * measurements, outside of the time.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "opencl/context.h"
#include "plan.h"
#include "rwkv6/opencl.h"

enum { HEADS = 8, DIM = 64, REPEATS = 200, MOST = 256 };

static rwkv6_device *device;
static cl_command_queue queue;
static const rwkv6_cl_functions *cl;
static double times[REPEATS];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void check(rwkv6_status status, const rwkv6_error *error) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void show(const char *what, int64_t sequences) {
  qsort(times, REPEATS, sizeof *times, by_size);
  printf("%-46s %4d  %8.2f %8.2f\n", what, (int)sequences, times[0], times[REPEATS / 2]);
}

/* `ragged`: single tokens as a ragged batch, which has a table. */
static rwkv6_plan *make_plan(int64_t sequences, bool ragged, rwkv6_mode mode, rwkv6_operation operation) {
  static int64_t cu_seqlens[MOST + 1];
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem problem;
  rwkv6_plan *plan;
  rwkv6_problem_init(&problem, sizeof problem, sequences, sequences, HEADS, DIM, DIM);
  for (int64_t n = 0; n <= sequences; n++) cu_seqlens[n] = n;
  if (ragged) problem.cu_seqlens = cu_seqlens;
  if (operation == RWKV6_FORWARD) problem.optional = RWKV6_STATE_POOL;
  if (operation == RWKV6_FORWARD) problem.pool_slots = MOST;
  check(rwkv6_plan_create(device, &problem, operation, mode, &plan, &error), &error);
  return plan;
}

static void time_plans(const char *what, int64_t sequences, bool ragged, rwkv6_mode mode, rwkv6_operation operation) {
  rwkv6_plan *plan = make_plan(MOST, ragged, mode, operation); /* compiles */
  rwkv6_plan_destroy(&plan);
  for (int i = 0; i < REPEATS; i++) {
    const double begun = now();
    plan = make_plan(sequences - i % 8, ragged, mode, operation);
    times[i] = now() - begun;
    rwkv6_plan_destroy(&plan);
  }
  show(what, sequences);
}

static rwkv6_opencl_tensor buffer(size_t bytes, cl_context context) {
  cl_int code;
  const rwkv6_opencl_tensor tensor = {cl->CreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &code), 0};
  const cl_float zero = 0;
  if (code || cl->EnqueueFillBuffer(queue, tensor.buffer, &zero, sizeof zero, 0, bytes, 0, NULL, NULL)) exit(1);
  return tensor;
}

static void time_enqueue(int64_t sequences, cl_context context) {
  const size_t rows = (size_t)(sequences * HEADS * DIM) * sizeof(float);
  int32_t slots[MOST];
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = make_plan(sequences, false, RWKV6_MODE_RECURRENT, RWKV6_FORWARD);
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r = buffer(rows, context), t.k = buffer(rows, context), t.v = buffer(rows, context), t.w = buffer(rows, context);
  t.o = buffer(rows, context), t.u = buffer(HEADS * DIM * sizeof(float), context);
  t.pool = buffer(sizeof(float) * MOST * HEADS * DIM * DIM, context), t.slots = buffer(sizeof slots, context);
  for (int32_t n = 0; n < MOST; n++) slots[n] = MOST - 1 - n;
  if (cl->EnqueueWriteBuffer(queue, t.slots.buffer, CL_TRUE, 0, sizeof slots, slots, 0, NULL, NULL)) exit(1);
  for (int i = 0; i < REPEATS; i++) {
    const double begun = now();
    check(rwkv6_opencl_enqueue(plan, queue, &t, 0, NULL, NULL, &error), &error);
    times[i] = now() - begun;
    if (cl->Finish(queue)) exit(1);
  }
  show("enqueue a step of single tokens, pool", sequences);
  const rwkv6_opencl_tensor o = t.o;
  t.o = t.r; /* found last */
  for (int i = 0; i < REPEATS; i++) {
    const double begun = now();
    if (!rwkv6_opencl_enqueue(plan, queue, &t, 0, NULL, NULL, NULL)) exit(1);
    times[i] = now() - begun;
  }
  show("  of it, checks (a call refused at their end)", sequences);
  t.o = o;
  rwkv6_plan_destroy(&plan);
  const cl_mem all[] = {t.r.buffer, t.k.buffer, t.v.buffer, t.w.buffer, t.o.buffer, t.u.buffer, t.pool.buffer, t.slots.buffer};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) cl->ReleaseMemObject(all[i]);
}

static void time_copy(cl_context context) {
  const rwkv6_opencl_tensor small = buffer(4096, context);
  for (int i = 0; i < REPEATS; i++) {
    const double begun = now();
    if (cl->EnqueueCopyBuffer(queue, small.buffer, small.buffer, 0, 2048, 1024, 0, NULL, NULL)) exit(1);
    times[i] = now() - begun;
    if (cl->Finish(queue)) exit(1);
  }
  show("for comparison: clEnqueueCopyBuffer", 1);
  cl->ReleaseMemObject(small.buffer);
}

int main(int argc, char **argv) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  cl_context context;
  cl_device_id id;
  cl_int code;
  check(rwkv6_device_open(argc > 1 ? argv[1] : "opencl", NULL, &device, &error), &error);
  check(rwkv6_device_get_info(device, &info, &error), &error);
  check(rwkv6_opencl_device_objects(device, &context, &id, &error), &error);
  cl = device->cl->cl;
  queue = cl->CreateCommandQueue(context, id, 0, &code);
  if (code) return 1;
  printf("%s, %s, %s; %d heads of %d x %d, fp32\n%-46s %4s  %8s %8s\n", info.id, info.name, info.driver_version, HEADS, DIM,
         DIM, "microseconds", "N", "least", "median");
  time_plans("plan, equal lengths, recurrent forward", 64, false, RWKV6_MODE_RECURRENT, RWKV6_FORWARD);
  time_plans("plan, equal lengths, recurrent forward", 256, false, RWKV6_MODE_RECURRENT, RWKV6_FORWARD);
  time_plans("plan, ragged, recurrent forward", 64, true, RWKV6_MODE_RECURRENT, RWKV6_FORWARD);
  time_plans("plan, ragged, recurrent forward", 256, true, RWKV6_MODE_RECURRENT, RWKV6_FORWARD);
  time_plans("plan, equal lengths, chunk forward", 64, false, RWKV6_MODE_CHUNK, RWKV6_FORWARD);
  time_plans("plan, ragged, chunk forward", 64, true, RWKV6_MODE_CHUNK, RWKV6_FORWARD);
  time_plans("plan, equal lengths, chunk backward", 64, false, RWKV6_MODE_CHUNK, RWKV6_BACKWARD);
  time_enqueue(1, context);
  time_enqueue(64, context);
  time_copy(context);
  cl->ReleaseCommandQueue(queue);
  rwkv6_device_close(&device);
  return 0;
}
