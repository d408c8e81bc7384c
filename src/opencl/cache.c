/* SPDX-License-Identifier: MIT */
#include "opencl/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/cache_folder.h"

#define SUFFIX ".program"
#define NAME_SIZE (2 * RWKV6_SHA256_BYTES + sizeof SUFFIX)

/* Longer texts than this (lists of extensions have a few thousand characters) make a device one whose programs are not kept. */
#define TEXT_SIZE 16384

static bool add_device_text(rwkv6_sha256 *sha, const rwkv6_cl_device *d, cl_device_info what) {
  char text[TEXT_SIZE] = "";
  if (d->cl->GetDeviceInfo(d->device, what, sizeof text - 1, text, NULL) != CL_SUCCESS) return false;
  rwkv6_sha256_add_text(sha, text);
  return true;
}

static bool add_platform_text(rwkv6_sha256 *sha, const rwkv6_cl_device *d, cl_platform_id platform, cl_platform_info what) {
  char text[TEXT_SIZE] = "";
  if (d->cl->GetPlatformInfo(platform, what, sizeof text - 1, text, NULL) != CL_SUCCESS) return false;
  rwkv6_sha256_add_text(sha, text);
  return true;
}

static bool add_device(rwkv6_sha256 *sha, const rwkv6_cl_device *d) {
  static const cl_device_info device_texts[] = {CL_DEVICE_NAME, CL_DEVICE_VENDOR, CL_DEVICE_VERSION, CL_DRIVER_VERSION,
                                                CL_DEVICE_EXTENSIONS};
  static const cl_platform_info platform_texts[] = {CL_PLATFORM_NAME, CL_PLATFORM_VENDOR, CL_PLATFORM_VERSION};
  cl_platform_id platform;
  cl_uint bits;
  char pointers[64];
  if (d->cl->GetDeviceInfo(d->device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL) != CL_SUCCESS ||
      d->cl->GetDeviceInfo(d->device, CL_DEVICE_ADDRESS_BITS, sizeof bits, &bits, NULL) != CL_SUCCESS)
    return false;
  snprintf(pointers, sizeof pointers, "%u bits, host %zu bytes", bits, sizeof(void *));
  rwkv6_sha256_add_text(sha, pointers);
  bool good = true;
  for (size_t i = 0; good && i < sizeof platform_texts / sizeof *platform_texts; i++)
    good = add_platform_text(sha, d, platform, platform_texts[i]);
  for (size_t i = 0; good && i < sizeof device_texts / sizeof *device_texts; i++)
    good = add_device_text(sha, d, device_texts[i]);
  return good;
}

bool rwkv6_cl_cache_key(const rwkv6_device *device, const char *options, const char *source, rwkv6_cl_key *key) {
  return rwkv6_cl_cache_key_of(device, rwkv6_version(), options, source, key);
}

bool rwkv6_cl_cache_key_of(const rwkv6_device *device, const char *version, const char *options, const char *source,
                           rwkv6_cl_key *key) {
  rwkv6_sha256 sha;
  rwkv6_sha256_begin(&sha);
  rwkv6_sha256_add_text(&sha, "rwkv6cl program");
  rwkv6_sha256_add_text(&sha, version);
  if (!add_device(&sha, device->cl)) return false;
  rwkv6_sha256_end(&sha, key->device);
  rwkv6_sha256_begin(&sha);
  rwkv6_sha256_add(&sha, key->device, sizeof key->device);
  rwkv6_sha256_add_text(&sha, options);
  rwkv6_sha256_add_text(&sha, source);
  rwkv6_sha256_end(&sha, key->program);
  return true;
}

static void file_name(const rwkv6_cl_key *key, char name[NAME_SIZE]) {
  for (size_t i = 0; i < sizeof key->program; i++) snprintf(name + 2 * i, 3, "%02x", key->program[i]);
  memcpy(name + 2 * sizeof key->program, SUFFIX, sizeof SUFFIX);
}

static bool same_key(const rwkv6_cl_key *a, const rwkv6_cl_key *b) {
  return memcmp(a->device, b->device, sizeof a->device) == 0 && memcmp(a->program, b->program, sizeof a->program) == 0;
}

void rwkv6_cl_cache_free_given(rwkv6_cl_given *list) {
  while (list) {
    rwkv6_cl_given *next = list->next;
    free(list);
    list = next;
  }
}

static bool find_given(const rwkv6_device *device, const rwkv6_cl_key *key, rwkv6_cl_found *found) {
  rwkv6_mutex_lock(&device->cl->lock);
  const rwkv6_cl_given *given = device->cl->given; /* the list only gets longer, at this end */
  rwkv6_mutex_unlock(&device->cl->lock);
  while (given && !same_key(&given->entry.key, key)) given = given->next;
  if (given) found->entry = given->entry;
  found->bytes = NULL;
  return given != NULL;
}

/* Reads the file and checks that it is what its name says. */
static bool read_entry(const rwkv6_cache_folder *folder, const rwkv6_cl_key *key, rwkv6_cl_found *found, char *reason) {
  char name[NAME_SIZE];
  size_t size;
  const char *why;
  file_name(key, name);
  found->bytes = rwkv6_cache_folder_read(folder, name, RWKV6_CACHE_LIMIT, &size, reason);
  if (!found->bytes) return false;
  const size_t read = rwkv6_cl_entry_read(found->bytes, size, &found->entry, &why);
  if (read == size && same_key(&found->entry.key, key)) return true;
  if (read) why = read == size ? "it is another program" : "there is more in it than a program";
  snprintf(reason, RWKV6_REASON_SIZE, "%s: %s", name, why);
  free(found->bytes);
  return false;
}

static void log_trouble(const rwkv6_device *device, const char *what, const char *reason) {
  if (reason[0]) rwkv6_device_log(device, RWKV6_LOG_INFO, "program cache %s: %s: %s", device->cache_dir, what, reason);
}

bool rwkv6_cl_cache_find(const rwkv6_device *device, const rwkv6_cl_key *key, rwkv6_cl_found *found) {
  rwkv6_cache_folder folder;
  char reason[RWKV6_REASON_SIZE];
  if (find_given(device, key, found)) return true;
  if (!device->cache_dir) return false;
  bool good = rwkv6_cache_folder_open(device->cache_dir, false, &folder, reason);
  if (good) {
    good = read_entry(&folder, key, found, reason);
    rwkv6_cache_folder_close(&folder);
  }
  if (!good) log_trouble(device, "a program is compiled anew", reason);
  return good;
}

static bool write_entry(const rwkv6_device *device, const char *name, const unsigned char *bytes, size_t size, char *reason) {
  rwkv6_cache_folder folder;
  if (!rwkv6_cache_folder_open(device->cache_dir, true, &folder, reason)) return false;
  bool good = rwkv6_cache_folder_write(&folder, name, bytes, size, reason);
  if (good) good = rwkv6_cache_folder_trim(&folder, SUFFIX, device->cache_limit, reason);
  rwkv6_cache_folder_close(&folder);
  return good;
}

/* Larger ones would push everything else out. */
static bool is_too_large(const rwkv6_device *device, size_t size, char *reason) {
  const uint64_t limit = device->cache_limit / 4;
  if (size > limit)
    snprintf(reason, RWKV6_REASON_SIZE, "it has %zu bytes; allowed: a quarter of the cache, %" PRIu64, size, limit);
  return size > limit;
}

bool rwkv6_cl_cache_store(const rwkv6_device *device, const rwkv6_cl_entry *entry) {
  char name[NAME_SIZE], reason[RWKV6_REASON_SIZE] = "out of host memory";
  size_t size;
  unsigned char *bytes = rwkv6_cl_entry_write(entry, &size, NULL);
  file_name(&entry->key, name);
  const bool good = bytes && !is_too_large(device, size, reason) && write_entry(device, name, bytes, size, reason);
  if (!good) log_trouble(device, "a program is not kept", reason);
  free(bytes);
  return good;
}
