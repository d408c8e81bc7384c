/* SPDX-License-Identifier: MIT */
#include "conform/case.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor.h"

static const char *const distribution_names[] = {"ordinary", "weak",   "strong", "minus5", "minus10",  "minus12",
                                                 "minus20",  "spikes", "resets", "none",   "denormal", NULL};
static const char *const strides_names[] = {"packed", "padded", "fused", "heads_first", NULL};
static const char *const decay_names[] = {"log", "raw", "factor", NULL};
static const char *const memory_names[] = {"device", "host", NULL};
static const char *const dtype_names[] = {"fp32", "fp16", "bf16", NULL};

const char *conform_decay_name(rwkv6_decay decay) {
  return decay_names[decay];
}

conform_case conform_case_make(int64_t length, int32_t key_dim, int32_t value_dim) {
  const conform_case test = {.sequences = 1,
                             .length = length,
                             .heads = 1,
                             .key_dim = key_dim,
                             .value_dim = value_dim,
                             .optional = CONFORM_ALL_OPTIONAL,
                             .segment_length = -1,
                             .seed = 1};
  return test;
}

const char *conform_case_format(const conform_case *test, char text[CONFORM_CASE_TEXT]) {
  snprintf(text, CONFORM_CASE_TEXT,
           "n=%" PRId64 " t=%" PRId64 " ragged=%d h=%" PRId64 " k=%" PRId32 " v=%" PRId32 " dtype=%s w=%s decay=%s dist=%s "
           "strides=%s reverse=%d optional=%u scale=%.17g chunk=%" PRId64 " segment=%" PRId64 " memory=%s group=%" PRId32
           " seed=%" PRIu64,
           test->sequences, test->length, test->ragged, test->heads, test->key_dim, test->value_dim, dtype_names[test->dtype],
           dtype_names[test->w_dtype], decay_names[test->decay], distribution_names[test->distribution],
           strides_names[test->strides], test->reverse, (unsigned)test->optional, test->scale, test->chunk_length,
           test->segment_length, memory_names[test->host], test->work_group, test->seed);
  return text;
}

static bool parse_name(const char *value, const char *const *names, int *found) {
  for (int i = 0; names[i]; i++) {
    if (strcmp(value, names[i])) continue;
    *found = i;
    return true;
  }
  return false;
}

static bool parse_integer(const char *value, int64_t low, int64_t high, int64_t *found) {
  char *end;
  *found = strtoll(value, &end, 10);
  return end != value && !*end && *found >= low && *found <= high;
}

/* Words whose value is a name. Returns 1 if understood, 0 if the value is wrong, -1 if the key is none of these. */
static int parse_named(conform_case *test, const char *key, const char *value) {
  int found = 0;
  if (!strcmp(key, "dtype") || !strcmp(key, "w")) {
    if (!parse_name(value, dtype_names, &found)) return 0;
    *(*key == 'w' ? &test->w_dtype : &test->dtype) = (rwkv6_dtype)found;
  } else if (!strcmp(key, "decay")) {
    if (!parse_name(value, decay_names, &found)) return 0;
    test->decay = (rwkv6_decay)found;
  } else if (!strcmp(key, "dist")) {
    if (!parse_name(value, distribution_names, &found)) return 0;
    test->distribution = (conform_distribution)found;
  } else if (!strcmp(key, "strides")) {
    if (!parse_name(value, strides_names, &found)) return 0;
    test->strides = (conform_strides)found;
  } else if (!strcmp(key, "memory")) {
    if (!parse_name(value, memory_names, &found)) return 0;
    test->host = found != 0;
  } else {
    return -1;
  }
  return 1;
}

static bool parse_number(conform_case *test, const char *key, const char *value) {
  int64_t number = 0;
  if (!strcmp(key, "scale")) {
    char *end;
    test->scale = strtod(value, &end);
    return end != value && !*end;
  }
  if (!strcmp(key, "seed")) {
    char *end;
    test->seed = strtoull(value, &end, 10);
    return end != value && !*end;
  }
  if (!parse_integer(value, -1, INT32_MAX, &number)) return false;
  if (!strcmp(key, "n"))
    test->sequences = number;
  else if (!strcmp(key, "t"))
    test->length = number;
  else if (!strcmp(key, "ragged"))
    test->ragged = number != 0;
  else if (!strcmp(key, "h"))
    test->heads = number;
  else if (!strcmp(key, "k"))
    test->key_dim = (int32_t)number;
  else if (!strcmp(key, "v"))
    test->value_dim = (int32_t)number;
  else if (!strcmp(key, "reverse"))
    test->reverse = number != 0;
  else if (!strcmp(key, "optional"))
    test->optional = (uint32_t)number;
  else if (!strcmp(key, "chunk"))
    test->chunk_length = number;
  else if (!strcmp(key, "segment"))
    test->segment_length = number;
  else if (!strcmp(key, "group"))
    test->work_group = (int32_t)number;
  else
    return false;
  return true;
}

bool conform_case_parse(const char *text, conform_case *test, char wrong[64]) {
  while (*(text += strspn(text, " ,\t"))) {
    const size_t length = strcspn(text, " ,\t");
    snprintf(wrong, 64, "%.*s", (int)(length < 63 ? length : 63), text);
    text += length;
    char word[64];
    memcpy(word, wrong, sizeof word);
    char *value = strchr(word, '=');
    if (!value) return false;
    *value++ = 0;
    const int named = parse_named(test, word, value);
    if (!named || (named < 0 && !parse_number(test, word, value))) return false;
  }
  return test->sequences >= 1 && test->sequences <= CONFORM_MAX_SEQUENCES;
}
