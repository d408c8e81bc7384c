/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* getpid */
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/text.h"
#include "error.h"

static rwkv6_status refuse(const char *path, const char *problem, int reason, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "output folder %s: %s: %s", path, problem, strerror(reason));
}

static rwkv6_status check_folder(const char *path, rwkv6_error *error) {
  const char *problem;
  return cli_folder_check(path, &problem) ? RWKV6_OK : refuse(path, problem, errno, error);
}

static rwkv6_status make_folder(const char *path, rwkv6_error *error) {
  if (cli_folder_make(path) || errno == EEXIST) return RWKV6_OK;
  return refuse(path, "cannot be made", errno, error);
}

/* A drive of Windows is there or not; it cannot be made. */
static bool is_drive(const char *path) {
  return cli_path_separator(':') && path[0] && path[1] == ':' && !path[2];
}

rwkv6_status cli_output_prepare(const char *folder, rwkv6_error *error) {
  char *path = cli_copy_text(folder, strlen(folder), error);
  if (!path) return RWKV6_OUT_OF_MEMORY;
  rwkv6_status status = RWKV6_OK;
  for (char *at = path + 1; path[0] && *at && !status; at++) {
    const char separator = *at;
    if (!cli_path_separator(separator) || separator == ':') continue;
    *at = '\0';
    if (!is_drive(path)) status = make_folder(path, error);
    *at = separator;
  }
  free(path);
  if (!status) status = make_folder(folder, error);
  return status ? status : check_folder(folder, error);
}

rwkv6_status cli_output_check(const char *out, const char *name, const char *case_folder, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  char *path = cli_join_path(out, name, error);
  if (!path) return RWKV6_OUT_OF_MEMORY;
  if (cli_folder_same(path, case_folder)) {
    status = rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "output folder %s is the folder of the case itself; choose another --out", path);
  } else if (cli_file_exists(path)) {
    status = check_folder(path, error);
  }
  free(path);
  return status;
}

typedef struct names {
  char *temporary[RWKV6_TENSOR_COUNT]; /* NULL: not written */
  char *final[RWKV6_TENSOR_COUNT];
} names;

static rwkv6_status name_files(const char *folder, rwkv6_tensor_id id, names *files, rwkv6_error *error) {
  char name[64];
  snprintf(name, sizeof name, "%s.npy", rwkv6_tensor_table[id].name);
  files->final[id] = cli_join_path(folder, name, error);
  snprintf(name, sizeof name, ".%s.npy.%ld", rwkv6_tensor_table[id].name, (long)getpid());
  files->temporary[id] = cli_join_path(folder, name, error);
  return files->final[id] && files->temporary[id] ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

static rwkv6_status write_temporaries(const char *folder, const cli_case *loaded, const cli_outputs *outputs, names *files,
                                      rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!outputs->tensor[id]) continue;
    const cli_npy_shape shape = cli_case_shape(&loaded->problem, id);
    status = name_files(folder, id, files, error);
    if (!status) status = cli_npy_write(files->temporary[id], &shape, outputs->tensor[id], error);
  }
  return status;
}

static rwkv6_status rename_all(const names *files, rwkv6_error *error) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (files->temporary[id] && !cli_file_replace(files->temporary[id], files->final[id])) {
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: cannot be written: %s", files->final[id], strerror(errno));
    }
  }
  return RWKV6_OK;
}

static void clean_up(names *files, bool failed) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (failed && files->temporary[id]) remove(files->temporary[id]);
    free(files->temporary[id]);
    free(files->final[id]);
  }
}

rwkv6_status cli_output_write(const char *out, const cli_case *loaded, const cli_outputs *outputs, rwkv6_error *error) {
  names files = {{NULL}, {NULL}};
  char *folder = cli_join_path(out, loaded->name, error);
  if (!folder) return RWKV6_OUT_OF_MEMORY;
  rwkv6_status status = make_folder(folder, error);
  if (!status) status = write_temporaries(folder, loaded, outputs, &files, error);
  if (!status) status = rename_all(&files, error);
  clean_up(&files, status != RWKV6_OK);
  free(folder);
  return status;
}
