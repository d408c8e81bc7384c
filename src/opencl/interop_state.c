/* SPDX-License-Identifier: MIT */
/* rwkv6_opencl_state_*: states of a pool in a buffer. */
#include <inttypes.h>

#include "opencl/interop.h"
#include "state.h"

/* What all four calls get. */
typedef struct state_call {
  rwkv6_device *device;
  const rwkv6_problem *problem;
  cl_command_queue queue;
  rwkv6_opencl_tensor pool;
  cl_uint wait_count;
  const cl_event *wait_list;
} state_call;

static rwkv6_status check_call(const state_call *call, rwkv6_error *error) {
  if (!call->device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a device with OpenCL");
  const rwkv6_cl_device *d = call->device->cl;
  if (!d) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is the CPU path; allowed: a device with OpenCL");
  if (!call->pool.buffer) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "pool.buffer is NULL; allowed: a buffer");
  const rwkv6_status status = rwkv6_interop_check_queue(d, call->queue, NULL, error);
  return status ? status : rwkv6_interop_check_events(d, call->wait_count, call->wait_list, error);
}

/* First byte of a slot in the buffer, and its bytes. */
typedef struct byte_range {
  size_t begin, bytes;
} byte_range;

/* What is done to a slot. */
static const rwkv6_interop_use is_read = {.name = "pool", .read = true};
static const rwkv6_interop_use is_written = {.name = "pool", .written = true};
static const rwkv6_interop_use is_saved = {.name = "pool", .read = true, .host_read = true};
static const rwkv6_interop_use is_loaded = {.name = "pool", .written = true, .host_written = true};

static rwkv6_status find(const state_call *call, const char *name, int32_t slot, const rwkv6_interop_use *use,
                         byte_range *range, rwkv6_error *error) {
  rwkv6_state_range state;
  const rwkv6_status status = rwkv6_state_place(call->problem, name, slot, &state, error);
  if (status) return status;
  if (call->pool.offset < 0 || call->pool.offset > INT64_MAX / 8 - state.first)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "pool.offset is %" PRId64 "; allowed: 0 to the elements of its buffer",
                      call->pool.offset);
  range->begin = (size_t)(call->pool.offset + state.first) * sizeof(float);
  range->bytes = (size_t)state.elements * sizeof(float);
  cl_mem root;
  uint64_t root_begin;
  return rwkv6_interop_check_buffer(call->device->cl, call->pool.buffer, range->begin, range->bytes, use, &root, &root_begin,
                                    error);
}

static rwkv6_status result(cl_int code, const char *name, rwkv6_error *error) {
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, name);
}

rwkv6_status rwkv6_opencl_state_zero(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                     rwkv6_opencl_tensor pool, int32_t slot, cl_uint wait_count, const cl_event *wait_list,
                                     cl_event *event, rwkv6_error *error) {
  static const cl_float zero = 0;
  const state_call call = {device, problem, queue, pool, wait_count, wait_list};
  byte_range range;
  rwkv6_status status = check_call(&call, error);
  if (!status) status = find(&call, "slot", slot, &is_written, &range, error);
  if (status) return status;
  const cl_int code = device->cl->cl->EnqueueFillBuffer(queue, pool.buffer, &zero, sizeof zero, range.begin, range.bytes,
                                                        wait_count, wait_list, event);
  return result(code, "clEnqueueFillBuffer", error);
}

rwkv6_status rwkv6_opencl_state_fork(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                     rwkv6_opencl_tensor pool, int32_t from, int32_t to, cl_uint wait_count,
                                     const cl_event *wait_list, cl_event *event, rwkv6_error *error) {
  const state_call call = {device, problem, queue, pool, wait_count, wait_list};
  byte_range source, target;
  rwkv6_status status = check_call(&call, error);
  if (!status) status = find(&call, "from", from, &is_read, &source, error);
  if (!status) status = find(&call, "to", to, &is_written, &target, error);
  if (!status && from == to)
    status = rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "to is %" PRId32 ", as from; allowed: another slot", to);
  if (status) return status;
  const cl_int code = device->cl->cl->EnqueueCopyBuffer(queue, pool.buffer, pool.buffer, source.begin, target.begin,
                                                        source.bytes, wait_count, wait_list, event);
  return result(code, "clEnqueueCopyBuffer", error);
}

rwkv6_status rwkv6_opencl_state_save(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                     rwkv6_opencl_tensor pool, int32_t slot, float *state, cl_uint wait_count,
                                     const cl_event *wait_list, cl_event *event, rwkv6_error *error) {
  const state_call call = {device, problem, queue, pool, wait_count, wait_list};
  byte_range range;
  rwkv6_status status = check_call(&call, error);
  if (!status) status = find(&call, "slot", slot, &is_saved, &range, error);
  if (!status) status = rwkv6_state_pointer_check("state", state, error);
  if (status) return status;
  const cl_int code = device->cl->cl->EnqueueReadBuffer(queue, pool.buffer, CL_FALSE, range.begin, range.bytes, state,
                                                        wait_count, wait_list, event);
  return result(code, "clEnqueueReadBuffer", error);
}

rwkv6_status rwkv6_opencl_state_load(rwkv6_device *device, const rwkv6_problem *problem, cl_command_queue queue,
                                     rwkv6_opencl_tensor pool, int32_t slot, const float *state, cl_uint wait_count,
                                     const cl_event *wait_list, cl_event *event, rwkv6_error *error) {
  const state_call call = {device, problem, queue, pool, wait_count, wait_list};
  byte_range range;
  rwkv6_status status = check_call(&call, error);
  if (!status) status = find(&call, "slot", slot, &is_loaded, &range, error);
  if (!status) status = rwkv6_state_pointer_check("state", state, error);
  if (status) return status;
  const cl_int code = device->cl->cl->EnqueueWriteBuffer(queue, pool.buffer, CL_FALSE, range.begin, range.bytes, state,
                                                         wait_count, wait_list, event);
  return result(code, "clEnqueueWriteBuffer", error);
}
