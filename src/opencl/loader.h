/* SPDX-License-Identifier: MIT */
/*
 * The OpenCL library, opened at run time. The table is filled once for the process and read-only afterwards; it is the only
 * global state of rwkv6cl.
 */
#ifndef RWKV6_SRC_OPENCL_LOADER_H
#define RWKV6_SRC_OPENCL_LOADER_H

/* OpenCL 1.2 and nothing newer: calling a 2.0 function on a 1.2 platform hangs in some loaders. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <CL/cl_icd.h>

#include "error.h"

/* What the library calls. */
#define RWKV6_CL_FUNCTIONS(X)                                                                                                  \
  X(GetPlatformIDs)                                                                                                            \
  X(GetPlatformInfo)                                                                                                           \
  X(GetDeviceIDs)                                                                                                              \
  X(GetDeviceInfo)                                                                                                             \
  X(CreateContext)                                                                                                             \
  X(RetainContext)                                                                                                             \
  X(GetContextInfo)                                                                                                            \
  X(ReleaseContext)                                                                                                            \
  X(CreateCommandQueue)                                                                                                        \
  X(GetCommandQueueInfo)                                                                                                       \
  X(ReleaseCommandQueue)                                                                                                       \
  X(CreateBuffer)                                                                                                              \
  X(GetMemObjectInfo)                                                                                                          \
  X(ReleaseMemObject)                                                                                                          \
  X(CreateProgramWithSource)                                                                                                   \
  X(CreateProgramWithBinary)                                                                                                   \
  X(BuildProgram)                                                                                                              \
  X(GetProgramInfo)                                                                                                            \
  X(GetProgramBuildInfo)                                                                                                       \
  X(ReleaseProgram)                                                                                                            \
  X(CreateKernel)                                                                                                              \
  X(SetKernelArg)                                                                                                              \
  X(GetKernelInfo)                                                                                                             \
  X(GetKernelWorkGroupInfo)                                                                                                    \
  X(ReleaseKernel)                                                                                                             \
  X(EnqueueReadBuffer)                                                                                                         \
  X(EnqueueWriteBuffer)                                                                                                        \
  X(EnqueueCopyBuffer)                                                                                                         \
  X(EnqueueFillBuffer)                                                                                                         \
  X(EnqueueNDRangeKernel)                                                                                                      \
  X(GetEventInfo)                                                                                                              \
  X(ReleaseEvent)                                                                                                              \
  X(Finish)

/* What only `rwkv6 bench` calls besides: NULL where an OpenCL library lacks it, which is no reason to refuse that library. */
#define RWKV6_CL_BENCH_FUNCTIONS(X)                                                                                            \
  X(EnqueueReadBufferRect)                                                                                                     \
  X(GetEventProfilingInfo)                                                                                                     \
  X(RetainEvent)

/* Members are named as the functions without "cl". */
typedef struct rwkv6_cl_functions {
#define RWKV6_CL_MEMBER(name) cl_api_cl##name name;
  RWKV6_CL_FUNCTIONS(RWKV6_CL_MEMBER)
  RWKV6_CL_BENCH_FUNCTIONS(RWKV6_CL_MEMBER)
#undef RWKV6_CL_MEMBER
} rwkv6_cl_functions;

/* The table, or NULL with the reason in `error` if the library or one of its functions is missing. Any thread. */
const rwkv6_cl_functions *rwkv6_cl_functions_get(rwkv6_error *error);

/* UNSUPPORTED, with the name, if one of RWKV6_CL_BENCH_FUNCTIONS is missing. */
rwkv6_status rwkv6_cl_bench_functions_check(const rwkv6_cl_functions *cl, rwkv6_error *error);

/* "CL_OUT_OF_RESOURCES"; "unknown OpenCL error" for codes that 1.2 does not define. */
const char *rwkv6_cl_error_name(cl_int code);

/* Fails with DEVICE_ERROR, or with OUT_OF_DEVICE_MEMORY / OUT_OF_MEMORY where the code says so: "<call> failed: <name>
 * (<code>)". */
rwkv6_status rwkv6_cl_fail(rwkv6_error *error, cl_int code, const char *call);

/* Puts the code beside a text that rwkv6_fail has written. */
void rwkv6_cl_error_code(rwkv6_error *error, cl_int code);

#endif
