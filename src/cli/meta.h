/* SPDX-License-Identifier: MIT */
/* meta.json of a case: the shapes and options of its tensors. */
#ifndef RWKV6_SRC_CLI_META_H
#define RWKV6_SRC_CLI_META_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

typedef struct cli_meta {
  int64_t tokens, sequences, heads;
  int32_t key_dim, value_dim; /* 1 to 256 */
  double scale;               /* finite */
  rwkv6_decay decay;
  rwkv6_dtype dtype;   /* what r, k, v, do were rounded to */
  rwkv6_dtype w_dtype; /* what w was rounded to; any of the three, whatever dtype is */
  bool reverse;
} cli_meta;

/* Reads and checks every field. Unknown keys are ignored. Errors: INVALID_ARGUMENT with a text that starts with the path and
 * names the field, its value and what is allowed; OUT_OF_MEMORY. */
rwkv6_status cli_meta_read(const char *path, cli_meta *meta, rwkv6_error *error);

/* "fp32", "fp16", "bf16"; false for anything else. */
bool cli_parse_dtype(const char *text, rwkv6_dtype *dtype);

#endif
