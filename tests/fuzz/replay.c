/* SPDX-License-Identifier: MIT */
/* replay FOLDER: a fuzz target over every file of a folder, without libFuzzer. Fails if there is none. */
#define _POSIX_C_SOURCE 200809L /* opendir */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define MOST (1 << 20)

static bool replay(const char *folder, const char *name) {
  static uint8_t bytes[MOST];
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  /* Exactly as large as the input, so that a look past its end is seen. */
  const size_t size = fread(bytes, 1, MOST, file);
  uint8_t *input = malloc(size ? size : 1);
  fclose(file);
  if (!input) return false;
  for (size_t i = 0; i < size; i++) input[i] = bytes[i];
  fprintf(stderr, "%s\n", path);
  LLVMFuzzerTestOneInput(input, size);
  free(input);
  return true;
}

int main(int count, char **arguments) {
  int inputs = 0;
  DIR *folder = count == 2 ? opendir(arguments[1]) : NULL;
  for (const struct dirent *entry; folder && (entry = readdir(folder));)
    if (entry->d_name[0] != '.' && replay(arguments[1], entry->d_name)) inputs++;
  if (folder) closedir(folder);
  printf("%d inputs\n", inputs);
  return inputs == 0;
}
