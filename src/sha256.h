/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4): names programs of the cache and guards what is read back. */
#ifndef RWKV6_SRC_SHA256_H
#define RWKV6_SRC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define RWKV6_SHA256_BYTES 32

typedef struct rwkv6_sha256 {
  uint32_t hash[8];
  uint64_t length; /* bytes so far */
  unsigned char block[64];
} rwkv6_sha256;

void rwkv6_sha256_begin(rwkv6_sha256 *sha);
void rwkv6_sha256_add(rwkv6_sha256 *sha, const void *data, size_t size);
void rwkv6_sha256_end(rwkv6_sha256 *sha, unsigned char digest[RWKV6_SHA256_BYTES]);

/* A text with its length before it, so that no two lists of texts are the same bytes. */
void rwkv6_sha256_add_text(rwkv6_sha256 *sha, const char *text);

#endif
