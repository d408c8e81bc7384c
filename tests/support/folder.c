/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

char test_folder[256];

int test_folder_make(void **state) {
  (void)state;
  const char *root = getenv("TMPDIR");
  snprintf(test_folder, sizeof test_folder, "%s/rwkv6-test-XXXXXX", root && *root ? root : "/tmp");
  return mkdtemp(test_folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *level) {
  (void)status, (void)kind, (void)level;
  return remove(path);
}

int test_folder_remove(void **state) {
  (void)state;
  return nftw(test_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *test_path(const char *name) {
  static char paths[2][512];
  static int next;
  next = !next;
  snprintf(paths[next], sizeof paths[next], "%s/%s", test_folder, name);
  return paths[next];
}
