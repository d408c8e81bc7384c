/* SPDX-License-Identifier: MIT */
/*
 * One compiled program as bytes: a file of the cache, and an element of the blobs that callers keep. Nothing in it is believed
 * before the checksum is right.
 */
#ifndef RWKV6_SRC_OPENCL_CACHE_ENTRY_H
#define RWKV6_SRC_OPENCL_CACHE_ENTRY_H

#include <stdbool.h>

#include "error.h"
#include "sha256.h"

/* What a program was compiled for. */
typedef struct rwkv6_cl_key {
  unsigned char device[RWKV6_SHA256_BYTES];  /* device, driver, platform and library */
  unsigned char program[RWKV6_SHA256_BYTES]; /* all of that, every build option and the expanded source */
} rwkv6_cl_key;

/* Points into the bytes it was read from. */
typedef struct rwkv6_cl_entry {
  rwkv6_cl_key key;
  const char *log; /* what the compiler said, terminated */
  const unsigned char *binary;
  size_t binary_size;
} rwkv6_cl_entry;

/* The bytes of an entry in allocated memory, NULL if there is none. */
unsigned char *rwkv6_cl_entry_write(const rwkv6_cl_entry *entry, size_t *size, rwkv6_error *error);

/* Whether `bytes` begin as an entry does that a library with another layout wrote. How long it is cannot be known. */
bool rwkv6_cl_entry_of_other_layout(const unsigned char *bytes, size_t size);

/* Reads the entry that `bytes` begin with. Returns how many bytes it has, or 0 with the reason in `reason` if they are no
 * entry, or not the one that was written. */
size_t rwkv6_cl_entry_read(const unsigned char *bytes, size_t size, rwkv6_cl_entry *entry, const char **reason);

#endif
