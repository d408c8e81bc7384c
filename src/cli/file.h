/* SPDX-License-Identifier: MIT */
/* Files and folders; what the operating system decides is in file_posix.c and file_windows.c. */
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

/* Gives a file another name, in the place of what has that name. False with errno set if it cannot. */
bool cli_file_replace(const char *from, const char *to);

bool cli_folder_make(const char *path); /* false with errno set */
/* Whether there is a folder that can be written to; if not, errno is set and `problem` names what it stands in the way of. */
bool cli_folder_check(const char *path, const char **problem);
bool cli_folder_same(const char *a, const char *b); /* under two names */

bool cli_path_separator(char c);
/* The absolute path without "." and ".." in allocated memory, or NULL with errno set. */
char *cli_path_resolve(const char *path);

#endif
