/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy files, versions 1.0 to 3.0, of little-endian float32 and int64 in C order. Files are untrusted: nothing is
 * believed that the length of the file does not bear out, and every message starts with the path.
 */
#ifndef RWKV6_SRC_CLI_NPY_H
#define RWKV6_SRC_CLI_NPY_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

#define CLI_NPY_MAX_RANK 8

typedef enum cli_npy_type { CLI_NPY_FLOAT32, CLI_NPY_INT64 } cli_npy_type;

typedef struct cli_npy_shape {
  int rank;
  int64_t size[CLI_NPY_MAX_RANK]; /* slowest first */
} cli_npy_shape;

typedef struct cli_npy {
  cli_npy_type type;
  cli_npy_shape shape;
  int64_t elements;
  void *data; /* float or int64_t [elements] in the byte order of the host; owned */
} cli_npy;

/*
 * Reads a whole file. `want` (NULL: any shape) is compared before memory is taken for the data. On failure `array` holds
 * nothing. Errors: INVALID_ARGUMENT for everything that is wrong with the file, OUT_OF_MEMORY.
 */
rwkv6_status cli_npy_read(const char *path, cli_npy_type type, const cli_npy_shape *want, cli_npy *array, rwkv6_error *error);

/* Frees the data and clears the struct. */
void cli_npy_free(cli_npy *array);

/* Writes version 1.0, float32, C order. On failure nothing is left under `path`. */
rwkv6_status cli_npy_write(const char *path, const cli_npy_shape *shape, const float *data, rwkv6_error *error);

#define CLI_NPY_SHAPE_TEXT 192

/* "(130, 1, 64)", as Python writes it. */
const char *cli_npy_shape_text(char out[CLI_NPY_SHAPE_TEXT], const cli_npy_shape *shape);

/* The product of the sizes; false if it does not fit int64_t. */
bool cli_npy_elements(const cli_npy_shape *shape, int64_t *elements);

/* The Python dictionary at the start of a file, for npy.c: exactly descr, fortran_order and shape. `path` is for messages. */
rwkv6_status cli_npy_parse_header(const char *path, const char *text, size_t length, cli_npy_type type, cli_npy_shape *shape,
                                  rwkv6_error *error);

#endif
