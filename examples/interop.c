/* SPDX-License-Identifier: MIT */
/*
 * A program with OpenCL objects of its own: context, queue, one buffer for everything, events. Forward and backward are
 * enqueued on its queue between its own writes and reads; the library never waits. The results must be those of the CPU path.
 *
 *     interop [DEVICE]     opencl:N or a part of a name; default: the first GPU, else the first device
 *
 * In recurrent mode, whose kernels compile in half the time: seconds where the device is a CPU, and only in the first run, as
 * later ones find them in the program cache. RWKV6_MODE_AUTO would be chunk mode for so many tokens, the faster one.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rwkv6/opencl.h>

enum { TOKENS = 100, HEADS = 2, DIM = 32, ROW = TOKENS * HEADS * DIM, U = HEADS * DIM };
enum {
  IN_R,
  IN_K,
  IN_V,
  IN_W,
  IN_DO,
  OUT_O,
  OUT_DR,
  OUT_DK,
  OUT_DV,
  OUT_DW,
  ROWS
}; /* of [token][head][channel] in the buffer */

static float host[ROWS][ROW], expected[ROWS][ROW], u[U], du[U];
static rwkv6_error error = RWKV6_ERROR_INIT;

static void check(rwkv6_status status) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s: %s\n", rwkv6_status_name(status), error.message);
  exit(1);
}

static void check_cl(cl_int code, const char *what) {
  if (code == CL_SUCCESS) return;
  fprintf(stderr, "%s: OpenCL error %d\n", what, (int)code);
  exit(1);
}

static void make_inputs(void) {
  for (int row = IN_R; row <= IN_DO; row++)
    for (int i = 0; i < ROW; i++) host[row][i] = (float)rand() / (float)RAND_MAX * 2 - (row == IN_W ? 2.5f : 1);
  for (int i = 0; i < ROW; i++) host[IN_W][i] = fminf(host[IN_W][i], 0); /* the logarithm of the decay */
  for (int i = 0; i < U; i++) u[i] = (float)rand() / (float)RAND_MAX;
}

static rwkv6_plan *make_plan(rwkv6_device *device, rwkv6_operation operation, uint64_t *workspace) {
  rwkv6_plan *plan;
  rwkv6_problem problem;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  rwkv6_problem_init(&problem, sizeof problem, 1, TOKENS, HEADS, DIM, DIM);
  check(rwkv6_plan_create(device, &problem, operation, RWKV6_MODE_RECURRENT, &plan, &error));
  check(rwkv6_plan_get_info(plan, &info, &error));
  if (info.workspace > *workspace) *workspace = info.workspace;
  return plan;
}

/* What the CPU path gives, through host pointers. */
static void expect(void) {
  rwkv6_device *cpu;
  uint64_t unused = 0;
  check(rwkv6_device_open("cpu", NULL, &cpu, &error));
  rwkv6_plan *forward = make_plan(cpu, RWKV6_FORWARD, &unused), *backward = make_plan(cpu, RWKV6_BACKWARD, &unused);
  rwkv6_tensors t = RWKV6_TENSORS_INIT;
  t.r = host[IN_R], t.k = host[IN_K], t.v = host[IN_V], t.w = host[IN_W], t.u = u, t.o = expected[OUT_O];
  check(rwkv6_run(forward, &t, &error));
  t.o = NULL, t.do_ = host[IN_DO], t.du = du;
  t.dr = expected[OUT_DR], t.dk = expected[OUT_DK], t.dv = expected[OUT_DV], t.dw = expected[OUT_DW];
  check(rwkv6_run(backward, &t, &error));
  rwkv6_plan_destroy(&forward);
  rwkv6_plan_destroy(&backward);
  rwkv6_device_close(&cpu);
}

/* What such a program has anyway, and what the library adds: a device on its context, a plan for each operation. */
typedef struct program {
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;
  cl_mem memory, workspace;
  rwkv6_device *device;
  rwkv6_plan *forward, *backward;
} program;

/* The first device whose name has `part`, or that is number N of all for "opencl:N"; without `part` the first GPU, else any. */
static cl_device_id choose_device(const char *part) {
  int number = 0;
  cl_platform_id platforms[16];
  cl_uint platform_count = 0;
  cl_device_id chosen = NULL;
  check_cl(clGetPlatformIDs(16, platforms, &platform_count), "clGetPlatformIDs");
  for (cl_uint p = 0; p < platform_count && p < 16; p++) {
    cl_device_id devices[16];
    cl_uint count = 0;
    if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 16, devices, &count)) continue;
    for (cl_uint d = 0; d < count && d < 16; d++) {
      char name[256] = "", id[32];
      cl_device_type type = 0;
      snprintf(id, sizeof id, "opencl:%d", number++);
      clGetDeviceInfo(devices[d], CL_DEVICE_NAME, sizeof name, name, NULL);
      clGetDeviceInfo(devices[d], CL_DEVICE_TYPE, sizeof type, &type, NULL);
      if (part ? strstr(name, part) || !strcmp(id, part) : (type & CL_DEVICE_TYPE_GPU) != 0) return devices[d];
      if (!part && !chosen) chosen = devices[d];
    }
  }
  if (chosen) return chosen;
  fprintf(stderr, "no OpenCL device%s%s\n", part ? " of that name: " : "", part ? part : "");
  exit(1);
}

static void make_objects(program *p, const char *wanted) {
  char name[256] = "";
  cl_int code;
  p->id = choose_device(wanted);
  clGetDeviceInfo(p->id, CL_DEVICE_NAME, sizeof name, name, NULL);
  printf("device: %s\n", name);
  p->context = clCreateContext(NULL, 1, &p->id, NULL, NULL, &code);
  check_cl(code, "clCreateContext");
  p->queue = clCreateCommandQueue(p->context, p->id, 0, &code);
  check_cl(code, "clCreateCommandQueue");
}

/* Plans, and memory for them: all that takes time is done before the work begins. */
static void prepare(program *p) {
  cl_int code;
  uint64_t workspace_bytes = 8;
  check(rwkv6_opencl_device_wrap(p->context, p->id, NULL, &p->device, &error));
  p->forward = make_plan(p->device, RWKV6_FORWARD, &workspace_bytes);
  p->backward = make_plan(p->device, RWKV6_BACKWARD, &workspace_bytes);
  p->memory = clCreateBuffer(p->context, CL_MEM_READ_WRITE, sizeof host + sizeof u + sizeof du, NULL, &code);
  check_cl(code, "clCreateBuffer");
  p->workspace = clCreateBuffer(p->context, CL_MEM_READ_WRITE, (size_t)workspace_bytes, NULL, &code);
  check_cl(code, "clCreateBuffer");
}

/* The place of a tensor in the buffer: an offset in elements. u, du and nothing else follow the rows. */
static rwkv6_opencl_tensor at(cl_mem buffer, int place) {
  const rwkv6_opencl_tensor tensor = {buffer, (int64_t)place * ROW};
  return tensor;
}

/* Forward waits for what has been written, backward for forward. */
static void enqueue(program *p, const cl_event written[2], cl_event done[2]) {
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r = at(p->memory, IN_R), t.k = at(p->memory, IN_K), t.v = at(p->memory, IN_V), t.w = at(p->memory, IN_W);
  t.u = at(p->memory, ROWS);
  t.workspace = p->workspace;
  t.o = at(p->memory, OUT_O);
  check(rwkv6_opencl_enqueue(p->forward, p->queue, &t, 2, written, &done[0], &error));
  t.o.buffer = NULL; /* no part of backward */
  t.do_ = at(p->memory, IN_DO), t.dr = at(p->memory, OUT_DR), t.dk = at(p->memory, OUT_DK), t.dv = at(p->memory, OUT_DV);
  t.dw = at(p->memory, OUT_DW);
  t.du = t.u, t.du.offset += U;
  check(rwkv6_opencl_enqueue(p->backward, p->queue, &t, 1, &done[0], &done[1], &error));
}

/* Only the last read waits. */
static void run(program *p) {
  cl_event written[2], done[2];
  check_cl(clEnqueueWriteBuffer(p->queue, p->memory, CL_FALSE, 0, sizeof host, host, 0, NULL, &written[0]), "write");
  check_cl(clEnqueueWriteBuffer(p->queue, p->memory, CL_FALSE, sizeof host, sizeof u, u, 0, NULL, &written[1]), "write");
  enqueue(p, written, done);
  rwkv6_plan_destroy(&p->forward); /* its work may still be running */
  rwkv6_plan_destroy(&p->backward);
  check_cl(clEnqueueReadBuffer(p->queue, p->memory, CL_TRUE, 0, sizeof host, host, 1, &done[1], NULL), "read");
  for (int i = 0; i < 2; i++) clReleaseEvent(written[i]), clReleaseEvent(done[i]);
}

static void release(program *p) {
  clReleaseMemObject(p->memory);
  clReleaseMemObject(p->workspace);
  rwkv6_device_close(&p->device);
  clReleaseCommandQueue(p->queue);
  clReleaseContext(p->context);
}

static double difference(const float *x, const float *y, int count) {
  double distance = 0, norm = 0;
  for (int i = 0; i < count; i++) distance += pow((double)x[i] - y[i], 2), norm += pow(y[i], 2);
  return sqrt(distance / norm);
}

static bool compare(void) {
  static const char *const names[] = {"o", "dr", "dk", "dv", "dw"};
  bool good = true;
  for (int i = 0; i < 5; i++) {
    const double found = difference(host[OUT_O + i], expected[OUT_O + i], ROW);
    printf("%-2s differs from the CPU path by %.1e\n", names[i], found);
    if (!(found < 1e-5)) good = false; /* NaN too */
  }
  return good;
}

int main(int argc, char **argv) {
  program p;
  make_inputs();
  expect();
  make_objects(&p, argc > 1 ? argv[1] : NULL);
  prepare(&p);
  run(&p);
  release(&p);
  const bool good = compare();
  printf("%s\n", good ? "ok" : "WRONG");
  return good ? 0 : 1;
}
