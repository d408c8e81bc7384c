/* SPDX-License-Identifier: MIT */
/* The text of a kernel file with its #include "..." lines replaced by the files they name. */
#ifndef RWKV6_SRC_OPENCL_SOURCE_H
#define RWKV6_SRC_OPENCL_SOURCE_H

#include "error.h"

/* Files of cl/ inside the library, made at build time by cl/embed.py; the last has no name. */
typedef struct rwkv6_cl_file {
  const char *name;
  const char *text;
} rwkv6_cl_file;
extern const rwkv6_cl_file rwkv6_cl_files[];

/*
 * The expanded text of cl/`file`, to be freed by the caller. Each file is included once. Read from the folder that the
 * environment variable RWKV6_KERNEL_DIR names if it is set (for kernel developers), else from the library.
 */
rwkv6_status rwkv6_cl_source(const char *file, char **text, rwkv6_error *error);

#endif
