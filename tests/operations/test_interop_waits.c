/* SPDX-License-Identifier: MIT */
/*
 * Nothing happens before the wait list of a call is complete: neither what the state calls do, which return at once all the
 * same, nor the look at slots and values that problem.checks asks for.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep, alarm */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "opencl_objects.h"

enum { SLOTS = 3, DIM = 4, STATE = DIM * DIM };

/* A call that waits for what has not happened yet waits for ever: SIGALRM ends the test. */
#define LIMIT_SECONDS 120

static test_devices devices;

/* Long enough for a command that does not wait to be done. */
static void give_it_time(void) {
  const struct timespec pause = {0, 20000000};
  nanosleep(&pause, NULL);
}

/* ---------------------------------------------------------------------------------------------------------------- states */

typedef enum operation { ZERO, FORK, SAVE, LOAD, OPERATIONS } operation;
static const char *const names[] = {"zero", "fork", "save", "load"};

static rwkv6_status enqueue(const opencl_objects *o, operation what, cl_mem buffer, float *state, const cl_event *gate,
                            cl_event *done, rwkv6_error *error) {
  const rwkv6_opencl_tensor pool = {buffer, 0};
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
  problem.pool_slots = SLOTS;
  switch (what) {
  case ZERO: return rwkv6_opencl_state_zero(o->device, &problem, o->queue, pool, 1, 1, gate, done, error);
  case FORK: return rwkv6_opencl_state_fork(o->device, &problem, o->queue, pool, 1, 2, 1, gate, done, error);
  case SAVE: return rwkv6_opencl_state_save(o->device, &problem, o->queue, pool, 1, state, 1, gate, done, error);
  default: return rwkv6_opencl_state_load(o->device, &problem, o->queue, pool, 1, state, 1, gate, done, error);
  }
}

static void fill(float *values, float value) {
  for (int i = 0; i < STATE; i++) values[i] = value;
}

/* What slots 1 and 2, and the state on the host, have at the end if the call came after all slots were 7. */
static void check_result(operation what, const float *pool, const float *state) {
  const float slot_1 = what == ZERO ? 0 : what == LOAD ? 5 : 7;
  const float at_end = what == SAVE ? 7 : 5;
  for (int i = 0; i < STATE; i++)
    if (pool[STATE + i] != slot_1 || pool[2 * STATE + i] != 7 || state[i] != at_end)
      fail_msg("%s: slot 1 has %g, slot 2 %g, the host %g", names[what], pool[STATE + i], pool[2 * STATE + i], state[i]);
}

/* The call first; then, past it on another queue, every slot becomes 7; then the gate opens. */
static void check_state_call(const opencl_objects *o, operation what) {
  float before[SLOTS * STATE] = {0}, pool[SLOTS * STATE], state[STATE];
  cl_int code;
  cl_event done = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  for (int i = 0; i < SLOTS; i++) fill(pool + i * STATE, 7);
  fill(state, 5);
  const cl_mem buffer = opencl_buffer(o, CL_MEM_READ_WRITE, sizeof before, before);
  const cl_command_queue other = o->cl->CreateCommandQueue(o->context, o->id, 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  const cl_event gate = o->extra.CreateUserEvent(o->context, &code);
  assert_int_equal(code, CL_SUCCESS);
  if (enqueue(o, what, buffer, state, &gate, &done, &error)) fail_msg("%s", error.message);
  assert_int_equal(o->extra.Flush(o->queue), CL_SUCCESS);
  give_it_time();
  cl_int status = CL_COMPLETE;
  assert_int_equal(o->cl->GetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL), CL_SUCCESS);
  assert_true(status > CL_COMPLETE);
  assert_int_equal(o->cl->EnqueueWriteBuffer(other, buffer, CL_TRUE, 0, sizeof pool, pool, 0, NULL, NULL), CL_SUCCESS);
  assert_int_equal(o->cl->Finish(other), CL_SUCCESS); /* Intel's CPU runtime is back from the write before it is done */
  assert_int_equal(o->extra.SetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
  assert_int_equal(o->extra.WaitForEvents(1, &done), CL_SUCCESS);
  assert_int_equal(o->cl->EnqueueReadBuffer(o->queue, buffer, CL_TRUE, 0, sizeof pool, pool, 0, NULL, NULL), CL_SUCCESS);
  check_result(what, pool, state);
  o->cl->ReleaseEvent(gate);
  o->cl->ReleaseEvent(done);
  o->cl->ReleaseCommandQueue(other);
  o->cl->ReleaseMemObject(buffer);
}

static void check_state_calls(const opencl_objects *o) {
  for (int what = 0; what < OPERATIONS; what++) check_state_call(o, (operation)what);
}

static void test_states(void **state) {
  (void)state;
  opencl_each_queue(&devices, check_state_calls);
}

/* ---------------------------------------------------------------------------------------------------------------- checks */

/* Opens the gate while the call waits. */
typedef struct opener {
  const opencl_objects *o;
  cl_event gate;
} opener;

static void *open_gate(void *argument) {
  const opener *of = argument;
  give_it_time();
  of->o->extra.SetUserEventStatus(of->gate, CL_COMPLETE);
  return NULL;
}

/* Values that must not be, until a write behind the gate puts good ones in their place. */
typedef struct late {
  cl_command_queue queue; /* of the write */
  cl_event gate, written;
} late;

static late write_late(const opencl_objects *o, cl_mem buffer, size_t bytes, const void *good) {
  cl_int code;
  late write = {0};
  write.queue = o->cl->CreateCommandQueue(o->context, o->id, 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  write.gate = o->extra.CreateUserEvent(o->context, &code);
  assert_int_equal(code, CL_SUCCESS);
  assert_int_equal(o->cl->EnqueueWriteBuffer(write.queue, buffer, CL_FALSE, 0, bytes, good, 1, &write.gate, &write.written),
                   CL_SUCCESS);
  assert_int_equal(o->extra.Flush(write.queue), CL_SUCCESS);
  return write;
}

static void release_late(const opencl_objects *o, late *write) {
  assert_int_equal(o->extra.WaitForEvents(1, &write->written), CL_SUCCESS);
  o->cl->ReleaseEvent(write->written);
  o->cl->ReleaseEvent(write->gate);
  o->cl->ReleaseCommandQueue(write->queue);
}

static rwkv6_plan *make_plan(const opencl_objects *o, uint32_t checks) {
  rwkv6_problem problem;
  rwkv6_plan *plan;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = SLOTS;
  problem.checks = checks;
  if (rwkv6_plan_create(o->device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error)) fail_msg("%s", error.message);
  return plan;
}

/* The slot, or with CHECK_VALUES w as well, is good only behind the gate. */
static void check_late_values(const opencl_objects *o, uint32_t checks) {
  static const float bad_w[DIM] = {1, 1, 1, 1}, good_w[DIM] = {-1, -1, -1, -1};
  static const int32_t bad_slot = SLOTS, good_slot = 1;
  static const float zeros[SLOTS * STATE];
  const bool values = checks == RWKV6_CHECK_VALUES;
  rwkv6_plan *plan = make_plan(o, checks);
  const cl_mem rows = opencl_buffer(o, CL_MEM_READ_ONLY, DIM * sizeof(float), zeros);
  const cl_mem w = opencl_buffer(o, CL_MEM_READ_ONLY, sizeof bad_w, values ? bad_w : good_w);
  const cl_mem slots = opencl_buffer(o, CL_MEM_READ_ONLY, sizeof bad_slot, values ? &good_slot : &bad_slot);
  const cl_mem out = opencl_buffer(o, CL_MEM_READ_WRITE, DIM * sizeof(float), NULL);
  const cl_mem pool = opencl_buffer(o, CL_MEM_READ_WRITE, sizeof zeros, zeros);
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r.buffer = t.k.buffer = t.v.buffer = t.u.buffer = rows;
  t.w.buffer = w, t.slots.buffer = slots, t.o.buffer = out, t.pool.buffer = pool;
  late write = values ? write_late(o, w, sizeof good_w, good_w) : write_late(o, slots, sizeof good_slot, &good_slot);
  opener work = {o, write.gate};
  pthread_t thread;
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(pthread_create(&thread, NULL, open_gate, &work), 0);
  const rwkv6_status status = rwkv6_opencl_enqueue(plan, o->queue, &t, 1, &write.written, NULL, &error);
  pthread_join(thread, NULL);
  if (status) fail_msg("checks %u: %s", (unsigned)checks, error.message);
  assert_int_equal(o->cl->Finish(o->queue), CL_SUCCESS);
  release_late(o, &write);
  const cl_mem all[] = {rows, w, slots, out, pool};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) o->cl->ReleaseMemObject(all[i]);
  rwkv6_plan_destroy(&plan);
}

static void test_checks(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    check_late_values(&o, RWKV6_CHECK_SLOTS);
    check_late_values(&o, RWKV6_CHECK_VALUES);
    opencl_objects_destroy(&o);
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  alarm(LIMIT_SECONDS);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_states), cmocka_unit_test(test_checks)};
  const int failed = cmocka_run_group_tests_name("wait lists of interop calls", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
