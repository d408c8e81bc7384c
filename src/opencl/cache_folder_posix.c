/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "opencl/cache_folder.h"

static bool fail(char *reason, const char *what, const char *path) {
  snprintf(reason, RWKV6_REASON_SIZE, "cannot %s %.400s: %s", what, path, strerror(errno));
  return false;
}

/* The XDG base directory specification: paths that are not absolute are to be ignored. */
bool rwkv6_cache_folder_default(char *path, size_t size) {
  const char *base = getenv("XDG_CACHE_HOME"), *between = "";
  if (!base || base[0] != '/') {
    base = getenv("HOME");
    between = "/.cache";
  }
  if (!base || base[0] != '/') return false;
  const int length = snprintf(path, size, "%s%s/rwkv6cl", base, between);
  return length > 0 && (size_t)length < size;
}

/* Root in another user's home (sudo) must not leave folders there that this user then cannot use. */
static bool may_create_in(const char *folder, char *reason) {
  struct stat s;
  if (geteuid() != 0 || (stat(folder, &s) == 0 && s.st_uid == 0)) return true;
  snprintf(reason, RWKV6_REASON_SIZE, "root makes no folder in %.400s, which is another user's", folder);
  return false;
}

/* "/a/b" gives "/a", "/a" gives "/", "a" gives ".". */
static bool parent_of(const char *path, char *parent, size_t size) {
  const char *slash = strrchr(path, '/');
  const size_t length = slash && slash != path ? (size_t)(slash - path) : 1;
  if (length >= size) return false;
  memcpy(parent, slash ? path : ".", length);
  parent[length] = '\0';
  return true;
}

/* With up to `levels` of what is missing on the way to it. */
static bool make_folder(const char *path, int levels, char *reason) {
  char parent[4096];
  struct stat s;
  if (lstat(path, &s) == 0) return true;
  if (levels == 0 || errno != ENOENT || !parent_of(path, parent, sizeof parent)) return fail(reason, "make", path);
  if (!make_folder(parent, levels - 1, reason) || !may_create_in(parent, reason)) return false;
  return mkdir(path, 0700) == 0 || errno == EEXIST ? true : fail(reason, "make", path);
}

/* Belongs to us and cannot be changed by others. */
static bool is_private(const struct stat *s, const char *path, char *reason) {
  if (s->st_uid == geteuid() && !(s->st_mode & (S_IWGRP | S_IWOTH))) return true;
  snprintf(reason, RWKV6_REASON_SIZE, "%.400s %s", path,
           s->st_uid == geteuid() ? "may be written to by other users" : "belongs to another user");
  return false;
}

bool rwkv6_cache_folder_open(const char *path, bool create, rwkv6_cache_folder *folder, char *reason) {
  struct stat s;
  reason[0] = '\0';
  if (create && !make_folder(path, 2, reason)) return false;
  folder->handle = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder->handle < 0) return !create && errno == ENOENT ? false : fail(reason, "open the folder", path);
  if (fstat(folder->handle, &s) == 0 && is_private(&s, path, reason)) return true;
  rwkv6_cache_folder_close(folder);
  return false;
}

void rwkv6_cache_folder_close(rwkv6_cache_folder *folder) {
  close(folder->handle);
}

/* Exactly `size` bytes; fewer mean that the file is being changed by someone who should not. */
static bool read_all(int file, unsigned char *bytes, size_t size) {
  while (size) {
    const ssize_t part = read(file, bytes, size);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return false;
    bytes += part;
    size -= (size_t)part;
  }
  return true;
}

static unsigned char *read_file(int file, const char *name, size_t limit, size_t *size, char *reason) {
  struct stat s;
  if (fstat(file, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size <= 0 || (uint64_t)s.st_size > limit) {
    snprintf(reason, RWKV6_REASON_SIZE, "%.400s is no file of 1 to %zu bytes", name, limit);
    return NULL;
  }
  if (!is_private(&s, name, reason)) return NULL;
  *size = (size_t)s.st_size;
  unsigned char *bytes = malloc(*size);
  if (bytes && read_all(file, bytes, *size)) return bytes;
  snprintf(reason, RWKV6_REASON_SIZE, "%.400s cannot be read", name);
  free(bytes);
  return NULL;
}

unsigned char *rwkv6_cache_folder_read(const rwkv6_cache_folder *folder, const char *name, size_t limit, size_t *size,
                                       char *reason) {
  reason[0] = '\0';
  /* Without O_NONBLOCK a named pipe in its place would hold us up for ever. */
  const int file = openat(folder->handle, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) {
    if (errno != ENOENT) fail(reason, "open", name);
    return NULL;
  }
  unsigned char *bytes = read_file(file, name, limit, size, reason);
  if (bytes) futimens(file, NULL); /* in vain on a read-only disk */
  close(file);
  return bytes;
}

/* A write beyond RLIMIT_FSIZE would end the process with a signal. */
static bool within_limits(size_t size) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur;
}

static bool write_all(int file, const unsigned char *bytes, size_t size) {
  while (size) {
    const ssize_t part = write(file, bytes, size);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return false;
    bytes += part;
    size -= (size_t)part;
  }
  return true;
}

/* A new file that no other thread, process or machine with the same home has. */
static int create_temporary(const rwkv6_cache_folder *folder, char *name, size_t size) {
  static atomic_uint counter;
  for (int attempt = 0; attempt < 16; attempt++) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, size, RWKV6_CACHE_TEMPORARY "%ld-%u-%lx%lx", (long)getpid(), atomic_fetch_add(&counter, 1),
             (unsigned long)now.tv_sec, (unsigned long)now.tv_nsec);
    const int file = openat(folder->handle, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

bool rwkv6_cache_folder_write(const rwkv6_cache_folder *folder, const char *name, const unsigned char *bytes, size_t size,
                              char *reason) {
  char temporary[128];
  reason[0] = '\0';
  if (!within_limits(size)) {
    snprintf(reason, RWKV6_REASON_SIZE, "cannot write %.400s: larger than this process may write files", name);
    return false;
  }
  const int file = create_temporary(folder, temporary, sizeof temporary);
  if (file < 0) return fail(reason, "write", name);
  bool good = write_all(file, bytes, size);
  if (!good) fail(reason, "write", name);
  if (close(file) != 0 && good) good = fail(reason, "write", name);
  if (good && renameat(folder->handle, temporary, folder->handle, name) != 0) good = fail(reason, "write", name);
  if (!good) unlinkat(folder->handle, temporary, 0);
  return good;
}

static bool add_file(int folder, const char *name, const struct timespec *now, rwkv6_cache_files *files) {
  struct stat s;
  if (fstatat(folder, name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode)) return true;
  const double age = difftime(now->tv_sec, s.st_mtim.tv_sec) + 1e-9 * (double)(now->tv_nsec - s.st_mtim.tv_nsec);
  return rwkv6_cache_files_add(files, name, (uint64_t)s.st_size, age);
}

bool rwkv6_cache_folder_list(const rwkv6_cache_folder *folder, rwkv6_cache_files *files, char *reason) {
  const int handle = openat(folder->handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* its own position in the list */
  DIR *list = handle < 0 ? NULL : fdopendir(handle);
  if (!list) {
    fail(reason, "list", "the folder");
    if (handle >= 0) close(handle);
    return false;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  bool good = true;
  for (const struct dirent *entry; good && (entry = readdir(list));) good = add_file(handle, entry->d_name, &now, files);
  closedir(list);
  return good;
}

bool rwkv6_cache_folder_remove(const rwkv6_cache_folder *folder, const char *name) {
  return unlinkat(folder->handle, name, 0) == 0 || errno == ENOENT;
}
