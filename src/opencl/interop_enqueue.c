/* SPDX-License-Identifier: MIT */
/* A plan's work on the caller's queue and buffers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/call.h"
#include "opencl/interop.h"
#include "plan.h"
#include "problem.h"
#include "sized.h"

#define WORKSPACE_ALIGNMENT 256

const rwkv6_opencl_tensor *rwkv6_interop_tensor(const rwkv6_opencl_tensors *tensors, rwkv6_tensor_id id) {
  switch (id) {
  case RWKV6_TENSOR_R: return &tensors->r;
  case RWKV6_TENSOR_K: return &tensors->k;
  case RWKV6_TENSOR_V: return &tensors->v;
  case RWKV6_TENSOR_W: return &tensors->w;
  case RWKV6_TENSOR_U: return &tensors->u;
  case RWKV6_TENSOR_INITIAL_STATE: return &tensors->initial_state;
  case RWKV6_TENSOR_O: return &tensors->o;
  case RWKV6_TENSOR_FINAL_STATE: return &tensors->final_state;
  case RWKV6_TENSOR_DO: return &tensors->do_;
  case RWKV6_TENSOR_DFINAL_STATE: return &tensors->dfinal_state;
  case RWKV6_TENSOR_DR: return &tensors->dr;
  case RWKV6_TENSOR_DK: return &tensors->dk;
  case RWKV6_TENSOR_DV: return &tensors->dv;
  case RWKV6_TENSOR_DW: return &tensors->dw;
  case RWKV6_TENSOR_DU: return &tensors->du;
  case RWKV6_TENSOR_DINITIAL_STATE: return &tensors->dinitial_state;
  case RWKV6_TENSOR_POOL: return &tensors->pool;
  case RWKV6_TENSOR_SLOTS: return &tensors->slots;
  case RWKV6_TENSOR_COUNT: break;
  }
  return NULL;
}

/* Whether problem.checks asks for a look at the values of a tensor, which the device then has to hand over. */
static bool is_read_back(const rwkv6_plan *plan, rwkv6_tensor_id id) {
  if (!rwkv6_tensor_takes_part(&plan->problem, plan->operation, id) || !rwkv6_tensor_is_read(id)) return false;
  const uint32_t checks = id == RWKV6_TENSOR_SLOTS ? RWKV6_CHECK_VALUES | RWKV6_CHECK_SLOTS : RWKV6_CHECK_VALUES;
  return (plan->problem.checks & checks) != 0;
}

/* Where a tensor lies, if it is given; what does not take part is left to rwkv6_places_check. */
static rwkv6_status check_tensor(const rwkv6_plan *plan, const rwkv6_opencl_tensors *tensors, rwkv6_tensor_id id,
                                 rwkv6_place *place, rwkv6_error *error) {
  const rwkv6_opencl_tensor *tensor = rwkv6_interop_tensor(tensors, id);
  const rwkv6_place none = {false, NULL, 0};
  *place = none;
  if (!tensor->buffer) return RWKV6_OK;
  place->given = true;
  place->space = tensor->buffer;
  if (!rwkv6_tensor_takes_part(&plan->problem, plan->operation, id)) return RWKV6_OK;
  char name[48];
  snprintf(name, sizeof name, "tensors.%s", rwkv6_tensor_table[id].name);
  const int64_t size = (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(&plan->problem, id));
  if (tensor->offset < 0 || tensor->offset > INT64_MAX / size)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s.offset is %" PRId64 "; allowed: 0 to the elements of its buffer", name,
                      tensor->offset);
  const rwkv6_interop_use use = {
      .name = name,
      .read = rwkv6_tensor_is_read(id),
      .written = rwkv6_tensor_table[id].output,
      .host_read = is_read_back(plan, id),
  };
  cl_mem root;
  uint64_t begin;
  const rwkv6_status status =
      rwkv6_interop_check_buffer(plan->device->cl, tensor->buffer, (uint64_t)(tensor->offset * size),
                                 (uint64_t)(rwkv6_tensor_extent(&plan->problem, id) * size), &use, &root, &begin, error);
  if (status) return status;
  place->space = root;
  place->begin = (int64_t)begin;
  return RWKV6_OK;
}

static rwkv6_status check_workspace(const rwkv6_plan *plan, const rwkv6_opencl_tensors *tensors, rwkv6_place *place,
                                    rwkv6_error *error) {
  static const rwkv6_interop_use use = {.name = "tensors.workspace", .read = true, .written = true};
  if (!tensors->workspace)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "tensors.workspace is NULL; the plan needs %" PRIu64 " bytes (rwkv6_plan_info.workspace)",
                      plan->workspace);
  if (tensors->workspace_offset % WORKSPACE_ALIGNMENT)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.workspace_offset is %" PRIu64 "; allowed: a multiple of %d bytes",
                      tensors->workspace_offset, WORKSPACE_ALIGNMENT);
  cl_mem root;
  uint64_t begin;
  const rwkv6_status status = rwkv6_interop_check_buffer(plan->device->cl, tensors->workspace, tensors->workspace_offset,
                                                         plan->workspace, &use, &root, &begin, error);
  if (status) return status;
  place->given = true;
  place->space = root;
  place->begin = (int64_t)begin;
  return RWKV6_OK;
}

static rwkv6_status check_memory(const rwkv6_plan *plan, const rwkv6_opencl_tensors *tensors, rwkv6_error *error) {
  rwkv6_place places[RWKV6_TENSOR_COUNT], workspace = {false, NULL, 0};
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const rwkv6_status status = check_tensor(plan, tensors, (rwkv6_tensor_id)id, &places[id], error);
    if (status) return status;
  }
  if (plan->workspace) {
    const rwkv6_status status = check_workspace(plan, tensors, &workspace, error);
    if (status) return status;
  }
  return rwkv6_places_check(&plan->problem, plan->operation, places, plan->workspace ? &workspace : NULL,
                            (int64_t)plan->workspace, error);
}

/* Everything that the rwkv6_cl_call needs of the caller's structs. */
static void fill_call(const rwkv6_plan *plan, const rwkv6_opencl_tensors *tensors, rwkv6_cl_call *call) {
  call->problem = &plan->problem;
  call->workspace = plan->workspace ? tensors->workspace : NULL;
  call->workspace_offset = plan->workspace ? tensors->workspace_offset : 0;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const rwkv6_opencl_tensor *tensor = rwkv6_interop_tensor(tensors, (rwkv6_tensor_id)id);
    if (!rwkv6_tensor_takes_part(&plan->problem, plan->operation, (rwkv6_tensor_id)id)) continue;
    call->tensor[id].buffer = tensor->buffer;
    call->tensor[id].offset = tensor->buffer ? tensor->offset : 0;
  }
}

/* ---- checks that problem.checks asks for */

static rwkv6_status read_back(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_tensor_id id, void **data,
                              rwkv6_error *error) {
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(&plan->problem, id));
  const size_t bytes = (size_t)rwkv6_tensor_extent(&plan->problem, id) * size;
  *data = rwkv6_alloc(bytes, 1, "values to be checked", error);
  if (!*data) return RWKV6_OUT_OF_MEMORY;
  if (!bytes) return RWKV6_OK;
  const cl_int code = plan->device->cl->cl->EnqueueReadBuffer(call->queue, call->tensor[id].buffer, CL_TRUE,
                                                              (size_t)call->tensor[id].offset * size, bytes, *data,
                                                              call->wait_count, call->wait_list, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueReadBuffer");
}

static rwkv6_status check_values(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  void *data[RWKV6_TENSOR_COUNT] = {NULL};
  rwkv6_status status = RWKV6_OK;
  for (int id = 0; id < RWKV6_TENSOR_COUNT && !status; id++)
    if (is_read_back(plan, (rwkv6_tensor_id)id)) status = read_back(plan, call, (rwkv6_tensor_id)id, &data[id], error);
  if (!status) status = rwkv6_values_check(&plan->problem, plan->operation, (const void *const *)data, error);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) free(data[id]);
  return status;
}

rwkv6_status rwkv6_opencl_enqueue(rwkv6_plan *plan, cl_command_queue queue, const rwkv6_opencl_tensors *tensors,
                                  cl_uint wait_count, const cl_event *wait_list, cl_event *event, rwkv6_error *error) {
  if (!plan) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "plan is NULL; allowed: a handle from rwkv6_plan_create");
  if (!plan->device->cl)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "plan is of the CPU path; allowed: of a device with OpenCL");
  if (!tensors)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors is NULL; allowed: a struct from RWKV6_OPENCL_TENSORS_INIT");
  rwkv6_opencl_tensors full;
  rwkv6_cl_call call = {.queue = queue, .wait_count = wait_count, .wait_list = wait_list, .event = event};
  rwkv6_status status = rwkv6_copy_sized(tensors, &full, sizeof full, sizeof full, "tensors", error);
  if (!status) status = rwkv6_interop_check_queue(plan->device->cl, queue, &call.out_of_order, error);
  if (!status) status = rwkv6_interop_check_events(plan->device->cl, wait_count, wait_list, error);
  if (!status) status = check_memory(plan, &full, error);
  if (status) return status;
  fill_call(plan, &full, &call);
  const bool values = (plan->problem.checks & RWKV6_CHECK_VALUES) != 0;
  const bool slots = (plan->problem.checks & RWKV6_CHECK_SLOTS) && call.tensor[RWKV6_TENSOR_SLOTS].buffer;
  if (values || slots) status = check_values(plan, &call, error);
  return status ? status : rwkv6_cl_enqueue(plan, &call, error);
}
