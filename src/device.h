/* SPDX-License-Identifier: MIT */
#ifndef RWKV6_SRC_DEVICE_H
#define RWKV6_SRC_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "error.h"

struct rwkv6_cl_device; /* opencl/context.h */

struct rwkv6_device {
  atomic_int holders; /* the caller, and each plan */
  rwkv6_device_info info;
  rwkv6_log_callback log;
  void *log_user;
  char *cache_dir;            /* owned; where compiled programs are kept, NULL: nowhere */
  uint64_t cache_limit;       /* bytes of all files there */
  struct rwkv6_cl_device *cl; /* NULL on the CPU path */
  double launch_budget_ms;    /* the cost model keeps one launch under this */
  size_t work_group;          /* of all kernels; 0: what each prefers */
  bool emulates_engines;      /* variants for matrix units of other devices run on their emulation */
};

/* Watchdogs of displays end a kernel after a second or two and stutter long before: stay under 100 ms. */
#define RWKV6_LAUNCH_BUDGET_MS 80.0

#define RWKV6_CACHE_LIMIT ((uint64_t)256 << 20)

/* What a caller with the first version of the header gives is enough (NULL: defaults): a whole struct comes out. */
rwkv6_status rwkv6_device_full_options(const rwkv6_device_options *options, rwkv6_device_options *full, rwkv6_error *error);
/* A device without its OpenCL part, which the caller opens next; rwkv6_device_close ends it. `options` are whole. */
rwkv6_status rwkv6_device_new(const rwkv6_device_options *options, const rwkv6_device_info *info, rwkv6_device **device,
                              rwkv6_error *error);
void rwkv6_device_hold(rwkv6_device *device);

RWKV6_PRINTF(3, 4)
void rwkv6_device_log(const rwkv6_device *device, rwkv6_log_level level, const char *format, ...);
/* The same for texts of any length. */
void rwkv6_device_log_text(const rwkv6_device *device, rwkv6_log_level level, const char *text);

/* For tests: how plans made from now on split their work. */
void rwkv6_device_set_launch_budget(rwkv6_device *device, double milliseconds);
void rwkv6_device_set_work_group(rwkv6_device *device, size_t work_items);
void rwkv6_device_emulate_engines(rwkv6_device *device, bool emulate);
/* For tests: bytes that the files of its cache may have together. */
void rwkv6_device_set_cache_limit(rwkv6_device *device, uint64_t bytes);

/* What OpenCL support gives the rest of the library; opencl_absent.c answers where it is compiled out. */

/* Lists OpenCL devices into a malloc'ed array (NULL if none). NO_DEVICE with the reason if OpenCL cannot be used. */
rwkv6_status rwkv6_cl_enumerate(rwkv6_device_info **infos, size_t *count, rwkv6_error *error);
/* Opens the index-th device of that list into `device`, whose info is already filled. */
rwkv6_status rwkv6_cl_device_open(rwkv6_device *device, size_t index, rwkv6_error *error);
void rwkv6_cl_device_close(rwkv6_device *device);

/* Where compiled programs are kept: `wanted` if it is not NULL, else what the environment says, in allocated memory. "" and
 * "off" give NULL: nowhere. */
rwkv6_status rwkv6_cl_cache_choose(const char *wanted, char **cache_dir, rwkv6_error *error);

/* Launches the kernels of a new plan once, so that no driver compiles in a run, and keeps its programs (opencl/rehearsal.h). */
rwkv6_status rwkv6_cl_rehearse(rwkv6_plan *plan, rwkv6_error *error);

/* rwkv6_device_save_programs and rwkv6_device_load_programs on an OpenCL device, arguments checked. */
rwkv6_status rwkv6_cl_programs_save(rwkv6_device *device, void *blob, size_t capacity, size_t *size, rwkv6_error *error);
rwkv6_status rwkv6_cl_programs_load(rwkv6_device *device, const void *blob, size_t size, size_t *taken, rwkv6_error *error);

#endif
