/* SPDX-License-Identifier: MIT */
/* Bad files that a test writes, into its folder. */
#ifndef RWKV6_TESTS_CLI_FILES_H
#define RWKV6_TESTS_CLI_FILES_H

#include <stddef.h>

#include "folder.h"

void test_write(const char *path, const void *bytes, size_t length);
void test_write_text(const char *path, const char *text);

/* The bytes of a file; free it. */
char *test_read(const char *path, size_t *length);

/* An .npy file: the dictionary is padded as the format asks, `data` follows as it is. */
void test_write_npy(const char *path, const char *dictionary, const void *data, size_t bytes);

#endif
