/* SPDX-License-Identifier: MIT */
/* An OpenCL device: its context and the programs built for it. */
#ifndef RWKV6_SRC_OPENCL_CONTEXT_H
#define RWKV6_SRC_OPENCL_CONTEXT_H

#include "device.h"
#include "opencl/cache_entry.h"
#include "opencl/loader.h"
#include "platform.h"

typedef struct rwkv6_cl_place {
  cl_platform_id platform;
  cl_device_id device;
} rwkv6_cl_place;

/* All devices of all platforms in a malloc'ed array. */
rwkv6_status rwkv6_cl_places(rwkv6_cl_place **places, size_t *count, rwkv6_error *error);

/* What rwkv6_device_info says of a device, but for its id. */
rwkv6_device_info rwkv6_cl_describe(const rwkv6_cl_functions *cl, const rwkv6_cl_place *place);

#define RWKV6_CL_MAX_KERNELS 8 /* of one program */

/*
 * A program. One thread builds it; others see it, but for its name, when `is_built` is set. From then on it lives as long as
 * its device.
 *
 * Kernels are a set: bit i is the i-th.
 */
typedef struct rwkv6_cl_program {
  struct rwkv6_cl_program *next;
  char *name; /* kernel file and build options */
  char *log;  /* what the compiler said, "" if nothing */
  cl_program program;
  const char *kernels[RWKV6_CL_MAX_KERNELS]; /* [kernel_count] static strings */
  int kernel_count;
  rwkv6_cl_key key;
  bool has_key;  /* false: it cannot be kept, as the device does not say what it is */
  bool in_cache; /* once it is built: of who holds the program (opencl/hold.h) */

  /* guarded by the device's lock */
  bool is_built;
  uint64_t complete; /* kernels whose launches need no time of the compiler any more */
} rwkv6_cl_program;

struct rwkv6_cl_given; /* opencl/cache.h */

typedef struct rwkv6_cl_device {
  const rwkv6_cl_functions *cl;
  cl_device_id device;
  cl_context context;
  rwkv6_mutex lock;      /* guards all lists; never held while a driver or a disk works */
  rwkv6_condition built; /* a program has been built, or could not be */
  rwkv6_cl_program *programs;
  struct rwkv6_cl_given *given; /* binaries that the caller handed in */
} rwkv6_cl_device;

/* Opens `device` on a context of the caller, which is retained. */
rwkv6_status rwkv6_cl_device_wrap(rwkv6_device *device, cl_context context, const rwkv6_cl_place *place, rwkv6_error *error);

cl_context rwkv6_cl_context(const rwkv6_device *device);
cl_device_id rwkv6_cl_device_id(const rwkv6_device *device);

/*
 * The program of cl/`file` built with `options` (-D...) that has the `count` kernels `names`: from the device's list, from the
 * cache, or built now; if another thread is at it, waits for that thread. The device owns it. On failure the start of the build
 * log is in the error and all of it goes to the log callback.
 */
rwkv6_status rwkv6_cl_program_get(rwkv6_device *device, const char *file, const char *options, const char *const *names,
                                  int count, rwkv6_cl_program **program, rwkv6_error *error);

/* The first built program after that one, NULL: of all; NULL if there is none. */
rwkv6_cl_program *rwkv6_cl_program_next(rwkv6_cl_device *device, const rwkv6_cl_program *after);

/* The built program that is that object, NULL if there is none. */
rwkv6_cl_program *rwkv6_cl_program_of(rwkv6_cl_device *device, cl_program object);

uint64_t rwkv6_cl_program_complete_kernels(rwkv6_cl_device *device, const rwkv6_cl_program *program);

/* These kernels have been rehearsed: puts the program, which the caller holds (opencl/hold.h), into the cache, if it is new,
 * and only then tells other threads. */
void rwkv6_cl_program_complete(rwkv6_device *device, rwkv6_cl_program *program, uint64_t kernels);

/* The same for a program that the caller will not launch, and does not hold. */
void rwkv6_cl_program_drop(rwkv6_device *device, rwkv6_cl_program *program);

void rwkv6_cl_program_free(const rwkv6_cl_device *device, rwkv6_cl_program *program);

#endif
