/* SPDX-License-Identifier: MIT */
/* Which OpenCL devices there are, and their limits as rwkv6_device_info. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "opencl/context.h"

/* The drivers' texts are cut to the field; a query that fails leaves it empty. */
static void platform_text(const rwkv6_cl_functions *cl, cl_platform_id platform, cl_platform_info what, char *text,
                          size_t size) {
  char long_text[1024] = "";
  if (cl->GetPlatformInfo(platform, what, sizeof long_text - 1, long_text, NULL) != CL_SUCCESS) long_text[0] = '\0';
  snprintf(text, size, "%.*s", (int)size - 1, long_text);
}

static void device_text(const rwkv6_cl_functions *cl, cl_device_id device, cl_device_info what, char *text, size_t size) {
  char long_text[1024] = "";
  if (cl->GetDeviceInfo(device, what, sizeof long_text - 1, long_text, NULL) != CL_SUCCESS) long_text[0] = '\0';
  snprintf(text, size, "%.*s", (int)size - 1, long_text);
}

static uint64_t device_ulong(const rwkv6_cl_functions *cl, cl_device_id device, cl_device_info what) {
  cl_ulong value = 0;
  return cl->GetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint32_t device_uint(const rwkv6_cl_functions *cl, cl_device_id device, cl_device_info what) {
  cl_uint value = 0;
  return cl->GetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint64_t device_size(const rwkv6_cl_functions *cl, cl_device_id device, cl_device_info what) {
  size_t value = 0;
  return cl->GetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static rwkv6_device_kind kind_of(cl_device_type type) {
  if (type & CL_DEVICE_TYPE_GPU) return RWKV6_KIND_OPENCL_GPU;
  return type & CL_DEVICE_TYPE_CPU ? RWKV6_KIND_OPENCL_CPU : RWKV6_KIND_OPENCL_ACCELERATOR;
}

/* "OpenCL 1.2 ..." -> 120 */
static int32_t version_of(const char *text) {
  int major = 0, minor = 0;
  if (sscanf(text, "OpenCL %d.%d", &major, &minor) != 2) return 0;
  return (int32_t)(100 * major + 10 * minor);
}

/* Extension lists run to thousands of characters on some drivers. */
static void fill_features(const rwkv6_cl_functions *cl, cl_device_id device, rwkv6_device_info *info) {
  char extensions[16384] = "";
  if (cl->GetDeviceInfo(device, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions, NULL) == CL_SUCCESS) {
    info->has_fp16 = strstr(extensions, "cl_khr_fp16") != NULL;
    info->has_fp64 = strstr(extensions, "cl_khr_fp64") != NULL;
    info->has_subgroups = strstr(extensions, "cl_khr_subgroups") || strstr(extensions, "cl_intel_subgroups");
  }
  info->has_fp32_denormals = (device_ulong(cl, device, CL_DEVICE_SINGLE_FP_CONFIG) & CL_FP_DENORM) != 0;
  info->little_endian = device_uint(cl, device, CL_DEVICE_ENDIAN_LITTLE) != 0;
}

rwkv6_device_info rwkv6_cl_describe(const rwkv6_cl_functions *cl, const rwkv6_cl_place *place) {
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  const cl_device_id device = place->device;
  char platform_version[128];
  device_text(cl, device, CL_DEVICE_NAME, info.name, sizeof info.name);
  device_text(cl, device, CL_DEVICE_VENDOR, info.vendor, sizeof info.vendor);
  device_text(cl, device, CL_DRIVER_VERSION, info.driver_version, sizeof info.driver_version);
  device_text(cl, device, CL_DEVICE_VERSION, info.device_version, sizeof info.device_version);
  platform_text(cl, place->platform, CL_PLATFORM_NAME, info.platform, sizeof info.platform);
  platform_text(cl, place->platform, CL_PLATFORM_VERSION, platform_version, sizeof platform_version);
  info.opencl_version = version_of(platform_version);
  info.kind = kind_of(device_ulong(cl, device, CL_DEVICE_TYPE));
  info.vendor_id = (int32_t)device_uint(cl, device, CL_DEVICE_VENDOR_ID);
  info.compute_units = (int32_t)device_uint(cl, device, CL_DEVICE_MAX_COMPUTE_UNITS);
  info.clock_mhz = (int32_t)device_uint(cl, device, CL_DEVICE_MAX_CLOCK_FREQUENCY);
  info.global_memory = device_ulong(cl, device, CL_DEVICE_GLOBAL_MEM_SIZE);
  info.max_allocation = device_ulong(cl, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  info.local_memory = device_ulong(cl, device, CL_DEVICE_LOCAL_MEM_SIZE);
  info.max_work_group = device_size(cl, device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  fill_features(cl, device, &info);
  return info;
}

static rwkv6_status no_platform(cl_int code, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_NO_DEVICE, "no OpenCL on this machine: clGetPlatformIDs found no platform (%s)",
                    rwkv6_cl_error_name(code));
}

/* Appends the devices of one platform. A platform without devices is none of our business. */
static rwkv6_status add_platform(const rwkv6_cl_functions *cl, cl_platform_id platform, rwkv6_cl_place **places, size_t *count,
                                 rwkv6_error *error) {
  cl_uint found = 0;
  if (cl->GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &found) != CL_SUCCESS || found == 0) return RWKV6_OK;
  cl_device_id *devices = rwkv6_alloc(found, sizeof *devices, "the list of OpenCL devices", error);
  rwkv6_cl_place *grown = devices ? realloc(*places, (*count + found) * sizeof **places) : NULL;
  if (grown) *places = grown;
  if (grown && cl->GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, found, devices, NULL) == CL_SUCCESS)
    for (cl_uint d = 0; d < found; d++) {
      const rwkv6_cl_place place = {platform, devices[d]};
      (*places)[(*count)++] = place;
    }
  free(devices);
  return grown ? RWKV6_OK : rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory for the list of OpenCL devices");
}

static rwkv6_status list_places(const rwkv6_cl_functions *cl, rwkv6_cl_place **places, size_t *count, rwkv6_error *error) {
  cl_uint platforms = 0;
  cl_int code = cl->GetPlatformIDs(0, NULL, &platforms);
  if (code != CL_SUCCESS || platforms == 0) return no_platform(code, error);
  cl_platform_id *ids = rwkv6_alloc(platforms, sizeof *ids, "the list of OpenCL platforms", error);
  if (!ids) return RWKV6_OUT_OF_MEMORY;
  rwkv6_status status = RWKV6_OK;
  code = cl->GetPlatformIDs(platforms, ids, NULL);
  if (code != CL_SUCCESS) status = no_platform(code, error);
  for (cl_uint p = 0; p < platforms && !status; p++) status = add_platform(cl, ids[p], places, count, error);
  free(ids);
  if (!status && *count == 0)
    status = rwkv6_fail(error, RWKV6_NO_DEVICE, "no OpenCL on this machine: %u platforms, none with a device", platforms);
  if (status) {
    free(*places);
    *places = NULL;
    *count = 0;
  }
  return status;
}

/* By one thread at a time: while PoCL 3.1 looks for its devices, which it does when first asked, it tells other threads that
 * there are none. */
rwkv6_status rwkv6_cl_places(rwkv6_cl_place **places, size_t *count, rwkv6_error *error) {
  static rwkv6_mutex lock = RWKV6_MUTEX_INIT;
  *places = NULL;
  *count = 0;
  const rwkv6_cl_functions *cl = rwkv6_cl_functions_get(error);
  if (!cl) return RWKV6_NO_DEVICE;
  rwkv6_mutex_lock(&lock);
  const rwkv6_status status = list_places(cl, places, count, error);
  rwkv6_mutex_unlock(&lock);
  return status;
}

rwkv6_status rwkv6_cl_enumerate(rwkv6_device_info **infos, size_t *count, rwkv6_error *error) {
  rwkv6_cl_place *places;
  *infos = NULL;
  rwkv6_status status = rwkv6_cl_places(&places, count, error);
  if (status) return status;
  *infos = rwkv6_alloc(*count, sizeof **infos, "the list of OpenCL devices", error);
  if (*infos)
    for (size_t i = 0; i < *count; i++) {
      (*infos)[i] = rwkv6_cl_describe(rwkv6_cl_functions_get(NULL), &places[i]);
      snprintf((*infos)[i].id, sizeof(*infos)[i].id, "opencl:%zu", i);
    }
  else
    status = RWKV6_OUT_OF_MEMORY;
  if (status) *count = 0;
  free(places);
  return status;
}
