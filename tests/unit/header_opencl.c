/* SPDX-License-Identifier: MIT */
/* The public header for OpenCL needs nothing before it and sets no version of its own; also compiled as C++
 * (header_opencl.cpp). */
#ifdef CL_TARGET_OPENCL_VERSION
#error "a version is set before the header"
#endif
#define CL_TARGET_OPENCL_VERSION 120
#include "rwkv6/opencl.h"
#if CL_TARGET_OPENCL_VERSION != 120
#error "the header sets a version"
#endif

int main(void) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_opencl_tensors tensors = RWKV6_OPENCL_TENSORS_INIT;
  rwkv6_device *device = NULL;
  if (rwkv6_opencl_device_wrap(NULL, NULL, NULL, &device, &error) != RWKV6_INVALID_ARGUMENT) return 1;
  if (rwkv6_opencl_enqueue(NULL, NULL, &tensors, 0, NULL, NULL, &error) != RWKV6_INVALID_ARGUMENT) return 2;
  return 0;
}
