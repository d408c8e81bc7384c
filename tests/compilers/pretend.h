/* SPDX-License-Identifier: MIT */
/*
 * An OpenCL library of one device that is not there: it has the limits it is given, keeps what is built, and computes nothing.
 * So launchers say which programs they would build for a device that nobody here has, with their own words.
 */
#ifndef RWKV6_TESTS_COMPILERS_PRETEND_H
#define RWKV6_TESTS_COMPILERS_PRETEND_H

#include "opencl/loader.h"

typedef struct pretend_device {
  const char *name; /* of the target, as compilers and the table call it */
  const char *device, *vendor, *platform, *extensions;
  cl_uint vendor_id;
  size_t max_work_group;
  cl_ulong local_memory;
  cl_uint compute_units;
  cl_uint capability; /* NVIDIA's compute capability times 10; 0: another vendor */
} pretend_device;

#define PRETEND_MAX_KERNELS 16

typedef struct pretend_program {
  char *source, *options;
  char kernels[PRETEND_MAX_KERNELS][64];
  int count;
} pretend_program;

/* For rwkv6_opencl_load_symbols. `device` is a const pretend_device. */
rwkv6_opencl_function pretend_lookup(void *device, const char *name);

#define PRETEND_MAX_PROGRAMS 256

/* Those built so far, in that order; the count. */
size_t pretend_programs(pretend_program *const **programs);

#endif
