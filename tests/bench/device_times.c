/* SPDX-License-Identifier: MIT */
/*
 * Times of all operations on one device with the tensors already there, each checked against the double reference on one head:
 * device_times DEVICE [N,T,H,K,V]... (default: the shapes of docs/performance.md). Time is that of one run out of a batch enqueued
 * back to back on an in-order queue, median over batches. Prints a table; exits 1 if an error is above its bar.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opencl/call.h"
#include "opencl/context.h"
#include "plan.h"
#include "problem.h"
#include "reference/reference.h"
#include "half.h"

enum { BATCHES = 7 };

typedef struct shape {
  int64_t sequences, tokens, heads;
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype;
} shape;

typedef struct bench {
  rwkv6_device *device;
  const rwkv6_cl_functions *cl;
  cl_command_queue queue;
  rwkv6_problem problem;
  rwkv6_cl_call call;
  void *host[RWKV6_TENSOR_COUNT]; /* inputs, in their storage type */
  int failed;
} bench;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const char *message) {
  fprintf(stderr, "%s: %s\n", what, message);
  exit(2);
}

static void store(void *data, rwkv6_dtype dtype, int64_t i, float x) {
  if (dtype == RWKV6_FP32)
    ((float *)data)[i] = x;
  else
    ((uint16_t *)data)[i] = dtype == RWKV6_BF16 ? rwkv6_float_to_bf16(x) : rwkv6_float_to_fp16(x);
}

static float load(const void *data, rwkv6_dtype dtype, int64_t i) {
  if (dtype == RWKV6_FP32) return ((const float *)data)[i];
  const uint16_t x = ((const uint16_t *)data)[i];
  return dtype == RWKV6_BF16 ? rwkv6_bf16_to_float(x) : rwkv6_fp16_to_float(x);
}

/* Ordinary decays and numbers around 1; a fast generator, as tensors have 10^8 elements. */
static void fill(bench *b, rwkv6_tensor_id id) {
  const int64_t count = rwkv6_tensor_elements(&b->problem, id);
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&b->problem, id);
  uint64_t x = 0x9e3779b97f4a7c15u * (uint64_t)(id + 1);
  b->host[id] = malloc((size_t)count * rwkv6_dtype_size(dtype));
  if (!b->host[id]) die("inputs", "out of memory");
  for (int64_t i = 0; i < count; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    const float uniform = (float)(x >> 40) / 8388608.0f - 1.0f;
    store(b->host[id], dtype, i, id == RWKV6_TENSOR_W ? -log1pf(expf(3 * uniform - 0.5f)) : 1.7f * uniform);
  }
}

static void make_buffers(bench *b, rwkv6_operation operation) {
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&b->problem, operation, id)) continue;
    const size_t bytes = (size_t)rwkv6_tensor_elements(&b->problem, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(&b->problem, id));
    if (b->call.tensor[id].buffer) continue;
    b->call.tensor[id].buffer = b->cl->CreateBuffer(rwkv6_cl_context(b->device), CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code) die("clCreateBuffer", rwkv6_cl_error_name(code));
    if (rwkv6_tensor_table[id].output) continue;
    fill(b, id);
    code = b->cl->EnqueueWriteBuffer(b->queue, b->call.tensor[id].buffer, CL_TRUE, 0, bytes, b->host[id], 0, NULL, NULL);
    if (code) die("clEnqueueWriteBuffer", rwkv6_cl_error_name(code));
  }
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Milliseconds of one run. The number of runs in a batch is chosen so that a batch takes about 60 ms. */
static double time_plan(bench *b, rwkv6_plan *plan) {
  double times[BATCHES];
  int runs = 1;
  for (int i = -2; i < BATCHES; i++) {
    const double start = now();
    for (int j = 0; j < runs; j++) {
      rwkv6_error error = RWKV6_ERROR_INIT;
      if (rwkv6_cl_enqueue(plan, &b->call, &error)) die("enqueue", error.message);
    }
    const cl_int code = b->cl->Finish(b->queue);
    if (code) die("clFinish", rwkv6_cl_error_name(code));
    const double one = (now() - start) / runs;
    if (i < 0) runs = one < 0.03 ? (int)(0.06 / one) + 1 : 1;
    if (i >= 0) times[i] = 1e3 * one;
  }
  qsort(times, BATCHES, sizeof *times, ascending);
  return times[BATCHES / 2];
}

/* The double reference on head 0 of all sequences, by strides into the full inputs; outputs packed. */
static void reference(const bench *b, rwkv6_operation operation, double **out) {
  rwkv6_problem problem = b->problem, resolved;
  const rwkv6_stride packed_stride = {0, 0};
  problem.heads = 1;
  problem.o = problem.dr = problem.dk = problem.dv = problem.dw = packed_stride;
  if (rwkv6_problem_resolve(&problem, operation, &resolved, NULL)) die("reference", "problem");
  rwkv6_reference_call call = {.problem = &resolved};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&resolved, operation, id)) continue;
    const rwkv6_stride *stride = rwkv6_tensor_stride(&b->problem, id);
    rwkv6_view *view = &call.view[id];
    if (rwkv6_tensor_table[id].output) {
      out[id] = malloc((size_t)rwkv6_tensor_elements(&resolved, id) * sizeof(double));
      const rwkv6_stride *packed = rwkv6_tensor_stride(&resolved, id);
      *view = (rwkv6_view){out[id], RWKV6_FP64, packed ? packed->token : 0, packed ? packed->head : 0};
    } else {
      *view = (rwkv6_view){b->host[id], rwkv6_tensor_dtype(&resolved, id), stride ? stride->token : 0, stride ? stride->head : 0};
    }
  }
  const size_t bytes = operation == RWKV6_FORWARD ? rwkv6_recurrent_forward_workspace_double(&resolved)
                                                  : rwkv6_recurrent_backward_workspace_double(&resolved);
  call.workspace = aligned_alloc(64, (bytes / 64 + 1) * 64);
  if (!call.workspace) die("reference", "out of memory");
  if (operation == RWKV6_FORWARD)
    rwkv6_recurrent_forward_double(&call);
  else
    rwkv6_recurrent_backward_double(&call);
  free(call.workspace);
}

/* Relative error of head 0 of one output; the bars of docs/numerics.md. */
static double check(bench *b, rwkv6_tensor_id id, const double *ref) {
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&b->problem, id);
  const rwkv6_stride *stride = rwkv6_tensor_stride(&b->problem, id);
  const int64_t channels = rwkv6_tensor_channels(&b->problem, id), rows = stride ? b->problem.tokens : 1;
  const size_t bytes = (size_t)rwkv6_tensor_elements(&b->problem, id) * rwkv6_dtype_size(dtype);
  void *data = malloc(bytes);
  if (!data || b->cl->EnqueueReadBuffer(b->queue, b->call.tensor[id].buffer, CL_TRUE, 0, bytes, data, 0, NULL, NULL))
    die("check", "reading an output failed");
  double difference = 0, norm = 0;
  for (int64_t t = 0; t < rows; t++)
    for (int64_t c = 0; c < channels; c++) {
      const double r = ref[t * channels + c];
      const double d = load(data, dtype, stride ? t * stride->token + c : c) - r;
      difference += d * d;
      norm += r * r;
    }
  free(data);
  const double error = sqrt(difference / norm);
  const double bar = dtype == RWKV6_BF16 ? 1.75e-3 : dtype == RWKV6_FP16 ? 2.5e-4 : id == RWKV6_TENSOR_O ? 1e-5 : 5e-5;
  if (!(error <= bar)) b->failed = 1;
  return error;
}

static double worst_error(bench *b, rwkv6_operation operation, double **ref) {
  static const rwkv6_tensor_id outputs[] = {RWKV6_TENSOR_O,  RWKV6_TENSOR_DR, RWKV6_TENSOR_DK,
                                            RWKV6_TENSOR_DV, RWKV6_TENSOR_DW, RWKV6_TENSOR_DU};
  double worst = 0;
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
    if (!rwkv6_tensor_takes_part(&b->problem, operation, outputs[i])) continue;
    const double error = check(b, outputs[i], ref[outputs[i]]);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

static void measure(bench *b, rwkv6_operation operation, rwkv6_mode mode, double **ref) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan;
  cl_int code = CL_SUCCESS;
  const double start = now();
  if (rwkv6_plan_create(b->device, &b->problem, operation, mode, &plan, &error)) die("plan", error.message);
  const double made = now() - start;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  rwkv6_plan_get_info(plan, &info, NULL);
  b->call.problem = &b->problem;
  b->call.workspace = NULL;
  if (info.workspace)
    b->call.workspace = b->cl->CreateBuffer(rwkv6_cl_context(b->device), CL_MEM_READ_WRITE, info.workspace, NULL, &code);
  if (code) die("workspace", rwkv6_cl_error_name(code));
  const double ms = time_plan(b, plan);
  const int32_t dim = b->problem.key_dim > b->problem.value_dim ? b->problem.key_dim : b->problem.value_dim;
  const double tensor =
      (double)(b->problem.tokens * b->problem.heads * dim) * (double)rwkv6_dtype_size(b->problem.dtype);
  printf("| %s %s | %lld,%lld,%lld,%d,%d %s | %.3f | %.2e | %.2f | %lld | %.2f |\n", mode == RWKV6_MODE_CHUNK ? "chunk" : "recurrent",
         operation == RWKV6_FORWARD ? "forward" : "backward", (long long)b->problem.sequences,
         (long long)(b->problem.tokens / b->problem.sequences), (long long)b->problem.heads, b->problem.key_dim,
         b->problem.value_dim, rwkv6_dtype_name(b->problem.dtype), ms, worst_error(b, operation, ref),
         (double)info.workspace / tensor, (long long)info.launches, made);
  fflush(stdout);
  if (b->call.workspace) b->cl->ReleaseMemObject(b->call.workspace);
  rwkv6_plan_destroy(&plan);
}

static void release(bench *b) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    if (b->call.tensor[id].buffer) b->cl->ReleaseMemObject(b->call.tensor[id].buffer);
    free(b->host[id]);
    b->host[id] = NULL;
  }
  memset(&b->call.tensor, 0, sizeof b->call.tensor);
}

static void run_shape(bench *b, const shape *s) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, s->sequences, s->sequences * s->tokens, s->heads, s->key_dim, s->value_dim);
  problem.dtype = problem.w_dtype = s->dtype;
  if (rwkv6_problem_resolve(&problem, RWKV6_FORWARD, &b->problem, NULL)) die("shape", "problem");
  for (int operation = 0; operation < 2; operation++) {
    double *ref[RWKV6_TENSOR_COUNT] = {0};
    make_buffers(b, (rwkv6_operation)operation);
    reference(b, (rwkv6_operation)operation, ref);
    for (int mode = RWKV6_MODE_RECURRENT; mode <= RWKV6_MODE_CHUNK; mode++)
      measure(b, (rwkv6_operation)operation, (rwkv6_mode)mode, ref);
    for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) free(ref[id]);
  }
  release(b);
}

int main(int argc, char **argv) {
  static const shape shapes[] = {
      {8, 4096, 32, 64, 64, RWKV6_BF16},   {1, 4096, 32, 64, 64, RWKV6_BF16},  {1, 32768, 32, 64, 64, RWKV6_BF16},
      {8, 4096, 32, 64, 64, RWKV6_FP32},   {4, 4096, 64, 128, 128, RWKV6_BF16}, {1, 8192, 96, 128, 128, RWKV6_BF16},
  };
  bench b = {.failed = 0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  cl_int code;
  if (argc < 2) die("usage", "device_times DEVICE [N,T,H,K,V[,fp32|fp16]]...");
  if (rwkv6_device_open(argv[1], NULL, &b.device, &error)) die(argv[1], error.message);
  if (!b.device->cl) die(argv[1], "an OpenCL device is needed");
  b.cl = rwkv6_cl_functions_get(NULL);
  b.queue = b.cl->CreateCommandQueue(rwkv6_cl_context(b.device), rwkv6_cl_device_id(b.device), 0, &code);
  if (code) die("clCreateCommandQueue", rwkv6_cl_error_name(code));
  b.call.queue = b.queue;
  printf("%s, driver %s\n\n", b.device->info.name, b.device->info.driver_version);
  printf("| operation | N,T,H,K,V | ms | worst error | workspace, tensors | launches | plan, s |\n|---|---|---|---|---|---|---|\n");
  for (size_t i = 0; argc == 2 && i < sizeof shapes / sizeof *shapes; i++) run_shape(&b, &shapes[i]);
  for (int i = 2; i < argc; i++) {
    long long n, t, h;
    shape s = {.dtype = strstr(argv[i], "fp32") ? RWKV6_FP32 : strstr(argv[i], "fp16") ? RWKV6_FP16 : RWKV6_BF16};
    if (sscanf(argv[i], "%lld,%lld,%lld,%d,%d", &n, &t, &h, &s.key_dim, &s.value_dim) != 5) die(argv[i], "not a shape");
    s.sequences = n, s.tokens = t, s.heads = h;
    run_shape(&b, &s);
  }
  b.cl->ReleaseCommandQueue(b.queue);
  rwkv6_device_close(&b.device);
  return b.failed;
}
