/* SPDX-License-Identifier: MIT */
/* A folder that a test writes its bad files into. */
#ifndef RWKV6_TESTS_CLI_FILES_H
#define RWKV6_TESTS_CLI_FILES_H

#include <stddef.h>

/* Makes an empty folder under TMPDIR; cmocka group setup and teardown. The path is in `test_folder`. */
extern char test_folder[256];
int test_folder_make(void **state);
int test_folder_remove(void **state);

/* "test_folder/name"; static, valid until the next call but one. */
const char *test_path(const char *name);

void test_write(const char *path, const void *bytes, size_t length);
void test_write_text(const char *path, const char *text);

/* The bytes of a file; free it. */
char *test_read(const char *path, size_t *length);

/* An .npy file: the dictionary is padded as the format asks, `data` follows as it is. */
void test_write_npy(const char *path, const char *dictionary, const void *data, size_t bytes);

#endif
