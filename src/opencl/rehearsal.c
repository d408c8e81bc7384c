/* SPDX-License-Identifier: MIT */
#include "opencl/rehearsal.h"

#include <stdlib.h>
#include <string.h>

#include "opencl/chain.h"
#include "opencl/host_run.h"
#include "plan.h"

#define LARGE_LAUNCH 65536

struct rwkv6_cl_rehearsal {
  rwkv6_cl_device *device;
  cl_command_queue queue; /* NULL: only find out whether there is anything to rehearse */
  bool needed;
  rwkv6_cl_rehearsed *launched; /* in this rehearsal; theirs to keep once the queue is finished */
};

static cl_int describe(const rwkv6_cl_functions *cl, cl_kernel kernel, size_t global, rwkv6_cl_rehearsed *described) {
  const rwkv6_cl_rehearsed none = {.large = global >= LARGE_LAUNCH};
  *described = none;
  const cl_int code = cl->GetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof described->program, &described->program, NULL);
  if (code != CL_SUCCESS) return code;
  return cl->GetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof described->name, described->name, NULL);
}

static bool in_list(const rwkv6_cl_rehearsed *list, const rwkv6_cl_rehearsed *wanted) {
  for (; list; list = list->next)
    if (list->program == wanted->program && list->large == wanted->large && !strcmp(list->name, wanted->name)) return true;
  return false;
}

static bool is_rehearsed(const rwkv6_cl_rehearsal *rehearsal, const rwkv6_cl_rehearsed *wanted) {
  rwkv6_mutex_lock(&rehearsal->device->lock);
  const bool found = in_list(rehearsal->device->rehearsed, wanted);
  rwkv6_mutex_unlock(&rehearsal->device->lock);
  return found || in_list(rehearsal->launched, wanted);
}

cl_int rwkv6_cl_rehearse_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local) {
  rwkv6_cl_rehearsal *rehearsal = call->chain->rehearsal;
  const rwkv6_cl_functions *cl = rehearsal->device->cl;
  rwkv6_cl_rehearsed wanted;
  const cl_int code = describe(cl, kernel, global, &wanted);
  if (code != CL_SUCCESS) return code;
  if (is_rehearsed(rehearsal, &wanted)) return CL_SUCCESS;
  rehearsal->needed = true;
  if (!rehearsal->queue) return CL_SUCCESS;
  rwkv6_cl_rehearsed *kept = rwkv6_alloc(1, sizeof *kept, "a rehearsed launch", NULL);
  if (!kept) return CL_OUT_OF_HOST_MEMORY;
  *kept = wanted;
  kept->next = rehearsal->launched;
  rehearsal->launched = kept;
  return cl->EnqueueNDRangeKernel(rehearsal->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
}

void rwkv6_cl_rehearsed_free(rwkv6_cl_rehearsed *list) {
  while (list) {
    rwkv6_cl_rehearsed *next = list->next;
    free(list);
    list = next;
  }
}

/* Runs through the plan's launches with `buffer` in the place of each tensor and of the workspace. */
static rwkv6_status walk(rwkv6_plan *plan, rwkv6_cl_rehearsal *rehearsal, cl_mem buffer, rwkv6_error *error) {
  rwkv6_cl_chain chain = {.cl = rehearsal->device->cl, .rehearsal = rehearsal};
  rwkv6_cl_call call = {.problem = &plan->problem, .workspace = buffer, .chain = &chain};
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (rwkv6_tensor_takes_part(&plan->problem, plan->operation, (rwkv6_tensor_id)id)) call.tensor[id].buffer = buffer;
  return ((rwkv6_cl_state *)plan->state)->enqueue(plan, &call, error);
}

/* Kernels that are past the end of their units read u and, with a pool, slots at most. */
static size_t read_bytes(const rwkv6_problem *problem) {
  const size_t u = sizeof(float) * (size_t)(problem->heads * problem->key_dim);
  const size_t slots = problem->pool_slots ? sizeof(int32_t) * (size_t)problem->sequences : 0;
  return u > slots ? u : slots;
}

/* Zeros, so that no kernel reads what nobody has written. */
static rwkv6_status write_zeros(const rwkv6_cl_rehearsal *rehearsal, cl_mem buffer, size_t bytes, rwkv6_error *error) {
  void *zeros = rwkv6_alloc(bytes, 1, "the first launches of kernels", error);
  if (!zeros) return RWKV6_OUT_OF_MEMORY;
  const cl_int code =
      rehearsal->device->cl->EnqueueWriteBuffer(rehearsal->queue, buffer, CL_TRUE, 0, bytes, zeros, 0, NULL, NULL);
  free(zeros);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueWriteBuffer");
}

static rwkv6_status launch_on_queue(rwkv6_plan *plan, rwkv6_cl_rehearsal *rehearsal, rwkv6_error *error) {
  const rwkv6_cl_functions *cl = rehearsal->device->cl;
  const size_t bytes = read_bytes(&plan->problem);
  cl_mem buffer;
  rwkv6_status status = rwkv6_cl_create_buffer(plan->device, bytes, "the first launches of kernels", &buffer, error);
  if (status) return status;
  status = write_zeros(rehearsal, buffer, bytes, error);
  if (!status) status = walk(plan, rehearsal, buffer, error);
  /* Also after a failure: what has been enqueued uses the plan's kernels and table. */
  const cl_int code = cl->Finish(rehearsal->queue);
  if (!status && code != CL_SUCCESS) status = rwkv6_cl_fail(error, code, "clFinish");
  cl->ReleaseMemObject(buffer);
  return status;
}

/* Takes over what has been launched. */
static void keep(rwkv6_cl_rehearsal *rehearsal) {
  rwkv6_cl_rehearsed **end = &rehearsal->launched;
  while (*end) end = &(*end)->next;
  rwkv6_mutex_lock(&rehearsal->device->lock);
  *end = rehearsal->device->rehearsed;
  rehearsal->device->rehearsed = rehearsal->launched;
  rwkv6_mutex_unlock(&rehearsal->device->lock);
}

rwkv6_status rwkv6_cl_rehearse(rwkv6_plan *plan, rwkv6_error *error) {
  rwkv6_cl_device *d = plan->device->cl;
  rwkv6_cl_rehearsal rehearsal = {.device = d};
  rwkv6_status status = walk(plan, &rehearsal, NULL, error);
  if (status || !rehearsal.needed) return status;
  cl_int code;
  rehearsal.queue = d->cl->CreateCommandQueue(d->context, d->device, 0, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateCommandQueue");
  status = launch_on_queue(plan, &rehearsal, error);
  d->cl->ReleaseCommandQueue(rehearsal.queue);
  if (status)
    rwkv6_cl_rehearsed_free(rehearsal.launched);
  else
    keep(&rehearsal);
  return status;
}
