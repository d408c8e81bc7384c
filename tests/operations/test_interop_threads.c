/* SPDX-License-Identifier: MIT */
/*
 * Threads that share one device, each with a queue of its own: calls of several kinds, a server's step on a pool of states and
 * runs on host memory among them, a plan made for each and gone before it is complete, and every result has the bits that one
 * thread alone gets. Built with ThreadSanitizer too
 * (tests/run.sh).
 *
 *     test_interop_threads [CALLS]     of each thread, 1000 unless told; a tenth of it on llvmpipe
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl_objects.h"

enum { THREADS = 8, KINDS = 6, SERVER = KINDS, HOST, ALL_KINDS };

static test_devices devices;
static int calls = 1000;

/* One kind of call, its inputs, and what must come out. */
typedef struct kind {
  rwkv6_operation operation;
  rwkv6_mode mode;
  conform_data data;
  uint64_t workspace;
  unsigned char *expected[RWKV6_TENSOR_COUNT]; /* whole buffers of outputs */
} kind;

typedef struct job {
  const opencl_objects *o; /* shared; the queue is not used */
  kind *kinds;
  int number, calls;
  char message[256];
} job;

static kind kinds[KINDS];

static size_t bytes_of(const conform_data *data, int id) {
  return data->image[id].elements * rwkv6_dtype_size(data->image[id].dtype);
}

static rwkv6_status enqueue(const opencl_objects *o, const kind *k, const opencl_images *images, cl_event *event,
                            rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  rwkv6_status status = rwkv6_plan_create(o->device, &k->data.problem, k->operation, k->mode, &plan, error);
  if (!status) status = rwkv6_opencl_enqueue(plan, o->queue, &images->tensors, 0, NULL, event, error);
  rwkv6_plan_destroy(&plan);
  return status;
}

static void make_kind(kind *k, const opencl_objects *o, int number) {
  static const struct {
    int64_t sequences, length;
    bool ragged;
    rwkv6_dtype dtype;
    int64_t segment;
  } cases[KINDS] = {{4, 1, false, RWKV6_FP32, -1}, {3, 9, true, RWKV6_BF16, -1}, {1, 20, false, RWKV6_FP32, -1},
                    {2, 12, true, RWKV6_FP32, -1}, {2, 5, false, RWKV6_BF16, 0}, {1, 140, false, RWKV6_FP32, 64}};
  conform_case test = conform_case_make(cases[number].length, 8, 8);
  test.sequences = cases[number].sequences;
  test.ragged = cases[number].ragged;
  test.dtype = test.w_dtype = cases[number].dtype;
  test.segment_length = cases[number].segment;
  test.heads = 1 + number % 2;
  test.seed = (uint64_t)number + 1;
  k->operation = number % 3 == 2 ? RWKV6_BACKWARD : RWKV6_FORWARD;
  k->mode = number == 0 || number == 3 ? RWKV6_MODE_RECURRENT : RWKV6_MODE_CHUNK;
  conform_data_create(&k->data, &test, k->operation, false);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  if (rwkv6_plan_create(o->device, &k->data.problem, k->operation, k->mode, &plan, &error)) fail_msg("%s", error.message);
  rwkv6_plan_get_info(plan, &info, NULL);
  rwkv6_plan_destroy(&plan);
  k->workspace = info.workspace;
}

/* ---- a server's step, and a run on host memory: one head of 8 x 8 */

enum { DIM = 8, STATE = DIM * DIM, SLOTS = 3, TOKENS = 2 };

/* In the place of all inputs; what must come out. */
static float numbers[STATE], expected_state[STATE], expected_o[TOKENS * DIM];

/* A thread's own pool, and what else a step needs. */
typedef struct server {
  cl_mem rows, slots, out, pool;
} server;

static server make_server(const opencl_objects *o) {
  static const int32_t slots[TOKENS] = {2, -1};
  const server made = {opencl_buffer(o, CL_MEM_READ_ONLY, sizeof numbers, numbers),
                       opencl_buffer(o, CL_MEM_READ_ONLY, sizeof slots, slots),
                       opencl_buffer(o, CL_MEM_READ_WRITE, TOKENS * DIM * sizeof(float), NULL),
                       opencl_buffer(o, CL_MEM_READ_WRITE, SLOTS * STATE * sizeof(float), NULL)};
  return made;
}

static void destroy_server(const opencl_objects *o, const server *s) {
  const cl_mem all[] = {s->rows, s->slots, s->out, s->pool};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) o->cl->ReleaseMemObject(all[i]);
}

static rwkv6_problem small_problem(int64_t sequences) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, sequences, TOKENS, 1, DIM, DIM);
  return problem;
}

static rwkv6_status enqueue_step(const opencl_objects *o, const server *s, const rwkv6_problem *problem, rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r.buffer = t.k.buffer = t.v.buffer = t.w.buffer = t.u.buffer = s->rows;
  t.o.buffer = s->out, t.pool.buffer = s->pool, t.slots.buffer = s->slots;
  rwkv6_status status = rwkv6_plan_create(o->device, problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, error);
  if (!status) status = rwkv6_opencl_enqueue(plan, o->queue, &t, 0, NULL, NULL, error);
  rwkv6_plan_destroy(&plan);
  return status;
}

/* A state comes from the host, is forked, takes a step, and goes back. */
static rwkv6_status serve(const opencl_objects *o, const server *s, float *state, rwkv6_error *error) {
  const rwkv6_opencl_tensor pool = {s->pool, 0};
  rwkv6_problem problem = small_problem(TOKENS); /* a token each */
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = SLOTS;
  rwkv6_status status = rwkv6_opencl_state_load(o->device, &problem, o->queue, pool, 1, numbers, 0, NULL, NULL, error);
  if (!status) status = rwkv6_opencl_state_fork(o->device, &problem, o->queue, pool, 1, 2, 0, NULL, NULL, error);
  if (!status) status = rwkv6_opencl_state_zero(o->device, &problem, o->queue, pool, 1, 0, NULL, NULL, error);
  if (!status) status = enqueue_step(o, s, &problem, error);
  if (!status) status = rwkv6_opencl_state_save(o->device, &problem, o->queue, pool, 2, state, 0, NULL, NULL, error);
  o->cl->Finish(o->queue);
  return status;
}

static rwkv6_status run_on_host(const opencl_objects *o, float *out, rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  const rwkv6_problem problem = small_problem(1);
  rwkv6_tensors t = RWKV6_TENSORS_INIT;
  t.r = t.k = t.v = t.w = t.u = numbers;
  t.o = out;
  rwkv6_status status = rwkv6_plan_create(o->device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, error);
  if (!status) status = rwkv6_run(plan, &t, error);
  rwkv6_plan_destroy(&plan);
  return status;
}

/* Alone, as below. */
static void expect_small(const opencl_objects *o) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  for (int i = 0; i < STATE; i++) numbers[i] = -(float)(i % 13 + 1) / 16;
  const server s = make_server(o);
  if (serve(o, &s, expected_state, &error) || run_on_host(o, expected_o, &error)) fail_msg("%s", error.message);
  assert_true(memcmp(expected_state, numbers, sizeof numbers) != 0 && expected_o[0] != 0);
  destroy_server(o, &s);
}

/* Alone, before the threads begin. */
static void expect(kind *k, const opencl_objects *o) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  opencl_images images;
  opencl_images_create(&images, o, &k->data, k->workspace);
  if (enqueue(o, k, &images, NULL, &error)) fail_msg("%s", error.message);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    if (!conform_is_output(&k->data, id)) continue;
    k->expected[id] = malloc(bytes_of(&k->data, id));
    assert_non_null(k->expected[id]);
    assert_int_equal(o->cl->EnqueueReadBuffer(o->queue, images.buffer[id], CL_TRUE, 0, bytes_of(&k->data, id), k->expected[id],
                                              0, NULL, NULL),
                     CL_SUCCESS);
  }
  opencl_images_destroy(&images, o);
}

/* What a thread has: its queue, and buffers for each kind. */
typedef struct place {
  opencl_objects o;
  opencl_images images[KINDS];
  server server;
  unsigned char *read;
} place;

static bool same_bits(place *p, const kind *k, const opencl_images *images, cl_event done) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const size_t bytes = bytes_of(&k->data, id);
    if (!k->expected[id]) continue;
    if (p->o.cl->EnqueueReadBuffer(p->o.queue, images->buffer[id], CL_TRUE, 0, bytes, p->read, 1, &done, NULL)) return false;
    if (memcmp(p->read, k->expected[id], bytes)) return false;
  }
  return true;
}

static void call_kind(place *p, job *work, int i, int number) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cl_event done = NULL;
  if (enqueue(&p->o, &work->kinds[number], &p->images[number], &done, &error))
    snprintf(work->message, sizeof work->message, "call %d, kind %d: %.200s", i, number, error.message);
  else if (!same_bits(p, &work->kinds[number], &p->images[number], done))
    snprintf(work->message, sizeof work->message, "call %d, kind %d: other bits", i, number);
  if (done) p->o.cl->ReleaseEvent(done);
}

static void call_small(const place *p, job *work, int i, int number) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  float got[STATE] = {0};
  const rwkv6_status status = number == SERVER ? serve(&p->o, &p->server, got, &error) : run_on_host(&p->o, got, &error);
  const bool same = number == SERVER ? memcmp(got, expected_state, sizeof expected_state) == 0
                                     : memcmp(got, expected_o, sizeof expected_o) == 0;
  if (status || !same)
    snprintf(work->message, sizeof work->message, "call %d, %s: %.200s", i, number == SERVER ? "a step" : "a run",
             status ? error.message : "other bits");
}

static void *run(void *argument) {
  job *work = argument;
  place p = {.o = *work->o};
  cl_int code;
  p.o.queue = p.o.cl->CreateCommandQueue(p.o.context, p.o.id, 0, &code);
  p.read = malloc(1 << 20);
  for (int i = 0; i < KINDS; i++) opencl_images_create(&p.images[i], &p.o, &work->kinds[i].data, work->kinds[i].workspace);
  p.server = make_server(&p.o);
  for (int i = 0; i < work->calls && !work->message[0]; i++) {
    const int number = (i * 5 + work->number) % ALL_KINDS;
    if (number < KINDS)
      call_kind(&p, work, i, number);
    else
      call_small(&p, work, i, number);
  }
  destroy_server(&p.o, &p.server);
  for (int i = 0; i < KINDS; i++) opencl_images_destroy(&p.images[i], &p.o);
  p.o.cl->ReleaseCommandQueue(p.o.queue);
  free(p.read);
  return NULL;
}

static void check_device(size_t device) {
  opencl_objects o;
  job jobs[THREADS];
  pthread_t threads[THREADS];
  opencl_objects_create(&o, devices.device[device], 0);
  memset(kinds, 0, sizeof kinds);
  for (int i = 0; i < KINDS; i++) make_kind(&kinds[i], &o, i), expect(&kinds[i], &o);
  expect_small(&o);
  for (int i = 0; i < THREADS; i++) {
    /* llvmpipe, a software renderer, takes 15 times as long for a call. */
    const bool slow = strstr(devices.info[device].name, "llvmpipe") != NULL;
    const job work = {&o, kinds, i, slow ? (calls + 9) / 10 : calls, ""};
    jobs[i] = work;
    assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++)
    if (jobs[i].message[0]) fail_msg("%s, thread %d: %s", devices.info[device].id, i, jobs[i].message);
  for (int i = 0; i < KINDS; i++) {
    for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) free(kinds[i].expected[id]);
    conform_data_destroy(&kinds[i].data);
  }
  opencl_objects_destroy(&o);
}

static void test_shared_device(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) check_device(device);
}

int main(int count, char **arguments) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  if (count > 1) calls = atoi(arguments[1]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_device)};
  const int failed = cmocka_run_group_tests_name("threads on queues of their own", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
