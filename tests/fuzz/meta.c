/* SPDX-License-Identifier: MIT */
/* A meta.json: refused with a text, or fields in their ranges. */
#include "cli/meta.h"

#include <math.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cli_meta meta;
  const char *path = fuzz_file(data, size);
  if (cli_meta_read(path, &meta, &error)) {
    FUZZ_REQUIRE(!strncmp(error.message, path, strlen(path)));
    return 0;
  }
  FUZZ_REQUIRE(meta.tokens >= 0 && meta.sequences >= 1 && meta.heads >= 1);
  FUZZ_REQUIRE(meta.key_dim >= 1 && meta.key_dim <= RWKV6_MAX_DIM && meta.value_dim >= 1 && meta.value_dim <= RWKV6_MAX_DIM);
  FUZZ_REQUIRE(isfinite(meta.scale));
  FUZZ_REQUIRE((unsigned)meta.decay <= RWKV6_DECAY_FACTOR);
  FUZZ_REQUIRE((unsigned)meta.dtype <= RWKV6_BF16 && (unsigned)meta.w_dtype <= RWKV6_BF16);
  return 0;
}
