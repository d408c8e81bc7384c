/* SPDX-License-Identifier: MIT */
#include "conform/change.h"

#include <string.h>

conform_change conform_change_make(const conform_data *data) {
  conform_change change = {.operation = data->operation};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) change.factor[i] = 1;
  return change;
}

static int64_t length_of(const conform_data *data, int64_t n) {
  return data->cu_seqlens[n + 1] - data->cu_seqlens[n];
}

int64_t conform_cut(const conform_data *data, int64_t n) {
  return length_of(data, n) * (int64_t)(data->test.seed % 5) / 4;
}

static void change_lengths(conform_data *to, const conform_data *from, const conform_change *change) {
  for (int64_t n = 0; n < from->test.sequences; n++) {
    const int64_t original = (n + change->sequences) % from->test.sequences;
    const int64_t cut = conform_cut(from, original);
    int64_t length = length_of(from, original);
    if (change->part == CONFORM_FIRST_STEPS) length = cut;
    if (change->part == CONFORM_LAST_STEPS) length -= cut;
    to->cu_seqlens[n + 1] = to->cu_seqlens[n] + length;
  }
}

/* Row [token][head] by way of its step in the order of the recurrence. */
static int64_t original_token_row(const conform_data *from, const conform_data *to, const conform_change *change, int64_t row) {
  const int64_t heads = from->resolved.heads, token = row / heads;
  int64_t n = 0;
  while (token >= to->cu_seqlens[n + 1]) n++;
  const int64_t original = (n + change->sequences) % from->test.sequences;
  int64_t step = to->resolved.reverse ? to->cu_seqlens[n + 1] - 1 - token : token - to->cu_seqlens[n];
  if (change->part == CONFORM_LAST_STEPS) step += conform_cut(from, original);
  const int64_t at = from->resolved.reverse ? from->cu_seqlens[original + 1] - 1 - step : from->cu_seqlens[original] + step;
  return at * heads + (row % heads + change->heads) % heads;
}

int64_t conform_original_row(const conform_data *from, const conform_data *to, const conform_change *change, rwkv6_tensor_id id,
                             int64_t row) {
  const int64_t heads = from->resolved.heads, key_dim = from->resolved.key_dim;
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_HEADS_KEY: return (row + change->heads) % heads;
  case RWKV6_SHAPE_STATE: {
    const int64_t channel = row % key_dim, head = row / key_dim % heads, n = row / key_dim / heads;
    return ((n + change->sequences) % from->test.sequences * heads + (head + change->heads) % heads) * key_dim + channel;
  }
  case RWKV6_SHAPE_POOL:
  case RWKV6_SHAPE_SEQUENCES: /* cases have no pool */
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_TOKENS_VALUE: break;
  }
  return original_token_row(from, to, change, row);
}

static void change_input(conform_data *to, const conform_data *from, const conform_change *change, rwkv6_tensor_id id) {
  const int64_t channels = rwkv6_tensor_channels(&to->resolved, id), rows = conform_rows(&to->resolved, id);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t offset = conform_row_offset(&to->resolved, id, row);
    const int64_t origin = conform_row_offset(&from->resolved, id, conform_original_row(from, to, change, id, row));
    for (int64_t c = 0; c < channels; c++) {
      const double value = conform_image_read(&from->image[id], origin + c);
      conform_image_write(&to->image[id], offset + c, change->factor[id] == 1 ? value : change->factor[id] * value);
    }
  }
  conform_image_keep(&to->image[id]);
}

void conform_data_change(conform_data *to, const conform_data *from, const conform_change *change) {
  memset(to, 0, sizeof *to);
  to->test = from->test;
  to->operation = change->operation;
  to->test.reverse = from->test.reverse != change->flip;
  to->test.optional = (from->test.optional & ~change->drop_optional) | change->add_optional;
  change_lengths(to, from, change);
  conform_data_set_problem(to);
  conform_data_create_images(to, false);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (to->image[i].memory && !rwkv6_tensor_table[i].output && from->image[i].memory)
      change_input(to, from, change, (rwkv6_tensor_id)i);
}
