/* SPDX-License-Identifier: MIT */
/* %LOCALAPPDATA% belongs to one user alone, as do the folders made in it; of any other folder its owner decides who may write.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "opencl/cache_folder.h"

#define PATH_SIZE (sizeof((rwkv6_cache_folder *)0)->path + 128)

static bool fail(char *reason, const char *what, const char *path) {
  snprintf(reason, RWKV6_REASON_SIZE, "cannot %s %.400s: Windows error %lu", what, path, (unsigned long)GetLastError());
  return false;
}

bool rwkv6_cache_folder_default(char *path, size_t size) {
  const char *base = getenv("LOCALAPPDATA");
  if (!base || !*base) return false;
  const int length = snprintf(path, size, "%s\\rwkv6cl", base);
  return length > 0 && (size_t)length < size;
}

static bool make_folder(const char *path) {
  return CreateDirectoryA(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS;
}

static bool make_folders(const char *path) {
  char parent[sizeof((rwkv6_cache_folder *)0)->path];
  if (make_folder(path)) return true;
  size_t length = strlen(path);
  while (length && path[length - 1] != '\\' && path[length - 1] != '/') length--;
  if (length < 2 || length > sizeof parent) return false;
  memcpy(parent, path, length - 1);
  parent[length - 1] = '\0';
  return make_folder(parent) && make_folder(path);
}

/* A link (reparse point) in the last place is refused. */
bool rwkv6_cache_folder_open(const char *path, bool create, rwkv6_cache_folder *folder, char *reason) {
  reason[0] = '\0';
  if (strlen(path) >= sizeof folder->path) {
    snprintf(reason, RWKV6_REASON_SIZE, "the path has more than %zu characters", sizeof folder->path - 1);
    return false;
  }
  if (create && !make_folders(path)) return fail(reason, "make", path);
  const DWORD attributes = GetFileAttributesA(path);
  if (attributes == INVALID_FILE_ATTRIBUTES) return create ? fail(reason, "open the folder", path) : false;
  if (!(attributes & FILE_ATTRIBUTE_DIRECTORY) || (attributes & FILE_ATTRIBUTE_REPARSE_POINT)) {
    snprintf(reason, RWKV6_REASON_SIZE, "cannot open the folder %.400s: it is none, or a link", path);
    return false;
  }
  memcpy(folder->path, path, strlen(path) + 1);
  return true;
}

void rwkv6_cache_folder_close(rwkv6_cache_folder *folder) {
  (void)folder; /* nothing is held */
}

static bool join(const rwkv6_cache_folder *folder, const char *name, char path[PATH_SIZE]) {
  const int length = snprintf(path, PATH_SIZE, "%s\\%s", folder->path, name);
  return length > 0 && (size_t)length < PATH_SIZE;
}

static unsigned char *read_file(HANDLE file, const char *name, size_t limit, size_t *size, char *reason) {
  BY_HANDLE_FILE_INFORMATION about;
  DWORD got = 0;
  const DWORD strange = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DEVICE;
  if (GetFileType(file) != FILE_TYPE_DISK || !GetFileInformationByHandle(file, &about) || (about.dwFileAttributes & strange) ||
      about.nFileSizeHigh || !about.nFileSizeLow || about.nFileSizeLow > limit) {
    snprintf(reason, RWKV6_REASON_SIZE, "%.400s is no file of 1 to %zu bytes", name, limit);
    return NULL;
  }
  *size = about.nFileSizeLow;
  unsigned char *bytes = malloc(*size);
  if (bytes && ReadFile(file, bytes, about.nFileSizeLow, &got, NULL) && got == about.nFileSizeLow) return bytes;
  snprintf(reason, RWKV6_REASON_SIZE, "%.400s cannot be read", name);
  free(bytes);
  return NULL;
}

unsigned char *rwkv6_cache_folder_read(const rwkv6_cache_folder *folder, const char *name, size_t limit, size_t *size,
                                       char *reason) {
  char path[PATH_SIZE];
  FILETIME now;
  reason[0] = '\0';
  if (!join(folder, name, path)) return NULL;
  const HANDLE file =
      CreateFileA(path, GENERIC_READ | FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                  OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
  if (file == INVALID_HANDLE_VALUE) {
    const DWORD code = GetLastError();
    if (code != ERROR_FILE_NOT_FOUND && code != ERROR_PATH_NOT_FOUND) fail(reason, "open", name);
    return NULL;
  }
  unsigned char *bytes = read_file(file, name, limit, size, reason);
  GetSystemTimeAsFileTime(&now);
  if (bytes) SetFileTime(file, NULL, NULL, &now);
  CloseHandle(file);
  return bytes;
}

static HANDLE create_temporary(const rwkv6_cache_folder *folder, char path[PATH_SIZE]) {
  static atomic_uint counter;
  for (int attempt = 0; attempt < 16; attempt++) {
    char name[96];
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    snprintf(name, sizeof name, RWKV6_CACHE_TEMPORARY "%lu-%u-%llx", (unsigned long)GetCurrentProcessId(),
             atomic_fetch_add(&counter, 1), (unsigned long long)now.QuadPart);
    if (!join(folder, name, path)) return INVALID_HANDLE_VALUE;
    const HANDLE file = CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file != INVALID_HANDLE_VALUE || GetLastError() != ERROR_FILE_EXISTS) return file;
  }
  return INVALID_HANDLE_VALUE;
}

bool rwkv6_cache_folder_write(const rwkv6_cache_folder *folder, const char *name, const unsigned char *bytes, size_t size,
                              char *reason) {
  char temporary[PATH_SIZE], path[PATH_SIZE];
  DWORD written = 0;
  reason[0] = '\0';
  const HANDLE file = create_temporary(folder, temporary);
  if (file == INVALID_HANDLE_VALUE) return fail(reason, "write", name);
  bool good = join(folder, name, path) && WriteFile(file, bytes, (DWORD)size, &written, NULL) && written == size;
  if (!good) fail(reason, "write", name);
  CloseHandle(file);
  if (good && !MoveFileExA(temporary, path, MOVEFILE_REPLACE_EXISTING)) good = fail(reason, "write", name);
  if (!good) DeleteFileA(temporary);
  return good;
}

static int64_t time_of(FILETIME time) {
  return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime);
}

static bool add_file(const WIN32_FIND_DATAA *found, int64_t now, rwkv6_cache_files *files) {
  if (found->dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) return true;
  const uint64_t bytes = (uint64_t)found->nFileSizeHigh << 32 | found->nFileSizeLow;
  return rwkv6_cache_files_add(files, found->cFileName, bytes, 1e-7 * (double)(now - time_of(found->ftLastWriteTime)));
}

bool rwkv6_cache_folder_list(const rwkv6_cache_folder *folder, rwkv6_cache_files *files, char *reason) {
  WIN32_FIND_DATAA found;
  FILETIME now;
  char pattern[PATH_SIZE];
  const HANDLE list = join(folder, "*", pattern) ? FindFirstFileA(pattern, &found) : INVALID_HANDLE_VALUE;
  if (list == INVALID_HANDLE_VALUE) return fail(reason, "list", folder->path);
  GetSystemTimeAsFileTime(&now);
  bool good = true;
  do good = add_file(&found, time_of(now), files);
  while (good && FindNextFileA(list, &found));
  FindClose(list);
  return good;
}

bool rwkv6_cache_folder_remove(const rwkv6_cache_folder *folder, const char *name) {
  char path[PATH_SIZE];
  return join(folder, name, path) && (DeleteFileA(path) || GetLastError() == ERROR_FILE_NOT_FOUND);
}
