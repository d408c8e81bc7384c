/* SPDX-License-Identifier: MIT */
/* Keeping the folder small: the same on every system. */
#include "opencl/cache_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALE_SECONDS 3600 /* a file still being written is younger */

bool rwkv6_cache_files_add(rwkv6_cache_files *files, const char *name, uint64_t bytes, double age) {
  if (strlen(name) >= sizeof files->file->name) return true;
  if (files->count == files->capacity) {
    const size_t capacity = 2 * files->capacity + 32;
    rwkv6_cache_file *grown = realloc(files->file, capacity * sizeof *grown);
    if (!grown) return false;
    files->file = grown;
    files->capacity = capacity;
  }
  rwkv6_cache_file *added = &files->file[files->count++];
  strcpy(added->name, name);
  added->bytes = bytes;
  added->age = age;
  return true;
}

static int oldest_first(const void *a, const void *b) {
  const double x = ((const rwkv6_cache_file *)a)->age, y = ((const rwkv6_cache_file *)b)->age;
  return (x < y) - (x > y);
}

static bool ends_in(const char *name, const char *suffix) {
  const size_t length = strlen(name), end = strlen(suffix);
  return length >= end && strcmp(name + length - end, suffix) == 0;
}

/* Removes what writers have left behind, and takes all other files but those with `suffix` off the list. */
static void sort_out(const rwkv6_cache_folder *folder, const char *suffix, rwkv6_cache_files *files) {
  size_t kept = 0;
  for (size_t i = 0; i < files->count; i++) {
    const rwkv6_cache_file *file = &files->file[i];
    if (strncmp(file->name, RWKV6_CACHE_TEMPORARY, strlen(RWKV6_CACHE_TEMPORARY)) != 0) {
      if (ends_in(file->name, suffix)) files->file[kept++] = *file;
    } else if (file->age > STALE_SECONDS) {
      rwkv6_cache_folder_remove(folder, file->name);
    }
  }
  files->count = kept;
}

static void remove_oldest(const rwkv6_cache_folder *folder, const rwkv6_cache_files *files, uint64_t limit) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < files->count; i++) bytes += files->file[i].bytes;
  if (bytes <= limit) return;
  qsort(files->file, files->count, sizeof *files->file, oldest_first);
  for (size_t i = 0; i < files->count && bytes > limit; i++)
    if (rwkv6_cache_folder_remove(folder, files->file[i].name)) bytes -= files->file[i].bytes;
}

bool rwkv6_cache_folder_trim(const rwkv6_cache_folder *folder, const char *suffix, uint64_t limit, char *reason) {
  rwkv6_cache_files files = {NULL, 0, 0};
  reason[0] = '\0';
  const bool good = rwkv6_cache_folder_list(folder, &files, reason);
  if (good) {
    sort_out(folder, suffix, &files);
    remove_oldest(folder, &files, limit);
  } else if (!reason[0]) {
    snprintf(reason, RWKV6_REASON_SIZE, "out of host memory for the list of files");
  }
  free(files.file);
  return good;
}
