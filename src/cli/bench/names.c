/* SPDX-License-Identifier: MIT */
#include "cli/bench/names.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"
#include "tensor.h"

static const struct {
  conform_distribution distribution;
  const char *name;
} distributions[] = {{CONFORM_ORDINARY, "ordinary"},
                     {CONFORM_WEAK, "weak"},
                     {CONFORM_STRONG, "strong"},
                     {CONFORM_SPIKES, "spikes"},
                     {CONFORM_RESETS, "resets"}};
enum { COUNT = sizeof distributions / sizeof distributions[0] };

const char *bench_distribution_name(conform_distribution distribution) {
  for (int i = 0; i < COUNT; ++i)
    if (distributions[i].distribution == distribution) return distributions[i].name;
  return "unknown";
}

bool bench_distribution_parse(const char *text, conform_distribution *distribution) {
  for (int i = 0; i < COUNT; ++i) {
    if (strcmp(text, distributions[i].name) != 0) continue;
    *distribution = distributions[i].distribution;
    return true;
  }
  return false;
}

bool bench_decay_parse(const char *text, rwkv6_decay *decay) {
  for (int i = RWKV6_DECAY_LOG; i <= RWKV6_DECAY_FACTOR; ++i) {
    if (strcmp(text, cli_decay_name((rwkv6_decay)i)) != 0) continue;
    *decay = (rwkv6_decay)i;
    return true;
  }
  return false;
}

bool bench_mode_parse(const char *text, rwkv6_mode *mode) {
  for (int i = RWKV6_MODE_AUTO; i <= RWKV6_MODE_CHUNK; ++i) {
    if (strcmp(text, cli_mode_name((rwkv6_mode)i)) != 0) continue;
    *mode = (rwkv6_mode)i;
    return true;
  }
  return false;
}

bool bench_operation_parse(const char *text, rwkv6_operation *operation) {
  for (int i = RWKV6_FORWARD; i <= RWKV6_BACKWARD; ++i) {
    if (strcmp(text, cli_operation_name((rwkv6_operation)i)) != 0) continue;
    *operation = (rwkv6_operation)i;
    return true;
  }
  return false;
}

static const char *precision_text(rwkv6_precision asked, rwkv6_precision computed) {
  if (asked == RWKV6_PRECISION_FULL) return "";
  return computed == RWKV6_PRECISION_RELAXED ? ", relaxed" : ", relaxed as full";
}

const char *bench_storage_format(const bench_case *timed, rwkv6_precision computed, char text[BENCH_STORAGE_TEXT]) {
  const bool apart = timed->w_dtype != timed->dtype;
  snprintf(text, BENCH_STORAGE_TEXT, "%s%s%s%s", rwkv6_dtype_name(timed->dtype), apart ? ", w in " : "",
           apart ? rwkv6_dtype_name(timed->w_dtype) : "", precision_text(timed->precision, computed));
  return text;
}
