/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench/case.h"

const char *bench_shape_format(const bench_shape *shape, char text[BENCH_SHAPE_TEXT]) {
  snprintf(text, BENCH_SHAPE_TEXT, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId32 ",%" PRId32 "%s%s%s%s", shape->sequences,
           shape->length, shape->heads, shape->key_dim, shape->value_dim, shape->ragged ? ",ragged" : "",
           shape->states ? ",states" : "", shape->reverse ? ",reverse" : "", shape->padded ? ",padded" : "");
  return text;
}

/* Sets what a word stands for; false if it stands for nothing. */
static bool set_word(const char *word, size_t length, bench_shape *shape) {
  const struct {
    const char *name;
    bool *place;
  } words[] = {
      {"ragged", &shape->ragged}, {"states", &shape->states}, {"reverse", &shape->reverse}, {"padded", &shape->padded}};
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
    if (strlen(words[i].name) != length || strncmp(word, words[i].name, length) != 0) continue;
    *words[i].place = true;
    return true;
  }
  return false;
}

/* The words after the numbers, each with a comma before it. */
static bool parse_words(const char *text, bench_shape *shape) {
  while (*text) {
    const size_t length = strcspn(text + 1, ",");
    if (*text != ',' || !set_word(text + 1, length, shape)) return false;
    text += 1 + length;
  }
  return true;
}

/* Sizes up to 10^9: the library judges the rest. */
bool bench_shape_parse(const char *text, bench_shape *shape) {
  int end = 0;
  memset(shape, 0, sizeof *shape);
  if (strspn(text, "0123456789,") != strcspn(text, "rsp")) return false;
  if (sscanf(text, "%9" SCNd64 ",%9" SCNd64 ",%9" SCNd64 ",%9" SCNd32 ",%9" SCNd32 "%n", &shape->sequences, &shape->length,
             &shape->heads, &shape->key_dim, &shape->value_dim, &end) != 5)
    return false;
  return shape->sequences > 0 && shape->length > 0 && parse_words(text + end, shape);
}

bool bench_case_same_program(const bench_case *a, const bench_case *b) {
  return a->operation == b->operation && a->mode == b->mode && a->dtype == b->dtype && a->w_dtype == b->w_dtype &&
         a->decay == b->decay && a->precision == b->precision && a->shape.key_dim == b->shape.key_dim &&
         a->shape.value_dim == b->shape.value_dim;
}
