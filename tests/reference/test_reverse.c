/* SPDX-License-Identifier: MIT */
/* `reverse` on a sequence gives, token for token, what the plain recurrence gives on the sequence turned round: the same bits.
 */
#include <string.h>

#include "cmocka_all.h"
#include "conform/compare.h"

/* The row of a strided tensor after each sequence is turned round. */
static int64_t turned_row(const conform_data *data, int64_t row) {
  const int64_t heads = data->resolved.heads, token = row / heads;
  int64_t n = 0;
  while (data->cu_seqlens[n + 1] <= token) n++;
  return (data->cu_seqlens[n] + data->cu_seqlens[n + 1] - 1 - token) * heads + row % heads;
}

static void turn_input(const conform_data *from, conform_data *to, rwkv6_tensor_id id) {
  const int64_t channels = rwkv6_tensor_channels(&from->resolved, id);
  if (!from->image[id].memory || rwkv6_tensor_table[id].output || !rwkv6_tensor_stride(&from->resolved, id)) return;
  for (int64_t row = 0; row < conform_rows(&from->resolved, id); row++)
    for (int64_t c = 0; c < channels; c++) {
      const double value = conform_image_read(&from->image[id], conform_row_offset(&from->resolved, id, row) + c);
      conform_image_write(&to->image[id], conform_row_offset(&to->resolved, id, turned_row(from, row)) + c, value);
    }
}

static void check_output(const conform_data *data, rwkv6_tensor_id id, const double *reversed, const double *turned) {
  const size_t channels = (size_t)rwkv6_tensor_channels(&data->resolved, id);
  const bool by_token = rwkv6_tensor_stride(&data->resolved, id) != NULL;
  for (int64_t row = 0; row < conform_rows(&data->resolved, id); row++) {
    const double *a = reversed + (size_t)row * channels;
    const double *b = turned + (size_t)(by_token ? turned_row(data, row) : row) * channels;
    if (memcmp(a, b, channels * sizeof *a)) {
      char line[CONFORM_CASE_TEXT];
      fail_msg("%s differs in row %d: %.17g and %.17g ...\n  %s", rwkv6_tensor_table[id].name, (int)row, a[0], b[0],
               conform_case_format(&data->test, line));
    }
  }
}

static void check_case(conform_case test, rwkv6_operation operation, rwkv6_mode mode, bool use_double) {
  conform_data reversed, turned;
  conform_values values, turned_values;
  test.reverse = true;
  conform_data_create(&reversed, &test, operation, true);
  test.reverse = false;
  conform_data_create(&turned, &test, operation, true);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) turn_input(&reversed, &turned, (rwkv6_tensor_id)i);
  conform_reference(&reversed, mode, use_double, &values);
  conform_reference(&turned, mode, use_double, &turned_values);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (values.of[i]) check_output(&reversed, (rwkv6_tensor_id)i, values.of[i], turned_values.of[i]);
  conform_values_destroy(&values);
  conform_values_destroy(&turned_values);
  conform_data_destroy(&reversed);
  conform_data_destroy(&turned);
}

static void check_mode(rwkv6_mode mode) {
  for (int form = 0; form < 2; form++)
    for (int ragged = 0; ragged < 2; ragged++)
      for (uint64_t seed = 1; seed <= 4; seed++) {
        conform_case test = conform_case_make(21, 6, 5);
        test.decay = (rwkv6_decay)form;
        test.ragged = ragged;
        test.sequences = ragged ? 5 : 2;
        test.heads = 2;
        test.chunk_length = 4;
        test.distribution = seed % 2 ? CONFORM_RESETS : CONFORM_ORDINARY;
        test.seed = seed;
        check_case(test, RWKV6_FORWARD, mode, true);
        check_case(test, RWKV6_BACKWARD, mode, true);
        check_case(test, RWKV6_BACKWARD, mode, false);
      }
}

static void test_recurrent(void **state) {
  (void)state;
  check_mode(RWKV6_MODE_RECURRENT);
}

static void test_chunk(void **state) {
  (void)state;
  check_mode(RWKV6_MODE_CHUNK);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_recurrent), cmocka_unit_test(test_chunk)};
  return cmocka_run_group_tests_name("reverse is the flipped sequence", tests, NULL, NULL);
}
