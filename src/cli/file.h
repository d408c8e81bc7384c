/* SPDX-License-Identifier: MIT */
/* Opening files that somebody else made. */
#ifndef RWKV6_SRC_CLI_FILE_H
#define RWKV6_SRC_CLI_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "rwkv6/rwkv6.h"

/* Opens a regular file for reading and tells its length in bytes. Anything else (folder, FIFO, device) is refused without
 * waiting for it. NULL and a filled error on failure; close with fclose. */
FILE *cli_file_open(const char *path, int64_t *length, rwkv6_error *error);

/* Whether there is anything at all under this name. */
bool cli_file_exists(const char *path);

/* Reads a whole file of at most `limit` bytes. The text is terminated by a NUL that `length` does not count; free it. */
char *cli_file_read(const char *path, size_t limit, size_t *length, rwkv6_error *error);

#endif
