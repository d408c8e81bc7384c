/* SPDX-License-Identifier: MIT */
#include "opencl/loader.h"

#include <stdio.h>
#include <string.h>

#include "platform.h"

/* All of it under the lock, until `loaded`: `functions` never changes after that. */
static rwkv6_mutex lock = RWKV6_MUTEX_INIT;
static rwkv6_cl_functions functions;
static bool loaded;
static char reason[512]; /* why the last attempt failed; "" before the first */

static rwkv6_status not_loaded(rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_NO_DEVICE, "no OpenCL on this machine: %s", reason);
}

/* Function pointers are all of one size and representation (the loader of any platform relies on that), hence the copy. */
static bool find(rwkv6_opencl_lookup lookup, void *user, const char *name, void *function) {
  const rwkv6_opencl_function found = lookup(user, name);
  if (!found) snprintf(reason, sizeof reason, "the OpenCL library lacks %s", name);
  memcpy(function, &found, sizeof found);
  return found != NULL;
}

static void load(rwkv6_opencl_lookup lookup, void *user) {
  bool complete = true;
#define RWKV6_CL_FIND(name) complete = complete && find(lookup, user, "cl" #name, &functions.name);
  RWKV6_CL_FUNCTIONS(RWKV6_CL_FIND)
#undef RWKV6_CL_FIND
  if (!complete) return;
#define RWKV6_CL_FIND(name) find(lookup, user, "cl" #name, &functions.name);
  RWKV6_CL_BENCH_FUNCTIONS(RWKV6_CL_FIND)
#undef RWKV6_CL_FIND
  loaded = true;
}

static rwkv6_opencl_function lookup_in_library(void *library, const char *name) {
  return rwkv6_library_function(library, name);
}

/* A library that has all functions stays open for the life of the process: drivers do not survive being unloaded. */
static bool load_library(const char *path) {
  void *library = rwkv6_library_open(path);
  if (!library) {
    snprintf(reason, sizeof reason, "%s", rwkv6_library_reason());
    return false;
  }
  load(lookup_in_library, library);
  if (!loaded) rwkv6_library_close(library);
  return true;
}

/* The reason that stays is that of the first name, unless one of the others could be opened. */
static void load_default(void) {
  static const char *const paths[] = RWKV6_OPENCL_LIBRARIES;
  char first[sizeof reason] = "";
  for (size_t i = 0; paths[i]; i++) {
    if (load_library(paths[i])) return;
    if (i == 0) memcpy(first, reason, sizeof first);
  }
  memcpy(reason, first, sizeof reason);
}

const rwkv6_cl_functions *rwkv6_cl_functions_get(rwkv6_error *error) {
  rwkv6_mutex_lock(&lock);
  if (!loaded && !reason[0]) load_default();
  const bool usable = loaded;
  if (!usable) not_loaded(error);
  rwkv6_mutex_unlock(&lock);
  return usable ? &functions : NULL;
}

rwkv6_status rwkv6_cl_bench_functions_check(const rwkv6_cl_functions *cl, rwkv6_error *error) {
#define RWKV6_CL_CHECK(name)                                                                                                   \
  if (!cl->name) return rwkv6_fail(error, RWKV6_UNSUPPORTED, "rwkv6 bench needs cl" #name ", which the OpenCL library lacks");
  RWKV6_CL_BENCH_FUNCTIONS(RWKV6_CL_CHECK)
#undef RWKV6_CL_CHECK
  return RWKV6_OK;
}

static rwkv6_status load_given(const char *path, rwkv6_opencl_lookup lookup, void *user, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  rwkv6_mutex_lock(&lock);
  if (loaded) {
    status = rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "an OpenCL library is in use already; allowed: before the first call that needs one");
  } else {
    if (lookup)
      load(lookup, user);
    else
      load_library(path);
    if (!loaded) status = not_loaded(error);
  }
  rwkv6_mutex_unlock(&lock);
  return status;
}

rwkv6_status rwkv6_opencl_load_library(const char *path, rwkv6_error *error) {
  if (!path || !*path)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "path is %s; allowed: the path or name of a shared library",
                      path ? "empty" : "NULL");
  return load_given(path, NULL, NULL, error);
}

rwkv6_status rwkv6_opencl_load_symbols(rwkv6_opencl_lookup lookup, void *user, rwkv6_error *error) {
  if (!lookup) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "lookup is NULL; allowed: a function");
  return load_given(NULL, lookup, user, error);
}

/* All codes of OpenCL 1.2. */
static const struct error_name {
  cl_int code;
  const char *name;
} error_names[] = {
#define NAME(error)                                                                                                            \
  { error, #error }
    NAME(CL_SUCCESS),
    NAME(CL_DEVICE_NOT_FOUND),
    NAME(CL_DEVICE_NOT_AVAILABLE),
    NAME(CL_COMPILER_NOT_AVAILABLE),
    NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
    NAME(CL_OUT_OF_RESOURCES),
    NAME(CL_OUT_OF_HOST_MEMORY),
    NAME(CL_PROFILING_INFO_NOT_AVAILABLE),
    NAME(CL_MEM_COPY_OVERLAP),
    NAME(CL_IMAGE_FORMAT_MISMATCH),
    NAME(CL_IMAGE_FORMAT_NOT_SUPPORTED),
    NAME(CL_BUILD_PROGRAM_FAILURE),
    NAME(CL_MAP_FAILURE),
    NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
    NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
    NAME(CL_COMPILE_PROGRAM_FAILURE),
    NAME(CL_LINKER_NOT_AVAILABLE),
    NAME(CL_LINK_PROGRAM_FAILURE),
    NAME(CL_DEVICE_PARTITION_FAILED),
    NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE),
    NAME(CL_INVALID_VALUE),
    NAME(CL_INVALID_DEVICE_TYPE),
    NAME(CL_INVALID_PLATFORM),
    NAME(CL_INVALID_DEVICE),
    NAME(CL_INVALID_CONTEXT),
    NAME(CL_INVALID_QUEUE_PROPERTIES),
    NAME(CL_INVALID_COMMAND_QUEUE),
    NAME(CL_INVALID_HOST_PTR),
    NAME(CL_INVALID_MEM_OBJECT),
    NAME(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
    NAME(CL_INVALID_IMAGE_SIZE),
    NAME(CL_INVALID_SAMPLER),
    NAME(CL_INVALID_BINARY),
    NAME(CL_INVALID_BUILD_OPTIONS),
    NAME(CL_INVALID_PROGRAM),
    NAME(CL_INVALID_PROGRAM_EXECUTABLE),
    NAME(CL_INVALID_KERNEL_NAME),
    NAME(CL_INVALID_KERNEL_DEFINITION),
    NAME(CL_INVALID_KERNEL),
    NAME(CL_INVALID_ARG_INDEX),
    NAME(CL_INVALID_ARG_VALUE),
    NAME(CL_INVALID_ARG_SIZE),
    NAME(CL_INVALID_KERNEL_ARGS),
    NAME(CL_INVALID_WORK_DIMENSION),
    NAME(CL_INVALID_WORK_GROUP_SIZE),
    NAME(CL_INVALID_WORK_ITEM_SIZE),
    NAME(CL_INVALID_GLOBAL_OFFSET),
    NAME(CL_INVALID_EVENT_WAIT_LIST),
    NAME(CL_INVALID_EVENT),
    NAME(CL_INVALID_OPERATION),
    NAME(CL_INVALID_GL_OBJECT),
    NAME(CL_INVALID_BUFFER_SIZE),
    NAME(CL_INVALID_MIP_LEVEL),
    NAME(CL_INVALID_GLOBAL_WORK_SIZE),
    NAME(CL_INVALID_PROPERTY),
    NAME(CL_INVALID_IMAGE_DESCRIPTOR),
    NAME(CL_INVALID_COMPILER_OPTIONS),
    NAME(CL_INVALID_LINKER_OPTIONS),
    NAME(CL_INVALID_DEVICE_PARTITION_COUNT),
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
#undef NAME
};

const char *rwkv6_cl_error_name(cl_int code) {
  for (size_t i = 0; i < sizeof error_names / sizeof *error_names; i++)
    if (error_names[i].code == code) return error_names[i].name;
  return "unknown OpenCL error";
}

static rwkv6_status status_of(cl_int code) {
  switch (code) {
  case CL_OUT_OF_HOST_MEMORY: return RWKV6_OUT_OF_MEMORY;
  case CL_MEM_OBJECT_ALLOCATION_FAILURE: return RWKV6_OUT_OF_DEVICE_MEMORY;
  default: return RWKV6_DEVICE_ERROR;
  }
}

void rwkv6_cl_error_code(rwkv6_error *error, cl_int code) {
  if (error && error->size > offsetof(rwkv6_error, message)) error->opencl_error = code;
}

rwkv6_status rwkv6_cl_fail(rwkv6_error *error, cl_int code, const char *call) {
  const rwkv6_status status = rwkv6_fail(error, status_of(code), "%s failed: %s (%d)", call, rwkv6_cl_error_name(code), code);
  rwkv6_cl_error_code(error, code);
  return status;
}
