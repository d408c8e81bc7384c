/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *rwkv6_status_name(rwkv6_status status) {
  switch (status) {
  case RWKV6_OK: return "RWKV6_OK";
  case RWKV6_INVALID_ARGUMENT: return "RWKV6_INVALID_ARGUMENT";
  case RWKV6_UNSUPPORTED: return "RWKV6_UNSUPPORTED";
  case RWKV6_NO_DEVICE: return "RWKV6_NO_DEVICE";
  case RWKV6_OUT_OF_MEMORY: return "RWKV6_OUT_OF_MEMORY";
  case RWKV6_OUT_OF_DEVICE_MEMORY: return "RWKV6_OUT_OF_DEVICE_MEMORY";
  case RWKV6_BUILD_FAILED: return "RWKV6_BUILD_FAILED";
  case RWKV6_DEVICE_ERROR: return "RWKV6_DEVICE_ERROR";
  }
  return "unknown status";
}

/* The caller's struct may be shorter or longer than ours: its own size says how much text fits. */
rwkv6_status rwkv6_fail(rwkv6_error *error, rwkv6_status status, const char *format, ...) {
  const size_t text = offsetof(rwkv6_error, message);
  if (!error || error->size <= text) return status;
  error->status = status;
  error->opencl_error = 0;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, error->size - text, format, arguments);
  va_end(arguments);
  return status;
}

rwkv6_status rwkv6_fail_as(rwkv6_error *error, const rwkv6_error *other) {
  rwkv6_fail(error, other->status, "%s", other->message);
  if (error && error->size > offsetof(rwkv6_error, message)) error->opencl_error = other->opencl_error;
  return other->status;
}

rwkv6_status rwkv6_fail_memory(rwkv6_error *error, size_t bytes, const char *what) {
  return rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory: %zu bytes for %s", bytes, what);
}

void *rwkv6_alloc(size_t count, size_t size, const char *what, rwkv6_error *error) {
  if (size && count > SIZE_MAX / size) {
    rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory: %zu x %zu bytes for %s exceed the address space", count, size,
               what);
    return NULL;
  }
  const size_t bytes = count && size ? count * size : 1;
  void *memory = calloc(1, bytes);
  if (!memory) rwkv6_fail_memory(error, bytes, what);
  return memory;
}
