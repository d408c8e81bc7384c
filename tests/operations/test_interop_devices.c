/* SPDX-License-Identifier: MIT */
/*
 * A context with several devices: one of them is wrapped, and a queue of another one is refused. A part of a device (a
 * sub-device) is a device like any other. Each is skipped where the platform has no such thing; PoCL is asked for two devices.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/refusal.h"
#include "opencl_objects.h"

enum { DIM = 4 };

static test_devices devices;

/* One token of one sequence on buffers that hold nothing but zeros. */
typedef struct decode {
  rwkv6_device *device;
  rwkv6_plan *plan;
  rwkv6_opencl_tensors tensors;
  cl_mem in, out;
} decode;

static decode make_decode(const opencl_objects *o) {
  static const float values[DIM] = {1, 1, 1, 1};
  decode d = {.tensors = RWKV6_OPENCL_TENSORS_INIT};
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, DIM, DIM);
  problem.decay = RWKV6_DECAY_FACTOR; /* so that 1 will do for w as well */
  rwkv6_status status = rwkv6_opencl_device_wrap(o->context, o->id, NULL, &d.device, &error);
  if (!status) status = rwkv6_plan_create(d.device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &d.plan, &error);
  if (status) fail_msg("%s", error.message);
  d.in = opencl_buffer(o, CL_MEM_READ_ONLY, sizeof values, values);
  d.out = opencl_buffer(o, CL_MEM_READ_WRITE, sizeof values, values);
  d.tensors.r.buffer = d.tensors.k.buffer = d.tensors.v.buffer = d.tensors.w.buffer = d.tensors.u.buffer = d.in;
  d.tensors.o.buffer = d.out;
  return d;
}

static void destroy_decode(const opencl_objects *o, decode *d) {
  rwkv6_plan_destroy(&d->plan);
  rwkv6_device_close(&d->device);
  o->cl->ReleaseMemObject(d->in);
  o->cl->ReleaseMemObject(d->out);
}

static void check_works(const opencl_objects *o, decode *d, cl_command_queue queue) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  float out[DIM];
  if (rwkv6_opencl_enqueue(d->plan, queue, &d->tensors, 0, NULL, NULL, &error)) fail_msg("%s", error.message);
  assert_int_equal(o->cl->EnqueueReadBuffer(queue, d->out, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL), CL_SUCCESS);
  for (int i = 0; i < DIM; i++) assert_true(out[i] == DIM * 0.5f); /* r (u k) v, by the scale of 1 / sqrt(DIM) */
}

static void check_refused(const decode *d, cl_command_queue queue) {
  const rwkv6_opencl_tensor pool = {d->out, 0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, 1, 1);
  problem.pool_slots = DIM;
  check_refusal(rwkv6_opencl_enqueue(d->plan, queue, &d->tensors, 0, NULL, NULL, &error), &error, RWKV6_INVALID_ARGUMENT,
                "queue", "another device");
  check_refusal(rwkv6_opencl_state_zero(d->device, &problem, queue, pool, 0, 0, NULL, NULL, &error), &error,
                RWKV6_INVALID_ARGUMENT, "queue", "another device");
}

/* Of a context of both devices: the first is wrapped. */
static void check_pair(const opencl_objects *like, const cl_device_id *pair) {
  cl_int code;
  opencl_objects o = *like;
  o.id = pair[0];
  o.context = o.cl->CreateContext(NULL, 2, pair, NULL, NULL, &code);
  if (code) {
    printf("no context of two devices: %s\n", rwkv6_cl_error_name(code));
    return;
  }
  const cl_command_queue own = o.cl->CreateCommandQueue(o.context, pair[0], 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  const cl_command_queue other = o.cl->CreateCommandQueue(o.context, pair[1], 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  decode d = make_decode(&o);
  check_refused(&d, other);
  check_works(&o, &d, own);
  destroy_decode(&o, &d);
  o.cl->ReleaseCommandQueue(own);
  o.cl->ReleaseCommandQueue(other);
  o.cl->ReleaseContext(o.context);
}

static void test_two_devices(void **state) {
  (void)state;
  int pairs = 0;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    cl_platform_id platform = NULL;
    cl_device_id all[8];
    cl_uint count = 0;
    assert_int_equal(o.cl->GetDeviceInfo(o.id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL), CL_SUCCESS);
    assert_int_equal(o.cl->GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 8, all, &count), CL_SUCCESS);
    for (cl_uint i = 0; i < count && i < 8; i++) {
      const cl_device_id pair[2] = {o.id, all[i]};
      if (all[i] != o.id) check_pair(&o, pair), pairs++;
    }
    opencl_objects_destroy(&o);
  }
  if (!pairs) skip();
}

/* One compute unit of the device; NULL where there are no sub-devices. Asked first, as rusticl of Mesa 22.3 has none and
 * crashes when it is to make one. */
static cl_device_id make_part(const opencl_objects *o) {
  const cl_device_partition_property one[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
  cl_uint most = 0;
  cl_device_id part = NULL;
  cl_int code = o->cl->GetDeviceInfo(o->id, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof most, &most, NULL);
  if (!code && most > 1) code = o->extra.CreateSubDevices(o->id, one, 1, &part, NULL);
  return code ? NULL : part;
}

/* NULL where there is none. PoCL 3.1 makes one, of the whole device. */
static cl_context make_context_of_part(const opencl_objects *o, cl_device_id part) {
  cl_int code;
  cl_device_id device = NULL;
  const cl_context made = o->cl->CreateContext(NULL, 1, &part, NULL, NULL, &code);
  if (code) return NULL;
  code = o->cl->GetContextInfo(made, CL_CONTEXT_DEVICES, sizeof device, &device, NULL);
  if (!code && device == part) return made;
  o->cl->ReleaseContext(made);
  return NULL;
}

static void check_part(const opencl_objects *like, cl_context context, cl_device_id part) {
  cl_int code;
  opencl_objects o = *like;
  o.context = context;
  o.id = part;
  o.queue = o.cl->CreateCommandQueue(context, part, 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  decode d = make_decode(&o);
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  assert_int_equal(rwkv6_device_get_info(d.device, &info, NULL), RWKV6_OK);
  assert_int_equal(info.compute_units, 1);
  check_works(&o, &d, o.queue);
  destroy_decode(&o, &d);
  o.cl->ReleaseCommandQueue(o.queue);
}

static void test_sub_devices(void **state) {
  (void)state;
  int parts = 0;
  for (size_t device = 0; device < devices.count; device++) {
    opencl_objects o;
    opencl_objects_create(&o, devices.device[device], 0);
    const cl_device_id part = make_part(&o);
    const cl_context context = part ? make_context_of_part(&o, part) : NULL;
    if (context) {
      check_part(&o, context, part);
      o.cl->ReleaseContext(context);
      parts++;
    }
    if (part) o.extra.ReleaseDevice(part);
    opencl_objects_destroy(&o);
  }
  if (!parts) skip();
}

int main(void) {
  setenv("POCL_DEVICES", "pthread basic", 0);
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_devices), cmocka_unit_test(test_sub_devices)};
  const int failed = cmocka_run_group_tests_name("several devices of a context", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
