/* SPDX-License-Identifier: MIT */
#include "conform/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static double worst_ratio[RWKV6_TENSOR_COUNT][3];

bool conform_fail(conform_message *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  return false;
}

conform_error conform_measure(const double *got, const double *expected, int64_t elements) {
  conform_error result = {0, 0, true, 0};
  double sum = 0, norm = 0, largest = -1;
  for (int64_t i = 0; i < elements; i++) {
    /* inf - inf would be NaN; an overflow that the expected value shares is right */
    const double off = got[i] == expected[i] ? 0 : got[i] - expected[i];
    if (!(fabs(off) <= largest)) {
      result.worst = i;
      largest = isnan(off) ? INFINITY : fabs(off);
    }
    sum += off * off;
    norm += expected[i] * expected[i];
    if (got[i] != 0) result.all_zero = false;
  }
  result.norm = sqrt(norm);
  result.error = sqrt(sum) / fmax(result.norm, 0x1p-100);
  return result;
}

static bool rounds_to_zero(const double *values, int64_t elements, rwkv6_dtype dtype) {
  for (int64_t i = 0; i < elements; i++)
    if (conform_round(values[i], dtype) != 0) return false;
  return true;
}

static void note_ratio(rwkv6_tensor_id id, rwkv6_dtype dtype, double ratio) {
  if (dtype <= RWKV6_BF16 && ratio > worst_ratio[id][dtype]) worst_ratio[id][dtype] = ratio;
}

/* Where an element of a packed tensor belongs. */
static const char *place_of(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t element, char text[96]) {
  const int64_t channels = rwkv6_tensor_channels(problem, id), heads = problem->heads;
  const int64_t row = element / channels, channel = element % channels;
  if (rwkv6_tensor_table[id].shape == RWKV6_SHAPE_HEADS_KEY)
    snprintf(text, 96, "head %" PRId64 ", channel %" PRId64, row, channel);
  else if (rwkv6_tensor_table[id].shape == RWKV6_SHAPE_STATE)
    snprintf(text, 96, "sequence %" PRId64 ", head %" PRId64 ", channels %" PRId64 ", %" PRId64, row / problem->key_dim / heads,
             row / problem->key_dim % heads, row % problem->key_dim, channel);
  else
    snprintf(text, 96, "token %" PRId64 ", head %" PRId64 ", channel %" PRId64, row / heads, row % heads, channel);
  return text;
}

bool conform_compare(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_dtype dtype, const double *got,
                     const double *expected, double tolerance, conform_message *message) {
  const char *name = rwkv6_tensor_table[id].name;
  const int64_t elements = rwkv6_tensor_elements(problem, id);
  const conform_error result = conform_measure(got, expected, elements);
  char place[96];
  note_ratio(id, dtype, result.error / tolerance);
  if (!(result.error <= tolerance))
    return conform_fail(message, "%s: relative error %.3g, allowed %.3g; worst at %s: expected %.9g, got %.9g", name,
                        result.error, tolerance, place_of(problem, id, result.worst, place), expected[result.worst],
                        got[result.worst]);
  if (elements && result.all_zero && result.norm > 0x1p-100 && !rounds_to_zero(expected, elements, dtype))
    return conform_fail(message, "%s: all zero, expected a norm of %.3g", name, result.norm);
  return true;
}

double conform_worst_ratio(rwkv6_tensor_id id, rwkv6_dtype dtype) {
  return worst_ratio[id][dtype];
}

void conform_reset_ratios(void) {
  memset(worst_ratio, 0, sizeof worst_ratio);
}

void conform_print_ratios(void) {
  printf("largest error / tolerance:");
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const double *ratio = worst_ratio[id];
    if (ratio[0] <= 0 && ratio[1] <= 0 && ratio[2] <= 0) continue;
    printf("  %s %.2f %.2f %.2f", rwkv6_tensor_table[id].name, ratio[0], ratio[1], ratio[2]);
  }
  printf("  (fp32 fp16 bf16)\n");
}

bool conform_check_images(const conform_data *data, int64_t n, conform_message *message) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const conform_image *image = &data->image[i];
    if (!image->memory) continue;
    int64_t first = 0, last = conform_rows(&data->resolved, (rwkv6_tensor_id)i);
    if (n >= 0) conform_sequence_rows(data, (rwkv6_tensor_id)i, n, &first, &last);
    conform_place place;
    const bool right = rwkv6_tensor_table[i].output ? conform_image_check_output(image, &data->resolved, first, last, &place)
                                                    : conform_image_check_input(image, &place);
    if (!right)
      return conform_fail(message,
                          "%s: %s at element %" PRId64 " from its start (rows %" PRId64 " to %" PRId64 " were to be written)",
                          rwkv6_tensor_table[i].name, place.what, place.element, first, last - 1);
  }
  return true;
}

bool conform_check_values(const conform_data *data, const conform_terms *terms, const conform_values *expected,
                          conform_message *message) {
  conform_values got;
  conform_values_read(data, &got);
  bool right = true;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && right; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!got.of[i]) continue;
    right = conform_compare(&data->resolved, id, data->image[i].dtype, got.of[i], expected->of[i],
                            conform_tolerance(data, terms, id, expected->of[i]), message);
  }
  conform_values_destroy(&got);
  return right;
}

static bool same_bits(const double *a, const double *b, int64_t begin, int64_t end, int64_t *at) {
  for (*at = begin; *at < end; ++*at)
    if (memcmp(&a[*at], &b[*at], sizeof *a)) return false;
  return true;
}

bool conform_check_bits(const conform_data *data, const conform_values *before, int64_t n, const char *what,
                        conform_message *message) {
  conform_values now;
  conform_values_read(data, &now);
  bool right = true;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && right; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    /* du is a sum over all sequences: alone it is another number */
    if (!now.of[i] || !before->of[i] || (n >= 0 && id == RWKV6_TENSOR_DU)) continue;
    int64_t first = 0, last = conform_rows(&data->resolved, id), at;
    if (n >= 0) conform_sequence_rows(data, id, n, &first, &last);
    const int64_t channels = rwkv6_tensor_channels(&data->resolved, id);
    right = same_bits(before->of[i], now.of[i], first * channels, last * channels, &at);
    char place[96];
    if (!right)
      conform_fail(message, "%s: %s: other bits at %s: first %.9g, then %.9g", rwkv6_tensor_table[i].name, what,
                   place_of(&data->resolved, id, at, place), before->of[i][at], now.of[i][at]);
  }
  conform_values_destroy(&now);
  return right;
}
