/* SPDX-License-Identifier: MIT */
/*
 * A file of the program cache. First as it is: refused with a reason, or parts that lie inside it. Then the same bytes with the
 * checksum that belongs to them, so that what lies behind it is reached. Then as the log and binary of an entry that the
 * library writes: read back the same, and refused once a byte is another.
 */
#include "opencl/cache_entry.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define HEADER 128
#define CHECKSUM 96

static void read_any(const uint8_t *data, size_t size) {
  rwkv6_cl_entry entry;
  const char *reason = NULL;
  const size_t read = rwkv6_cl_entry_read(data, size, &entry, &reason);
  if (!read) {
    FUZZ_REQUIRE(reason && *reason);
    return;
  }
  FUZZ_REQUIRE(read <= size && entry.binary_size >= 1 && entry.binary > data);
  FUZZ_REQUIRE(entry.binary + entry.binary_size == data + read);
  FUZZ_REQUIRE(strlen(entry.log) < size);
}

static void with_checksum(const uint8_t *data, size_t size) {
  if (size < HEADER) return;
  uint8_t *bytes = malloc(size);
  FUZZ_REQUIRE(bytes);
  memcpy(bytes, data, size);
  rwkv6_sha256 sha;
  rwkv6_sha256_begin(&sha);
  rwkv6_sha256_add(&sha, bytes, CHECKSUM);
  rwkv6_sha256_add(&sha, bytes + HEADER, size - HEADER);
  rwkv6_sha256_end(&sha, bytes + CHECKSUM);
  read_any(bytes, size);
  free(bytes);
}

static void write_and_read(const uint8_t *data, size_t size) {
  if (size < 72) return;
  char *log = malloc(size + 1);
  FUZZ_REQUIRE(log);
  memcpy(log, data, size);
  log[size] = '\0';
  rwkv6_cl_entry entry = {.log = log, .binary = data + 64, .binary_size = size - 64}, again;
  memcpy(entry.key.device, data, 32);
  memcpy(entry.key.program, data + 32, 32);
  size_t written;
  const char *reason;
  unsigned char *bytes = rwkv6_cl_entry_write(&entry, &written, NULL);
  FUZZ_REQUIRE(bytes && rwkv6_cl_entry_read(bytes, written, &again, &reason) == written);
  FUZZ_REQUIRE(!strcmp(again.log, log) && again.binary_size == entry.binary_size);
  FUZZ_REQUIRE(!memcmp(again.binary, entry.binary, entry.binary_size) && !memcmp(&again.key, &entry.key, sizeof entry.key));
  bytes[data[0] * 256u % written] ^= (unsigned char)(1 << (data[1] & 7));
  FUZZ_REQUIRE(rwkv6_cl_entry_read(bytes, written, &again, &reason) == 0);
  free(bytes);
  free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  read_any(data, size);
  with_checksum(data, size);
  write_and_read(data, size);
  return 0;
}
