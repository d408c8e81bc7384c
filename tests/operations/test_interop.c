/* SPDX-License-Identifier: MIT */
/*
 * Work on the caller's queue and buffers: every variant, forward and backward, with offsets, in-order and out-of-order, has the
 * bits of rwkv6_run; nothing is waited for; the plan may go as soon as its work is enqueued. What must be refused is refused
 * before anything is enqueued (test_interop_refusals.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl_objects.h"

static test_devices devices;

static void run_host(const conform_subject *subject, conform_data *data) {
  const conform_call call = conform_call_all(data);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &data->problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
}

/* Enqueued behind an event that is set only afterwards: whoever waits before that waits for ever. The plan is gone by then. */
static cl_event enqueue(const opencl_objects *o, const conform_subject *subject, const conform_data *data,
                        opencl_images *images) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  if (conform_plan_create(subject, &data->problem, &plan, &error)) fail_msg("%s", error.message);
  assert_int_equal(rwkv6_plan_get_info(plan, &info, NULL), RWKV6_OK);
  opencl_images_create(images, o, data, info.workspace);
  cl_int code;
  cl_event gate = o->extra.CreateUserEvent(o->context, &code), done = NULL;
  assert_int_equal(code, CL_SUCCESS);
  const rwkv6_status status = rwkv6_opencl_enqueue(plan, o->queue, &images->tensors, 1, &gate, &done, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
  assert_non_null(done);
  cl_int state = CL_COMPLETE;
  assert_int_equal(o->cl->GetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL), CL_SUCCESS);
  assert_true(state > CL_COMPLETE);
  assert_int_equal(o->extra.SetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
  o->cl->ReleaseEvent(gate);
  return done;
}

static void check_variant(const opencl_objects *o, const conform_subject *library, const conform_case *test) {
  conform_data data;
  conform_values expected;
  conform_message message;
  opencl_images images;
  conform_data_create(&data, test, library->variant->operation, false);
  data.test.host = true;
  run_host(library, &data);
  conform_values_read(&data, &expected);
  conform_data_poison(&data);
  conform_subject wrapped = *library;
  wrapped.device = o->device;
  const cl_event done = enqueue(o, &wrapped, &data, &images);
  opencl_images_read(&images, o, &data, done);
  o->cl->ReleaseEvent(done);
  opencl_images_destroy(&images, o);
  if (!conform_check_images(&data, -1, &message) || !conform_check_bits(&data, &expected, -1, "enqueued", &message)) {
    char text[1024];
    conform_describe(library, test, text, sizeof text);
    fail_msg("%s\n  %s", message.text, text);
  }
  conform_values_destroy(&expected);
  conform_data_destroy(&data);
}

static void check_everywhere(const conform_case *test, cl_command_queue_properties properties) {
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], properties);
    if (!o.queue) printf("%s has no such queue\n", devices.info[device].id);
    for (int operation = 0; operation < 2 && o.queue; operation++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count =
          conform_variants(devices.device[device], test, (rwkv6_operation)operation, RWKV6_MODE_AUTO, variants);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        check_variant(&o, &subject, test);
      }
    }
    opencl_objects_destroy(&o);
  }
}

static conform_case ragged_case(void) {
  conform_case test = conform_case_make(70, 33, 20);
  test.sequences = 5;
  test.heads = 2;
  test.ragged = true;
  test.strides = CONFORM_PADDED;
  return test;
}

static void test_in_order(void **state) {
  (void)state;
  conform_case test = ragged_case();
  check_everywhere(&test, 0);
  test.dtype = test.w_dtype = RWKV6_BF16;
  test.ragged = false;
  test.length = 1;
  check_everywhere(&test, 0);
  test.key_dim = 32; /* as matrix units want it */
  test.value_dim = 16;
  test.length = 100;
  check_everywhere(&test, 0);
}

static void test_out_of_order(void **state) {
  (void)state;
  conform_case test = ragged_case();
  check_everywhere(&test, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

static void set_budget(double milliseconds) {
  for (size_t i = 0; i < devices.count; i++) rwkv6_device_set_launch_budget(devices.device[i], milliseconds);
}

/* Segments: many launches that depend on each other. */
static void test_segments_out_of_order(void **state) {
  (void)state;
  conform_case test = conform_case_make(600, 33, 20);
  test.sequences = 2;
  test.segment_length = 64;
  check_everywhere(&test, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  check_everywhere(&test, 0);
}

/* A call without an event, one after the other on an in-order queue: states handed on in place. */
static void test_without_events(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    enum { STEPS = 5, DIM = 8 };
    rwkv6_problem problem;
    rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
    problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
    rwkv6_plan *plan;
    rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
    assert_int_equal(rwkv6_plan_create(o.device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, NULL), RWKV6_OK);
    assert_int_equal(rwkv6_plan_get_info(plan, &info, NULL), RWKV6_OK);
    assert_int_equal(info.launches, 1);
    /* w = 0, k = v = 1: every element of the state counts the steps. All in one buffer: rows, u, state, o. */
    float memory[4 * DIM + DIM + DIM * DIM + DIM] = {0};
    for (int i = 0; i < 3 * DIM; i++) memory[i] = 1;
    const cl_mem buffer = opencl_buffer(&o, CL_MEM_READ_WRITE, sizeof memory, memory);
    rwkv6_opencl_tensors tensors = RWKV6_OPENCL_TENSORS_INIT;
    rwkv6_opencl_tensor *const place[] = {&tensors.r, &tensors.k, &tensors.v, &tensors.w, &tensors.u, &tensors.initial_state};
    for (int i = 0; i < 6; i++) place[i]->buffer = buffer, place[i]->offset = i * DIM;
    tensors.final_state = tensors.initial_state;
    tensors.o = tensors.u;
    tensors.o.offset += DIM + DIM * DIM;
    rwkv6_error error = RWKV6_ERROR_INIT;
    for (int i = 0; i < STEPS; i++)
      if (rwkv6_opencl_enqueue(plan, o.queue, &tensors, 0, NULL, NULL, &error)) fail_msg("%s", error.message);
    rwkv6_plan_destroy(&plan);
    assert_int_equal(o.cl->EnqueueReadBuffer(o.queue, buffer, CL_TRUE, 0, sizeof memory, memory, 0, NULL, NULL), CL_SUCCESS);
    for (int i = 0; i < DIM * DIM; i++) assert_true(memory[5 * DIM + i] == STEPS);
    o.cl->ReleaseMemObject(buffer);
    opencl_objects_destroy(&o);
  }
}

/* Many launches a run, in the events' order. The budget is a knob of the device, so here the library's own device is used, on a
 * queue of its context. */
static void test_windows_out_of_order(void **state) {
  (void)state;
  set_budget(1e-9);
  conform_case test = conform_case_make(300, 33, 20);
  test.sequences = 2;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o = {.cl = rwkv6_cl_functions_get(NULL)};
    opencl_objects_create(&o, devices.device[device], CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    rwkv6_device_set_launch_budget(o.device, 1e-9);
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    for (int operation = 0; operation < 2 && o.queue; operation++) {
      const size_t count =
          conform_variants(devices.device[device], &test, (rwkv6_operation)operation, RWKV6_MODE_AUTO, variants);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        check_variant(&o, &subject, &test);
      }
    }
    opencl_objects_destroy(&o);
  }
}

static int reset(void **state) {
  (void)state;
  set_budget(RWKV6_LAUNCH_BUDGET_MS);
  return 0;
}

/* --------------------------------------------------------------------------------------------------------------- pools */

enum { POOL_SLOTS = 13 };

/* A pool in the middle of a buffer, all of it a NaN but for the slots in use. */
typedef struct pool {
  int32_t slots[CONFORM_MAX_SEQUENCES];
  int64_t state; /* elements of one */
  size_t bytes;
  float *before, *after; /* with one state more at each end */
} pool;

static void pool_create(pool *p, const conform_data *data) {
  const rwkv6_problem *problem = &data->resolved;
  p->state = problem->heads * problem->key_dim * problem->value_dim;
  p->bytes = (size_t)((POOL_SLOTS + 2) * p->state) * sizeof(float);
  p->before = malloc(p->bytes);
  p->after = malloc(p->bytes);
  assert_true(p->before && p->after);
  memset(p->before, 0xff, p->bytes);
  for (int64_t n = 0; n < problem->sequences; n++) {
    p->slots[n] = n % 3 == 1 ? -1 : (int32_t)((n * 5 + 2) % POOL_SLOTS);
    if (p->slots[n] >= 0)
      memcpy(p->before + (p->slots[n] + 1) * p->state,
             (float *)conform_image_pointer(&data->image[RWKV6_TENSOR_INITIAL_STATE], 0) + n * p->state,
             (size_t)p->state * sizeof(float));
  }
}

/* Puts the final states where they belong into `before`. */
static void pool_expect(pool *p, const conform_data *data) {
  for (int64_t n = 0; n < data->resolved.sequences; n++)
    if (p->slots[n] >= 0)
      memcpy(p->before + (p->slots[n] + 1) * p->state,
             (float *)conform_image_pointer(&data->image[RWKV6_TENSOR_FINAL_STATE], 0) + n * p->state,
             (size_t)p->state * sizeof(float));
}

static void enqueue_pool(const opencl_objects *o, const conform_subject *subject, conform_data *data, pool *p) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  opencl_images images;
  rwkv6_problem problem = data->problem;
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = POOL_SLOTS;
  if (conform_plan_create(subject, &problem, &plan, &error)) fail_msg("%s", error.message);
  rwkv6_plan_get_info(plan, &info, NULL);
  opencl_images_create(&images, o, data, info.workspace);
  const cl_mem states = opencl_buffer(o, CL_MEM_READ_WRITE, p->bytes, p->before);
  const cl_mem slots = opencl_buffer(o, CL_MEM_READ_ONLY, sizeof p->slots, p->slots);
  const rwkv6_opencl_tensor none = {NULL, 0};
  images.tensors.initial_state = images.tensors.final_state = none;
  images.tensors.pool.buffer = states;
  images.tensors.pool.offset = p->state;
  images.tensors.slots.buffer = slots;
  if (rwkv6_opencl_enqueue(plan, o->queue, &images.tensors, 0, NULL, NULL, &error)) fail_msg("%s", error.message);
  rwkv6_plan_destroy(&plan);
  o->cl->ReleaseMemObject(slots);
  assert_int_equal(o->cl->EnqueueReadBuffer(o->queue, states, CL_TRUE, 0, p->bytes, p->after, 0, NULL, NULL), CL_SUCCESS);
  opencl_images_read(&images, o, data, NULL);
  o->cl->ReleaseMemObject(states);
  opencl_images_destroy(&images, o);
}

static void check_pool(const opencl_objects *o, const conform_subject *library, const conform_case *test) {
  conform_data data;
  conform_values expected;
  pool p;
  conform_data_create(&data, test, RWKV6_FORWARD, false);
  data.test.host = true;
  run_host(library, &data);
  conform_values_read(&data, &expected);
  pool_create(&p, &data);
  conform_image_poison(&data.image[RWKV6_TENSOR_O]);
  conform_subject wrapped = *library;
  wrapped.device = o->device;
  enqueue_pool(o, &wrapped, &data, &p);
  pool_expect(&p, &data);
  if (memcmp(p.before, p.after, p.bytes)) fail_msg("variant %s: states of the pool differ", library->variant->name);
  conform_message message;
  if (!conform_check_pool_outputs(&data, p.slots, &expected, &message)) fail_msg("%s", message.text);
  free(p.before);
  free(p.after);
  conform_values_destroy(&expected);
  conform_data_destroy(&data);
}

static void test_pool(void **state) {
  (void)state;
  conform_case tests[4];
  for (int i = 0; i < 4; i++) {
    tests[i] = conform_case_make(70, 33, 20);
    tests[i].sequences = 7;
    tests[i].heads = 2;
    tests[i].optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  }
  tests[0].length = 1;    /* a decode step */
  tests[1].ragged = true; /* prompts, single tokens and nothing */
  tests[2].length = 300;  /* segments */
  tests[2].segment_length = 64;
  tests[2].ragged = true;
  tests[3].dtype = RWKV6_FP16;
  tests[3].key_dim = 32; /* as matrix units want it */
  tests[3].value_dim = 16;
  tests[3].reverse = true;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    for (int i = 0; i < 4; i++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count = conform_variants(devices.device[device], &tests[i], RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
      assert_true(count >= 2);
      for (size_t v = 0; v < count; v++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[v]);
        check_pool(&o, &subject, &tests[i]);
      }
    }
    opencl_objects_destroy(&o);
  }
}

/* Returns on how many devices there is the variant. */
static int check_emulated(const char *variant, int32_t dim, rwkv6_dtype dtype) {
  int found = 0;
  conform_case test = conform_case_make(20, dim, dim);
  test.dtype = test.w_dtype = dtype;
  test.sequences = 3;
  test.ragged = true;
  test.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    rwkv6_device_emulate_engines(devices.device[device], true);
    rwkv6_device_emulate_engines(o.device, true);
    const size_t count = conform_variants(devices.device[device], &test, RWKV6_FORWARD, RWKV6_MODE_CHUNK, variants);
    for (size_t i = 0; i < count; i++) {
      if (strcmp(variants[i]->name, variant) != 0) continue;
      const conform_subject subject = test_subject_of(&devices, device, variants[i]);
      found++;
      check_variant(&o, &subject, &test);
      check_pool(&o, &subject, &test);
    }
    rwkv6_device_emulate_engines(devices.device[device], false);
    opencl_objects_destroy(&o);
  }
  return found;
}

/* Kernels for matrix units, which test machines have not: emulated, one small case, the one program for all of it. A device
 * with little local memory may have none. */
static void test_emulated(void **state) {
  (void)state;
  assert_true(check_emulated("emulated", 16, RWKV6_BF16) > 0);
  check_emulated("emulated_hopper", 64, RWKV6_BF16);
  check_emulated("emulated_hopper", 128, RWKV6_BF16);
  check_emulated("emulated_hopper", 64, RWKV6_FP32);
}

/* zero, fork, save and load, between events on an out-of-order queue where there is one. */
static void check_states(const opencl_objects *o) {
  enum { SLOTS = 4, STATE = 2 * 3 * 5, ALL = (SLOTS + 1) * STATE };
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 2, 3, 5);
  problem.pool_slots = SLOTS;
  float memory[ALL], expected[ALL], saved[STATE];
  for (int i = 0; i < ALL; i++) expected[i] = memory[i] = (float)i;
  const cl_mem buffer = opencl_buffer(o, CL_MEM_READ_WRITE, sizeof memory, memory);
  const rwkv6_opencl_tensor states = {buffer, STATE}; /* slot 0 is the second state of the buffer */
  cl_event done[4];
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_status status = rwkv6_opencl_state_save(o->device, &problem, o->queue, states, 1, saved, 0, NULL, &done[0], &error);
  if (!status) status = rwkv6_opencl_state_fork(o->device, &problem, o->queue, states, 0, 1, 1, &done[0], &done[1], &error);
  if (!status) status = rwkv6_opencl_state_zero(o->device, &problem, o->queue, states, 0, 1, &done[1], &done[2], &error);
  if (!status) assert_int_equal(o->extra.WaitForEvents(1, done), CL_SUCCESS); /* `saved` must have its values */
  if (!status) status = rwkv6_opencl_state_load(o->device, &problem, o->queue, states, 3, saved, 1, &done[0], &done[3], &error);
  if (status) fail_msg("%s", error.message);
  assert_int_equal(o->extra.WaitForEvents(4, done), CL_SUCCESS);
  assert_int_equal(o->cl->EnqueueReadBuffer(o->queue, buffer, CL_TRUE, 0, sizeof memory, memory, 0, NULL, NULL), CL_SUCCESS);
  memcpy(expected + 4 * STATE, expected + 2 * STATE, STATE * sizeof(float)); /* loaded: what slot 1 had */
  assert_memory_equal(saved, expected + 2 * STATE, sizeof saved);
  memcpy(expected + 2 * STATE, expected + STATE, STATE * sizeof(float)); /* forked */
  memset(expected + STATE, 0, STATE * sizeof(float));
  assert_memory_equal(memory, expected, sizeof memory);
  for (int i = 0; i < 4; i++) o->cl->ReleaseEvent(done[i]);
  o->cl->ReleaseMemObject(buffer);
}

static void test_states(void **state) {
  (void)state;
  opencl_each_queue(&devices, check_states);
}

/* The context lives as long as the device that wraps it; the device tells what it is. */
static void test_wrap(void **state) {
  (void)state;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
    assert_int_equal(rwkv6_device_get_info(o.device, &info, NULL), RWKV6_OK);
    assert_string_equal(info.id, "wrapped");
    assert_string_equal(info.name, devices.info[device].name);
    assert_string_equal(info.platform, devices.info[device].platform);
    assert_int_equal(info.kind, devices.info[device].kind);
    cl_context context = NULL;
    cl_device_id id = NULL;
    assert_int_equal(rwkv6_opencl_device_objects(o.device, &context, &id, NULL), RWKV6_OK);
    assert_true(context == o.context && id == o.id);
    cl_uint before = 0, after = 0;
    o.cl->GetContextInfo(o.context, CL_CONTEXT_REFERENCE_COUNT, sizeof before, &before, NULL);
    rwkv6_device *second;
    assert_int_equal(rwkv6_opencl_device_wrap(o.context, o.id, NULL, &second, NULL), RWKV6_OK);
    o.cl->GetContextInfo(o.context, CL_CONTEXT_REFERENCE_COUNT, sizeof after, &after, NULL);
    assert_int_equal(after, before + 1);
    rwkv6_device_close(&second);
    o.cl->GetContextInfo(o.context, CL_CONTEXT_REFERENCE_COUNT, sizeof after, &after, NULL);
    assert_int_equal(after, before);
    opencl_objects_destroy(&o);
  }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wrap),
      cmocka_unit_test(test_in_order),
      cmocka_unit_test(test_out_of_order),
      cmocka_unit_test(test_segments_out_of_order),
      cmocka_unit_test(test_without_events),
      cmocka_unit_test(test_pool),
      cmocka_unit_test(test_emulated),
      cmocka_unit_test(test_states),
      cmocka_unit_test_teardown(test_windows_out_of_order, reset),
  };
  const int failed = cmocka_run_group_tests_name("interop", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
