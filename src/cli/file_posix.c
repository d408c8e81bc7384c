/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
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

bool cli_path_separator(char c) {
  return c == '/';
}

char *cli_path_resolve(const char *path) {
  return realpath(path, NULL);
}

bool cli_folder_make(const char *path) {
  return mkdir(path, 0777) == 0;
}

bool cli_folder_check(const char *path, const char **problem) {
  struct stat status;
  *problem = "cannot be used";
  if (stat(path, &status)) return false;
  errno = ENOTDIR;
  if (!S_ISDIR(status.st_mode)) return false;
  *problem = "cannot be written";
  return access(path, W_OK | X_OK) == 0;
}

bool cli_folder_same(const char *a, const char *b) {
  struct stat status_a, status_b;
  if (stat(a, &status_a) || stat(b, &status_b)) return false;
  return status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

bool cli_file_replace(const char *from, const char *to) {
  return rename(from, to) == 0;
}
