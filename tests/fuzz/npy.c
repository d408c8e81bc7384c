/* SPDX-License-Identifier: MIT */
/* The first byte chooses the element type, the rest is an .npy file: refused with a text, or an array that is what was read. */
#include "cli/npy.h"

#include <string.h>

#include "fuzz.h"

/* What was accepted must be the same after it is written and read again. */
static void read_again(const cli_npy *array, const char *path) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cli_npy again;
  FUZZ_REQUIRE(!cli_npy_write(path, &array->shape, array->data, &error));
  FUZZ_REQUIRE(!cli_npy_read(path, CLI_NPY_FLOAT32, &array->shape, &again, &error));
  FUZZ_REQUIRE(again.elements == array->elements);
  FUZZ_REQUIRE(!memcmp(again.data, array->data, (size_t)array->elements * sizeof(float)));
  cli_npy_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cli_npy array;
  int64_t elements;
  if (size < 1) return 0;
  const cli_npy_type type = data[0] & 1 ? CLI_NPY_INT64 : CLI_NPY_FLOAT32;
  const char *path = fuzz_file(data + 1, size - 1);
  if (cli_npy_read(path, type, NULL, &array, &error)) {
    FUZZ_REQUIRE(!array.data && !strncmp(error.message, path, strlen(path)));
    return 0;
  }
  FUZZ_REQUIRE(cli_npy_elements(&array.shape, &elements) && elements == array.elements);
  FUZZ_REQUIRE((uint64_t)elements * (type == CLI_NPY_INT64 ? 8 : 4) < size);
  if (type == CLI_NPY_FLOAT32) read_again(&array, path);
  cli_npy_free(&array);
  return 0;
}
