/* SPDX-License-Identifier: MIT */
/*
 * States in a pool: the same bits as with tensors of states, whichever slots they are in. What has no slot, and every slot that
 * no sequence has, stays as it was.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conform/change.h"
#include "conform/check.h"

/* Slots in an order of their own, with some between them that nobody has. By the seed a sequence, or every third one, or none
 * is left out. */
static int32_t slot_of(const conform_data *data, int64_t n) {
  const int64_t left_out = (int64_t)(data->test.seed % 3);
  if (left_out && n % (left_out == 1 ? 3 : data->test.sequences) == (left_out == 1 ? 1 : 0)) return -1;
  return (int32_t)(conform_pool_slots(&data->test) - 1 - (2 * n + n % 2));
}

static size_t state_bytes(const conform_data *data) {
  return (size_t)(data->resolved.heads * data->resolved.key_dim * data->resolved.value_dim) * sizeof(float);
}

static void *state_in(const conform_image *image, const conform_data *data, int64_t state) {
  return conform_image_pointer(image, state * (int64_t)(state_bytes(data) / sizeof(float)));
}

/* What slots hold that nobody has: numbers, as a NaN that a kernel reads by mistake may be written back with the same bits. */
static double filler(int64_t element) {
  return 1.0 + (double)(element % 1021) / 1024;
}

static void fill_pool(conform_data *to, const conform_data *from) {
  const int64_t elements = rwkv6_tensor_elements(&to->resolved, RWKV6_TENSOR_POOL);
  for (int64_t i = 0; i < elements; i++) conform_image_write(&to->image[RWKV6_TENSOR_POOL], i, filler(i));
  for (int64_t n = 0; n < to->test.sequences; n++) {
    const int32_t slot = slot_of(to, n);
    memcpy(conform_image_pointer(&to->image[RWKV6_TENSOR_SLOTS], n), &slot, sizeof slot);
    if (slot >= 0)
      memcpy(state_in(&to->image[RWKV6_TENSOR_POOL], to, slot), state_in(&from->image[RWKV6_TENSOR_INITIAL_STATE], from, n),
             state_bytes(to));
  }
  conform_image_keep(&to->image[RWKV6_TENSOR_SLOTS]);
}

/* Guards and slots that nobody has are as they were, all others hold the final state of their sequence. */
static bool check_states(const conform_context *context, const conform_data *to, conform_message *message) {
  const conform_image *pool = &to->image[RWKV6_TENSOR_POOL];
  const int64_t state = (int64_t)(state_bytes(to) / sizeof(float));
  bool used[2 * CONFORM_MAX_SEQUENCES + 3] = {false};
  for (int64_t n = 0; n < to->test.sequences; n++) {
    const int32_t slot = slot_of(to, n);
    if (slot < 0) continue;
    used[slot] = true;
    for (int64_t i = 0; i < state; i++) {
      const double got = conform_image_read(pool, slot * state + i);
      const double expected = context->first->of[RWKV6_TENSOR_FINAL_STATE][n * state + i];
      if (memcmp(&got, &expected, sizeof got))
        return conform_fail(message, "pool: other bits in slot %" PRId32 " (sequence %" PRId64 "): expected %.9g, got %.9g",
                            slot, n, expected, got);
    }
  }
  const int64_t end = (int64_t)pool->elements - (int64_t)pool->origin, slots = conform_pool_slots(&to->test);
  for (int64_t i = -(int64_t)pool->origin; i < end; i++) {
    const bool guard = i < 0 || i >= slots * state;
    if (!guard && used[i / state]) continue;
    if (guard ? !conform_image_is_poison(pool, i) : conform_image_read(pool, i) != filler(i))
      return conform_fail(message, "pool: %s written at element %" PRId64 " from its start", guard ? "guard" : "unused slot",
                          i);
  }
  return true;
}

bool conform_check_pool_outputs(const conform_data *data, const int32_t *slots, const conform_values *expected,
                                conform_message *message) {
  const conform_image *o = &data->image[RWKV6_TENSOR_O];
  const int64_t channels = data->resolved.value_dim;
  for (int64_t n = 0; n < data->resolved.sequences; n++) {
    int64_t first, last;
    conform_sequence_rows(data, RWKV6_TENSOR_O, n, &first, &last);
    for (int64_t i = first * channels; i < last * channels; i++) {
      const int64_t at = conform_row_offset(&data->resolved, RWKV6_TENSOR_O, i / channels) + i % channels;
      const double got = conform_image_read(o, at), wanted = expected->of[RWKV6_TENSOR_O][i];
      if (slots[n] < 0 ? conform_image_is_poison(o, at) : !memcmp(&got, &wanted, sizeof got)) continue;
      return conform_fail(message,
                          "o with a pool: sequence %" PRId64 ", slot %" PRId32 ", element %" PRId64
                          " of its rows: expected %s%.9g, got %.9g",
                          n, slots[n], i - first * channels, slots[n] < 0 ? "nothing written, not " : "", wanted, got);
    }
  }
  return true;
}

/* Inputs are unchanged; of o nothing is written but the rows of sequences with a slot. */
static bool check_memory(const conform_data *data, const int32_t *slots, conform_message *message) {
  const conform_image *o = &data->image[RWKV6_TENSOR_O];
  unsigned char *map = conform_image_map(o);
  for (int64_t n = 0; n < data->resolved.sequences; n++) {
    int64_t first, last;
    conform_sequence_rows(data, RWKV6_TENSOR_O, n, &first, &last);
    if (slots[n] >= 0) conform_image_map_rows(o, &data->resolved, first, last, map);
  }
  conform_place place;
  const char *wrong = conform_image_check_map(o, map, &place) ? NULL : "o";
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !wrong; i++)
    if (data->image[i].before && !conform_image_check_input(&data->image[i], &place)) wrong = rwkv6_tensor_table[i].name;
  free(map);
  if (!wrong) return true;
  return conform_fail(message, "%s with a pool: %s at element %" PRId64 " from its start", wrong, place.what, place.element);
}

static bool check_outputs(const conform_context *context, const conform_data *to, conform_message *message) {
  int32_t slots[CONFORM_MAX_SEQUENCES];
  for (int64_t n = 0; n < to->test.sequences; n++) slots[n] = slot_of(to, n);
  return conform_check_pool_outputs(to, slots, context->first, message) && check_memory(to, slots, message);
}

bool conform_check_pool(const conform_context *context, conform_message *message) {
  const conform_data *data = &context->trial->data;
  const uint32_t states = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  if (data->operation != RWKV6_FORWARD || (data->resolved.optional & states) != states) return true;
  conform_change change = conform_change_make(data);
  change.drop_optional = states;
  change.add_optional = RWKV6_STATE_POOL;
  conform_data to;
  conform_data_change(&to, data, &change);
  fill_pool(&to, data);
  /* With states, a part can be of some heads. */
  const bool other_bits = conform_parts_of(context->subject, &data->problem) != conform_parts_of(context->subject, &to.problem);
  const bool right = other_bits || (conform_run_kept(context->subject, &to, message) && check_states(context, &to, message) &&
                                    check_outputs(context, &to, message));
  conform_data_destroy(&to);
  return right;
}
