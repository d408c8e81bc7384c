/* SPDX-License-Identifier: MIT */
#include "opencl/interop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static rwkv6_status other_context(const char *name, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is of another context; allowed: the context of the device", name);
}

/* A handle that OpenCL does not take is the caller's mistake, anything else an error of the device. */
static rwkv6_status query_failed(const char *name, cl_int code, const char *call, rwkv6_error *error) {
  if (code != CL_INVALID_COMMAND_QUEUE && code != CL_INVALID_MEM_OBJECT && code != CL_INVALID_EVENT &&
      code != CL_INVALID_CONTEXT)
    return rwkv6_cl_fail(error, code, call);
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is not a valid object: %s says %s", name, call,
                    rwkv6_cl_error_name(code));
}

rwkv6_status rwkv6_interop_check_queue(const rwkv6_cl_device *d, cl_command_queue queue, bool *out_of_order,
                                       rwkv6_error *error) {
  static const char call[] = "clGetCommandQueueInfo";
  if (!queue) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "queue is NULL; allowed: a queue of the device");
  cl_context context = NULL;
  cl_device_id device = NULL;
  cl_command_queue_properties properties = 0;
  cl_int code = d->cl->GetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
  if (!code) code = d->cl->GetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
  if (!code) code = d->cl->GetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
  if (code) return query_failed("queue", code, call, error);
  if (context != d->context) return other_context("queue", error);
  if (device != d->device)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "queue is of another device; allowed: the device that was wrapped");
  if (out_of_order) *out_of_order = (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0;
  return RWKV6_OK;
}

rwkv6_status rwkv6_interop_check_events(const rwkv6_cl_device *d, cl_uint count, const cl_event *list, rwkv6_error *error) {
  if (!count != !list)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "wait_list is %p with wait_count %u; allowed: 0 and NULL, or both given",
                      (const void *)list, (unsigned)count);
  for (cl_uint i = 0; i < count; i++) {
    char name[32];
    snprintf(name, sizeof name, "wait_list[%u]", (unsigned)i);
    if (!list[i]) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is NULL; allowed: an event", name);
    cl_context context = NULL;
    const cl_int code = d->cl->GetEventInfo(list[i], CL_EVENT_CONTEXT, sizeof context, &context, NULL);
    if (code) return query_failed(name, code, "clGetEventInfo", error);
    if (context != d->context) return other_context(name, error);
  }
  return RWKV6_OK;
}

/* What OpenCL tells of a memory object. */
typedef struct memory_info {
  cl_mem_object_type type;
  cl_mem_flags flags;
  size_t size, offset;
  cl_context context;
  cl_mem parent; /* of a sub-buffer, else NULL */
} memory_info;

static cl_int get_memory_info(const rwkv6_cl_functions *cl, cl_mem buffer, memory_info *info) {
  const memory_info none = {0};
  *info = none;
  cl_int code = cl->GetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof info->context, &info->context, NULL);
  if (!code) code = cl->GetMemObjectInfo(buffer, CL_MEM_TYPE, sizeof info->type, &info->type, NULL);
  if (!code) code = cl->GetMemObjectInfo(buffer, CL_MEM_FLAGS, sizeof info->flags, &info->flags, NULL);
  if (!code) code = cl->GetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof info->size, &info->size, NULL);
  if (!code) code = cl->GetMemObjectInfo(buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof info->parent, &info->parent, NULL);
  if (!code && info->parent) code = cl->GetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof info->offset, &info->offset, NULL);
  return code;
}

static rwkv6_status refuse_flag(const char *name, const char *flag, const char *what, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is %s and would be %s", name, flag, what);
}

static rwkv6_status check_flags(cl_mem_flags flags, const rwkv6_interop_use *use, rwkv6_error *error) {
  const bool from_host = use->host_read || use->host_written;
  if (use->written && (flags & CL_MEM_READ_ONLY)) return refuse_flag(use->name, "CL_MEM_READ_ONLY", "written", error);
  if (use->read && (flags & CL_MEM_WRITE_ONLY)) return refuse_flag(use->name, "CL_MEM_WRITE_ONLY", "read", error);
  if (from_host && (flags & CL_MEM_HOST_NO_ACCESS))
    return refuse_flag(use->name, "CL_MEM_HOST_NO_ACCESS", use->host_read ? "read by the host" : "written by the host", error);
  if (use->host_read && (flags & CL_MEM_HOST_WRITE_ONLY))
    return refuse_flag(use->name, "CL_MEM_HOST_WRITE_ONLY", "read by the host", error);
  if (use->host_written && (flags & CL_MEM_HOST_READ_ONLY))
    return refuse_flag(use->name, "CL_MEM_HOST_READ_ONLY", "written by the host", error);
  return RWKV6_OK;
}

rwkv6_status rwkv6_interop_check_buffer(const rwkv6_cl_device *d, cl_mem buffer, uint64_t begin, uint64_t bytes,
                                        const rwkv6_interop_use *use, cl_mem *root, uint64_t *root_begin, rwkv6_error *error) {
  memory_info info;
  const cl_int code = get_memory_info(d->cl, buffer, &info);
  if (code) return query_failed(use->name, code, "clGetMemObjectInfo", error);
  if (info.context != d->context) return other_context(use->name, error);
  if (info.type != CL_MEM_OBJECT_BUFFER)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is an image or a pipe; allowed: a buffer", use->name);
  const rwkv6_status status = check_flags(info.flags, use, error);
  if (status) return status;
  if (begin > info.size || bytes > info.size - begin)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s takes %" PRIu64 " bytes from byte %" PRIu64 " on, its buffer has %zu",
                      use->name, bytes, begin, info.size);
  *root = info.parent ? info.parent : buffer;
  *root_begin = info.offset + begin;
  return RWKV6_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- device */

static rwkv6_status check_device_of(const rwkv6_cl_functions *cl, cl_context context, cl_device_id wanted, rwkv6_error *error) {
  size_t size = 0;
  cl_int code = cl->GetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size);
  if (code) return query_failed("context", code, "clGetContextInfo", error);
  cl_device_id *devices = rwkv6_alloc(size, 1, "the devices of a context", error);
  if (!devices) return RWKV6_OUT_OF_MEMORY;
  bool found = false;
  code = cl->GetContextInfo(context, CL_CONTEXT_DEVICES, size, devices, NULL);
  for (size_t i = 0; i < size / sizeof *devices && !code; i++) found = found || devices[i] == wanted;
  free(devices);
  if (code) return query_failed("context", code, "clGetContextInfo", error);
  return found ? RWKV6_OK
               : rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device_id is not of the context; allowed: one of its %zu devices",
                            size / sizeof *devices);
}

static rwkv6_status open_wrapped(const rwkv6_cl_functions *cl, cl_context context, cl_device_id device_id,
                                 const rwkv6_device_options *options, rwkv6_device **device, rwkv6_error *error) {
  rwkv6_cl_place place = {NULL, device_id};
  const cl_int code = cl->GetDeviceInfo(device_id, CL_DEVICE_PLATFORM, sizeof place.platform, &place.platform, NULL);
  if (code) return rwkv6_cl_fail(error, code, "clGetDeviceInfo");
  rwkv6_device_info info = rwkv6_cl_describe(cl, &place);
  snprintf(info.id, sizeof info.id, "wrapped");
  rwkv6_device *made;
  rwkv6_status status = rwkv6_device_new(options, &info, &made, error);
  if (status) return status;
  status = rwkv6_cl_device_wrap(made, context, &place, error);
  if (status)
    rwkv6_device_close(&made);
  else
    *device = made;
  return status;
}

rwkv6_status rwkv6_opencl_device_wrap(cl_context context, cl_device_id device_id, const rwkv6_device_options *options,
                                      rwkv6_device **device, rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: the address of a handle");
  *device = NULL;
  if (!context) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "context is NULL; allowed: an OpenCL context");
  if (!device_id) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device_id is NULL; allowed: a device of the context");
  rwkv6_device_options full;
  rwkv6_status status = rwkv6_device_full_options(options, &full, error);
  if (status) return status;
  const rwkv6_cl_functions *cl = rwkv6_cl_functions_get(error);
  if (!cl) return RWKV6_NO_DEVICE;
  status = check_device_of(cl, context, device_id, error);
  return status ? status : open_wrapped(cl, context, device_id, &full, device, error);
}

rwkv6_status rwkv6_opencl_device_objects(const rwkv6_device *device, cl_context *context, cl_device_id *device_id,
                                         rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a device with OpenCL");
  if (!device->cl) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is the CPU path; allowed: a device with OpenCL");
  if (context) *context = device->cl->context;
  if (device_id) *device_id = device->cl->device;
  return RWKV6_OK;
}
