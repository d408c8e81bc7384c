/* SPDX-License-Identifier: MIT */
#include "opencl/context.h"

#include <stdlib.h>

#include "opencl/cache.h"

cl_context rwkv6_cl_context(const rwkv6_device *device) {
  return device->cl->context;
}

cl_device_id rwkv6_cl_device_id(const rwkv6_device *device) {
  return device->cl->device;
}

static rwkv6_status create_context(rwkv6_cl_device *cl_device, const rwkv6_cl_place *place, rwkv6_error *error) {
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)place->platform, 0};
  cl_int code;
  cl_device->device = place->device;
  cl_device->context = cl_device->cl->CreateContext(properties, 1, &place->device, NULL, NULL, &code);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clCreateContext");
  return RWKV6_OK;
}

static rwkv6_status retain_context(rwkv6_cl_device *cl_device, cl_context context, const rwkv6_cl_place *place,
                                   rwkv6_error *error) {
  cl_device->device = place->device;
  cl_device->context = context;
  const cl_int code = cl_device->cl->RetainContext(context);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clRetainContext");
}

static bool init_lock(rwkv6_cl_device *cl_device) {
  if (!rwkv6_mutex_init(&cl_device->lock)) return false;
  if (rwkv6_condition_init(&cl_device->built)) return true;
  rwkv6_mutex_destroy(&cl_device->lock);
  return false;
}

/* Of a context of its own if `context` is NULL. */
static rwkv6_status open_place(rwkv6_device *device, const rwkv6_cl_functions *cl, cl_context context,
                               const rwkv6_cl_place *place, rwkv6_error *error) {
  rwkv6_cl_device *made = rwkv6_alloc(1, sizeof *made, "an OpenCL device", error);
  if (!made) return RWKV6_OUT_OF_MEMORY;
  made->cl = cl;
  rwkv6_status status = context ? retain_context(made, context, place, error) : create_context(made, place, error);
  if (!status && !init_lock(made)) {
    cl->ReleaseContext(made->context);
    status = rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory for a lock");
  }
  if (status)
    free(made);
  else
    device->cl = made;
  return status;
}

rwkv6_status rwkv6_cl_device_open(rwkv6_device *device, size_t index, rwkv6_error *error) {
  rwkv6_cl_place *places;
  size_t count;
  rwkv6_status status = rwkv6_cl_places(&places, &count, error);
  if (status) return status;
  if (index < count)
    status = open_place(device, rwkv6_cl_functions_get(NULL), NULL, &places[index], error);
  else
    status = rwkv6_fail(error, RWKV6_NO_DEVICE, "OpenCL device %zu has gone; there are %zu", index, count);
  free(places);
  return status;
}

rwkv6_status rwkv6_cl_device_wrap(rwkv6_device *device, cl_context context, const rwkv6_cl_place *place, rwkv6_error *error) {
  return open_place(device, rwkv6_cl_functions_get(NULL), context, place, error);
}

void rwkv6_cl_device_close(rwkv6_device *device) {
  rwkv6_cl_device *closing = device->cl;
  if (!closing) return;
  while (closing->programs) {
    rwkv6_cl_program *program = closing->programs;
    closing->programs = program->next;
    rwkv6_cl_program_free(closing, program);
  }
  rwkv6_cl_cache_free_given(closing->given);
  closing->cl->ReleaseContext(closing->context);
  rwkv6_condition_destroy(&closing->built);
  rwkv6_mutex_destroy(&closing->lock);
  free(closing);
  device->cl = NULL;
}
