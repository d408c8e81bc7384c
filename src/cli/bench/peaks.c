/* SPDX-License-Identifier: MIT */
#include "cli/bench/peaks.h"

#include <stdio.h>
#include <string.h>

#include "opencl/context.h"
#include "opencl/source.h"

#define RUNS 15
#define STEPS 1024 /* of the arithmetic kernels */
#define CHAINS 16  /* multiply-adds a work-item has in flight */
#define PRODUCTS 8 /* matrix products 32 work-items have in flight */
#define WORK_GROUP 256

/* Of cl_nv_device_attribute_query. */
#define DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000

extern const rwkv6_cl_file bench_kernel_files[];

typedef struct peaks_state {
  const rwkv6_cl_functions *cl;
  const rwkv6_device *device;
  cl_command_queue queue; /* with times */
  cl_program program;
  cl_mem from, to;
  size_t bytes; /* of each */
  size_t work_group;
} peaks_state;

/* Whether there is inline PTX with mma.sync for bf16. */
static bool has_nvidia_matrix(const rwkv6_device *device) {
  const rwkv6_cl_device *d = device->cl;
  char extensions[8192] = "";
  cl_uint major = 0;
  if (d->cl->GetDeviceInfo(d->device, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions, NULL) != CL_SUCCESS)
    return false;
  if (!strstr(extensions, "cl_nv_device_attribute_query")) return false;
  if (d->cl->GetDeviceInfo(d->device, DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) != CL_SUCCESS)
    return false;
  return major >= 8;
}

static rwkv6_status build(peaks_state *state, bool matrix, rwkv6_error *error) {
  const rwkv6_cl_device *d = state->device->cl;
  const char *text = bench_kernel_files[0].text;
  char options[64];
  cl_int code;
  snprintf(options, sizeof options, "-cl-std=CL1.2 -DSTEPS=%d%s", STEPS, matrix ? " -DNVIDIA_MATRIX" : "");
  state->program = d->cl->CreateProgramWithSource(d->context, 1, &text, NULL, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateProgramWithSource");
  code = d->cl->BuildProgram(state->program, 1, &d->device, options, NULL, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clBuildProgram for peaks.cl");
}

/* Larger than any cache, no larger than a small device gives. */
static size_t copy_bytes(const rwkv6_device_info *info) {
  uint64_t bytes = info->kind == RWKV6_KIND_OPENCL_GPU ? (uint64_t)512 << 20 : (uint64_t)64 << 20;
  if (bytes > info->max_allocation) bytes = info->max_allocation;
  if (info->global_memory && bytes > info->global_memory / 4) bytes = info->global_memory / 4;
  return (size_t)(bytes / 65536 * 65536);
}

static rwkv6_status make_buffer(const peaks_state *state, cl_mem *buffer, rwkv6_error *error) {
  cl_int code;
  *buffer = state->cl->CreateBuffer(rwkv6_cl_context(state->device), CL_MEM_READ_WRITE, state->bytes, NULL, &code);
  if (code == CL_SUCCESS) return RWKV6_OK;
  *buffer = NULL;
  return rwkv6_cl_fail(error, code, "clCreateBuffer");
}

static rwkv6_status make(peaks_state *state, bool matrix, rwkv6_error *error) {
  const rwkv6_cl_device *d = state->device->cl;
  cl_int code;
  state->bytes = copy_bytes(&state->device->info);
  state->work_group = state->device->info.max_work_group < WORK_GROUP ? (size_t)state->device->info.max_work_group : WORK_GROUP;
  state->queue = state->cl->CreateCommandQueue(d->context, d->device, CL_QUEUE_PROFILING_ENABLE, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateCommandQueue");
  rwkv6_status status = build(state, matrix, error);
  if (!status) status = make_buffer(state, &state->from, error);
  if (!status) status = make_buffer(state, &state->to, error);
  if (status) return status;
  const cl_uint pattern = 0x3f9d70a4; /* 1.23 */
  code = state->cl->EnqueueFillBuffer(state->queue, state->from, &pattern, sizeof pattern, 0, state->bytes, 0, NULL, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueFillBuffer");
}

static void release(peaks_state *state) {
  if (state->from) state->cl->ReleaseMemObject(state->from);
  if (state->to) state->cl->ReleaseMemObject(state->to);
  if (state->program) state->cl->ReleaseProgram(state->program);
  if (state->queue) state->cl->ReleaseCommandQueue(state->queue);
}

/* Seconds of one launch, by the clocks of the host and of the device. */
typedef struct launch_times {
  double host, device;
} launch_times;

static cl_int time_launch(const peaks_state *state, cl_kernel kernel, size_t global, launch_times *times) {
  cl_event event;
  cl_ulong start = 0, end = 0;
  const double begin = bench_now();
  cl_int code = state->cl->EnqueueNDRangeKernel(state->queue, kernel, 1, NULL, &global, &state->work_group, 0, NULL, &event);
  if (code != CL_SUCCESS) return code;
  code = state->cl->Finish(state->queue);
  times->host = bench_now() - begin;
  if (code == CL_SUCCESS)
    code = state->cl->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
  if (code == CL_SUCCESS) code = state->cl->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
  state->cl->ReleaseEvent(event);
  times->device = 1e-9 * (double)(end - start);
  return code;
}

/* Median seconds of `global` work-items of a kernel whose arguments are two. */
static rwkv6_status time_kernel(const peaks_state *state, const char *name, size_t global, size_t size, const void *first,
                                size_t second_size, const void *second, launch_times *median, rwkv6_error *error) {
  cl_int code;
  launch_times times;
  double host[RUNS], on_device[RUNS];
  const cl_kernel kernel = state->cl->CreateKernel(state->program, name, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateKernel");
  code = state->cl->SetKernelArg(kernel, 0, size, first);
  if (code == CL_SUCCESS) code = state->cl->SetKernelArg(kernel, 1, second_size, second);
  if (code == CL_SUCCESS) code = time_launch(state, kernel, global, &times); /* drivers compile in the first */
  for (int i = 0; i < RUNS && code == CL_SUCCESS; ++i) {
    code = time_launch(state, kernel, global, &times);
    host[i] = times.host;
    on_device[i] = times.device;
  }
  state->cl->ReleaseKernel(kernel);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, name);
  median->host = bench_times_of(host, RUNS).median;
  median->device = bench_times_of(on_device, RUNS).median;
  return RWKV6_OK;
}

/* Work-items that fill the device several times over. */
static size_t arithmetic_items(const peaks_state *state) {
  const size_t units = state->device->info.compute_units > 0 ? (size_t)state->device->info.compute_units : 1;
  const size_t groups = state->device->info.kind == RWKV6_KIND_OPENCL_GPU ? 64 : 16;
  const size_t items = units * groups * state->work_group, most = state->bytes / sizeof(float);
  return items < most ? items : most / state->work_group * state->work_group;
}

/* Some drivers stamp the start and the end of a launch with the same time. Copying takes many times what enqueueing does. */
static bool stands_still(launch_times copy) {
  return copy.device < 0.01 * copy.host;
}

static double chosen(const bench_peaks *peaks, launch_times times) {
  return peaks->host_clock ? times.host : times.device;
}

static rwkv6_status measure(const peaks_state *state, bool matrix, bench_peaks *peaks, rwkv6_error *error) {
  const size_t items = arithmetic_items(state);
  const cl_float factor = 0.999f;
  const cl_uint seed = 2026;
  launch_times times;
  rwkv6_status status = time_kernel(state, "copy", state->bytes / sizeof(cl_uint4), sizeof state->from, &state->from,
                                    sizeof state->to, &state->to, &times, error);
  if (status) return status;
  peaks->host_clock = stands_still(times);
  peaks->copy = 2.0 * (double)state->bytes / chosen(peaks, times);
  status = time_kernel(state, "multiply_add", items, sizeof state->to, &state->to, sizeof factor, &factor, &times, error);
  if (status) return status;
  peaks->fma = 2.0 * CHAINS * STEPS * (double)items / chosen(peaks, times);
  if (!matrix) return RWKV6_OK;
  status = time_kernel(state, "multiply_matrices", items, sizeof state->to, &state->to, sizeof seed, &seed, &times, error);
  if (status) return status;
  peaks->matrix = 2.0 * 16 * 8 * 16 * PRODUCTS * STEPS * (double)(items / 32) / chosen(peaks, times);
  peaks->matrix_kind = "bf16, mma.sync m16n8k16";
  return RWKV6_OK;
}

rwkv6_status bench_opencl_peaks(rwkv6_device *device, bench_peaks *peaks, rwkv6_error *error) {
  peaks_state state = {.cl = device->cl->cl, .device = device};
  const bool matrix = has_nvidia_matrix(device);
  memset(peaks, 0, sizeof *peaks);
  rwkv6_status status = make(&state, matrix, error);
  if (!status) status = measure(&state, matrix, peaks, error);
  release(&state);
  return status;
}
