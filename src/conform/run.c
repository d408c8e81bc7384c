/* SPDX-License-Identifier: MIT */
#include "conform/run.h"

#include <stdio.h>
#include <string.h>

#include "problem.h"

size_t conform_variants(rwkv6_device *device, const conform_case *test, rwkv6_operation operation, rwkv6_mode mode,
                        const rwkv6_variant **variants) {
  conform_data data;
  conform_data_create(&data, test, operation, false);
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *all[RWKV6_MAX_VARIANTS];
  const size_t found = rwkv6_variants_consider(device, &data.resolved, operation, mode, infos, all);
  size_t count = 0;
  for (size_t i = 0; i < found; i++)
    if (infos[i].accepts) variants[count++] = all[i];
  conform_data_destroy(&data);
  return count;
}

rwkv6_status conform_plan_create(const conform_subject *subject, const rwkv6_problem *problem, rwkv6_plan **plan,
                                 rwkv6_error *error) {
  const rwkv6_variant *variant = subject->variant;
  return rwkv6_plan_create_variant(subject->device, problem, variant->operation, variant->mode, variant->name, plan, error);
}

/* ------------------------------------------------------------------------------------------------------------------- runs */

static rwkv6_status run_host(rwkv6_plan *plan, conform_data *data, const conform_call *call, rwkv6_error *error) {
  const rwkv6_tensors tensors = conform_tensors(data, call);
  return rwkv6_run(plan, &tensors, error);
}

rwkv6_status conform_run(const conform_subject *subject, rwkv6_plan *plan, conform_data *data, const conform_call *call,
                         rwkv6_error *error) {
  return subject->buffers ? conform_run_buffers(plan, data, call, error) : run_host(plan, data, call, error);
}

/* ----------------------------------------------------------------------------------------------------------------- checks */

static bool run_call(const conform_subject *subject, conform_data *data, const rwkv6_problem *problem, const conform_call *call,
                     conform_message *message) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, data, call, &error);
  rwkv6_plan_destroy(&plan);
  return status ? conform_fail(message, "%s: %.1500s", rwkv6_status_name(status), error.message) : true;
}

static bool check_alone(const conform_subject *subject, conform_data *data, const conform_values *batched, int64_t n,
                        conform_message *message) {
  const conform_call call = conform_call_alone(data, n);
  conform_data_poison(data);
  return run_call(subject, data, &call.problem, &call, message) && conform_check_images(data, n, message) &&
         conform_check_bits(data, batched, n, "alone instead of batched", message);
}

/* The last sequence, and one in the middle (rotation of the lengths makes that an empty or a long one, by the seed). An
 * automatic segment length may differ between a batch and a sequence alone, and then so may the bits. */
static bool check_some_alone(const conform_subject *subject, conform_data *data, const conform_values *batched,
                             conform_message *message) {
  const int64_t sequences = data->resolved.sequences;
  if (sequences < 2 || data->resolved.segment_length == 0) return true;
  return check_alone(subject, data, batched, sequences - 1, message) &&
         check_alone(subject, data, batched, (int64_t)(data->test.seed % (uint64_t)(sequences - 1)), message);
}

/* final_state starts as a copy of initial_state and is handed in as both. */
static bool check_in_place(const conform_subject *subject, conform_data *data, const conform_values *apart,
                           conform_message *message) {
  const conform_image *initial = &data->image[RWKV6_TENSOR_INITIAL_STATE];
  conform_image *final = &data->image[RWKV6_TENSOR_FINAL_STATE];
  if (!initial->memory || !final->memory) return true;
  conform_data_poison(data);
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, RWKV6_TENSOR_FINAL_STATE);
  memcpy(conform_image_pointer(final, 0), conform_image_pointer(initial, 0), (size_t)elements * sizeof(float));
  conform_call call = conform_call_all(data);
  call.in_place = true;
  return run_call(subject, data, &data->problem, &call, message) && conform_check_images(data, -1, message) &&
         conform_check_bits(data, apart, -1, "in place", message);
}

static bool check_again(const conform_subject *subject, conform_data *data, const conform_values *first,
                        conform_message *message) {
  const conform_call call = conform_call_all(data);
  conform_data_poison(data);
  return run_call(subject, data, &data->problem, &call, message) && conform_check_bits(data, first, -1, "second run", message);
}

static bool check_data(const conform_subject *subject, conform_data *data, conform_message *message) {
  const conform_call call = conform_call_all(data);
  const conform_terms terms = conform_terms_of(data);
  if (!run_call(subject, data, &data->problem, &call, message)) return false;
  conform_values expected, first;
  conform_reference(data, RWKV6_MODE_RECURRENT, true, &expected);
  conform_values_read(data, &first);
  const bool right =
      conform_check_images(data, -1, message) && conform_check_values(data, &terms, &expected, message) &&
      (subject->once || (check_again(subject, data, &first, message) && check_some_alone(subject, data, &first, message) &&
                         check_in_place(subject, data, &first, message)));
  conform_values_destroy(&expected);
  conform_values_destroy(&first);
  return right;
}

bool conform_check_case(const conform_subject *subject, const conform_case *test, conform_message *message) {
  conform_data data;
  conform_data_create(&data, test, subject->variant->operation, false);
  const bool right = check_data(subject, &data, message);
  conform_data_destroy(&data);
  return right;
}

void conform_describe(const conform_subject *subject, const conform_case *test, const char *program, char *text, size_t size) {
  char line[CONFORM_CASE_TEXT];
  conform_case_format(test, line);
  snprintf(text, size,
           "%s_%s, variant %s, %s, on %s (%.80s; %.80s)\n  again with: RWKV6_TEST_DEVICE=%s %s --%s --%s --variant %s%s --case "
           "\"%s\"\n",
           rwkv6_mode_name(subject->variant->mode), rwkv6_operation_name(subject->variant->operation), subject->variant->name,
           subject->buffers ? "device buffers" : "host pointers", subject->info->id, subject->info->name,
           subject->info->platform, subject->info->id, program, rwkv6_mode_name(subject->variant->mode),
           rwkv6_operation_name(subject->variant->operation), subject->variant->name, subject->buffers ? " --buffers" : "",
           line);
}
