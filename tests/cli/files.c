/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void test_write(const char *path, const void *bytes, size_t length) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  if (length) assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
}

void test_write_text(const char *path, const char *text) {
  test_write(path, text, strlen(text));
}

char *test_read(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char *bytes = malloc(1 << 20);
  assert_non_null(bytes);
  *length = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  return bytes;
}

void test_write_npy(const char *path, const char *dictionary, const void *data, size_t bytes) {
  char file[4096];
  const size_t used = strlen(dictionary), header = (10 + used + 1 + 63) / 64 * 64 - 10;
  assert_true(10 + header + bytes <= sizeof file);
  memcpy(file, "\x93NUMPY\x01\x00", 8);
  file[8] = (char)(header & 0xff);
  file[9] = (char)(header >> 8);
  memset(file + 10, ' ', header);
  memcpy(file + 10, dictionary, used);
  file[10 + header - 1] = '\n';
  if (bytes) memcpy(file + 10 + header, data, bytes);
  test_write(path, file, 10 + header + bytes);
}
