/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quirks.h"
#include "sized.h"

static rwkv6_device_info cpu_info(void) {
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  const uint16_t one = 1;
  snprintf(info.id, sizeof info.id, "cpu");
  snprintf(info.name, sizeof info.name, "cpu");
  snprintf(info.vendor, sizeof info.vendor, "rwkv6cl %s, scalar C", rwkv6_version());
  info.compute_units = 1;
  info.has_fp64 = 1;
  info.has_fp32_denormals = 1;
  info.little_endian = *(const unsigned char *)&one;
  return info;
}

/* Never writes beyond the size that the caller's header knew. */
static rwkv6_status write_info(const rwkv6_device_info *from, rwkv6_device_info *to, rwkv6_error *error) {
  const size_t size = to->size;
  if (size < sizeof(size_t))
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "info.size is %zu; allowed: sizeof(rwkv6_device_info)", size);
  memcpy(to, from, size < sizeof *from ? size : sizeof *from);
  to->size = size;
  return RWKV6_OK;
}

rwkv6_status rwkv6_opencl_available(rwkv6_error *error) {
  rwkv6_device_info *infos = NULL;
  size_t count = 0;
  const rwkv6_status status = rwkv6_cl_enumerate(&infos, &count, error);
  free(infos);
  return status;
}

rwkv6_status rwkv6_device_list(rwkv6_device_info *infos, size_t capacity, size_t *count, rwkv6_error *error) {
  if (!count) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "count is NULL; allowed: the address of a size_t");
  if (!infos && capacity)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "infos is NULL with capacity %zu; allowed: NULL with capacity 0",
                      capacity);
  for (size_t i = 0; i < capacity; i++)
    if (infos[i].size < sizeof(size_t))
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "infos[%zu].size is %zu; allowed: sizeof(rwkv6_device_info)", i,
                        infos[i].size);
  rwkv6_device_info *found = NULL;
  size_t opencl = 0;
  const rwkv6_status status = rwkv6_cl_enumerate(&found, &opencl, NULL);
  if (status == RWKV6_OUT_OF_MEMORY) return rwkv6_fail(error, status, "out of host memory for the list of OpenCL devices");
  const rwkv6_device_info cpu = cpu_info();
  for (size_t i = 0; i < capacity && i <= opencl; i++) write_info(i == 0 ? &cpu : &found[i - 1], &infos[i], NULL);
  free(found);
  *count = opencl + 1;
  return RWKV6_OK;
}

static rwkv6_status no_device(const char *id, const rwkv6_device_info *infos, size_t count, const rwkv6_error *opencl,
                              rwkv6_error *error) {
  char list[1024];
  size_t used = (size_t)snprintf(list, sizeof list, "cpu");
  for (size_t i = 0; i < count && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, ", %s (%s)", infos[i].id, infos[i].name);
  if (count == 0 && used < sizeof list) snprintf(list + used, sizeof list - used, " (%.500s)", opencl->message);
  return rwkv6_fail(error, RWKV6_NO_DEVICE, "no device \"%s\"; there is: %s", id, list);
}

/* "opencl:N": writes N, which may be past the end. Anything else after "opencl:" matches nothing. */
static bool parse_index(const char *id, size_t *index) {
  if (strncmp(id, "opencl:", 7) != 0 || !isdigit((unsigned char)id[7])) return false;
  char *end;
  const unsigned long long value = strtoull(id + 7, &end, 10);
  *index = value > 1u << 20 ? 1u << 20 : (size_t)value;
  return *end == '\0';
}

/* The place of `id` in the list, or `count` if nothing matches. */
static size_t find_device(const char *id, const rwkv6_device_info *infos, size_t count) {
  size_t index;
  if (parse_index(id, &index)) return index < count ? index : count;
  if (strncmp(id, "opencl:", 7) == 0) return count;
  if (strcmp(id, "opencl") == 0) return 0;
  for (size_t i = 0; i < count; i++)
    if (rwkv6_contains(infos[i].name, id)) return i;
  return count;
}

/* One that no variant refuses for its driver. */
static size_t first_gpu(const rwkv6_device_info *infos, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (infos[i].kind == RWKV6_KIND_OPENCL_GPU && !rwkv6_quirk_with(&infos[i], RWKV6_QUIRK_REFUSE)) return i;
  return count;
}

/* Why no GPU is taken. */
static const char *why_no_gpu(const rwkv6_device_info *infos, size_t count, const rwkv6_error *opencl) {
  if (opencl->message[0]) return opencl->message;
  for (size_t i = 0; i < count; i++) {
    const rwkv6_quirk *quirk = rwkv6_quirk_with(&infos[i], RWKV6_QUIRK_REFUSE);
    if (quirk && infos[i].kind == RWKV6_KIND_OPENCL_GPU) return quirk->reason;
  }
  return "no GPU among the OpenCL devices";
}

static void free_device(rwkv6_device *device) {
  free(device->cache_dir);
  free(device);
}

rwkv6_status rwkv6_device_new(const rwkv6_device_options *options, const rwkv6_device_info *info, rwkv6_device **device,
                              rwkv6_error *error) {
  rwkv6_device *made = rwkv6_alloc(1, sizeof *made, "a device", error);
  if (!made) return RWKV6_OUT_OF_MEMORY;
  atomic_init(&made->holders, 1);
  made->info = *info;
  made->log = options->log;
  made->log_user = options->log_user;
  made->launch_budget_ms = RWKV6_LAUNCH_BUDGET_MS;
  made->cache_limit = RWKV6_CACHE_LIMIT;
  if (info->kind != RWKV6_KIND_CPU && rwkv6_cl_cache_choose(options->cache_dir, &made->cache_dir, error)) {
    free_device(made);
    return RWKV6_OUT_OF_MEMORY;
  }
  *device = made;
  return RWKV6_OK;
}

static rwkv6_status open_cpu(const rwkv6_device_options *options, rwkv6_device **device, rwkv6_error *error) {
  const rwkv6_device_info info = cpu_info();
  return rwkv6_device_new(options, &info, device, error);
}

static rwkv6_status open_opencl(const rwkv6_device_options *options, const rwkv6_device_info *infos, size_t index,
                                rwkv6_device **device, rwkv6_error *error) {
  rwkv6_device *made;
  rwkv6_status status = rwkv6_device_new(options, &infos[index], &made, error);
  if (status) return status;
  status = rwkv6_cl_device_open(made, index, error);
  if (status) {
    free_device(made);
    return status;
  }
  *device = made;
  return RWKV6_OK;
}

/* No id: the first GPU whose driver is not refused, else the CPU path, which says why it is taken. */
static rwkv6_status open_default(const rwkv6_device_options *options, const rwkv6_device_info *infos, size_t count,
                                 const rwkv6_error *opencl, rwkv6_device **device, rwkv6_error *error) {
  const size_t gpu = first_gpu(infos, count);
  if (gpu < count) return open_opencl(options, infos, gpu, device, error);
  const rwkv6_status status = open_cpu(options, device, error);
  if (!status) rwkv6_device_log(*device, RWKV6_LOG_INFO, "using the CPU path: %s", why_no_gpu(infos, count, opencl));
  return status;
}

/* Defaults for no options, and for the fields that came after the first version of the struct. */
rwkv6_status rwkv6_device_full_options(const rwkv6_device_options *options, rwkv6_device_options *full, rwkv6_error *error) {
  const rwkv6_device_options defaults = RWKV6_DEVICE_OPTIONS_INIT;
  const size_t least = offsetof(rwkv6_device_options, cache_dir);
  return rwkv6_copy_sized(options ? options : &defaults, full, sizeof *full, least, "options", error);
}

rwkv6_status rwkv6_device_open(const char *id, const rwkv6_device_options *options, rwkv6_device **device, rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: the address of a handle");
  *device = NULL;
  rwkv6_device_options full;
  rwkv6_status status = rwkv6_device_full_options(options, &full, error);
  if (status) return status;
  if (!id || !*id) id = getenv("RWKV6_DEVICE");
  if (id && strcmp(id, "cpu") == 0) return open_cpu(&full, device, error);

  rwkv6_error opencl = RWKV6_ERROR_INIT;
  rwkv6_device_info *infos = NULL;
  size_t count = 0;
  status = rwkv6_cl_enumerate(&infos, &count, &opencl);
  if (status == RWKV6_OUT_OF_MEMORY) return rwkv6_fail(error, status, "%s", opencl.message);
  if (!id || !*id) {
    status = open_default(&full, infos, count, &opencl, device, error);
  } else {
    const size_t index = find_device(id, infos, count);
    status = index < count ? open_opencl(&full, infos, index, device, error) : no_device(id, infos, count, &opencl, error);
  }
  free(infos);
  return status;
}

void rwkv6_device_hold(rwkv6_device *device) {
  atomic_fetch_add(&device->holders, 1);
}

void rwkv6_device_close(rwkv6_device **device) {
  if (!device || !*device) return;
  rwkv6_device *closing = *device;
  *device = NULL;
  if (atomic_fetch_sub(&closing->holders, 1) > 1) return;
  rwkv6_cl_device_close(closing);
  free_device(closing);
}

rwkv6_status rwkv6_device_get_info(const rwkv6_device *device, rwkv6_device_info *info, rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a handle from rwkv6_device_open");
  if (!info) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "info is NULL; allowed: the address of a struct");
  return write_info(&device->info, info, error);
}

const char *rwkv6_device_cache_dir(const rwkv6_device *device) {
  return device && device->cache_dir ? device->cache_dir : "";
}

rwkv6_status rwkv6_device_save_programs(rwkv6_device *device, void *blob, size_t capacity, size_t *size, rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a handle from rwkv6_device_open");
  if (!size) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "size is NULL; allowed: the address of a size_t");
  if (!blob && capacity)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "blob is NULL with capacity %zu; allowed: NULL with capacity 0", capacity);
  *size = 0;
  return device->cl ? rwkv6_cl_programs_save(device, blob, capacity, size, error) : RWKV6_OK;
}

rwkv6_status rwkv6_device_load_programs(rwkv6_device *device, const void *blob, size_t size, size_t *taken,
                                        rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a handle from rwkv6_device_open");
  if (!blob && size)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "blob is NULL with size %zu; allowed: NULL with size 0", size);
  if (taken) *taken = 0;
  return device->cl ? rwkv6_cl_programs_load(device, blob, size, taken, error) : RWKV6_OK;
}

void rwkv6_device_log_text(const rwkv6_device *device, rwkv6_log_level level, const char *text) {
  if (device->log) device->log(device->log_user, level, text);
}

void rwkv6_device_log(const rwkv6_device *device, rwkv6_log_level level, const char *format, ...) {
  if (!device->log) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  device->log(device->log_user, level, line);
}

void rwkv6_device_set_launch_budget(rwkv6_device *device, double milliseconds) {
  device->launch_budget_ms = milliseconds;
}

void rwkv6_device_set_work_group(rwkv6_device *device, size_t work_items) {
  device->work_group = work_items;
}

void rwkv6_device_set_cache_limit(rwkv6_device *device, uint64_t bytes) {
  device->cache_limit = bytes;
}

void rwkv6_device_emulate_engines(rwkv6_device *device, bool emulate) {
  device->emulates_engines = emulate;
}
