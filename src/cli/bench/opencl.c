/* SPDX-License-Identifier: MIT */
/* OpenCL devices: buffers, a queue whose events carry times, and one without, as users have. */
#include <stdlib.h>
#include <string.h>

#include "cli/bench/backend.h"
#include "cli/bench/peaks.h"
#include "cli/bench/trace.h"
#include "opencl/call.h"
#include "plan.h"

#define MIB ((uint64_t)1 << 20)
#define BATCHES 5
#define MOST_LATENCIES 40
#define MOST_OPEN_RUNS 50 /* runs of a burst, which are in a queue before it is waited for */
/*
 * Seconds. A GPU that is busy for longer than a few hundredths of a second may go over its limit of power and lower its clocks,
 * so that times would tell how many runs there are. It rests between bursts; `batch`, back to back, shows what it sustains.
 */
#define BURST 0.01
#define REST 0.05

#define LARGEST_FILL ((size_t)1 << 30) /* bytes */

typedef struct opencl_state {
  const rwkv6_cl_functions *cl;
  cl_command_queue profiling, plain;
  cl_mem buffer[RWKV6_TENSOR_COUNT]; /* all sets of a tensor */
  cl_mem workspace;
} opencl_state;

static uint64_t cache_bytes(const rwkv6_device *device) {
  cl_ulong bytes = 0;
  const rwkv6_cl_device *d = device->cl;
  if (d->cl->GetDeviceInfo(d->device, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, sizeof bytes, &bytes, NULL) != CL_SUCCESS) return 0;
  return bytes;
}

/* Several times the cache, but drivers do not agree on which cache they report. */
static uint64_t footprint(const rwkv6_device *device) {
  const bool cpu = device->info.kind == RWKV6_KIND_OPENCL_CPU;
  const uint64_t least = (cpu ? 64 : 1024) * MIB, most = 4 * least, wanted = 4 * cache_bytes(device);
  return wanted < least ? least : wanted > most ? most : wanted;
}

/* Some is left for the driver and for whoever else is there. */
static uint64_t memory(const rwkv6_device *device) {
  return device->info.global_memory / 10 * 8;
}

static uint64_t allocation(const rwkv6_device *device) {
  return device->info.max_allocation;
}

static rwkv6_status make_plan(rwkv6_device *device, const bench_case *timed, const bench_data *data, rwkv6_plan **plan,
                              uint64_t *extra, rwkv6_error *error) {
  bench_trace_allocated();
  const rwkv6_status status =
      rwkv6_plan_create_variant(device, &data->problem, timed->operation, timed->mode, timed->variant, plan, error);
  *extra = bench_trace_allocated();
  return status;
}

/* ----------------------------------------------------------------------------------------------------------------- memory */

static size_t element_size(const bench_run *run, rwkv6_tensor_id id) {
  return rwkv6_dtype_size(rwkv6_tensor_dtype(&run->data->problem, id));
}

static rwkv6_status make_buffer(bench_run *run, uint64_t bytes, cl_mem *buffer, rwkv6_error *error) {
  const rwkv6_cl_functions *cl = ((opencl_state *)run->state)->cl;
  cl_int code = CL_INVALID_BUFFER_SIZE; /* what a 32-bit host says to more than its size_t holds */
  if (bytes <= SIZE_MAX)
    *buffer = cl->CreateBuffer(rwkv6_cl_context(run->device), CL_MEM_READ_WRITE, (size_t)bytes, NULL, &code);
  if (code == CL_SUCCESS) return RWKV6_OK;
  *buffer = NULL;
  return rwkv6_cl_fail(error, code, "clCreateBuffer");
}

/* All bits set is a NaN in every storage type. In parts, as NVIDIA's driver does not come back from filling 8 GiB at once. */
static cl_int poison(const bench_run *run, cl_mem buffer, size_t bytes) {
  const opencl_state *state = run->state;
  const cl_uint pattern = ~(cl_uint)0;
  cl_int code = CL_SUCCESS;
  for (size_t at = 0, part; at < bytes && code == CL_SUCCESS; at += part) {
    part = bytes - at < LARGEST_FILL ? bytes - at : LARGEST_FILL;
    code = state->cl->EnqueueFillBuffer(state->plain, buffer, &pattern, sizeof pattern, at, part, 0, NULL, NULL);
  }
  return code;
}

/* Copies of pieces of the pool, on the device. */
static cl_int fill_set(const bench_run *run, rwkv6_tensor_id id, cl_mem pool, int64_t set) {
  const opencl_state *state = run->state;
  const int64_t elements = rwkv6_tensor_extent(&run->data->problem, id);
  const size_t size = element_size(run, id);
  const int64_t start = set * bench_set_stride(&run->data->problem, id);
  cl_int code = CL_SUCCESS;
  for (int64_t index = 0, piece; index < elements && code == CL_SUCCESS; index += piece) {
    piece = elements - index;
    const int64_t place = bench_data_piece(run->data, id, set, index, &piece);
    code = state->cl->EnqueueCopyBuffer(state->plain, pool, state->buffer[id], (size_t)place * size,
                                        (size_t)(start + index) * size, (size_t)piece * size, 0, NULL, NULL);
  }
  return code;
}

static rwkv6_status fill(bench_run *run, rwkv6_tensor_id id, rwkv6_error *error) {
  const opencl_state *state = run->state;
  const size_t bytes = (size_t)run->data->period[id] * element_size(run, id);
  cl_mem pool;
  const rwkv6_status status = make_buffer(run, bytes, &pool, error);
  if (status) return status;
  cl_int code = state->cl->EnqueueWriteBuffer(state->plain, pool, CL_TRUE, 0, bytes, run->data->pool[id], 0, NULL, NULL);
  for (int64_t set = 0; set < run->sets && code == CL_SUCCESS; ++set) code = fill_set(run, id, pool, set);
  const cl_int finished = state->cl->Finish(state->plain);
  state->cl->ReleaseMemObject(pool);
  if (code == CL_SUCCESS) code = finished;
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "filling an input");
}

static rwkv6_status make_tensor(bench_run *run, rwkv6_tensor_id id, rwkv6_error *error) {
  opencl_state *state = run->state;
  const size_t bytes = (size_t)(run->sets * bench_set_stride(&run->data->problem, id)) * element_size(run, id);
  const rwkv6_status status = make_buffer(run, bytes, &state->buffer[id], error);
  if (status) return status;
  if (!rwkv6_tensor_table[id].output) return fill(run, id, error);
  const cl_int code = poison(run, state->buffer[id], bytes);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueFillBuffer");
}

static rwkv6_status make_queues(bench_run *run, rwkv6_error *error) {
  opencl_state *state = run->state;
  const cl_context context = rwkv6_cl_context(run->device);
  const cl_device_id device = rwkv6_cl_device_id(run->device);
  cl_int code;
  state->plain = state->cl->CreateCommandQueue(context, device, 0, &code);
  if (code == CL_SUCCESS) state->profiling = state->cl->CreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &code);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clCreateCommandQueue");
}

static rwkv6_status prepare(bench_run *run, rwkv6_error *error) {
  opencl_state *state = rwkv6_alloc(1, sizeof *state, "the tensors", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  run->state = state;
  state->cl = run->device->cl->cl;
  rwkv6_status status = make_queues(run, error);
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (rwkv6_tensor_takes_part(&run->data->problem, run->data->operation, id)) status = make_tensor(run, id, error);
  }
  if (!status && run->plan->workspace) status = make_buffer(run, run->plan->workspace, &state->workspace, error);
  if (status) return status;
  const cl_int code = state->cl->Finish(state->plain);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clFinish");
}

static void release(bench_run *run) {
  opencl_state *state = run->state;
  if (!state) return;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id)
    if (state->buffer[id]) state->cl->ReleaseMemObject(state->buffer[id]);
  if (state->workspace) state->cl->ReleaseMemObject(state->workspace);
  if (state->profiling) state->cl->ReleaseCommandQueue(state->profiling);
  if (state->plain) state->cl->ReleaseCommandQueue(state->plain);
  free(state);
  run->state = NULL;
}

/* Row by row, for rows that clEnqueueReadBufferRect cannot describe. */
static cl_int read_each(const opencl_state *state, cl_mem buffer, size_t first, size_t pitch, size_t width, size_t rows,
                        char *to) {
  cl_int code = CL_SUCCESS;
  for (size_t row = 0; row < rows && code == CL_SUCCESS; ++row)
    code = state->cl->EnqueueReadBuffer(state->plain, buffer, CL_FALSE, first + row * pitch, width, to + row * width, 0, NULL,
                                        NULL);
  const cl_int finished = state->cl->Finish(state->plain);
  return code == CL_SUCCESS ? finished : code;
}

/* A rectangle cannot begin in one row of its pitch and end in the next. */
static rwkv6_status read_rows(const bench_run *run, rwkv6_tensor_id id, int64_t set, const bench_rows *rows, void *to,
                              rwkv6_error *error) {
  const opencl_state *state = run->state;
  const size_t size = element_size(run, id), width = (size_t)rows->length * size, count = (size_t)rows->rows;
  const size_t pitch = rows->rows > 1 ? (size_t)rows->pitch * size : width;
  const size_t first = (size_t)(set * bench_set_stride(&run->data->problem, id) + rows->first) * size;
  const size_t from[3] = {first % pitch, first / pitch, 0}, here[3] = {0, 0, 0}, region[3] = {width, count, 1};
  const cl_int code = first % pitch + width > pitch
                          ? read_each(state, state->buffer[id], first, pitch, width, count, to)
                          : state->cl->EnqueueReadBufferRect(state->plain, state->buffer[id], CL_TRUE, from, here, region,
                                                             pitch, 0, width, 0, to, 0, NULL, NULL);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "reading an output");
}

/* ------------------------------------------------------------------------------------------------------------------ times */

static rwkv6_status enqueue(bench_run *run, cl_command_queue queue, int64_t set, rwkv6_error *error) {
  const opencl_state *state = run->state;
  rwkv6_cl_call call = {.queue = queue, .problem = &run->data->problem, .workspace = state->workspace};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    call.tensor[id].buffer = state->buffer[id];
    call.tensor[id].offset = set * bench_set_stride(&run->data->problem, id);
  }
  return rwkv6_cl_enqueue(run->plan, &call, error);
}

static rwkv6_status finish(const bench_run *run, cl_command_queue queue, rwkv6_error *error) {
  const cl_int code = ((opencl_state *)run->state)->cl->Finish(queue);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clFinish");
}

/* Seconds of one run, after one that lets the driver finish its compiling. */
static rwkv6_status estimate(bench_run *run, double *seconds, rwkv6_error *error) {
  const cl_command_queue queue = ((opencl_state *)run->state)->profiling;
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < 2 && !status; ++i) {
    const double start = bench_now();
    status = enqueue(run, queue, 0, error);
    if (!status) status = finish(run, queue, error);
    *seconds = bench_now() - start;
  }
  return status;
}

/* `count` runs into the queue, then their spans. */
static rwkv6_status time_group(bench_run *run, size_t first, size_t count, double *spans, double *busy, rwkv6_error *error) {
  const cl_command_queue queue = ((opencl_state *)run->state)->profiling;
  const size_t launches = (size_t)run->plan->launches;
  rwkv6_status status = RWKV6_OK;
  bench_trace_record();
  for (size_t i = 0; i < count && !status; ++i) status = enqueue(run, queue, (int64_t)(first + i) % run->sets, error);
  bench_trace_stop();
  if (!status) status = finish(run, queue, error);
  if (!status && bench_trace_count() != count * launches)
    status = rwkv6_fail(error, RWKV6_DEVICE_ERROR, "%zu runs had %zu launches; the plan says %zu each", count,
                        bench_trace_count(), launches);
  for (size_t i = 0; i < count && !status; ++i) {
    bench_span span = {0, 0};
    status = bench_trace_span(i * launches, (i + 1) * launches, &span, error);
    spans[i] = span.span;
    busy[i] = span.busy;
  }
  bench_trace_forget();
  return status;
}

static void rest(const bench_run *run) {
  if (run->device->info.kind == RWKV6_KIND_OPENCL_GPU) bench_rest(REST);
}

/* Runs of a burst, where one takes `seconds`. */
static size_t burst_runs(double seconds) {
  const double runs = BURST / seconds;
  return runs < 1 ? 1 : runs > MOST_OPEN_RUNS ? MOST_OPEN_RUNS : (size_t)runs;
}

/* One run after the other, each waited for. `each`: seconds of a run, about. */
static rwkv6_status time_by_host(bench_run *run, size_t runs, double each, bench_result *result, rwkv6_error *error) {
  const cl_command_queue queue = ((opencl_state *)run->state)->plain;
  const size_t burst = burst_runs(each);
  double seconds[BENCH_MOST_RUNS];
  rwkv6_status status = RWKV6_OK;
  for (size_t i = 0; i < runs && !status; ++i) {
    if (i % burst == 0) rest(run);
    const double start = bench_now();
    status = enqueue(run, queue, (int64_t)i % run->sets, error);
    if (!status) status = finish(run, queue, error);
    seconds[i] = bench_now() - start;
  }
  if (!status) result->device = bench_times_of(seconds, runs);
  return status;
}

static rwkv6_status time_device(bench_run *run, size_t runs, double each, bench_result *result, rwkv6_error *error) {
  if (run->host_clock) return time_by_host(run, runs, each, result, error);
  double spans[BENCH_MOST_RUNS], busy[BENCH_MOST_RUNS];
  rwkv6_status status = RWKV6_OK;
  const size_t most = burst_runs(each);
  for (size_t done = 0; done < runs && !status; done += most) {
    const size_t left = runs - done;
    rest(run);
    status = time_group(run, done, left < most ? left : most, spans + done, busy + done, error);
  }
  if (status) return status;
  result->device = bench_times_of(spans, runs);
  result->busy = bench_times_of(busy, runs).median;
  return RWKV6_OK;
}

static rwkv6_status time_batches(bench_run *run, size_t runs, bench_result *result, rwkv6_error *error) {
  const cl_command_queue queue = ((opencl_state *)run->state)->plain;
  const size_t each = runs / BATCHES;
  double seconds[BATCHES];
  rwkv6_status status = RWKV6_OK;
  for (size_t batch = 0; batch < BATCHES && !status; ++batch) {
    const double start = bench_now();
    for (size_t i = 0; i < each && !status; ++i) status = enqueue(run, queue, (int64_t)(batch * each + i) % run->sets, error);
    if (!status) status = finish(run, queue, error);
    seconds[batch] = (bench_now() - start) / (double)each;
  }
  if (!status) result->batch = bench_times_of(seconds, BATCHES).median;
  return status;
}

static rwkv6_status time_latency(bench_run *run, size_t runs, bench_result *result, rwkv6_error *error) {
  const cl_command_queue queue = ((opencl_state *)run->state)->plain;
  double enqueued[MOST_LATENCIES], finished[MOST_LATENCIES];
  if (runs > MOST_LATENCIES) runs = MOST_LATENCIES;
  rwkv6_status status = RWKV6_OK;
  for (size_t i = 0; i < runs && !status; ++i) {
    const double start = bench_now();
    status = enqueue(run, queue, (int64_t)i % run->sets, error);
    enqueued[i] = bench_now() - start;
    if (!status) status = finish(run, queue, error);
    finished[i] = bench_now() - start;
  }
  if (status) return status;
  result->enqueue = bench_times_of(enqueued, runs).median;
  result->latency = bench_times_of(finished, runs);
  return RWKV6_OK;
}

static rwkv6_status time_runs(bench_run *run, bench_result *result, int64_t *last, rwkv6_error *error) {
  double seconds = 0;
  rwkv6_status status = estimate(run, &seconds, error);
  const size_t runs = bench_runs_for(seconds);
  *last = (int64_t)(runs - 1) % run->sets;
  if (!status) status = time_device(run, runs, seconds, result, error);
  if (!status) status = time_batches(run, runs < BATCHES ? BATCHES : runs, result, error);
  if (!status) status = time_latency(run, runs, result, error);
  return status;
}

const bench_backend bench_backend_opencl = {footprint, memory,    allocation, make_plan,         prepare,
                                            time_runs, read_rows, release,    bench_opencl_peaks};
