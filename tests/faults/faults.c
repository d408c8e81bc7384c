/* SPDX-License-Identifier: MIT */
/* The linker's --wrap=F sends calls of F to __wrap_F; __real_F is F itself. */
#define _GNU_SOURCE
#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
  fault_kind kind;
  long at;
  bool lasting;
  const char *failed;
  long count[FAULT_KINDS];
} faults;

static long allocated;

void faults_begin(fault_kind kind, long at, bool lasting) {
  faults.kind = kind;
  faults.at = at;
  faults.lasting = lasting;
  faults.failed = NULL;
  for (int i = 0; i < FAULT_KINDS; i++) faults.count[i] = 0;
}

bool faults_here(fault_kind kind, const char *name) {
  const long count = ++faults.count[kind];
  if (kind != faults.kind || !faults.at || count < faults.at || (count > faults.at && !faults.lasting)) return false;
  if (!faults.failed) faults.failed = name;
  return true;
}

long faults_count(fault_kind kind) {
  return faults.count[kind];
}

const char *faults_failed(void) {
  return faults.failed;
}

long faults_allocated(void) {
  return allocated;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size) {
  void *memory = faults_here(FAULT_MEMORY, "malloc") ? NULL : __real_malloc(size);
  allocated += memory != NULL;
  return memory;
}

void *__wrap_calloc(size_t count, size_t size) {
  void *memory = faults_here(FAULT_MEMORY, "calloc") ? NULL : __real_calloc(count, size);
  allocated += memory != NULL;
  return memory;
}

void *__wrap_realloc(void *memory, size_t size) {
  void *moved = faults_here(FAULT_MEMORY, "realloc") ? NULL : __real_realloc(memory, size);
  allocated += moved && !memory;
  return moved;
}

void __wrap_free(void *memory) {
  allocated -= memory != NULL;
  __real_free(memory);
}

void *faults_plain_calloc(size_t count, size_t size) {
  return __real_calloc(count, size);
}

void faults_plain_free(void *memory) {
  __real_free(memory);
}

static bool full(const char *name) {
  if (!faults_here(FAULT_SYSTEM, name)) return false;
  errno = ENOSPC;
  return true;
}

/* A function with a fixed list of arguments. */
#define WRAP(result, failed, name, parameters, arguments)                                                                      \
  result __real_##name parameters;                                                                                             \
  result __wrap_##name parameters;                                                                                             \
  result __wrap_##name parameters {                                                                                            \
    return full(#name) ? failed : __real_##name arguments;                                                                     \
  }

WRAP(ssize_t, -1, read, (int file, void *to, size_t size), (file, to, size))
WRAP(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, -1, renameat, (int from_folder, const char *from, int to_folder, const char *to), (from_folder, from, to_folder, to))
WRAP(int, -1, futimens, (int file, const struct timespec times[2]), (file, times))
WRAP(DIR *, NULL, fdopendir, (int folder), (folder))

/* A disk that is filled by the first half of what is written. */
ssize_t __real_write(int file, const void *from, size_t size);
ssize_t __wrap_write(int file, const void *from, size_t size);
ssize_t __wrap_write(int file, const void *from, size_t size) {
  if (!full("write")) return __real_write(file, from, size);
  if (size > 1) (void)!__real_write(file, from, size / 2);
  errno = ENOSPC;
  return -1;
}

/* Closes all the same, as the operating system does. */
int __real_close(int file);
int __wrap_close(int file);
int __wrap_close(int file) {
  const int result = __real_close(file);
  return full("close") ? -1 : result;
}

/* The names that these have where files may be large are separate symbols. */
#define WRAP_OPENAT(name)                                                                                                      \
  int __real_##name(int folder, const char *path, int flags, ...);                                                             \
  int __wrap_##name(int folder, const char *path, int flags, ...);                                                             \
  int __wrap_##name(int folder, const char *path, int flags, ...) {                                                            \
    va_list list;                                                                                                              \
    va_start(list, flags);                                                                                                     \
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;                                                            \
    va_end(list);                                                                                                              \
    return full(#name) ? -1 : __real_##name(folder, path, flags, mode);                                                        \
  }
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

#define WRAP_OPEN(name)                                                                                                        \
  int __real_##name(const char *path, int flags, ...);                                                                         \
  int __wrap_##name(const char *path, int flags, ...);                                                                         \
  int __wrap_##name(const char *path, int flags, ...) {                                                                        \
    va_list list;                                                                                                              \
    va_start(list, flags);                                                                                                     \
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;                                                            \
    va_end(list);                                                                                                              \
    return full(#name) ? -1 : __real_##name(path, flags, mode);                                                                \
  }
WRAP_OPEN(open)
WRAP_OPEN(open64)
