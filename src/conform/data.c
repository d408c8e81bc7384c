/* SPDX-License-Identifier: MIT */
#include "conform/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conform/memory.h"
#include "conform/random.h"
#include "platform.h"
#include "problem.h"

/* ---------------------------------------------------------------------------------------------------------------- shapes */

/* Ragged: sequence 1 is empty, sequence 0 the longest, the others anything between; all of it shuffled by a rotation. */
static void fill_lengths(const conform_case *test, int64_t *cu_seqlens) {
  conform_random random = {test->seed * 977 + 5};
  const int64_t rotate = conform_random_below(&random, test->sequences);
  cu_seqlens[0] = 0;
  for (int64_t n = 0; n < test->sequences; n++) {
    const int64_t place = (n + rotate) % test->sequences;
    int64_t length = conform_random_below(&random, test->length + 1);
    if (place == 0 || !test->ragged)
      length = test->length;
    else if (place == 1)
      length = 0;
    cu_seqlens[n + 1] = cu_seqlens[n] + length;
  }
}

static rwkv6_stride packed_stride(const rwkv6_problem *problem, int64_t channels) {
  const rwkv6_stride stride = {problem->heads * channels, channels};
  return stride;
}

static rwkv6_stride chosen_stride(const rwkv6_problem *problem, conform_strides strides, int id) {
  const int64_t channels = rwkv6_tensor_channels(problem, (rwkv6_tensor_id)id);
  rwkv6_stride stride = packed_stride(problem, channels);
  switch (strides) {
  case CONFORM_PADDED:
    stride.head = channels + 1 + id % 3;
    stride.token = problem->heads * stride.head + 3 + id;
    break;
  case CONFORM_FUSED: stride.token = problem->heads * (3 * (int64_t)problem->key_dim + problem->value_dim); break;
  case CONFORM_HEADS_FIRST:
    if (problem->tokens == 0) break;
    stride.head = problem->tokens * channels;
    stride.token = channels;
    break;
  case CONFORM_PACKED:
  case CONFORM_STRIDES: break;
  }
  return stride;
}

void conform_set_strides(rwkv6_problem *problem, conform_strides strides) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    /* The table gives const access; the problem itself is ours. */
    rwkv6_stride *stride = (rwkv6_stride *)(uintptr_t)rwkv6_tensor_stride(problem, (rwkv6_tensor_id)id);
    if (stride) *stride = chosen_stride(problem, strides, id);
  }
}

int64_t conform_pool_slots(const conform_case *test) {
  return 2 * test->sequences + 3;
}

void conform_data_set_problem(conform_data *data) {
  const conform_case *test = &data->test;
  rwkv6_problem *problem = &data->problem;
  const int64_t tokens = data->cu_seqlens[test->sequences];
  rwkv6_problem_init(problem, sizeof *problem, test->sequences, tokens, test->heads, test->key_dim, test->value_dim);
  if (test->ragged) problem->cu_seqlens = data->cu_seqlens;
  problem->dtype = test->dtype;
  problem->w_dtype = test->w_dtype;
  problem->decay = test->decay;
  problem->reverse = test->reverse;
  problem->optional = test->optional;
  problem->pool_slots = test->optional & RWKV6_STATE_POOL ? conform_pool_slots(test) : 0;
  if (test->scale != 0) problem->scale = test->scale;
  problem->chunk_length = test->chunk_length;
  problem->segment_length = test->segment_length;
  problem->precision = test->precision;
  data->resolved = *problem;
  conform_set_strides(&data->resolved, test->strides);
  if (test->strides != CONFORM_PACKED) conform_set_strides(problem, test->strides);
}

void conform_data_create_images(conform_data *data, bool wide) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&data->resolved, data->operation, id)) continue;
    conform_image_create(&data->image[i], &data->resolved, id, wide ? RWKV6_FP64 : rwkv6_tensor_dtype(&data->resolved, id));
  }
}

/* ---------------------------------------------------------------------------------------------------------------- values */

/* Log of a decay factor. The channel number keeps one ordinary channel in the distributions whose other channels vanish, so
 * that no tensor of gradients becomes tiny as a whole. */
static double draw_decay(conform_random *random, conform_distribution distribution, int64_t channel) {
  const double ordinary = -log1p(exp(-conform_random_normal(random)));
  const double choice = conform_random_uniform(random);
  const double slow = -pow(10, -1 - 3 * fmod(0.618 * (double)channel, 1)) * (0.5 + choice); /* neighbours far apart */
  switch (distribution) {
  case CONFORM_WEAK: return -1e-5 * (0.5 + choice);
  case CONFORM_STRONG:
    if (channel == 0 || choice < 0.4) return ordinary;
    return choice < 0.7 ? conform_random_between(random, -60, -1) : conform_random_between(random, -2500, -100);
  case CONFORM_MINUS_5: return -5;
  case CONFORM_MINUS_10: return -10;
  case CONFORM_MINUS_12: return -12;
  case CONFORM_MINUS_20: return -20;
  case CONFORM_SPIKES: return choice < 0.02 ? -20000 : ordinary;
  case CONFORM_RESETS: return choice < 0.05 ? -INFINITY : ordinary;
  case CONFORM_NONE: return 0;
  case CONFORM_DENORMAL:
    if (channel % 2 && choice < 0.3) return conform_random_between(random, -100, -80);
    return conform_random_between(random, -48, -44);
  case CONFORM_SLOW: return slow;
  case CONFORM_RARE: return choice < 0.0002 ? -20000 : slow;
  case CONFORM_EDGE: return -1.56 + 0.015 * choice;
  case CONFORM_ORDINARY:
  case CONFORM_DISTRIBUTIONS: break;
  }
  return ordinary;
}

/* The same decay in the form of the problem; raw has many ways to say "everything" and "nothing". */
static double decay_in_form(double log_decay, rwkv6_decay form, conform_random *random) {
  static const double raw_reset[] = {INFINITY, 100, 12};
  static const double raw_none[] = {-INFINITY, -120, -60};
  const int64_t pick = conform_random_below(random, 3);
  if (form == RWKV6_DECAY_LOG) return log_decay;
  if (form == RWKV6_DECAY_FACTOR) return exp(log_decay);
  if (log_decay == 0) return raw_none[pick];
  return isinf(log_decay) ? raw_reset[pick] : log(-log_decay);
}

double conform_draw_w(conform_random *random, conform_distribution distribution, rwkv6_decay form, int64_t channel) {
  const double log_decay = draw_decay(random, distribution, channel);
  return decay_in_form(log_decay, form, random);
}

static double draw(conform_random *random, const conform_data *data, rwkv6_tensor_id id, int64_t channel, rwkv6_dtype dtype) {
  if (id == RWKV6_TENSOR_W) return conform_draw_w(random, data->test.distribution, data->test.decay, channel);
  double value = 0;
  /* A zero would hide a term that is left out or taken twice. */
  while (conform_round(value, dtype) == 0) value = conform_random_normal(random) * (id == RWKV6_TENSOR_U ? 0.5 : 1);
  return value;
}

static void fill_input(conform_data *data, rwkv6_tensor_id id) {
  conform_image *image = &data->image[id];
  conform_random random = {data->test.seed * 131 + (uint64_t)id};
  const int64_t channels = rwkv6_tensor_channels(&data->resolved, id);
  const int64_t rows = conform_rows(&data->resolved, id);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t offset = conform_row_offset(&data->resolved, id, row);
    for (int64_t channel = 0; channel < channels; channel++)
      conform_image_write(image, offset + channel, draw(&random, data, id, channel, image->dtype));
  }
  conform_image_keep(image);
}

void conform_data_prepare(conform_data *data, const conform_case *test, rwkv6_operation operation) {
  memset(data, 0, sizeof *data);
  data->test = *test;
  data->operation = operation;
  fill_lengths(test, data->cu_seqlens);
  conform_data_set_problem(data);
}

void conform_data_create(conform_data *data, const conform_case *test, rwkv6_operation operation, bool wide) {
  conform_data_prepare(data, test, operation);
  conform_data_create_images(data, wide);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (data->image[i].memory && !rwkv6_tensor_table[i].output) fill_input(data, (rwkv6_tensor_id)i);
}

void conform_data_destroy(conform_data *data) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) conform_image_destroy(&data->image[i]);
}

bool conform_is_output(const conform_data *data, int id) {
  return rwkv6_tensor_table[id].output && data->image[id].memory;
}

void conform_data_poison(conform_data *data) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (conform_is_output(data, i)) conform_image_poison(&data->image[i]);
}

void conform_data_prepare_in_place(conform_data *data) {
  const conform_image *initial = &data->image[RWKV6_TENSOR_INITIAL_STATE];
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, RWKV6_TENSOR_FINAL_STATE);
  memcpy(conform_image_pointer(&data->image[RWKV6_TENSOR_FINAL_STATE], 0), conform_image_pointer(initial, 0),
         (size_t)elements * sizeof(float));
}

/* ----------------------------------------------------------------------------------------------------------------- calls */

conform_call conform_call_all(const conform_data *data) {
  conform_call call = {.problem = data->resolved, .operation = data->operation};
  return call;
}

void conform_sequence_rows(const conform_data *data, rwkv6_tensor_id id, int64_t n, int64_t *first, int64_t *last) {
  const rwkv6_problem *problem = &data->resolved;
  const int64_t state_rows = problem->heads * problem->key_dim;
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_HEADS_KEY:
    *first = 0;
    *last = problem->heads;
    return;
  case RWKV6_SHAPE_STATE:
    *first = n * state_rows;
    *last = *first + state_rows;
    return;
  case RWKV6_SHAPE_POOL:
  case RWKV6_SHAPE_SEQUENCES: /* cases have no pool */
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_TOKENS_VALUE: break;
  }
  *first = data->cu_seqlens[n] * problem->heads;
  *last = data->cu_seqlens[n + 1] * problem->heads;
}

conform_call conform_call_alone(const conform_data *data, int64_t n) {
  conform_call call = conform_call_all(data);
  call.problem.sequences = 1;
  call.problem.tokens = data->cu_seqlens[n + 1] - data->cu_seqlens[n];
  call.problem.cu_seqlens = NULL;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    int64_t first, last;
    conform_sequence_rows(data, (rwkv6_tensor_id)i, n, &first, &last);
    call.offset[i] = first < last ? conform_row_offset(&data->resolved, (rwkv6_tensor_id)i, first) : 0;
  }
  return call;
}

void conform_tensors_set(rwkv6_tensors *tensors, int id, void *pointer) {
  switch ((rwkv6_tensor_id)id) {
  case RWKV6_TENSOR_R: tensors->r = pointer; break;
  case RWKV6_TENSOR_K: tensors->k = pointer; break;
  case RWKV6_TENSOR_V: tensors->v = pointer; break;
  case RWKV6_TENSOR_W: tensors->w = pointer; break;
  case RWKV6_TENSOR_U: tensors->u = pointer; break;
  case RWKV6_TENSOR_INITIAL_STATE: tensors->initial_state = pointer; break;
  case RWKV6_TENSOR_O: tensors->o = pointer; break;
  case RWKV6_TENSOR_FINAL_STATE: tensors->final_state = pointer; break;
  case RWKV6_TENSOR_DO: tensors->do_ = pointer; break;
  case RWKV6_TENSOR_DFINAL_STATE: tensors->dfinal_state = pointer; break;
  case RWKV6_TENSOR_DR: tensors->dr = pointer; break;
  case RWKV6_TENSOR_DK: tensors->dk = pointer; break;
  case RWKV6_TENSOR_DV: tensors->dv = pointer; break;
  case RWKV6_TENSOR_DW: tensors->dw = pointer; break;
  case RWKV6_TENSOR_DU: tensors->du = pointer; break;
  case RWKV6_TENSOR_DINITIAL_STATE: tensors->dinitial_state = pointer; break;
  case RWKV6_TENSOR_POOL: tensors->pool = pointer; break;
  case RWKV6_TENSOR_SLOTS: tensors->slots = pointer; break;
  case RWKV6_TENSOR_COUNT: break;
  }
}

rwkv6_tensors conform_tensors(const conform_data *data, const conform_call *call) {
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    conform_tensors_set(&tensors, i, conform_image_pointer(&data->image[i], call->offset[i]));
  if (call->in_place) tensors.initial_state = tensors.final_state;
  return tensors;
}

/* ------------------------------------------------------------------------------------------------------------- reference */

typedef void (*reference_run)(const rwkv6_reference_call *call);
typedef size_t (*reference_workspace)(const rwkv6_problem *problem);

static void pick(rwkv6_operation operation, rwkv6_mode mode, bool use_double, reference_run *run,
                 reference_workspace *workspace) {
#define PICK(name)                                                                                                             \
  do {                                                                                                                         \
    *run = use_double ? rwkv6_##name##_double : rwkv6_##name##_float;                                                          \
    *workspace = use_double ? rwkv6_##name##_workspace_double : rwkv6_##name##_workspace_float;                                \
  } while (0)
  if (mode == RWKV6_MODE_CHUNK) {
    if (operation == RWKV6_FORWARD)
      PICK(chunk_forward);
    else
      PICK(chunk_backward);
  } else {
    if (operation == RWKV6_FORWARD)
      PICK(recurrent_forward);
    else
      PICK(recurrent_backward);
  }
#undef PICK
}

static void set_view(const conform_data *data, int id, conform_values *values, rwkv6_view *view) {
  const rwkv6_problem *problem = &data->resolved;
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, (rwkv6_tensor_id)id);
  const conform_image *image = &data->image[id];
  if (!image->memory) return;
  view->dtype = image->dtype;
  view->data = conform_image_pointer(image, 0);
  if (stride) {
    view->token_stride = stride->token;
    view->head_stride = stride->head;
  }
  if (!rwkv6_tensor_table[id].output) return;
  const int64_t channels = rwkv6_tensor_channels(problem, (rwkv6_tensor_id)id);
  values->of[id] = conform_allocate((size_t)rwkv6_tensor_elements(problem, (rwkv6_tensor_id)id), sizeof(double));
  view->dtype = RWKV6_FP64;
  view->data = values->of[id];
  view->token_stride = problem->heads * channels;
  view->head_stride = channels;
}

void conform_reference(const conform_data *data, rwkv6_mode mode, bool use_double, conform_values *values) {
  memset(values, 0, sizeof *values);
  rwkv6_reference_call call = {.problem = &data->resolved};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) set_view(data, i, values, &call.view[i]);
  reference_run run;
  reference_workspace workspace;
  pick(data->operation, mode, use_double, &run, &workspace);
  /* Garbage in the workspace must not matter. */
  const size_t bytes = workspace(&data->resolved) + 1;
  call.workspace = rwkv6_aligned_alloc(bytes);
  if (!call.workspace) exit(1);
  memset(call.workspace, 0xff, bytes);
  run(&call);
  rwkv6_aligned_free(call.workspace);
}

void conform_values_destroy(conform_values *values) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    free(values->of[i]);
    values->of[i] = NULL;
  }
}

void conform_values_read(const conform_data *data, conform_values *values) {
  memset(values, 0, sizeof *values);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!conform_is_output(data, i)) continue;
    const int64_t channels = rwkv6_tensor_channels(&data->resolved, id), rows = conform_rows(&data->resolved, id);
    double *to = values->of[i] = conform_allocate((size_t)(rows * channels), sizeof(double));
    for (int64_t row = 0; row < rows; row++) {
      const int64_t offset = conform_row_offset(&data->resolved, id, row);
      for (int64_t channel = 0; channel < channels; channel++) *to++ = conform_image_read(&data->image[i], offset + channel);
    }
  }
}
