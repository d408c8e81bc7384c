/* SPDX-License-Identifier: MIT */
/* From a case in memory to test data, and the verdict: needs no files. */
#include "conform/golden.h"

#include <string.h>

#include "conform/bars.h"
#include "conform/check.h"
#include "conform/memory.h"
#include "error.h"
#include "problem.h"

/* The parts of a conform_case that the checks look at. */
static conform_case describe(const cli_case *loaded) {
  conform_case test = conform_case_make(loaded->problem.tokens, loaded->problem.key_dim, loaded->problem.value_dim);
  test.sequences = loaded->problem.sequences;
  test.heads = loaded->problem.heads;
  test.ragged = loaded->cu_seqlens != NULL;
  test.dtype = loaded->problem.dtype;
  test.w_dtype = loaded->problem.w_dtype;
  test.decay = loaded->problem.decay;
  test.reverse = loaded->problem.reverse;
  test.optional = loaded->problem.optional;
  test.scale = loaded->problem.scale;
  return test;
}

static rwkv6_status fill_problem(conform_data *data, const cli_case *loaded, rwkv6_operation operation, rwkv6_error *error) {
  memset(data, 0, sizeof *data);
  data->test = describe(loaded);
  data->operation = operation;
  if (loaded->problem.sequences > CONFORM_MAX_SEQUENCES)
    return rwkv6_fail(error, RWKV6_UNSUPPORTED, "more than %d sequences", CONFORM_MAX_SEQUENCES);
  for (int64_t n = 0; n < loaded->problem.sequences; n++) {
    const rwkv6_sequence sequence = rwkv6_problem_sequence(&loaded->problem, n);
    data->cu_seqlens[n + 1] = sequence.begin + sequence.length;
  }
  data->problem = loaded->problem;
  data->problem.cu_seqlens = data->cu_seqlens;
  return rwkv6_problem_resolve(&data->problem, operation, &data->resolved, error);
}

static void fill_image(conform_data *data, const cli_case *loaded, rwkv6_tensor_id id, bool wide) {
  conform_image *image = &data->image[id];
  conform_image_create(image, &data->resolved, id, wide ? RWKV6_FP64 : rwkv6_tensor_dtype(&data->resolved, id));
  if (rwkv6_tensor_table[id].output) return;
  for (int64_t i = 0; i < rwkv6_tensor_elements(&data->resolved, id); i++)
    conform_image_write(image, i, (double)loaded->tensor[id][i]);
  conform_image_keep(image);
}

static void fill_expected(conform_golden *golden, rwkv6_tensor_id id) {
  const float *from = golden->loaded.tensor[id];
  if (!rwkv6_tensor_table[id].output || !from) return;
  const int64_t elements = rwkv6_tensor_elements(&golden->data.resolved, id);
  double *to = golden->expected.of[id] = conform_allocate((size_t)elements, sizeof *to);
  for (int64_t i = 0; i < elements; i++) to[i] = (double)from[i];
}

static rwkv6_status fill_tensor(conform_golden *golden, rwkv6_tensor_id id, bool wide, rwkv6_error *error) {
  const char *name = rwkv6_tensor_table[id].name;
  if (!rwkv6_tensor_table[id].output && !golden->loaded.tensor[id])
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "there is no %s.npy: golden cases have all inputs of both operations",
                      name);
  fill_image(&golden->data, &golden->loaded, id, wide);
  fill_expected(golden, id);
  return RWKV6_OK;
}

rwkv6_status conform_golden_fill(conform_golden *golden, rwkv6_operation operation, bool wide, rwkv6_error *error) {
  rwkv6_status status = fill_problem(&golden->data, &golden->loaded, operation, error);
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (rwkv6_tensor_takes_part(&golden->data.resolved, operation, id)) status = fill_tensor(golden, id, wide, error);
  }
  return status;
}

void conform_golden_empty(conform_golden *golden) {
  conform_data_destroy(&golden->data);
  conform_values_destroy(&golden->expected);
}

/* tolerance 0: the bars of `arithmetic`. */
static bool compare(const conform_golden *golden, const conform_values *got, double tolerance, rwkv6_arithmetic arithmetic,
                    conform_message *message) {
  const conform_data *data = &golden->data;
  const int least = data->operation == RWKV6_FORWARD ? 2 : 5;
  int compared = 0;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!got->of[i] || !golden->expected.of[i]) continue;
    compared++;
    if (!conform_compare(&data->resolved, id, data->image[i].dtype, got->of[i], golden->expected.of[i],
                         tolerance > 0 ? tolerance : conform_bar(&data->resolved, id, arithmetic), message))
      return false;
  }
  return compared >= least || conform_fail(message, "only %d tensors have stored results, of %d at least", compared, least);
}

bool conform_golden_compare(const conform_golden *golden, const conform_values *got, double tolerance,
                            conform_message *message) {
  return compare(golden, got, tolerance, RWKV6_ARITHMETIC_FP32, message);
}

bool conform_golden_check(const conform_subject *subject, conform_golden *golden, bool host, conform_message *message) {
  conform_values got;
  golden->data.test.host = host;
  if (!conform_run_all(subject, &golden->data, message) || !conform_check_images(&golden->data, -1, message)) return false;
  conform_values_read(&golden->data, &got);
  const bool right = compare(golden, &got, 0, subject->variant->arithmetic, message);
  conform_values_destroy(&got);
  return right;
}
