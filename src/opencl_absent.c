/* SPDX-License-Identifier: MIT */
/* Stands in for src/opencl/ in a library built with -Dopencl=disabled: every question gets a clear answer. */
#include "device.h"
#include "registry.h"

static rwkv6_status absent(rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_NO_DEVICE, "no OpenCL: this library was built with -Dopencl=disabled");
}

rwkv6_status rwkv6_opencl_load_library(const char *path, rwkv6_error *error) {
  (void)path;
  return absent(error);
}

rwkv6_status rwkv6_opencl_load_symbols(rwkv6_opencl_lookup lookup, void *user, rwkv6_error *error) {
  (void)lookup, (void)user;
  return absent(error);
}

rwkv6_status rwkv6_cl_enumerate(rwkv6_device_info **infos, size_t *count, rwkv6_error *error) {
  *infos = NULL;
  *count = 0;
  return absent(error);
}

rwkv6_status rwkv6_cl_device_open(rwkv6_device *device, size_t index, rwkv6_error *error) {
  (void)device, (void)index;
  return absent(error);
}

void rwkv6_cl_device_close(rwkv6_device *device) {
  (void)device;
}

rwkv6_status rwkv6_cl_cache_choose(const char *wanted, char **cache_dir, rwkv6_error *error) {
  (void)wanted, (void)error;
  *cache_dir = NULL;
  return RWKV6_OK;
}

rwkv6_status rwkv6_cl_rehearse(rwkv6_plan *plan, rwkv6_error *error) {
  (void)plan;
  return absent(error);
}

rwkv6_status rwkv6_cl_programs_save(rwkv6_device *device, void *blob, size_t capacity, size_t *size, rwkv6_error *error) {
  (void)device, (void)blob, (void)capacity, (void)size;
  return absent(error);
}

rwkv6_status rwkv6_cl_programs_load(rwkv6_device *device, const void *blob, size_t size, size_t *taken, rwkv6_error *error) {
  (void)device, (void)blob, (void)size, (void)taken;
  return absent(error);
}

const rwkv6_variant *const rwkv6_cl_variants[] = {NULL};
