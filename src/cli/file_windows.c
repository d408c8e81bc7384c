/* SPDX-License-Identifier: MIT */
#include <direct.h>
#include <errno.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "cli/file.h"
#include "error.h"

static FILE *refuse(FILE *file, const char *path, const char *problem, rwkv6_error *error) {
  rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: %s", path, problem);
  if (file) fclose(file);
  return NULL;
}

/* Devices such as NUL and CON have a name in every folder: what has been opened tells. */
FILE *cli_file_open(const char *path, int64_t *length, rwkv6_error *error) {
  struct _stat64 status;
  if (_stat64(path, &status)) return refuse(NULL, path, strerror(errno), error);
  if (status.st_mode & _S_IFDIR) return refuse(NULL, path, "is a folder; a regular file is needed", error);
  FILE *file = fopen(path, "rb");
  if (!file) return refuse(NULL, path, strerror(errno), error);
  if (_fstat64(_fileno(file), &status)) return refuse(file, path, strerror(errno), error);
  if (!(status.st_mode & _S_IFREG)) return refuse(file, path, "is not a regular file", error);
  *length = (int64_t)status.st_size;
  return file;
}

bool cli_file_exists(const char *path) {
  return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES;
}

bool cli_path_separator(char c) {
  return c == '/' || c == '\\' || c == ':';
}

char *cli_path_resolve(const char *path) {
  return _fullpath(NULL, path, 0);
}

bool cli_folder_make(const char *path) {
  return _mkdir(path) == 0;
}

bool cli_folder_check(const char *path, const char **problem) {
  struct _stat64 status;
  *problem = "cannot be used";
  if (_stat64(path, &status)) return false;
  errno = ENOTDIR;
  if (!(status.st_mode & _S_IFDIR)) return false;
  *problem = "cannot be written";
  return _access(path, 2) == 0; /* 2: may be written */
}

static bool identify(const char *path, BY_HANDLE_FILE_INFORMATION *information) {
  const HANDLE handle = CreateFileA(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                                    FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (handle == INVALID_HANDLE_VALUE) return false;
  const bool known = GetFileInformationByHandle(handle, information);
  CloseHandle(handle);
  return known;
}

bool cli_folder_same(const char *a, const char *b) {
  BY_HANDLE_FILE_INFORMATION of_a, of_b;
  if (!identify(a, &of_a) || !identify(b, &of_b)) return false;
  return of_a.dwVolumeSerialNumber == of_b.dwVolumeSerialNumber && of_a.nFileIndexHigh == of_b.nFileIndexHigh &&
         of_a.nFileIndexLow == of_b.nFileIndexLow;
}

bool cli_file_replace(const char *from, const char *to) {
  if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING)) return true;
  errno = EACCES;
  return false;
}
