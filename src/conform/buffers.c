/* SPDX-License-Identifier: MIT */
/* A run on device memory: one buffer for each image, as a caller of the OpenCL interface would have it. */
#include "conform/run.h"

#if RWKV6_HAVE_OPENCL

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "opencl/call.h"
#include "opencl/context.h"
#include "plan.h"

typedef struct buffers {
  const rwkv6_cl_functions *cl;
  cl_context context;
  cl_command_queue queue;
  cl_mem tensor[RWKV6_TENSOR_COUNT];
  cl_mem workspace;
} buffers;

static size_t image_bytes(const conform_image *image) {
  return image->elements * rwkv6_dtype_size(image->dtype);
}

/* Bytes before and behind the workspace, a multiple of 256: wide enough that a row too many falls into them. */
#define WORKSPACE_GUARD ((size_t)16384)

static uint16_t guard_at(size_t i) {
  return (uint16_t)(0xfff0u + i % 15);
}

static void fill_guard(unsigned char *guard) {
  for (size_t i = 0; i < WORKSPACE_GUARD / 2; i++) {
    const uint16_t value = guard_at(i);
    memcpy(guard + 2 * i, &value, sizeof value);
  }
}

/* NaN in every type, so that a kernel that counts on zeros shows; other ones in the guards than in the workspace. */
static cl_int create_workspace(buffers *b, size_t bytes) {
  cl_int code;
  unsigned char *garbage = malloc(bytes + 2 * WORKSPACE_GUARD);
  if (!garbage) return CL_OUT_OF_HOST_MEMORY;
  memset(garbage, 0xff, WORKSPACE_GUARD + bytes + WORKSPACE_GUARD);
  fill_guard(garbage);
  fill_guard(garbage + WORKSPACE_GUARD + bytes);
  b->workspace =
      b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes + 2 * WORKSPACE_GUARD, garbage, &code);
  free(garbage);
  return code;
}

static cl_int create_buffers(buffers *b, conform_data *data, uint64_t workspace) {
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !code; i++) {
    conform_image *image = &data->image[i];
    if (!image->memory) continue;
    b->tensor[i] =
        b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, image_bytes(image), image->memory, &code);
  }
  return code || !workspace ? code : create_workspace(b, (size_t)workspace);
}

static void release_buffers(buffers *b) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (b->tensor[i]) b->cl->ReleaseMemObject(b->tensor[i]);
  if (b->workspace) b->cl->ReleaseMemObject(b->workspace);
  if (b->queue) b->cl->ReleaseCommandQueue(b->queue);
}

/* Everything comes back, inputs too: they must not have changed on the device either. */
static cl_int read_back(const buffers *b, conform_data *data) {
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !code; i++)
    if (b->tensor[i])
      code = b->cl->EnqueueReadBuffer(b->queue, b->tensor[i], CL_TRUE, 0, image_bytes(&data->image[i]), data->image[i].memory,
                                      0, NULL, NULL);
  return code;
}

/* Where, in bytes from the start of the buffer, the guard that begins at byte `from` was written; -1: nowhere. */
static cl_int find_written(const buffers *b, size_t from, int64_t *at) {
  uint16_t guard[WORKSPACE_GUARD / 2];
  const cl_int code = b->cl->EnqueueReadBuffer(b->queue, b->workspace, CL_TRUE, from, sizeof guard, guard, 0, NULL, NULL);
  *at = -1;
  for (size_t i = 0; i < WORKSPACE_GUARD / 2 && !code && *at < 0; i++)
    if (guard[i] != guard_at(i)) *at = (int64_t)(from + 2 * i);
  return code;
}

static rwkv6_status check_workspace(const buffers *b, uint64_t bytes, rwkv6_error *error) {
  const size_t guards[2] = {0, WORKSPACE_GUARD + (size_t)bytes};
  for (int i = 0; i < 2 && b->workspace; i++) {
    int64_t at;
    const cl_int code = find_written(b, guards[i], &at);
    if (code) return rwkv6_fail(error, RWKV6_DEVICE_ERROR, "OpenCL error %d reading the workspace", (int)code);
    if (at >= 0)
      return rwkv6_fail(error, RWKV6_DEVICE_ERROR, "workspace: guard written at byte %" PRId64 " from its start, of %" PRIu64,
                        at - (int64_t)WORKSPACE_GUARD, bytes);
  }
  return RWKV6_OK;
}

static rwkv6_status enqueue(const buffers *b, rwkv6_plan *plan, const conform_data *data, const conform_call *call,
                            rwkv6_error *error) {
  rwkv6_cl_call cl_call = {
      .queue = b->queue, .problem = &call->problem, .workspace = b->workspace, .workspace_offset = WORKSPACE_GUARD};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    cl_call.tensor[i].buffer = b->tensor[i];
    cl_call.tensor[i].offset = (int64_t)data->image[i].origin + call->offset[i];
  }
  if (call->in_place) cl_call.tensor[RWKV6_TENSOR_INITIAL_STATE] = cl_call.tensor[RWKV6_TENSOR_FINAL_STATE];
  return rwkv6_cl_enqueue(plan, &cl_call, error);
}

rwkv6_status conform_run_buffers(rwkv6_plan *plan, conform_data *data, const conform_call *call, rwkv6_error *error) {
  buffers b = {.cl = rwkv6_cl_functions_get(NULL)};
  cl_int code = CL_SUCCESS;
  b.context = rwkv6_cl_context(plan->device);
  b.queue = b.cl->CreateCommandQueue(b.context, rwkv6_cl_device_id(plan->device), 0, &code);
  if (!code) code = create_buffers(&b, data, plan->workspace);
  rwkv6_status status = RWKV6_OK;
  if (!code) status = enqueue(&b, plan, data, call, error);
  if (!code && !status) code = b.cl->Finish(b.queue);
  if (!code && !status) code = read_back(&b, data);
  if (!code && !status) status = check_workspace(&b, plan->workspace, error);
  release_buffers(&b);
  if (code) return rwkv6_fail(error, RWKV6_DEVICE_ERROR, "OpenCL error %d around the run", (int)code);
  return status;
}

#else

#include "error.h"

rwkv6_status conform_run_buffers(rwkv6_plan *plan, conform_data *data, const conform_call *call, rwkv6_error *error) {
  (void)plan, (void)data, (void)call;
  return rwkv6_fail(error, RWKV6_NO_DEVICE, "built without OpenCL");
}

#endif
