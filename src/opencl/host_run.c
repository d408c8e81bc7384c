/* SPDX-License-Identifier: MIT */
#include "opencl/host_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

static size_t state_bytes(const rwkv6_problem *problem) {
  return sizeof(float) * (size_t)(problem->heads * problem->key_dim * problem->value_dim);
}

/* As it lies on the device. Of the pool only the slots in use are there. */
static size_t tensor_bytes(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  const int64_t most = problem->sequences < problem->pool_slots ? problem->sequences : problem->pool_slots;
  if (id == RWKV6_TENSOR_POOL) return (size_t)most * state_bytes(problem);
  return (size_t)rwkv6_tensor_elements(problem, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
}

static rwkv6_status out_of_memory(const rwkv6_device *device, uint64_t bytes, const char *what, cl_int code,
                                  rwkv6_error *error) {
  rwkv6_fail(error, RWKV6_OUT_OF_DEVICE_MEMORY,
             "out of device memory: %" PRIu64 " bytes for %s; device %s has %" PRIu64 " bytes, %" PRIu64
             " of them at most in one buffer (%s)",
             bytes, what, device->info.id, device->info.global_memory, device->info.max_allocation, rwkv6_cl_error_name(code));
  rwkv6_cl_error_code(error, code);
  return RWKV6_OUT_OF_DEVICE_MEMORY;
}

rwkv6_status rwkv6_cl_create_buffer(const rwkv6_device *device, uint64_t bytes, const char *what, cl_mem *buffer,
                                    rwkv6_error *error) {
  cl_int code = CL_INVALID_BUFFER_SIZE; /* what a 32-bit host says to more than its size_t holds */
  if (bytes <= SIZE_MAX)
    *buffer = device->cl->cl->CreateBuffer(device->cl->context, CL_MEM_READ_WRITE, bytes ? (size_t)bytes : 8, NULL, &code);
  if (code == CL_SUCCESS) return RWKV6_OK;
  *buffer = NULL;
  if (code != CL_MEM_OBJECT_ALLOCATION_FAILURE && code != CL_INVALID_BUFFER_SIZE && code != CL_OUT_OF_RESOURCES)
    return rwkv6_cl_fail(error, code, "clCreateBuffer");
  return out_of_memory(device, bytes, what, code, error);
}

/* The same for one buffer of several, `total` bytes so far: drivers that allocate late would fail in the middle of a run. */
static rwkv6_status create_within(const rwkv6_device *device, uint64_t bytes, const char *what, uint64_t *total, cl_mem *buffer,
                                  rwkv6_error *error) {
  const uint64_t memory = device->info.global_memory;
  if (memory && (bytes > memory || *total > memory - bytes))
    return out_of_memory(device, bytes, what, CL_MEM_OBJECT_ALLOCATION_FAILURE, error);
  *total += bytes;
  return rwkv6_cl_create_buffer(device, bytes, what, buffer, error);
}

static bool is_packed(const rwkv6_problem *problem, const rwkv6_problem *packed, rwkv6_tensor_id id) {
  const rwkv6_stride *a = rwkv6_tensor_stride(problem, id), *b = rwkv6_tensor_stride(packed, id);
  return !a || (a->token == b->token && a->head == b->head);
}

/* initial_state and final_state share a buffer when the caller updates in place; two buffers give the same answer. */
static rwkv6_status create_buffers(const rwkv6_plan *plan, rwkv6_cl_host *host, rwkv6_error *error) {
  size_t staging = 0;
  uint64_t total = 0;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&plan->problem, plan->operation, id)) continue;
    const size_t bytes = tensor_bytes(&plan->problem, id);
    const rwkv6_status status =
        create_within(plan->device, bytes, rwkv6_tensor_table[id].name, &total, &host->buffer[id], error);
    if (status) return status;
    if ((id == RWKV6_TENSOR_POOL || !is_packed(&plan->problem, &host->packed, id)) && bytes > staging) staging = bytes;
  }
  if (staging) {
    host->staging = rwkv6_alloc(staging, 1, "a packed copy of a strided tensor", error);
    if (!host->staging) return RWKV6_OUT_OF_MEMORY;
  }
  if (host->buffer[RWKV6_TENSOR_POOL]) {
    host->places = rwkv6_alloc((size_t)plan->problem.sequences, sizeof *host->places, "the slots in use", error);
    if (!host->places) return RWKV6_OUT_OF_MEMORY;
  }
  if (!plan->workspace) return RWKV6_OK;
  return create_within(plan->device, plan->workspace, "the workspace", &total, &host->workspace, error);
}

static rwkv6_problem packed_problem(const rwkv6_problem *problem, rwkv6_operation operation) {
  rwkv6_problem packed = *problem, resolved;
  const rwkv6_stride none = {0, 0};
  packed.r = packed.k = packed.v = packed.w = packed.o = none;
  packed.do_ = packed.dr = packed.dk = packed.dv = packed.dw = none;
  rwkv6_problem_resolve(&packed, operation, &resolved, NULL); /* cannot fail: only strides changed, to smaller ones */
  return resolved;
}

static rwkv6_status prepare(const rwkv6_plan *plan, rwkv6_cl_host *host, rwkv6_error *error) {
  const rwkv6_cl_device *d = plan->device->cl;
  cl_int code;
  host->packed = packed_problem(&plan->problem, plan->operation);
  host->queue = d->cl->CreateCommandQueue(d->context, d->device, 0, &code);
  if (code != CL_SUCCESS) {
    host->queue = NULL;
    return rwkv6_cl_fail(error, code, "clCreateCommandQueue");
  }
  const rwkv6_status status = create_buffers(plan, host, error);
  if (status) rwkv6_cl_host_release(plan->device, host);
  return status;
}

void rwkv6_cl_host_release(const rwkv6_device *device, rwkv6_cl_host *host) {
  const rwkv6_cl_functions *cl = device->cl->cl;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (host->buffer[id]) cl->ReleaseMemObject(host->buffer[id]);
  if (host->workspace) cl->ReleaseMemObject(host->workspace);
  if (host->queue) cl->ReleaseCommandQueue(host->queue);
  free(host->staging);
  free(host->places);
  memset(host, 0, sizeof *host);
}

typedef enum copy_way { PACK, UNPACK } copy_way;

/* Between rows of a strided host tensor and the packed staging memory, for `count` tokens from the first of both on. */
static void copy_rows(const rwkv6_problem *problem, rwkv6_tensor_id id, char *strided, char *staging, int64_t count,
                      copy_way way) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  const size_t row = (size_t)rwkv6_tensor_channels(problem, id) * size;
  for (int64_t t = 0; t < count; t++)
    for (int64_t h = 0; h < problem->heads; h++, staging += row) {
      char *host = strided + (size_t)(t * stride->token + h * stride->head) * size;
      if (way == PACK)
        memcpy(staging, host, row);
      else
        memcpy(host, staging, row);
    }
}

static rwkv6_status write_buffer(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_tensor_id id, size_t bytes,
                                 const void *data, rwkv6_error *error) {
  if (!bytes) return RWKV6_OK;
  const cl_int code =
      plan->device->cl->cl->EnqueueWriteBuffer(host->queue, host->buffer[id], CL_TRUE, 0, bytes, data, 0, NULL, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueWriteBuffer");
}

static rwkv6_status upload(const rwkv6_plan *plan, rwkv6_cl_host *host, rwkv6_tensor_id id, const void *data,
                           rwkv6_error *error) {
  const size_t bytes = tensor_bytes(&plan->problem, id);
  if (!is_packed(&plan->problem, &host->packed, id)) {
    /* PACK only reads `data` */
    copy_rows(&plan->problem, id, (char *)data, host->staging, plan->problem.tokens, PACK);
    data = host->staging;
  }
  return write_buffer(plan, host, id, bytes, data, error);
}

static rwkv6_status read_buffer(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_tensor_id id, size_t at, size_t bytes,
                                void *data, rwkv6_error *error) {
  if (!bytes) return RWKV6_OK;
  const cl_int code =
      plan->device->cl->cl->EnqueueReadBuffer(host->queue, host->buffer[id], CL_TRUE, at, bytes, data, 0, NULL, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueReadBuffer");
}

/* `count` tokens of a tensor that has tokens. */
static rwkv6_status download_tokens(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_tensor_id id, void *data,
                                    int64_t first, int64_t count, rwkv6_error *error) {
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(&plan->problem, id));
  const size_t token = (size_t)(plan->problem.heads * rwkv6_tensor_channels(&plan->problem, id)) * size;
  const size_t at = (size_t)first * token, bytes = (size_t)count * token;
  char *to = (char *)data + (size_t)(first * rwkv6_tensor_stride(&plan->problem, id)->token) * size;
  if (is_packed(&plan->problem, &host->packed, id)) return read_buffer(plan, host, id, at, bytes, to, error);
  const rwkv6_status status = read_buffer(plan, host, id, at, bytes, host->staging, error);
  if (!status) copy_rows(&plan->problem, id, to, host->staging, count, UNPACK);
  return status;
}

/* Sequences without a slot have computed no o. */
static rwkv6_status download_with_slot(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_tensor_id id, void *data,
                                       rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int64_t n = 0; n < plan->problem.sequences && !status; n++) {
    const rwkv6_sequence sequence = rwkv6_problem_sequence(&plan->problem, n);
    if (host->places[n] >= 0) status = download_tokens(plan, host, id, data, sequence.begin, sequence.length, error);
  }
  return status;
}

static rwkv6_status download(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_tensor_id id, void *data,
                             rwkv6_error *error) {
  if (!rwkv6_tensor_stride(&plan->problem, id))
    return read_buffer(plan, host, id, 0, tensor_bytes(&plan->problem, id), data, error);
  if (host->places) return download_with_slot(plan, host, id, data, error);
  return download_tokens(plan, host, id, data, 0, plan->problem.tokens, error);
}

/* Between the slots in use and the staging memory, where they lie one after the other; returns their bytes. */
static size_t copy_states(const rwkv6_plan *plan, const rwkv6_cl_host *host, const rwkv6_tensors *tensors, copy_way way) {
  const size_t bytes = state_bytes(&plan->problem);
  char *staging = host->staging;
  for (int64_t n = 0; n < plan->problem.sequences; n++) {
    if (host->places[n] < 0) continue;
    char *state = (char *)tensors->pool + (size_t)tensors->slots[n] * bytes;
    memcpy(way == PACK ? staging : state, way == PACK ? state : staging, bytes);
    staging += bytes;
  }
  return (size_t)(staging - (char *)host->staging);
}

static rwkv6_status upload_pool(const rwkv6_plan *plan, rwkv6_cl_host *host, const rwkv6_tensors *tensors, rwkv6_error *error) {
  int32_t used = 0;
  for (int64_t n = 0; n < plan->problem.sequences; n++) host->places[n] = tensors->slots[n] < 0 ? -1 : used++;
  const size_t bytes = copy_states(plan, host, tensors, PACK);
  const rwkv6_status status = write_buffer(plan, host, RWKV6_TENSOR_POOL, bytes, host->staging, error);
  return status ? status : upload(plan, host, RWKV6_TENSOR_SLOTS, host->places, error);
}

static rwkv6_status download_pool(const rwkv6_plan *plan, const rwkv6_cl_host *host, const rwkv6_tensors *tensors,
                                  rwkv6_error *error) {
  size_t bytes = 0;
  for (int64_t n = 0; n < plan->problem.sequences; n++) bytes += host->places[n] < 0 ? 0 : state_bytes(&plan->problem);
  const rwkv6_status status = read_buffer(plan, host, RWKV6_TENSOR_POOL, 0, bytes, host->staging, error);
  if (!status) copy_states(plan, host, tensors, UNPACK);
  return status;
}

static rwkv6_status transfer(rwkv6_plan *plan, rwkv6_cl_host *host, const rwkv6_tensors *tensors, bool outputs,
                             rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!host->buffer[id] || rwkv6_tensor_table[id].output != outputs) continue;
    if (id == RWKV6_TENSOR_SLOTS || id == RWKV6_TENSOR_POOL) continue;
    const void *data = rwkv6_tensor_pointer(tensors, id);
    status = outputs ? download(plan, host, id, (void *)data, error) : upload(plan, host, id, data, error);
  }
  if (status || !host->buffer[RWKV6_TENSOR_POOL]) return status;
  return outputs ? download_pool(plan, host, tensors, error) : upload_pool(plan, host, tensors, error);
}

static rwkv6_status compute(rwkv6_plan *plan, rwkv6_cl_host *host, rwkv6_error *error) {
  rwkv6_cl_call call = {.queue = host->queue, .problem = &host->packed, .workspace = host->workspace};
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) call.tensor[id].buffer = host->buffer[id];
  const rwkv6_status status = rwkv6_cl_enqueue(plan, &call, error);
  if (status) return status;
  const cl_int code = plan->device->cl->cl->Finish(host->queue);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clFinish");
}

/* Some drivers allocate memory when a buffer is first used. What then fails is a call that knows no size: the error gets that
 * of all buffers of the plan. */
static rwkv6_status add_size(const rwkv6_plan *plan, const rwkv6_cl_host *host, rwkv6_status status, rwkv6_error *error) {
  if (status != RWKV6_OUT_OF_DEVICE_MEMORY || !error || error->size < sizeof *error) return status;
  uint64_t bytes = plan->workspace;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (host->buffer[id]) bytes += tensor_bytes(&plan->problem, (rwkv6_tensor_id)id);
  const int32_t code = error->opencl_error;
  char call[256];
  snprintf(call, sizeof call, "%.255s", error->message);
  rwkv6_fail(error, status,
             "out of device memory: %" PRIu64 " bytes for all tensors and the workspace; device %s has %" PRIu64 " bytes (%s)",
             bytes, plan->device->info.id, plan->device->info.global_memory, call);
  rwkv6_cl_error_code(error, code);
  return status;
}

rwkv6_status rwkv6_cl_host_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error) {
  rwkv6_cl_host *host = &((rwkv6_cl_state *)plan->state)->host;
  rwkv6_status status = host->queue ? RWKV6_OK : prepare(plan, host, error);
  if (status) return status;
  status = transfer(plan, host, tensors, false, error);
  if (!status) status = compute(plan, host, error);
  if (!status) status = transfer(plan, host, tensors, true, error);
  return add_size(plan, host, status, error);
}
