/* SPDX-License-Identifier: MIT */
/*
 * All that the program cache asks of the operating system: a private folder, files in it that are whole or not there. Every
 * call can fail at any time and then says why in `reason`, a text for the log. Threads and processes may use a folder at once.
 */
#ifndef RWKV6_SRC_OPENCL_CACHE_FOLDER_H
#define RWKV6_SRC_OPENCL_CACHE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reasons are cut to this. */
#define RWKV6_REASON_SIZE 512

/* Writes the user's folder for caches with "/rwkv6cl" appended into `path`; false if the system has none, or `size` is too
 * small. */
bool rwkv6_cache_folder_default(char *path, size_t size);

/* An open folder that belongs to this user and that nobody else may write to. */
typedef struct rwkv6_cache_folder {
#ifdef _WIN32
  char path[1024];
#else
  int handle;
#endif
} rwkv6_cache_folder;

/* `create`: makes it, and the folder that it is in, where they are missing. A link in the last place is refused. */
bool rwkv6_cache_folder_open(const char *path, bool create, rwkv6_cache_folder *folder, char *reason);
void rwkv6_cache_folder_close(rwkv6_cache_folder *folder);

/*
 * The bytes of a file in allocated memory, which the caller frees, and marks it as used now. Only of an ordinary file that
 * belongs to this user, nobody else may write to, and that has at most `limit` bytes. `reason` is "" if there is none of that
 * name.
 */
unsigned char *rwkv6_cache_folder_read(const rwkv6_cache_folder *folder, const char *name, size_t limit, size_t *size,
                                       char *reason);

/* Writes a file beside it and gives it the name when it is complete, in the place of one of that name. */
bool rwkv6_cache_folder_write(const rwkv6_cache_folder *folder, const char *name, const unsigned char *bytes, size_t size,
                              char *reason);

/* Removes files whose name ends in `suffix`, the ones not used for longest first, until the rest has at most `limit` bytes, and
 * what writers that were killed have left. Other files are left alone. */
bool rwkv6_cache_folder_trim(const rwkv6_cache_folder *folder, const char *suffix, uint64_t limit, char *reason);

/* ---- what cache_folder.c, the same on every system, has of the one that it runs on, and the other way round */

/* What the name of a file begins with while it is being written. */
#define RWKV6_CACHE_TEMPORARY "writing-"

typedef struct rwkv6_cache_file {
  char name[128];
  uint64_t bytes;
  double age; /* seconds since it was used last */
} rwkv6_cache_file;

typedef struct rwkv6_cache_files {
  rwkv6_cache_file *file; /* owned */
  size_t count, capacity;
} rwkv6_cache_files;

/* False if there is no memory. Names that are too long are passed over: no file of the cache has one. */
bool rwkv6_cache_files_add(rwkv6_cache_files *files, const char *name, uint64_t bytes, double age);

/* Adds all ordinary files, no folders and no links. False with "" for a reason: rwkv6_cache_files_add could not. */
bool rwkv6_cache_folder_list(const rwkv6_cache_folder *folder, rwkv6_cache_files *files, char *reason);

/* Whether the file has gone: another process may have removed it. */
bool rwkv6_cache_folder_remove(const rwkv6_cache_folder *folder, const char *name);

#endif
