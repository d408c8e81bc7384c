/* SPDX-License-Identifier: MIT */
/*
 * How large a result is beside the terms that it is a sum of.
 *
 * Every element of every output is a sum of distinct products of inputs, so the sum of the squares of these products is the
 * operator itself on squared inputs: r^2, k^2, ..., decay factors squared, scale squared. Terms of random sign add up to the
 * root of that; where they happen to cancel, the result is smaller than what was rounded on the way to it.
 */
#include "conform/tolerance.h"

#include <math.h>

static double squared(const conform_data *data, rwkv6_tensor_id id, double value) {
  if (id != RWKV6_TENSOR_W || data->test.decay == RWKV6_DECAY_FACTOR) return value * value;
  return data->test.decay == RWKV6_DECAY_RAW ? -2 * exp(value) : 2 * value;
}

static void square_input(const conform_data *data, conform_data *squares, rwkv6_tensor_id id) {
  const int64_t channels = rwkv6_tensor_channels(&data->resolved, id), rows = conform_rows(&data->resolved, id);
  if (!data->image[id].memory || rwkv6_tensor_table[id].output) return;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t offset = conform_row_offset(&data->resolved, id, row);
    for (int64_t c = offset; c < offset + channels; c++)
      conform_image_write(&squares->image[id], c, squared(data, id, conform_image_read(&data->image[id], c)));
  }
}

/* dw of the squared problem is that of the log form; in raw form each gradient has x = exp(w) as a further factor. */
static double dw_factor(const conform_data *data, int64_t packed) {
  const int64_t channels = data->resolved.key_dim;
  if (data->test.decay != RWKV6_DECAY_RAW) return 1;
  const int64_t at = conform_row_offset(&data->resolved, RWKV6_TENSOR_W, packed / channels) + packed % channels;
  return exp(2 * conform_image_read(&data->image[RWKV6_TENSOR_W], at));
}

static double expected_norm(const conform_data *data, rwkv6_tensor_id id, const double *squares) {
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, id);
  double sum = 0;
  for (int64_t i = 0; i < elements; i++)
    if (squares[i] != 0) sum += squares[i] * (id == RWKV6_TENSOR_DW ? dw_factor(data, i) : 1);
  return sqrt(sum);
}

void conform_conditions(const conform_data *data, conform_terms *terms) {
  conform_data squares;
  conform_values values;
  conform_data_create(&squares, &data->test, data->operation, true);
  squares.resolved = data->resolved; /* golden cases have lengths of their own */
  squares.resolved.scale = data->resolved.scale * data->resolved.scale;
  if (data->test.decay == RWKV6_DECAY_RAW) squares.resolved.decay = RWKV6_DECAY_LOG;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) square_input(data, &squares, (rwkv6_tensor_id)i);
  conform_reference(&squares, RWKV6_MODE_RECURRENT, true, &values);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    terms->expected_norm[i] = values.of[i] ? expected_norm(data, (rwkv6_tensor_id)i, values.of[i]) : 0;
  conform_values_destroy(&values);
  conform_data_destroy(&squares);
}
