/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

#include "error.h"

const char *cli_quote(char out[CLI_QUOTE_SIZE], const char *text, size_t length) {
  size_t at = 0;
  out[at++] = '"';
  for (size_t i = 0; i < length; ++i) {
    if (at + 9 > CLI_QUOTE_SIZE) { /* room for \xNN, "...", the closing quote and the end */
      memcpy(out + at, "...", 3);
      at += 3;
      break;
    }
    const unsigned char byte = (unsigned char)text[i];
    if (byte >= 0x20 && byte < 0x7f) {
      out[at++] = (char)byte;
    } else {
      at += (size_t)snprintf(out + at, CLI_QUOTE_SIZE - at, "\\x%02x", (unsigned)byte);
    }
  }
  out[at++] = '"';
  out[at] = '\0';
  return out;
}

char *cli_join_path(const char *folder, const char *name, rwkv6_error *error) {
  const size_t size = strlen(folder) + strlen(name) + 2;
  char *path = rwkv6_alloc(size, 1, "a path", error);
  if (path) snprintf(path, size, "%s/%s", folder, name);
  return path;
}

char *cli_copy_text(const char *text, size_t length, rwkv6_error *error) {
  char *copy = rwkv6_alloc(length + 1, 1, "a text", error);
  if (copy) memcpy(copy, text, length);
  return copy;
}

const char *cli_mode_name(rwkv6_mode mode) {
  switch (mode) {
  case RWKV6_MODE_AUTO: return "auto";
  case RWKV6_MODE_RECURRENT: return "recurrent";
  case RWKV6_MODE_CHUNK: return "chunk";
  }
  return "unknown";
}

const char *cli_operation_name(rwkv6_operation operation) {
  return operation == RWKV6_FORWARD ? "forward" : "backward";
}

const char *cli_decay_name(rwkv6_decay decay) {
  switch (decay) {
  case RWKV6_DECAY_LOG: return "log";
  case RWKV6_DECAY_RAW: return "raw";
  case RWKV6_DECAY_FACTOR: return "factor";
  }
  return "unknown";
}

const char *cli_precision_name(rwkv6_precision precision) {
  switch (precision) {
  case RWKV6_PRECISION_FULL: return "full";
  case RWKV6_PRECISION_RELAXED: return "relaxed";
  }
  return "unknown";
}

bool cli_precision_parse(const char *text, rwkv6_precision *precision) {
  for (int i = RWKV6_PRECISION_FULL; i <= RWKV6_PRECISION_RELAXED; ++i) {
    if (strcmp(text, cli_precision_name((rwkv6_precision)i)) != 0) continue;
    *precision = (rwkv6_precision)i;
    return true;
  }
  return false;
}
