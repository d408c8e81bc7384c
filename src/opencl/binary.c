/* SPDX-License-Identifier: MIT */
#include "opencl/binary.h"

#include <stdlib.h>

#define MAX_DEVICES 64 /* of one context */

/* The place of our device among those of the program: a context of the caller's can have several. */
static cl_int find_device(const rwkv6_cl_device *d, cl_program program, cl_uint *count, cl_uint *place) {
  cl_device_id devices[MAX_DEVICES];
  cl_int code = d->cl->GetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof *count, count, NULL);
  if (code != CL_SUCCESS) return code;
  if (*count > MAX_DEVICES) return CL_INVALID_DEVICE;
  code = d->cl->GetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof devices, devices, NULL);
  if (code != CL_SUCCESS) return code;
  for (*place = 0; *place < *count; ++*place)
    if (devices[*place] == d->device) return CL_SUCCESS;
  return CL_INVALID_DEVICE;
}

/* The sizes of the binaries. After a build for one device of several PoCL has only that one to tell of: then `count` is 1 and
 * `place` is 0. */
static cl_int read_sizes(const rwkv6_cl_device *d, cl_program program, size_t sizes[MAX_DEVICES], cl_uint *count,
                         cl_uint *place) {
  size_t bytes = 0;
  const cl_int code = d->cl->GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, MAX_DEVICES * sizeof *sizes, sizes, &bytes);
  if (code != CL_SUCCESS) return code;
  if (bytes == sizeof *sizes) *count = 1, *place = 0;
  if (bytes != *count * sizeof *sizes || !sizes[*place]) return CL_INVALID_BINARY; /* a driver that has none to give */
  return CL_SUCCESS;
}

static cl_int read_binary(const rwkv6_cl_device *d, cl_program program, cl_uint count, cl_uint place, unsigned char **binary,
                          size_t *size) {
  size_t sizes[MAX_DEVICES] = {0};
  unsigned char *pointers[MAX_DEVICES] = {NULL}; /* NULL: not wanted */
  const cl_int code = read_sizes(d, program, sizes, &count, &place);
  if (code != CL_SUCCESS) return code;
  *size = sizes[place];
  *binary = pointers[place] = rwkv6_alloc(*size, 1, "the binary of a program", NULL);
  if (!*binary) return CL_OUT_OF_HOST_MEMORY;
  return d->cl->GetProgramInfo(program, CL_PROGRAM_BINARIES, count * sizeof *pointers, pointers, NULL);
}

rwkv6_status rwkv6_cl_binary_get(const rwkv6_cl_device *device, cl_program program, unsigned char **binary, size_t *size,
                                 rwkv6_error *error) {
  cl_uint count = 0, place = 0;
  *binary = NULL;
  cl_int code = find_device(device, program, &count, &place);
  if (code == CL_SUCCESS) code = read_binary(device, program, count, place, binary, size);
  if (code == CL_SUCCESS) return RWKV6_OK;
  free(*binary);
  *binary = NULL;
  return rwkv6_cl_fail(error, code, "clGetProgramInfo for the binary of a program");
}

/* Some drivers find out only here that they cannot use a binary. */
static cl_int try_kernels(const rwkv6_cl_device *d, cl_program program, const char *const *names, int count) {
  for (int i = 0; i < count; i++) {
    cl_int code;
    const cl_kernel kernel = d->cl->CreateKernel(program, names[i], &code);
    if (code != CL_SUCCESS) return code;
    d->cl->ReleaseKernel(kernel);
  }
  return CL_SUCCESS;
}

cl_program rwkv6_cl_binary_load(const rwkv6_cl_device *device, const unsigned char *binary, size_t size, const char *options,
                                const char *const *names, int count, rwkv6_error *error) {
  const rwkv6_cl_functions *cl = device->cl;
  cl_int code, accepted = CL_SUCCESS;
  const cl_program program = cl->CreateProgramWithBinary(device->context, 1, &device->device, &size, &binary, &accepted, &code);
  if (code != CL_SUCCESS) {
    rwkv6_cl_fail(error, code, "clCreateProgramWithBinary");
    return NULL;
  }
  if (accepted == CL_SUCCESS) accepted = cl->BuildProgram(program, 1, &device->device, options, NULL, NULL);
  if (accepted == CL_SUCCESS) accepted = try_kernels(device, program, names, count);
  if (accepted == CL_SUCCESS) return program;
  rwkv6_cl_fail(error, accepted, "building a program from its binary");
  cl->ReleaseProgram(program);
  return NULL;
}
