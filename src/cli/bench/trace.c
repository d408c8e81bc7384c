/* SPDX-License-Identifier: MIT */
#include "cli/bench/trace.h"

#include <stdlib.h>

/* OpenCL functions carry no pointer of the caller's, so this is global. */
static struct trace {
  const rwkv6_cl_functions *real;
  rwkv6_cl_functions counting;
  uint64_t allocated;
  bool recording, overflow;
  cl_event *event; /* [capacity], owned */
  size_t count, capacity;
} trace;

static bool grow(void) {
  if (trace.count < trace.capacity) return true;
  const size_t capacity = trace.capacity ? 2 * trace.capacity : 256;
  cl_event *grown = realloc(trace.event, capacity * sizeof *grown);
  if (!grown) return false;
  trace.event = grown;
  trace.capacity = capacity;
  return true;
}

static void keep(cl_event event) {
  if (!grow()) {
    trace.overflow = true;
    trace.real->ReleaseEvent(event);
    return;
  }
  trace.event[trace.count++] = event;
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code) {
  const cl_mem buffer = trace.real->CreateBuffer(context, flags, size, host, code);
  if (buffer) trace.allocated += size;
  return buffer;
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                         const size_t *global, const size_t *local, cl_uint waits, const cl_event *wait,
                                         cl_event *event) {
  cl_event own = NULL;
  cl_event *const made = trace.recording && !event ? &own : event;
  const cl_int code = trace.real->EnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, waits, wait, made);
  if (code != CL_SUCCESS || !trace.recording) return code;
  if (event) trace.real->RetainEvent(*event);
  keep(*made);
  return code;
}

rwkv6_status bench_trace_install(rwkv6_device *device, rwkv6_error *error) {
  if (device->cl->cl == &trace.counting) return RWKV6_OK;
  const rwkv6_status status = rwkv6_cl_bench_functions_check(device->cl->cl, error);
  if (status) return status;
  trace.real = device->cl->cl;
  trace.counting = *trace.real;
  trace.counting.CreateBuffer = create_buffer;
  trace.counting.EnqueueNDRangeKernel = enqueue_kernel;
  device->cl->cl = &trace.counting;
  return RWKV6_OK;
}

uint64_t bench_trace_allocated(void) {
  const uint64_t allocated = trace.allocated;
  trace.allocated = 0;
  return allocated;
}

void bench_trace_record(void) {
  trace.recording = true;
}

void bench_trace_stop(void) {
  trace.recording = false;
}

size_t bench_trace_count(void) {
  return trace.count;
}

static cl_int stamps(cl_event event, cl_ulong *start, cl_ulong *end) {
  const cl_int code = trace.real->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof *start, start, NULL);
  if (code != CL_SUCCESS) return code;
  return trace.real->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof *end, end, NULL);
}

rwkv6_status bench_trace_span(size_t first, size_t last, bench_span *span, rwkv6_error *error) {
  if (trace.overflow) return rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory for events");
  cl_ulong begin = 0, finish = 0, busy = 0;
  for (size_t i = first; i < last; ++i) {
    cl_ulong start, end;
    const cl_int code = stamps(trace.event[i], &start, &end);
    if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clGetEventProfilingInfo");
    if (i == first || start < begin) begin = start;
    if (end > finish) finish = end;
    busy += end - start;
  }
  span->span = 1e-9 * (double)(finish - begin);
  span->busy = 1e-9 * (double)busy;
  return RWKV6_OK;
}

void bench_trace_forget(void) {
  for (size_t i = 0; i < trace.count; ++i) trace.real->ReleaseEvent(trace.event[i]);
  free(trace.event);
  trace.event = NULL;
  trace.count = trace.capacity = 0;
  trace.overflow = false;
}
