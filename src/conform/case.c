/* SPDX-License-Identifier: MIT */
#include "conform/case.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor.h"

static const char *const distribution_names[] = {"ordinary", "weak",    "strong", "minus5", "minus10",
                                                 "minus12",  "minus20", "spikes", "resets", "none",
                                                 "denormal", "slow",    "rare",   "edge",   NULL};
static const char *const strides_names[] = {"packed", "padded", "fused", "heads_first", NULL};
static const char *const decay_names[] = {"log", "raw", "factor", NULL};
static const char *const memory_names[] = {"device", "host", NULL};
static const char *const dtype_names[] = {"fp32", "fp16", "bf16", NULL};
static const char *const precision_names[] = {"full", "relaxed", NULL};

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
           "strides=%s reverse=%d optional=%u scale=%.17g chunk=%" PRId64 " segment=%" PRId64
           " precision=%s memory=%s group=%" PRId32 " seed=%" PRIu64,
           test->sequences, test->length, test->ragged, test->heads, test->key_dim, test->value_dim, dtype_names[test->dtype],
           dtype_names[test->w_dtype], decay_names[test->decay], distribution_names[test->distribution],
           strides_names[test->strides], test->reverse, (unsigned)test->optional, test->scale, test->chunk_length,
           test->segment_length, precision_names[test->precision], memory_names[test->host], test->work_group, test->seed);
  return text;
}

static bool find_name(const char *value, const char *const *names, int64_t *found) {
  for (*found = 0; names[*found]; ++*found)
    if (!strcmp(value, names[*found])) return true;
  return false;
}

static bool parse_integer(const char *value, int64_t low, int64_t high, int64_t *found) {
  char *end;
  errno = 0;
  *found = strtoll(value, &end, 10);
  return end != value && !*end && !errno && *found >= low && *found <= high;
}

/* Keys with the values that they may have: one of `names`, or an integer from `low` to `high`. What the library itself refuses
 * with a better message is left to it. */
static const struct key {
  const char *name;
  const char *const *names;
  int64_t low, high;
  size_t at, size;
} keys[] = {
#define AT(field) offsetof(conform_case, field), sizeof(((conform_case *)NULL)->field)
    {"n", NULL, 1, CONFORM_MAX_SEQUENCES, AT(sequences)},
    {"t", NULL, 0, INT32_MAX, AT(length)},
    {"ragged", NULL, 0, 1, AT(ragged)},
    {"h", NULL, 1, INT32_MAX, AT(heads)},
    {"k", NULL, 1, INT32_MAX, AT(key_dim)},
    {"v", NULL, 1, INT32_MAX, AT(value_dim)},
    {"dtype", dtype_names, 0, 0, AT(dtype)},
    {"w", dtype_names, 0, 0, AT(w_dtype)},
    {"decay", decay_names, 0, 0, AT(decay)},
    {"dist", distribution_names, 0, 0, AT(distribution)},
    {"strides", strides_names, 0, 0, AT(strides)},
    {"reverse", NULL, 0, 1, AT(reverse)},
    {"optional", NULL, 0, CONFORM_ALL_OPTIONAL, AT(optional)},
    {"chunk", NULL, 0, INT32_MAX, AT(chunk_length)},
    {"segment", NULL, -1, INT32_MAX, AT(segment_length)},
    {"precision", precision_names, 0, 0, AT(precision)},
    {"memory", memory_names, 0, 0, AT(host)},
    {"group", NULL, 0, INT32_MAX, AT(work_group)},
#undef AT
};

static void store(conform_case *test, const struct key *key, int64_t value) {
  unsigned char *to = (unsigned char *)test + key->at;
  const int32_t narrow = (int32_t)value;
  const bool truth = value != 0;
  if (key->size == sizeof value)
    memcpy(to, &value, sizeof value);
  else if (key->size == sizeof narrow)
    memcpy(to, &narrow, sizeof narrow);
  else
    memcpy(to, &truth, sizeof truth);
}

static bool parse_scale(const char *value, double *scale) {
  char *end;
  *scale = strtod(value, &end);
  return end != value && !*end && isfinite(*scale);
}

bool conform_seed_parse(const char *text, uint64_t *seed) {
  char *end;
  errno = 0;
  *seed = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool parse_word(conform_case *test, const char *name, const char *value) {
  if (!strcmp(name, "scale")) return parse_scale(value, &test->scale);
  if (!strcmp(name, "seed")) return conform_seed_parse(value, &test->seed);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    int64_t found;
    if (strcmp(name, keys[i].name)) continue;
    if (keys[i].names ? !find_name(value, keys[i].names, &found) : !parse_integer(value, keys[i].low, keys[i].high, &found))
      return false;
    store(test, &keys[i], found);
    return true;
  }
  return false;
}

/* Elements of the largest tensor that a case may have: more is what `--huge` is for. */
#define MOST_ELEMENTS 0x1p30

static bool is_too_large(const conform_case *test) {
  const double heads = (double)test->sequences * (double)test->heads;
  const double largest = fmax(test->key_dim, test->value_dim), state = (double)test->key_dim * test->value_dim;
  return heads * fmax(state, (double)test->length * largest) > MOST_ELEMENTS;
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
    if (!parse_word(test, word, value)) return false;
  }
  snprintf(wrong, 64, "a case of more than 2^30 elements");
  return !is_too_large(test);
}
