/* SPDX-License-Identifier: MIT */
/*
 * Compiled programs from earlier: those that the caller handed in, then those on disk. Nothing here can fail: with any trouble
 * there is no program to be found, or none is kept, and the log callback hears why.
 */
#ifndef RWKV6_SRC_OPENCL_CACHE_H
#define RWKV6_SRC_OPENCL_CACHE_H

#include "opencl/cache_entry.h"
#include "opencl/context.h"

/* A program that a caller handed in; lives as long as its device. */
typedef struct rwkv6_cl_given {
  struct rwkv6_cl_given *next;
  rwkv6_cl_entry entry;  /* points into `bytes` */
  unsigned char bytes[]; /* one entry */
} rwkv6_cl_given;

void rwkv6_cl_cache_free_given(rwkv6_cl_given *list);

typedef struct rwkv6_cl_found {
  rwkv6_cl_entry entry;
  unsigned char *bytes; /* owned; NULL: those of a program that the caller handed in */
} rwkv6_cl_found;

/* What a program of this source and these options is called on this device. False: the device does not say what it is. */
bool rwkv6_cl_cache_key(const rwkv6_device *device, const char *options, const char *source, rwkv6_cl_key *key);

/* The same for a library of that version. */
bool rwkv6_cl_cache_key_of(const rwkv6_device *device, const char *version, const char *options, const char *source,
                           rwkv6_cl_key *key);

/* The caller frees found->bytes. */
bool rwkv6_cl_cache_find(const rwkv6_device *device, const rwkv6_cl_key *key, rwkv6_cl_found *found);

/* On a device with a cache_dir. Returns whether it is there now. */
bool rwkv6_cl_cache_store(const rwkv6_device *device, const rwkv6_cl_entry *entry);

#endif
