/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void fuzz_require(bool holds, const char *text, const char *file, int line) {
  if (holds) return;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
  abort();
}

uint64_t fuzz_take(fuzz_input *input, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes && input->size; i++, input->size--) value |= (uint64_t)*input->data++ << (8 * i);
  return value;
}

int64_t fuzz_below(fuzz_input *input, int64_t bound) {
  return (int64_t)fuzz_take(input, 2) % bound;
}

static char path[] = "/tmp/rwkv6-fuzz-XXXXXX";
static int file = -1;

static void remove_file(void) {
  unlink(path);
}

const char *fuzz_file(const uint8_t *data, size_t size) {
  if (file < 0) {
    file = mkstemp(path);
    FUZZ_REQUIRE(file >= 0);
    atexit(remove_file);
  }
  FUZZ_REQUIRE(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
  return path;
}
