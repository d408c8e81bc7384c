/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

static FILE *refuse(int descriptor, const char *path, const char *problem, rwkv6_error *error) {
  rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: %s", path, problem);
  if (descriptor >= 0) close(descriptor);
  return NULL;
}

/* O_NONBLOCK: opening a FIFO without a writer would wait for ever. It has no effect on regular files. */
FILE *cli_file_open(const char *path, int64_t *length, rwkv6_error *error) {
  const int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) return refuse(descriptor, path, strerror(errno), error);
  struct stat status;
  if (fstat(descriptor, &status)) return refuse(descriptor, path, strerror(errno), error);
  if (S_ISDIR(status.st_mode)) return refuse(descriptor, path, "is a folder; a regular file is needed", error);
  if (!S_ISREG(status.st_mode)) return refuse(descriptor, path, "is not a regular file", error);
  FILE *file = fdopen(descriptor, "rb");
  if (!file) return refuse(descriptor, path, strerror(errno), error);
  *length = (int64_t)status.st_size;
  return file;
}

bool cli_file_exists(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

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
