/* SPDX-License-Identifier: MIT */
#include "cli/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "error.h"

/* NumPy itself writes 128 bytes and refuses more than 10000 by default. */
#define MAX_HEADER 65535

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

const char *cli_npy_shape_text(char out[CLI_NPY_SHAPE_TEXT], const cli_npy_shape *shape) {
  size_t at = 0;
  out[at++] = '(';
  for (int i = 0; i < shape->rank; ++i) {
    const char *separator = i ? ", " : "";
    at += (size_t)snprintf(out + at, CLI_NPY_SHAPE_TEXT - at, "%s%lld", separator, (long long)shape->size[i]);
  }
  snprintf(out + at, CLI_NPY_SHAPE_TEXT - at, shape->rank == 1 ? ",)" : ")");
  return out;
}

bool cli_npy_elements(const cli_npy_shape *shape, int64_t *elements) {
  int64_t product = 1;
  for (int i = 0; i < shape->rank; ++i) {
    if (shape->size[i] == 0) {
      *elements = 0;
      return true;
    }
  }
  for (int i = 0; i < shape->rank; ++i) {
    if (product > INT64_MAX / shape->size[i]) return false;
    product *= shape->size[i];
  }
  *elements = product;
  return true;
}

static size_t element_size(cli_npy_type type) {
  return type == CLI_NPY_FLOAT32 ? 4 : 8;
}

/* Byte by byte, so that it is right on big-endian hosts; compilers make a plain copy of it on little-endian ones. */
static uint64_t little_endian(const unsigned char *bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

static void to_host_order(void *data, cli_npy_type type, int64_t elements) {
  unsigned char *at = data;
  for (int64_t i = 0; i < elements; ++i, at += element_size(type)) {
    if (type == CLI_NPY_FLOAT32) {
      const uint32_t bits = (uint32_t)little_endian(at, 4);
      memcpy(at, &bits, sizeof bits);
    } else {
      const uint64_t bits = little_endian(at, 8);
      memcpy(at, &bits, sizeof bits);
    }
  }
}

typedef struct reader {
  FILE *file;
  const char *path;
  int64_t length; /* of the whole file */
  int64_t at;
  rwkv6_error *error;
} reader;

static rwkv6_status bad(const reader *in, const char *problem) {
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: %s", in->path, problem);
}

static rwkv6_status read_bytes(reader *in, void *bytes, size_t count, const char *what) {
  if ((uint64_t)(in->length - in->at) < count || fread(bytes, 1, count, in->file) != count) {
    return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: truncated: the file ends inside %s", in->path, what);
  }
  in->at += (int64_t)count;
  return RWKV6_OK;
}

/* Magic, version and length of the dictionary. */
static rwkv6_status read_prefix(reader *in, size_t *header_length) {
  unsigned char bytes[8];
  rwkv6_status status = read_bytes(in, bytes, 8, "the first 8 bytes");
  if (status) return status;
  if (memcmp(bytes, magic, sizeof magic) != 0) return bad(in, "not an .npy file: it does not start with \\x93NUMPY");
  if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0) {
    return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: .npy version %d.%d; allowed are 1.0, 2.0 and 3.0", in->path,
                      bytes[6], bytes[7]);
  }
  const size_t field = bytes[6] == 1 ? 2 : 4;
  unsigned char length[4] = {0, 0, 0, 0};
  status = read_bytes(in, length, field, "the length of its header");
  *header_length = (size_t)little_endian(length, field);
  if (!status && *header_length > MAX_HEADER) {
    return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: header of %zu bytes; at most %d are allowed", in->path,
                      *header_length, MAX_HEADER);
  }
  return status;
}

static rwkv6_status read_header(reader *in, cli_npy_type type, cli_npy_shape *shape) {
  size_t length = 0;
  rwkv6_status status = read_prefix(in, &length);
  if (status) return status;
  char *text = rwkv6_alloc(length, 1, in->path, in->error);
  if (!text) return RWKV6_OUT_OF_MEMORY;
  status = read_bytes(in, text, length, "its header");
  if (!status) status = cli_npy_parse_header(in->path, text, length, type, shape, in->error);
  free(text);
  return status;
}

static bool same_shape(const cli_npy_shape *a, const cli_npy_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; ++i) {
    if (a->size[i] != b->size[i]) return false;
  }
  return true;
}

static rwkv6_status check_shape(const reader *in, const cli_npy_shape *shape, const cli_npy_shape *want) {
  char have[CLI_NPY_SHAPE_TEXT], expected[CLI_NPY_SHAPE_TEXT];
  if (!want || same_shape(shape, want)) return RWKV6_OK;
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: shape is %s; meta.json asks for %s", in->path,
                    cli_npy_shape_text(have, shape), cli_npy_shape_text(expected, want));
}

/* The file must be exactly as long as its shape says: nothing is allocated on the word of the header alone. */
static rwkv6_status check_length(const reader *in, const cli_npy *array) {
  char shape[CLI_NPY_SHAPE_TEXT];
  const int64_t rest = in->length - in->at;
  const int64_t size = (int64_t)element_size(array->type);
  if (array->elements == rest / size && rest % size == 0) return RWKV6_OK;
  const bool shorter = array->elements > rest / size;
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT,
                    "%s: %s: shape %s needs %lld elements of %d bytes, the file has %lld bytes of data", in->path,
                    shorter ? "truncated" : "trailing bytes", cli_npy_shape_text(shape, &array->shape),
                    (long long)array->elements, (int)size, (long long)rest);
}

static rwkv6_status read_data(reader *in, cli_npy *array) {
  const size_t size = element_size(array->type);
  if ((uint64_t)array->elements > SIZE_MAX / size) return bad(in, "too large for this machine's address space");
  array->data = rwkv6_alloc((size_t)array->elements, size, in->path, in->error);
  if (!array->data) return RWKV6_OUT_OF_MEMORY;
  const rwkv6_status status = read_bytes(in, array->data, (size_t)array->elements * size, "its data");
  if (!status) to_host_order(array->data, array->type, array->elements);
  return status;
}

static rwkv6_status read_array(reader *in, const cli_npy_shape *want, cli_npy *array) {
  rwkv6_status status = read_header(in, array->type, &array->shape);
  if (!status) status = check_shape(in, &array->shape, want);
  if (status) return status;
  if (!cli_npy_elements(&array->shape, &array->elements))
    return bad(in, "the sizes of its shape multiply to more than 64 bits");
  status = check_length(in, array);
  return status ? status : read_data(in, array);
}

rwkv6_status cli_npy_read(const char *path, cli_npy_type type, const cli_npy_shape *want, cli_npy *array, rwkv6_error *error) {
  reader in = {NULL, path, 0, 0, error};
  memset(array, 0, sizeof *array);
  array->type = type;
  in.file = cli_file_open(path, &in.length, error);
  if (!in.file) return RWKV6_INVALID_ARGUMENT;
  const rwkv6_status status = read_array(&in, want, array);
  fclose(in.file);
  if (status) cli_npy_free(array);
  return status;
}

void cli_npy_free(cli_npy *array) {
  free(array->data);
  memset(array, 0, sizeof *array);
}

/* Padded with blanks so that the data starts at a multiple of 64 bytes, as the format asks. */
static bool write_header(FILE *file, const cli_npy_shape *shape) {
  char text[CLI_NPY_SHAPE_TEXT + 128], sizes[CLI_NPY_SHAPE_TEXT];
  const size_t prefix = 10;
  const int used =
      snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", cli_npy_shape_text(sizes, shape));
  const size_t length = (prefix + (size_t)used + 1 + 63) / 64 * 64 - prefix;
  memset(text + used, ' ', length - (size_t)used);
  text[length - 1] = '\n';
  const unsigned char start[4] = {1, 0, (unsigned char)(length & 0xff), (unsigned char)(length >> 8)};
  return fwrite(magic, 1, sizeof magic, file) == sizeof magic && fwrite(start, 1, 4, file) == 4 &&
         fwrite(text, 1, length, file) == length;
}

static bool write_data(FILE *file, const float *data, int64_t elements) {
  unsigned char block[4 * 1024];
  for (int64_t done = 0; done < elements;) {
    size_t count = 0;
    for (; count < sizeof block / 4 && done < elements; ++count, ++done) {
      uint32_t bits;
      memcpy(&bits, data + done, sizeof bits);
      for (size_t byte = 0; byte < 4; ++byte) block[4 * count + byte] = (unsigned char)(bits >> (8 * byte));
    }
    if (fwrite(block, 4, count, file) != count) return false;
  }
  return true;
}

rwkv6_status cli_npy_write(const char *path, const cli_npy_shape *shape, const float *data, rwkv6_error *error) {
  int64_t elements = 0;
  if (!cli_npy_elements(shape, &elements)) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: shape too large", path);
  FILE *file = fopen(path, "wb");
  if (!file) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: cannot be created: %s", path, strerror(errno));
  errno = 0;
  const bool written = write_header(file, shape) && write_data(file, data, elements);
  int reason = errno;
  const bool closed = fclose(file) == 0;
  if (written && closed) return RWKV6_OK;
  if (written) reason = errno;
  remove(path);
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: cannot be written: %s", path,
                    reason ? strerror(reason) : "unknown reason");
}
