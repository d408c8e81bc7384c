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

/* A built program; lives as long as its device. */
typedef struct rwkv6_cl_program {
  struct rwkv6_cl_program *next;
  char *name; /* kernel file and build options */
  char *log;  /* what the compiler said, "" if nothing */
  cl_program program;
  rwkv6_cl_key key;
  bool has_key; /* false: it cannot be kept, as the device does not say what it is */
  bool is_new;  /* compiled here, and not in the cache yet */
} rwkv6_cl_program;

struct rwkv6_cl_given;     /* opencl/cache.h */
struct rwkv6_cl_rehearsed; /* opencl/rehearsal.h */

typedef struct rwkv6_cl_device {
  const rwkv6_cl_functions *cl;
  cl_device_id device;
  cl_context context;
  rwkv6_mutex lock; /* guards all lists; held while a program is built, so that no two threads build the same */
  rwkv6_cl_program *programs;
  struct rwkv6_cl_given *given;         /* binaries that the caller handed in */
  struct rwkv6_cl_rehearsed *rehearsed; /* launches that need no time of the compiler any more */
} rwkv6_cl_device;

/* Opens `device` on a context of the caller, which is retained. */
rwkv6_status rwkv6_cl_device_wrap(rwkv6_device *device, cl_context context, const rwkv6_cl_place *place, rwkv6_error *error);

cl_context rwkv6_cl_context(const rwkv6_device *device);
cl_device_id rwkv6_cl_device_id(const rwkv6_device *device);

/*
 * The program of cl/`file` built with `options` (-D...) that has the `count` kernels `names`: from the device's list, from the
 * cache, or built now. The device owns it. On failure the start of the build log is in the error and all of it goes to the log
 * callback.
 */
rwkv6_status rwkv6_cl_program_get(rwkv6_device *device, const char *file, const char *options, const char *const *names,
                                  int count, rwkv6_cl_program **program, rwkv6_error *error);

#endif
