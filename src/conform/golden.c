/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* opendir */
#include "conform/golden.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
  return strcmp(a, b);
}

size_t conform_golden_names(const char *folder, char names[][64], size_t capacity) {
  size_t count = 0;
  DIR *directory = opendir(folder);
  for (const struct dirent *entry; directory && count < capacity && (entry = readdir(directory));) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%.63s/meta.json", folder, entry->d_name);
    FILE *meta = fopen(path, "rb");
    if (!meta) continue;
    fclose(meta);
    snprintf(names[count++], 64, "%.63s", entry->d_name);
  }
  if (directory) closedir(directory);
  qsort(names, count, sizeof names[0], by_name);
  return count;
}

rwkv6_status conform_golden_create(conform_golden *golden, const char *folder, const char *name, rwkv6_operation operation,
                                   bool wide, rwkv6_error *error) {
  char path[1024];
  memset(golden, 0, sizeof *golden);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const rwkv6_status status = cli_case_load(path, &golden->loaded, error);
  return status ? status : conform_golden_fill(golden, operation, wide, error);
}

void conform_golden_destroy(conform_golden *golden) {
  conform_golden_empty(golden);
  cli_case_free(&golden->loaded);
}
