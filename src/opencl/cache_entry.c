/* SPDX-License-Identifier: MIT */
/*
 *   0  magic, 8 bytes           32  key.device    128  log, terminated
 *   8  version of this layout   64  key.program        binary
 *  16  bytes of the log         96  checksum: SHA-256 of all bytes but these 32
 *  24  bytes of the binary          numbers have 8 bytes, the lowest first
 *
 * Magic and version are in these places in every layout.
 */
#include "opencl/cache_entry.h"

#include <string.h>

#define MAGIC "rwkv6cl\n"
#define VERSION 1
#define HEADER ((size_t)128)

static void put_number(unsigned char *to, uint64_t value) {
  for (int i = 0; i < 8; i++) to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(const unsigned char *from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
  return value;
}

static void checksum(const unsigned char *bytes, size_t size, unsigned char sum[RWKV6_SHA256_BYTES]) {
  rwkv6_sha256 sha;
  rwkv6_sha256_begin(&sha);
  rwkv6_sha256_add(&sha, bytes, 96);
  rwkv6_sha256_add(&sha, bytes + HEADER, size - HEADER);
  rwkv6_sha256_end(&sha, sum);
}

unsigned char *rwkv6_cl_entry_write(const rwkv6_cl_entry *entry, size_t *size, rwkv6_error *error) {
  const size_t log_size = strlen(entry->log) + 1;
  *size = HEADER + log_size + entry->binary_size;
  unsigned char *bytes = rwkv6_alloc(*size, 1, "a program to keep", error);
  if (!bytes) return NULL;
  memcpy(bytes, MAGIC, 8);
  put_number(bytes + 8, VERSION);
  put_number(bytes + 16, log_size);
  put_number(bytes + 24, entry->binary_size);
  memcpy(bytes + 32, entry->key.device, RWKV6_SHA256_BYTES);
  memcpy(bytes + 64, entry->key.program, RWKV6_SHA256_BYTES);
  memcpy(bytes + HEADER, entry->log, log_size);
  memcpy(bytes + HEADER + log_size, entry->binary, entry->binary_size);
  checksum(bytes, *size, bytes + 96);
  return bytes;
}

/* The bytes that the header says the entry has; 0 if it says nonsense or more than `size`. */
static size_t stated_size(const unsigned char *bytes, size_t size) {
  const uint64_t log_size = get_number(bytes + 16), binary_size = get_number(bytes + 24);
  const uint64_t room = size - HEADER;
  if (log_size < 1 || binary_size < 1 || log_size > room || binary_size > room - log_size) return 0;
  return HEADER + (size_t)(log_size + binary_size);
}

bool rwkv6_cl_entry_of_other_layout(const unsigned char *bytes, size_t size) {
  return size >= 16 && memcmp(bytes, MAGIC, 8) == 0 && get_number(bytes + 8) != VERSION;
}

size_t rwkv6_cl_entry_read(const unsigned char *bytes, size_t size, rwkv6_cl_entry *entry, const char **reason) {
  unsigned char sum[RWKV6_SHA256_BYTES];
  *reason = "no program of this library's cache";
  if (size < HEADER || memcmp(bytes, MAGIC, 8) != 0) return 0;
  *reason = "written by another version of the library";
  if (rwkv6_cl_entry_of_other_layout(bytes, size)) return 0;
  *reason = "cut short";
  const size_t all = stated_size(bytes, size);
  if (!all) return 0;
  *reason = "damaged: the checksum is another";
  checksum(bytes, all, sum);
  const size_t log_size = (size_t)get_number(bytes + 16);
  if (memcmp(sum, bytes + 96, sizeof sum) != 0 || bytes[HEADER + log_size - 1] != '\0') return 0;
  memcpy(entry->key.device, bytes + 32, RWKV6_SHA256_BYTES);
  memcpy(entry->key.program, bytes + 64, RWKV6_SHA256_BYTES);
  entry->log = (const char *)bytes + HEADER;
  entry->binary = bytes + HEADER + log_size;
  entry->binary_size = all - HEADER - log_size;
  return all;
}
