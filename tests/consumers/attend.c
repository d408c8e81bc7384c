/* SPDX-License-Identifier: MIT */
/* Calls the function in README.md, which tests/consumers/run.sh puts into readme.h, on the first OpenCL device. */
#define CL_TARGET_OPENCL_VERSION 120
#include "readme.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEQUENCES = 4, LENGTH = 512, TOKENS = SEQUENCES * LENGTH, ROW = 32 * 64 };

static float in[TOKENS][4][ROW], u[ROW], o[TOKENS][ROW];

static void check(int code, const char *what) {
  if (code == 0) return;
  fprintf(stderr, "%s: %d\n", what, code);
  exit(1);
}

/* r = k = v = 1 and w = 0, the logarithm of a decay of 1: every element of the state counts the tokens before, and o is the sum
 * of 64 of them over the root of 64. */
static void make_inputs(void) {
  for (int token = 0; token < TOKENS; token++)
    for (int tensor = 0; tensor < 3; tensor++)
      for (int i = 0; i < ROW; i++) in[token][tensor][i] = 1;
}

static int count_wrong(void) {
  int wrong = 0;
  for (int token = 0; token < TOKENS; token++)
    for (int i = 0; i < ROW; i++) wrong += !(o[token][i] == 8.0f * (float)(token % LENGTH));
  return wrong;
}

static cl_mem make_buffer(cl_context context, cl_mem_flags flags, size_t bytes, void *data) {
  cl_int code;
  const cl_mem buffer = clCreateBuffer(context, flags | CL_MEM_COPY_HOST_PTR, bytes, data, &code);
  check(code, "clCreateBuffer");
  return buffer;
}

int main(void) {
  cl_platform_id platform;
  cl_device_id id;
  cl_int code;
  rwkv6_error error = RWKV6_ERROR_INIT;
  make_inputs();
  check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
  check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &id, NULL), "clGetDeviceIDs");
  const cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, &code);
  check(code, "clCreateContext");
  const cl_command_queue queue = clCreateCommandQueue(context, id, 0, &code);
  check(code, "clCreateCommandQueue");
  const cl_mem rows = make_buffer(context, CL_MEM_READ_ONLY, sizeof in, in);
  const cl_mem bonus = make_buffer(context, CL_MEM_READ_ONLY, sizeof u, u);
  const cl_mem out = make_buffer(context, CL_MEM_READ_WRITE, sizeof o, o);
  const cl_event ready = clCreateUserEvent(context, &code);
  cl_event done = NULL;
  check(code, "clCreateUserEvent");
  if (attend(context, id, queue, rows, bonus, out, ready, &done, &error)) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  check(clSetUserEventStatus(ready, CL_COMPLETE), "clSetUserEventStatus");
  check(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof o, o, 1, &done, NULL), "clEnqueueReadBuffer");
  clReleaseEvent(done), clReleaseEvent(ready);
  clReleaseMemObject(rows), clReleaseMemObject(bonus), clReleaseMemObject(out);
  clReleaseCommandQueue(queue), clReleaseContext(context);
  const int wrong = count_wrong();
  printf("the function in README.md: %d of %d elements are wrong\n", wrong, TOKENS * ROW);
  return wrong ? 1 : 0;
}
