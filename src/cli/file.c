/* SPDX-License-Identifier: MIT */
#include "cli/file.h"

#include <stdlib.h>

#include "error.h"

static char *read_all(FILE *file, const char *path, size_t length, rwkv6_error *error) {
  char *text = rwkv6_alloc(length + 1, 1, path, error);
  if (!text) return NULL;
  if (fread(text, 1, length, file) != length) {
    rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: could not be read to its end", path);
    free(text);
    return NULL;
  }
  return text;
}

char *cli_file_read(const char *path, size_t limit, size_t *length, rwkv6_error *error) {
  int64_t bytes = 0;
  char *text = NULL;
  FILE *file = cli_file_open(path, &bytes, error);
  if (!file) return NULL;
  if (bytes < 0 || (uint64_t)bytes > limit) {
    rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: %lld bytes long; at most %zu are allowed", path, (long long)bytes, limit);
  } else {
    *length = (size_t)bytes;
    text = read_all(file, path, *length, error);
  }
  fclose(file);
  return text;
}
