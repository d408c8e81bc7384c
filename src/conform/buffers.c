/* SPDX-License-Identifier: MIT */
/* A run on device memory: one buffer for each image, as a caller of the OpenCL interface would have it. */
#include "conform/run.h"

#if RWKV6_HAVE_OPENCL

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

static cl_int create_buffers(buffers *b, conform_data *data, uint64_t workspace) {
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !code; i++) {
    conform_image *image = &data->image[i];
    if (!image->memory) continue;
    b->tensor[i] =
        b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, image_bytes(image), image->memory, &code);
  }
  if (code || !workspace) return code;
  /* NaN, so that a kernel that counts on zeros shows */
  void *garbage = malloc((size_t)workspace);
  if (!garbage) return CL_OUT_OF_HOST_MEMORY;
  memset(garbage, 0xff, (size_t)workspace);
  b->workspace = b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, (size_t)workspace, garbage, &code);
  free(garbage);
  return code;
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

static rwkv6_status enqueue(const buffers *b, rwkv6_plan *plan, const conform_data *data, const conform_call *call,
                            rwkv6_error *error) {
  rwkv6_cl_call cl_call = {.queue = b->queue, .problem = &call->problem, .workspace = b->workspace};
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
