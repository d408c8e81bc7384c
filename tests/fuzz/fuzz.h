/* SPDX-License-Identifier: MIT */
/*
 * What fuzz targets share. Each target has LLVMFuzzerTestOneInput, which libFuzzer calls with inputs it makes up, and replay.c
 * with those that tests/fuzz/corpus keeps. A target ends the program where something does not hold.
 */
#ifndef RWKV6_TESTS_FUZZ_FUZZ_H
#define RWKV6_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program, with the place on stderr, unless `holds`. */
#define FUZZ_REQUIRE(holds) fuzz_require((holds), #holds, __FILE__, __LINE__)
void fuzz_require(bool holds, const char *text, const char *file, int line);

/* The input as it is consumed; past its end there are zeros. */
typedef struct fuzz_input {
  const uint8_t *data;
  size_t size;
} fuzz_input;

uint64_t fuzz_take(fuzz_input *input, size_t bytes);  /* up to 8, the lowest first */
int64_t fuzz_below(fuzz_input *input, int64_t bound); /* 0 to bound - 1, from 2 bytes */

/* The path of a file with these bytes; the next call writes another into the same place. */
const char *fuzz_file(const uint8_t *data, size_t size);

#endif
