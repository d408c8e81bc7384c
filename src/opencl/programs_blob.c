/* SPDX-License-Identifier: MIT */
/* Compiled programs as a blob that the caller keeps: the entries of the cache, one after the other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/binary.h"
#include "opencl/cache.h"

/* Appends one program to the blob as far as there is room; `size` counts it in any case. */
static rwkv6_status append(const rwkv6_device *device, const rwkv6_cl_program *program, unsigned char *blob, size_t capacity,
                           size_t *size, rwkv6_error *error) {
  rwkv6_cl_entry entry = {.key = program->key, .log = program->log};
  size_t bytes_size = 0;
  unsigned char *binary;
  const rwkv6_status status = rwkv6_cl_binary_get(device->cl, program->program, &binary, &entry.binary_size, error);
  if (status) return status;
  entry.binary = binary;
  unsigned char *bytes = rwkv6_cl_entry_write(&entry, &bytes_size, error);
  if (bytes && *size <= capacity && bytes_size <= capacity - *size) memcpy(blob + *size, bytes, bytes_size);
  *size += bytes_size;
  free(binary);
  free(bytes);
  return bytes ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

rwkv6_status rwkv6_cl_programs_save(rwkv6_device *device, void *blob, size_t capacity, size_t *size, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  size_t all = 0;
  for (const rwkv6_cl_program *program = NULL; !status && (program = rwkv6_cl_program_next(device->cl, program));)
    if (program->has_key && rwkv6_cl_program_complete_kernels(device->cl, program))
      status = append(device, program, blob, capacity, &all, error);
  if (status) return status;
  *size = all;
  if (!blob || all <= capacity) return RWKV6_OK;
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "capacity is %zu; %zu bytes are needed", capacity, all);
}

/* Which programs of a blob are for this device: those that have the device half of a key made here. */
static bool is_ours(const rwkv6_cl_key *ours, const rwkv6_cl_entry *entry) {
  return memcmp(ours->device, entry->key.device, sizeof ours->device) == 0;
}

/* Where another layout begins the rest is passed over: how long its programs are cannot be known. */
static rwkv6_status check(const unsigned char *blob, size_t size, rwkv6_error *error) {
  rwkv6_cl_entry entry;
  const char *reason;
  for (size_t at = 0; at < size && !rwkv6_cl_entry_of_other_layout(blob + at, size - at);) {
    const size_t read = rwkv6_cl_entry_read(blob + at, size - at, &entry, &reason);
    if (!read)
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "blob: at byte %zu of %zu: %s; allowed: what "
                        "rwkv6_device_save_programs wrote",
                        at, size, reason);
    at += read;
  }
  return RWKV6_OK;
}

static rwkv6_status add(rwkv6_cl_given **list, const unsigned char *bytes, size_t size, rwkv6_error *error) {
  const char *reason;
  rwkv6_cl_given *given = rwkv6_alloc(1, sizeof *given + size, "a program of a blob", error);
  if (!given) return RWKV6_OUT_OF_MEMORY;
  memcpy(given->bytes, bytes, size);
  rwkv6_cl_entry_read(given->bytes, size, &given->entry, &reason);
  given->next = *list;
  *list = given;
  return RWKV6_OK;
}

/* All of the blob, checked before. */
static rwkv6_status add_all(const rwkv6_cl_key *ours, const unsigned char *blob, size_t size, rwkv6_cl_given **list,
                            size_t *taken, rwkv6_error *error) {
  rwkv6_cl_entry entry;
  const char *reason;
  rwkv6_status status = RWKV6_OK;
  for (size_t at = 0, read; at < size && !status; at += read) {
    if (rwkv6_cl_entry_of_other_layout(blob + at, size - at)) break;
    read = rwkv6_cl_entry_read(blob + at, size - at, &entry, &reason);
    if (!is_ours(ours, &entry)) continue;
    status = add(list, blob + at, read, error);
    ++*taken;
  }
  return status;
}

static void join(rwkv6_device *device, rwkv6_cl_given *list) {
  rwkv6_cl_given **end = &list;
  while (*end) end = &(*end)->next;
  rwkv6_mutex_lock(&device->cl->lock);
  *end = device->cl->given;
  device->cl->given = list;
  rwkv6_mutex_unlock(&device->cl->lock);
}

rwkv6_status rwkv6_cl_programs_load(rwkv6_device *device, const void *blob, size_t size, size_t *taken, rwkv6_error *error) {
  rwkv6_cl_key ours;
  rwkv6_cl_given *list = NULL;
  size_t count = 0;
  rwkv6_status status = check(blob, size, error);
  if (!status && rwkv6_cl_cache_key(device, "", "", &ours)) status = add_all(&ours, blob, size, &list, &count, error);
  if (status) {
    rwkv6_cl_cache_free_given(list);
    return status;
  }
  if (list) join(device, list);
  if (taken) *taken = count;
  return RWKV6_OK;
}
