/* SPDX-License-Identifier: MIT */
/* Checks that need no reference: what a change of the inputs does to the outputs is known. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "conform/change.h"
#include "conform/check.h"
#include "conform/memory.h"

/* Fewer rows than this are too few for errors of two results to be taken as independent. */
#define FEW_ROWS 32

/* ------------------------------------------------------------------------------------------------------------- same bits */

/* Whether doubling a number changes nothing but its exponent: not where storage ends, nor near where devices may flush to 0. */
static bool doubles_exactly(double value, rwkv6_dtype dtype) {
  const double size = fabs(value);
  /* 2^-14 itself may have been rounded up from a denormal number */
  return dtype == RWKV6_FP16 ? size > 0x1p-14 && size < 0x1p15 : size >= 0x1p-90 && size < 0x1p126;
}

/* What a sum is multiplied by at last: dw by its decay and, in raw form, by the gradient of that; o and dr by the scale. */
static int last_products(const conform_data *data, rwkv6_tensor_id id) {
  if (id == RWKV6_TENSOR_DW) return data->test.decay == RWKV6_DECAY_RAW ? 2 : 1;
  return id == RWKV6_TENSOR_O || id == RWKV6_TENSOR_DR ? 1 : 0;
}

/*
 * Products of 16-bit numbers are exact in fp32, so that their sums often lie halfway between two numbers. Then a term that
 * underflows decides, and it may do so only if it is not doubled. Strong decays do this to some elements, one unit each, which
 * is up to 2 unit roundoffs of the sum. Each product after it rounds both results: 2 more (docs/numerics.md, "Two results").
 */
static bool may_be_tie(const conform_data *to, rwkv6_tensor_id id, double expected, double got) {
  const double roundoffs = 2 * (1 + last_products(to, id)) + 0.01;
  return to->resolved.dtype != RWKV6_FP32 &&
         fabs(got - expected) <= roundoffs * conform_unit_roundoff(to->image[id].dtype) * fabs(expected);
}

/* Outputs of changed data are the first outputs, moved and multiplied as `change` says. */
static bool check_moved(const conform_context *context, const conform_data *to, const conform_change *change, const char *what,
                        conform_message *message) {
  const conform_data *from = &context->trial->data;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    /* the order of sequences is the order in which du is summed */
    if (!conform_is_output(to, i) || (change->sequences && id == RWKV6_TENSOR_DU)) continue;
    const int64_t channels = rwkv6_tensor_channels(&to->resolved, id), rows = conform_rows(&to->resolved, id);
    int64_t ties = 0;
    for (int64_t row = 0; row < rows; row++) {
      const int64_t offset = conform_row_offset(&to->resolved, id, row);
      const double *first = context->first->of[id] + conform_original_row(from, to, change, id, row) * channels;
      for (int64_t c = 0; c < channels; c++) {
        const double got = conform_image_read(&to->image[id], offset + c), expected = change->factor[id] * first[c];
        if (!memcmp(&got, &expected, sizeof got)) continue;
        if (change->factor[id] == 2 && !doubles_exactly(first[c], to->image[id].dtype)) continue;
        if (change->factor[id] == 2 && may_be_tie(to, id, expected, got) && ++ties <= 1 + rows * channels / 1000) continue;
        return conform_fail(message, "%s: %s: other bits in row %" PRId64 ", channel %" PRId64 ": expected %.9g, got %.9g",
                            rwkv6_tensor_table[id].name, what, row, c, expected, got);
      }
    }
  }
  return true;
}

static bool check_change(const conform_context *context, const conform_change *change, const char *what,
                         conform_message *message) {
  conform_data to;
  conform_data_change(&to, &context->trial->data, change);
  const bool right = conform_run_all(context->subject, &to, message) && conform_check_images(&to, -1, message) &&
                     check_moved(context, &to, change, what, message);
  conform_data_destroy(&to);
  return right;
}

/* In parts of a batch segments have other lengths, so bits may depend on the place. */
static bool place_matters(const conform_context *context) {
  return conform_parts_of(context->subject, &context->trial->data.problem) > 1;
}

bool conform_check_sequences(const conform_context *context, conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  if (context->trial->data.resolved.sequences < 2 || place_matters(context)) return true;
  change.sequences = 1;
  return check_change(context, &change, "sequences in another order", message);
}

bool conform_check_heads(const conform_context *context, conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  if (context->trial->data.resolved.heads < 2 || place_matters(context)) return true;
  change.heads = 1;
  return check_change(context, &change, "heads in another order", message);
}

bool conform_check_flip(const conform_context *context, conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  change.flip = true;
  return check_change(context, &change, "flipped in the other direction", message);
}

/* dv and dinitial_state know nothing of v and initial_state; everything else is linear in the two together. */
bool conform_check_double(const conform_context *context, conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (rwkv6_tensor_table[i].output && i != RWKV6_TENSOR_DV && i != RWKV6_TENSOR_DINITIAL_STATE) change.factor[i] = 2;
  change.factor[RWKV6_TENSOR_V] = change.factor[RWKV6_TENSOR_INITIAL_STATE] = 2;
  return check_change(context, &change, "v and initial_state doubled", message);
}

/* -------------------------------------------------------------------------------------------------------- same but for sums */

static double norm_of(const double *values, int64_t elements) {
  double sum = 0;
  for (int64_t i = 0; i < elements; i++) sum += values[i] * values[i];
  return sqrt(sum);
}

/* Fewer elements than this may all be rounded by as much as there can be, which is twice the usual error. */
#define FEW_ELEMENTS 64

/* What `runs` results that were each rounded and stored on their own may differ by when they are put together; `size` is the
 * sum of their norms. Relative to the norm of `whole`. */
static double joint_tolerance(const conform_trial *trial, rwkv6_arithmetic arithmetic, rwkv6_tensor_id id, const double *whole,
                              double size, int runs) {
  const conform_data *data = &trial->data;
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&data->resolved, id);
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, id);
  const double norm = fmax(norm_of(whole, elements), 0x1p-100);
  conform_terms terms = trial->terms;
  terms.arithmetic = arithmetic;
  const double sums = conform_sum_tolerance(data, &terms, id, whole);
  const double rounding = (dtype != RWKV6_FP32 && elements < FEW_ELEMENTS ? 2 : 1) * conform_unit_roundoff(dtype);
  return runs * sums + rounding * size / norm + runs * conform_least_step(dtype) * sqrt((double)elements) / norm;
}

static bool check_joint(const conform_trial *trial, rwkv6_arithmetic arithmetic, const conform_values *first,
                        const conform_values *joint, const double size[RWKV6_TENSOR_COUNT], int runs, const char *what,
                        conform_message *message) {
  const conform_data *data = &trial->data;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    const double *whole = first->of[i];
    if (!joint->of[i] || !whole) continue;
    const double norm = norm_of(whole, rwkv6_tensor_elements(&data->resolved, id));
    conform_message inner;
    if (!conform_compare(&data->resolved, id, RWKV6_FP64, joint->of[i], whole,
                         joint_tolerance(trial, arithmetic, id, whole, size[i] + norm, runs + 1), &inner))
      return conform_fail(message, "%s: %.1500s", what, inner.text);
  }
  return true;
}

/* Adds the outputs of `part` to `joint`, in the places that they have in the trial's data. */
static void add_part(const conform_context *context, const conform_data *part, const conform_change *change,
                     conform_values *joint, double size[RWKV6_TENSOR_COUNT]) {
  const conform_data *whole = &context->trial->data;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!conform_is_output(part, i) || !conform_is_output(whole, i)) continue;
    const int64_t channels = rwkv6_tensor_channels(&whole->resolved, id);
    if (!joint->of[i]) joint->of[i] = conform_allocate((size_t)rwkv6_tensor_elements(&whole->resolved, id), sizeof(double));
    double sum = 0;
    for (int64_t row = 0; row < conform_rows(&part->resolved, id); row++) {
      const int64_t offset = conform_row_offset(&part->resolved, id, row);
      double *to = joint->of[i] + conform_original_row(whole, part, change, id, row) * channels;
      for (int64_t c = 0; c < channels; c++) {
        const double value = conform_image_read(&part->image[id], offset + c);
        to[c] += value;
        sum += value * value;
      }
    }
    size[i] += sqrt(sum);
  }
}

/* One of two inputs set to 0. */
static bool add_without(const conform_context *context, rwkv6_tensor_id left_out, conform_values *joint, double *size,
                        conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  change.factor[left_out] = 0;
  conform_data part;
  conform_data_change(&part, &context->trial->data, &change);
  const bool right = conform_run_all(context->subject, &part, message);
  if (right) add_part(context, &part, &change, joint, size);
  conform_data_destroy(&part);
  return right;
}

bool conform_check_sum(const conform_context *context, conform_message *message) {
  const bool forward = context->trial->data.operation == RWKV6_FORWARD;
  const rwkv6_tensor_id state = forward ? RWKV6_TENSOR_INITIAL_STATE : RWKV6_TENSOR_DFINAL_STATE;
  if (!context->trial->data.image[state].memory) return true;
  conform_values joint;
  double size[RWKV6_TENSOR_COUNT] = {0};
  memset(&joint, 0, sizeof joint);
  const bool right = add_without(context, state, &joint, size, message) &&
                     add_without(context, forward ? RWKV6_TENSOR_V : RWKV6_TENSOR_DO, &joint, size, message) &&
                     check_joint(context->trial, context->subject->variant->arithmetic, context->first, &joint, size, 2,
                                 forward ? "v alone + initial_state alone" : "do alone + dfinal_state alone", message);
  conform_values_destroy(&joint);
  return right;
}

/* ------------------------------------------------------------------------------------------------------------------- split */

/* The output of one run becomes the input of another. */
static void hand_on(conform_data *to, rwkv6_tensor_id input, const conform_data *from, rwkv6_tensor_id output) {
  const int64_t elements = rwkv6_tensor_elements(&to->resolved, input);
  memcpy(conform_image_pointer(&to->image[input], 0), conform_image_pointer(&from->image[output], 0),
         (size_t)elements * sizeof(float));
  conform_image_keep(&to->image[input]);
}

/* The forward of the same mode gives the state where the sequence is cut. */
static bool run_forward(const conform_context *context, conform_data *first, conform_message *message) {
  conform_subject subject = *context->subject;
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t count = conform_variants(subject.device, &first->test, RWKV6_FORWARD, subject.variant->mode, variants);
  if (!count) return conform_fail(message, "no forward variant for a split sequence");
  subject.variant = variants[count - 1];
  return conform_run_all(&subject, first, message);
}

static bool split_forward(const conform_context *context, conform_data *first, conform_data *last, conform_message *message) {
  if (!conform_run_all(context->subject, first, message)) return false;
  hand_on(last, RWKV6_TENSOR_INITIAL_STATE, first, RWKV6_TENSOR_FINAL_STATE);
  return conform_run_all(context->subject, last, message);
}

static bool split_backward(const conform_context *context, conform_data *first, conform_data *last, conform_message *message) {
  conform_change change = conform_change_make(&context->trial->data);
  change.part = CONFORM_FIRST_STEPS;
  change.operation = RWKV6_FORWARD;
  change.add_optional = RWKV6_FINAL_STATE;
  conform_data forward;
  conform_data_change(&forward, &context->trial->data, &change);
  bool right = run_forward(context, &forward, message);
  if (right) hand_on(last, RWKV6_TENSOR_INITIAL_STATE, &forward, RWKV6_TENSOR_FINAL_STATE);
  conform_data_destroy(&forward);
  right = right && conform_run_all(context->subject, last, message);
  if (!right) return false;
  hand_on(first, RWKV6_TENSOR_DFINAL_STATE, last, RWKV6_TENSOR_DINITIAL_STATE);
  return conform_run_all(context->subject, first, message);
}

bool conform_check_split(const conform_context *context, conform_message *message) {
  const conform_data *data = &context->trial->data;
  const bool forward = data->operation == RWKV6_FORWARD;
  conform_change change[2] = {conform_change_make(data), conform_change_make(data)};
  change[0].part = CONFORM_FIRST_STEPS;
  change[0].add_optional = forward ? RWKV6_FINAL_STATE : RWKV6_DFINAL_STATE;
  change[1].part = CONFORM_LAST_STEPS;
  change[1].add_optional = forward ? RWKV6_INITIAL_STATE : RWKV6_INITIAL_STATE | RWKV6_DINITIAL_STATE;
  conform_data part[2];
  for (int i = 0; i < 2; i++) conform_data_change(&part[i], data, &change[i]);
  conform_values joint;
  double size[RWKV6_TENSOR_COUNT] = {0};
  memset(&joint, 0, sizeof joint);
  bool right = (forward ? split_forward : split_backward)(context, &part[0], &part[1], message);
  for (int i = 0; i < 2 && right; i++) {
    /* of the states, only the outer ones are those of the whole */
    conform_image_destroy(&part[i].image[i == 0 ? RWKV6_TENSOR_FINAL_STATE : RWKV6_TENSOR_DINITIAL_STATE]);
    add_part(context, &part[i], &change[i], &joint, size);
  }
  right = right && check_joint(context->trial, context->subject->variant->arithmetic, context->first, &joint, size, 2,
                               "split in two", message);
  for (int i = 0; i < 2; i++) conform_data_destroy(&part[i]);
  conform_values_destroy(&joint);
  return right;
}

static double tolerance_of(const conform_trial *trial, const rwkv6_variant *variant, rwkv6_tensor_id id) {
  conform_terms terms = trial->terms;
  terms.arithmetic = variant->arithmetic;
  return conform_tolerance(&trial->data, &terms, id, trial->expected.of[id]);
}

/*
 * How far two right results may be apart (docs/numerics.md, "Two results"): errors of many elements add up as squares. A row in
 * matrix units is not many. With few tokens all of it is moved by the rounding of one operand, so that what storage rounds
 * down in one result it rounds up in the other: then the errors may well add up.
 */
static double tolerance_between(const conform_trial *trial, const conform_outcome *one, const conform_outcome *other,
                                rwkv6_tensor_id id) {
  const rwkv6_problem *problem = &trial->data.resolved;
  const bool rounds_operands =
      one->variant->arithmetic != RWKV6_ARITHMETIC_FP32 || other->variant->arithmetic != RWKV6_ARITHMETIC_FP32;
  const bool rounds_outputs = rwkv6_tensor_dtype(problem, id) != RWKV6_FP32;
  const int64_t rows = rwkv6_tensor_elements(problem, id) / rwkv6_tensor_channels(problem, id);
  const double first = tolerance_of(trial, one->variant, id), second = tolerance_of(trial, other->variant, id);
  return rounds_operands && rounds_outputs && rows < FEW_ROWS ? first + second : hypot(first, second);
}

bool conform_check_agree(const conform_trial *trial, const conform_outcome *one, const conform_outcome *other,
                         conform_message *message) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    conform_message inner;
    if (!one->values.of[i] || !other->values.of[i]) continue;
    if (!conform_compare(&trial->data.resolved, id, RWKV6_FP64, other->values.of[i], one->values.of[i],
                         tolerance_between(trial, one, other, id), &inner))
      return conform_fail(message, "%s %s against %s %s: %.1500s", rwkv6_mode_name(other->variant->mode), other->variant->name,
                          rwkv6_mode_name(one->variant->mode), one->variant->name, inner.text);
  }
  return true;
}
