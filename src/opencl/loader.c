/* SPDX-License-Identifier: MIT */
#include "opencl/loader.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "platform.h"

static rwkv6_once once = RWKV6_ONCE_INIT;
static rwkv6_cl_functions functions;
static bool loaded;
static char reason[256];

/* POSIX lets a function pointer be read through the object pointer that dlsym returns; C does not, hence the copy. */
static bool find(void *library, const char *name, void *function, size_t size) {
  void *symbol = dlsym(library, name);
  if (!symbol) {
    snprintf(reason, sizeof reason, "the OpenCL library lacks %s", name);
    return false;
  }
  memcpy(function, &symbol, size);
  return true;
}

static void *open_library(void) {
  static const char *const names[] = {"libOpenCL.so.1", "libOpenCL.so", "/System/Library/Frameworks/OpenCL.framework/OpenCL"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library) return library;
    if (i == 0) snprintf(reason, sizeof reason, "%s", dlerror());
  }
  return NULL;
}

/* The library stays open for the life of the process: drivers do not survive being unloaded. */
static void load(void) {
  void *library = open_library();
  if (!library) return;
  bool complete = true;
#define RWKV6_CL_FIND(name) complete = complete && find(library, "cl" #name, &functions.name, sizeof functions.name);
  RWKV6_CL_FUNCTIONS(RWKV6_CL_FIND)
#undef RWKV6_CL_FIND
  loaded = complete;
}

const rwkv6_cl_functions *rwkv6_cl_functions_get(rwkv6_error *error) {
  rwkv6_call_once(&once, load);
  if (loaded) return &functions;
  rwkv6_fail(error, RWKV6_NO_DEVICE, "no OpenCL on this machine: %s", reason);
  return NULL;
}

const char *rwkv6_cl_error_name(cl_int code) {
#define NAME(error)                                                                                                            \
  case error: return #error;
  switch (code) {
    NAME(CL_SUCCESS)
    NAME(CL_DEVICE_NOT_FOUND)
    NAME(CL_DEVICE_NOT_AVAILABLE)
    NAME(CL_COMPILER_NOT_AVAILABLE)
    NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE)
    NAME(CL_OUT_OF_RESOURCES)
    NAME(CL_OUT_OF_HOST_MEMORY)
    NAME(CL_BUILD_PROGRAM_FAILURE)
    NAME(CL_INVALID_VALUE)
    NAME(CL_INVALID_PLATFORM)
    NAME(CL_INVALID_DEVICE)
    NAME(CL_INVALID_CONTEXT)
    NAME(CL_INVALID_COMMAND_QUEUE)
    NAME(CL_INVALID_MEM_OBJECT)
    NAME(CL_INVALID_BINARY)
    NAME(CL_INVALID_BUILD_OPTIONS)
    NAME(CL_INVALID_PROGRAM)
    NAME(CL_INVALID_PROGRAM_EXECUTABLE)
    NAME(CL_INVALID_KERNEL_NAME)
    NAME(CL_INVALID_KERNEL_DEFINITION)
    NAME(CL_INVALID_KERNEL)
    NAME(CL_INVALID_ARG_INDEX)
    NAME(CL_INVALID_ARG_VALUE)
    NAME(CL_INVALID_ARG_SIZE)
    NAME(CL_INVALID_KERNEL_ARGS)
    NAME(CL_INVALID_WORK_DIMENSION)
    NAME(CL_INVALID_WORK_GROUP_SIZE)
    NAME(CL_INVALID_WORK_ITEM_SIZE)
    NAME(CL_INVALID_GLOBAL_OFFSET)
    NAME(CL_INVALID_EVENT_WAIT_LIST)
    NAME(CL_INVALID_EVENT)
    NAME(CL_INVALID_OPERATION)
    NAME(CL_INVALID_BUFFER_SIZE)
    NAME(CL_INVALID_GLOBAL_WORK_SIZE)
  case -1001: return "CL_PLATFORM_NOT_FOUND_KHR";
  default: return "unknown OpenCL error";
  }
#undef NAME
}

static rwkv6_status status_of(cl_int code) {
  switch (code) {
  case CL_OUT_OF_HOST_MEMORY: return RWKV6_OUT_OF_MEMORY;
  case CL_MEM_OBJECT_ALLOCATION_FAILURE: return RWKV6_OUT_OF_DEVICE_MEMORY;
  default: return RWKV6_DEVICE_ERROR;
  }
}

rwkv6_status rwkv6_cl_fail(rwkv6_error *error, cl_int code, const char *call) {
  const rwkv6_status status = rwkv6_fail(error, status_of(code), "%s failed: %s (%d)", call, rwkv6_cl_error_name(code), code);
  if (error && error->size > offsetof(rwkv6_error, message)) error->opencl_error = code;
  return status;
}
