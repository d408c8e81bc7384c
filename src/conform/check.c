/* SPDX-License-Identifier: MIT */
#include "conform/check.h"

#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "quirks.h"

void conform_trial_create(conform_trial *trial, const conform_case *test, rwkv6_operation operation) {
  conform_data_create(&trial->data, test, operation, false);
  trial->terms = conform_terms_of(&trial->data);
  conform_reference(&trial->data, RWKV6_MODE_RECURRENT, true, &trial->expected);
}

void conform_trial_destroy(conform_trial *trial) {
  conform_values_destroy(&trial->expected);
  conform_data_destroy(&trial->data);
}

/* ------------------------------------------------------------------------------------------------------------------- runs */

static bool run(const conform_subject *subject, conform_data *data, const rwkv6_problem *problem, const conform_call *call,
                conform_message *message) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, data, call, &error);
  rwkv6_plan_destroy(&plan);
  return status ? conform_fail(message, "%s: %.1500s", rwkv6_status_name(status), error.message) : true;
}

bool conform_run_call(const conform_subject *subject, conform_data *data, const rwkv6_problem *problem,
                      const conform_call *call, conform_message *message) {
  conform_data_poison(data);
  if (call->in_place) conform_data_prepare_in_place(data);
  return run(subject, data, problem, call, message);
}

bool conform_run_all(const conform_subject *subject, conform_data *data, conform_message *message) {
  conform_data_poison(data);
  return conform_run_kept(subject, data, message);
}

bool conform_run_kept(const conform_subject *subject, conform_data *data, conform_message *message) {
  const conform_call call = conform_call_all(data);
  return run(subject, data, &data->problem, &call, message);
}

/* ----------------------------------------------------------------------------------------------------------------- checks */

static bool check_again(const conform_context *context, conform_message *message) {
  conform_data *data = &context->trial->data;
  return conform_run_all(context->subject, data, message) &&
         conform_check_bits(data, context->first, -1, "second run", message);
}

static bool check_one_alone(const conform_context *context, int64_t n, conform_message *message) {
  conform_data *data = &context->trial->data;
  const conform_call call = conform_call_alone(data, n);
  return conform_run_call(context->subject, data, &call.problem, &call, message) && conform_check_images(data, n, message) &&
         conform_check_bits(data, context->first, n, "alone instead of batched", message);
}

/* The last sequence, and one in the middle (rotation of the lengths makes that an empty or a long one, by the seed). An
 * automatic segment length may differ between a batch and a sequence alone, and then so may the bits. */
static bool check_alone(const conform_context *context, conform_message *message) {
  const conform_data *data = &context->trial->data;
  const int64_t sequences = data->resolved.sequences;
  if (sequences < 2 || data->resolved.segment_length == 0) return true;
  return check_one_alone(context, sequences - 1, message) &&
         check_one_alone(context, (int64_t)(data->test.seed % (uint64_t)(sequences - 1)), message);
}

static bool check_in_place(const conform_context *context, conform_message *message) {
  conform_data *data = &context->trial->data;
  if (!data->image[RWKV6_TENSOR_INITIAL_STATE].memory || !data->image[RWKV6_TENSOR_FINAL_STATE].memory) return true;
  conform_call call = conform_call_all(data);
  call.in_place = true;
  return conform_run_call(context->subject, data, &data->problem, &call, message) && conform_check_images(data, -1, message) &&
         conform_check_bits(data, context->first, -1, "in place", message);
}

/* What relaxed precision leaves alone. */
static bool check_full(const conform_context *context, conform_message *message) {
  conform_data *data = &context->trial->data;
  if (data->problem.precision == RWKV6_PRECISION_FULL) return true;
  const conform_call call = conform_call_all(data);
  rwkv6_problem full = data->problem;
  conform_values same = *context->first; /* a view: first owns them */
  if (rwkv6_rounds_A(&data->resolved, context->subject->variant->arithmetic)) same.of[RWKV6_TENSOR_O] = NULL;
  full.precision = RWKV6_PRECISION_FULL;
  return conform_run_call(context->subject, data, &full, &call, message) && conform_check_images(data, -1, message) &&
         conform_check_bits(data, &same, -1, "full precision", message);
}

/* As many launches as there can be: states, and sums of du, are handed on from one to the next. */
static bool check_launches(const conform_context *context, conform_message *message) {
  rwkv6_device *device = context->subject->device;
  conform_data *data = &context->trial->data;
  if (context->subject->info->kind == RWKV6_KIND_CPU) return true;
  rwkv6_device_set_launch_budget(device, 1e-9);
  const bool ran = conform_run_all(context->subject, data, message);
  rwkv6_device_set_launch_budget(device, RWKV6_LAUNCH_BUDGET_MS);
  return ran && conform_check_images(data, -1, message) &&
         conform_check_bits(data, context->first, -1, "split over launches", message);
}

static bool check_values(const conform_context *context, conform_message *message) {
  const conform_trial *trial = context->trial;
  conform_terms terms = trial->terms;
  terms.arithmetic = context->subject->variant->arithmetic;
  return conform_check_images(&trial->data, -1, message) &&
         conform_check_values(&trial->data, &terms, &trial->expected, message);
}

static const struct {
  unsigned bit;
  bool (*check)(const conform_context *context, conform_message *message);
} all_checks[] = {
    {CONFORM_CHECK_AGAIN, check_again},         {CONFORM_CHECK_ALONE, check_alone},
    {CONFORM_CHECK_IN_PLACE, check_in_place},   {CONFORM_CHECK_LAUNCHES, check_launches},
    {CONFORM_CHECK_FLIP, conform_check_flip},   {CONFORM_CHECK_SEQUENCES, conform_check_sequences},
    {CONFORM_CHECK_HEADS, conform_check_heads}, {CONFORM_CHECK_DOUBLE, conform_check_double},
    {CONFORM_CHECK_SUM, conform_check_sum},     {CONFORM_CHECK_SPLIT, conform_check_split},
    {CONFORM_CHECK_POOL, conform_check_pool},   {CONFORM_CHECK_FULL, check_full},
};

unsigned conform_checks_of(const rwkv6_device_info *info, const conform_case *test) {
  static const unsigned by_seed[] = {CONFORM_CHECK_LAUNCHES | CONFORM_CHECK_SPLIT, CONFORM_CHECK_FLIP | CONFORM_CHECK_DOUBLE,
                                     CONFORM_CHECK_SEQUENCES | CONFORM_CHECK_SUM, CONFORM_CHECK_HEADS | CONFORM_CHECK_POOL};
  if (rwkv6_quirk_with(info, RWKV6_QUIRK_SIMULATOR)) return 0;
  return CONFORM_CHECK_AGAIN | CONFORM_CHECK_ALONE | CONFORM_CHECK_IN_PLACE | CONFORM_CHECK_FULL | by_seed[test->seed % 4];
}

bool conform_check(const conform_subject *subject, conform_trial *trial, unsigned checks, conform_values *first,
                   conform_message *message) {
  conform_values outputs;
  memset(&outputs, 0, sizeof outputs);
  const conform_context context = {subject, trial, &outputs};
  rwkv6_device_set_work_group(subject->device, (size_t)trial->data.test.work_group);
  bool right = conform_run_all(subject, &trial->data, message);
  if (right) conform_values_read(&trial->data, &outputs);
  right = right && check_values(&context, message);
  for (size_t i = 0; i < sizeof all_checks / sizeof *all_checks && right; i++)
    if (checks & all_checks[i].bit) right = all_checks[i].check(&context, message);
  rwkv6_device_set_work_group(subject->device, 0);
  if (first)
    *first = outputs;
  else
    conform_values_destroy(&outputs);
  return right;
}

bool conform_check_case(const conform_subject *subject, const conform_case *test, unsigned checks, conform_message *message) {
  conform_trial trial;
  conform_trial_create(&trial, test, subject->variant->operation);
  const bool right = conform_check(subject, &trial, checks, NULL, message);
  conform_trial_destroy(&trial);
  return right;
}

/* ------------------------------------------------------------------------------------------------------------------ words */

void conform_command(const conform_subject *subject, const conform_case *test, char *text, size_t size) {
  char line[CONFORM_CASE_TEXT];
  snprintf(text, size, "rwkv6 conform --device %s --operation %s_%s --variant %s --case \"%s\"", subject->info->id,
           rwkv6_mode_name(subject->variant->mode), rwkv6_operation_name(subject->variant->operation), subject->variant->name,
           conform_case_format(test, line));
}

void conform_describe(const conform_subject *subject, const conform_case *test, char *text, size_t size) {
  char command[CONFORM_COMMAND_TEXT];
  conform_command(subject, test, command, sizeof command);
  snprintf(text, size, "%s_%s, variant %s, on %s (%.80s; %.80s)\n  again with: %s\n", rwkv6_mode_name(subject->variant->mode),
           rwkv6_operation_name(subject->variant->operation), subject->variant->name, subject->info->id, subject->info->name,
           subject->info->platform, command);
}
