/* SPDX-License-Identifier: MIT */
#include "opencl/rehearsal.h"

#include <stdlib.h>
#include <string.h>

#include "opencl/chain.h"
#include "opencl/hold.h"
#include "opencl/host_run.h"
#include "plan.h"
#include "quirks.h"

#define LARGE_LAUNCH ((size_t)65536) /* work-items */

/* A program with kernels to rehearse. */
typedef struct wanted {
  struct wanted *next;
  rwkv6_cl_hold hold;
  rwkv6_cl_program *program;
  uint64_t kernels; /* seen so far in this walk */
} wanted;

struct rwkv6_cl_rehearsal {
  rwkv6_cl_device *device;
  size_t least;           /* work-items of a launch */
  cl_command_queue queue; /* NULL: only find out what there is to rehearse */
  wanted *list;
};

/* The program of a kernel, and the kernel as a bit of a set. */
static cl_int describe(rwkv6_cl_device *d, cl_kernel kernel, rwkv6_cl_program **program, uint64_t *bit) {
  cl_program object;
  char name[64];
  cl_int code = d->cl->GetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof object, &object, NULL);
  if (code == CL_SUCCESS) code = d->cl->GetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL);
  if (code != CL_SUCCESS) return code;
  *program = rwkv6_cl_program_of(d, object);
  if (!*program) return CL_INVALID_PROGRAM;
  int i = 0;
  while (i < (*program)->kernel_count && strcmp((*program)->kernels[i], name) != 0) i++;
  *bit = (uint64_t)1 << i;
  return CL_SUCCESS;
}

static wanted *find(const rwkv6_cl_rehearsal *rehearsal, const rwkv6_cl_program *program) {
  wanted *found = rehearsal->list;
  while (found && found->program != program) found = found->next;
  return found;
}

/* Whether a kernel is complete, or was seen before in this walk. */
static bool is_done(const rwkv6_cl_rehearsal *rehearsal, const rwkv6_cl_program *program, uint64_t bit) {
  const wanted *found = find(rehearsal, program);
  const uint64_t kernels = rwkv6_cl_program_complete_kernels(rehearsal->device, program) | (found ? found->kernels : 0);
  return (kernels & bit) != 0;
}

/* False if there is no memory. */
static bool take_down(rwkv6_cl_rehearsal *rehearsal, rwkv6_cl_program *program, uint64_t bit) {
  wanted *taken = find(rehearsal, program);
  if (!taken) {
    taken = rwkv6_alloc(1, sizeof *taken, "the kernels of a program", NULL);
    if (!taken) return false;
    taken->program = program;
    taken->next = rehearsal->list;
    taken->hold.name = program->name;
    taken->hold.mine = taken->next ? &taken->next->hold : NULL;
    rehearsal->list = taken;
  }
  taken->kernels |= bit;
  return true;
}

cl_int rwkv6_cl_rehearse_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local) {
  rwkv6_cl_rehearsal *rehearsal = call->chain->rehearsal;
  rwkv6_cl_program *program;
  uint64_t bit;
  const cl_int code = describe(rehearsal->device, kernel, &program, &bit);
  if (code != CL_SUCCESS) return code;
  if (is_done(rehearsal, program, bit)) return CL_SUCCESS;
  if (!take_down(rehearsal, program, bit)) return CL_OUT_OF_HOST_MEMORY;
  if (!rehearsal->queue) return CL_SUCCESS;
  if (global < rehearsal->least) global = (rehearsal->least + local - 1) / local * local;
  return rehearsal->device->cl->EnqueueNDRangeKernel(rehearsal->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
}

/* Runs through the plan's launches with `buffer` in the place of each tensor and of the workspace. There are no slots: what a
 * launch has more of work-groups than the plan would look for theirs. */
static rwkv6_status walk(rwkv6_plan *plan, rwkv6_cl_rehearsal *rehearsal, cl_mem buffer, rwkv6_error *error) {
  rwkv6_cl_chain chain = {.cl = rehearsal->device->cl, .rehearsal = rehearsal};
  rwkv6_cl_call call = {.problem = &plan->problem, .workspace = buffer, .chain = &chain};
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (id != RWKV6_TENSOR_SLOTS && rwkv6_tensor_takes_part(&plan->problem, plan->operation, (rwkv6_tensor_id)id))
      call.tensor[id].buffer = buffer;
  return ((rwkv6_cl_state *)plan->state)->enqueue(plan, &call, error);
}

/* Kernels that are past the end of their units read u at most. */
static size_t read_bytes(const rwkv6_problem *problem) {
  return sizeof(float) * (size_t)(problem->heads * problem->key_dim);
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

static rwkv6_status rehearse(rwkv6_plan *plan, rwkv6_cl_rehearsal *rehearsal, rwkv6_error *error) {
  const rwkv6_cl_device *d = rehearsal->device;
  cl_int code;
  rehearsal->queue = d->cl->CreateCommandQueue(d->context, d->device, 0, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateCommandQueue");
  const rwkv6_status status = launch_on_queue(plan, rehearsal, error);
  d->cl->ReleaseCommandQueue(rehearsal->queue);
  return status;
}

static void free_list(wanted *list) {
  while (list) {
    wanted *next = list->next;
    free(list);
    list = next;
  }
}

/* What another thread has rehearsed while this one waited is complete, and is not launched again. */
static rwkv6_status rehearse_list(rwkv6_plan *plan, rwkv6_cl_rehearsal *rehearsal, rwkv6_error *error) {
  rwkv6_cl_hold_all(&rehearsal->list->hold);
  for (wanted *held = rehearsal->list; held; held = held->next) held->kernels = 0;
  const rwkv6_status status = rehearse(plan, rehearsal, error);
  for (wanted *done = rehearsal->list; done && !status; done = done->next)
    rwkv6_cl_program_complete(plan->device, done->program, done->kernels);
  rwkv6_cl_let_go(&rehearsal->list->hold);
  return status;
}

rwkv6_status rwkv6_cl_rehearse(rwkv6_plan *plan, rwkv6_error *error) {
  const bool by_size = rwkv6_quirk_with(&plan->device->info, RWKV6_QUIRK_COMPILES_BY_SIZE) != NULL;
  rwkv6_cl_rehearsal rehearsal = {.device = plan->device->cl, .least = by_size ? LARGE_LAUNCH : 0};
  rwkv6_status status = walk(plan, &rehearsal, NULL, error);
  if (!status && rehearsal.list) status = rehearse_list(plan, &rehearsal, error);
  free_list(rehearsal.list);
  return status;
}
