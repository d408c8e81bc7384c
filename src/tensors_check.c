/* SPDX-License-Identifier: MIT */
/* What a call of rwkv6_run hands in, against what the plan's problem wants. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "half.h"
#include "problem.h"

/* The memory of one tensor: rows of `row` bytes at begin + token * token_stride + head * head_stride bytes of a space. */
typedef struct footprint {
  rwkv6_tensor_id id; /* RWKV6_TENSOR_COUNT: the workspace */
  const rwkv6_place *place;
  int64_t begin, end; /* the first byte and one past the last */
  int64_t token_stride, head_stride, row;
} footprint;

typedef struct place_text {
  char text[48];
} place_text;

static place_text text_of(const rwkv6_place *place) {
  place_text text = {"NULL"};
  if (place->space)
    snprintf(text.text, sizeof text.text, "byte %" PRId64 " of its buffer", place->begin);
  else if (place->given)
    snprintf(text.text, sizeof text.text, "%p", (void *)(uintptr_t)place->begin);
  return text;
}

static rwkv6_status check_presence(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_place *place,
                                   rwkv6_tensor_id id, rwkv6_error *error) {
  const rwkv6_tensor_traits *traits = &rwkv6_tensor_table[id];
  const char *name = operation == RWKV6_FORWARD ? "forward" : "backward";
  const bool wanted = rwkv6_tensor_takes_part(problem, operation, id);
  if (wanted && !place->given && rwkv6_tensor_elements(problem, id) > 0)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is NULL; %s of this problem needs it", traits->name, name);
  if (!wanted && place->given)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is %s; allowed: NULL, as %s of this problem %s", traits->name,
                      text_of(place).text, name,
                      traits->optional ? "has it only if problem.optional says so" : "has no such tensor");
  const size_t alignment = rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  if (wanted && (uint64_t)place->begin % alignment)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is %s; allowed: an address aligned to %zu bytes", traits->name,
                      text_of(place).text, alignment);
  return RWKV6_OK;
}

static footprint footprint_of(const rwkv6_problem *problem, const rwkv6_place *place, rwkv6_tensor_id id) {
  const int64_t size = (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  footprint f = {.id = id, .place = place, .begin = place->begin};
  f.end = f.begin + rwkv6_tensor_extent(problem, id) * size;
  /* 0: nothing lies that far apart, and the stride may be any number, too large for bytes. */
  f.token_stride = stride && problem->tokens > 1 ? stride->token * size : 0;
  f.head_stride = stride && problem->heads > 1 ? stride->head * size : 0;
  f.row = rwkv6_tensor_channels(problem, id) * size;
  return f;
}

static int64_t modulo(int64_t value, int64_t n) {
  const int64_t rest = value % n;
  return rest < 0 ? rest + n : rest;
}

/* Slices of one fused row per token: all heads of a lie in one part of the token's row, all heads of b in another. */
static bool apart_within_token(const footprint *a, const footprint *b, int64_t heads) {
  if (a->token_stride != b->token_stride || a->token_stride <= 0) return false;
  const int64_t width_a = (heads - 1) * a->head_stride + a->row;
  const int64_t width_b = (heads - 1) * b->head_stride + b->row;
  const int64_t shift = modulo(b->begin - a->begin, a->token_stride);
  return shift >= width_a && shift + width_b <= a->token_stride;
}

/* Slices of one fused row per token and head, whichever of the two is the outer one. */
static bool apart_within_row(const footprint *a, const footprint *b) {
  if (a->token_stride != b->token_stride || a->head_stride != b->head_stride) return false;
  const bool token_outside = a->token_stride == 0 || (a->head_stride != 0 && a->token_stride >= a->head_stride);
  const int64_t inner = token_outside ? a->head_stride : a->token_stride;
  const int64_t outer = token_outside ? a->token_stride : a->head_stride;
  if (inner <= 0 || outer % inner) return false;
  const int64_t shift = modulo(b->begin - a->begin, inner);
  return shift >= a->row && shift + b->row <= inner;
}

static bool overlap(const footprint *a, const footprint *b, int64_t heads) {
  if (a->place->space != b->place->space || a->begin == a->end || b->begin == b->end) return false;
  if (a->end <= b->begin || b->end <= a->begin) return false;
  return !apart_within_token(a, b, heads) && !apart_within_row(a, b);
}

static bool legal_alias(const footprint *a, const footprint *b) {
  return a->id == RWKV6_TENSOR_INITIAL_STATE && b->id == RWKV6_TENSOR_FINAL_STATE && a->begin == b->begin;
}

static bool is_written(const footprint *f) {
  return f->id == RWKV6_TENSOR_COUNT || rwkv6_tensor_table[f->id].output;
}

static const char *name_of(const footprint *f) {
  return f->id == RWKV6_TENSOR_COUNT ? "workspace" : rwkv6_tensor_table[f->id].name;
}

static rwkv6_status check_overlap(const footprint *all, int count, int64_t heads, rwkv6_error *error) {
  for (int i = 0; i < count; i++)
    for (int j = i + 1; j < count; j++) {
      const footprint *a = &all[i], *b = &all[j];
      if (!(is_written(a) || is_written(b)) || legal_alias(a, b) || !overlap(a, b, heads)) continue;
      return rwkv6_fail(
          error, RWKV6_INVALID_ARGUMENT,
          "tensors.%s at %s overlaps tensors.%s at %s; allowed: outputs apart from everything else, or final_state "
          "equal to initial_state",
          name_of(b), text_of(b->place).text, name_of(a), text_of(a->place).text);
    }
  return RWKV6_OK;
}

rwkv6_status rwkv6_places_check(const rwkv6_problem *problem, rwkv6_operation operation,
                                const rwkv6_place places[RWKV6_TENSOR_COUNT], const rwkv6_place *workspace,
                                int64_t workspace_bytes, rwkv6_error *error) {
  footprint all[RWKV6_TENSOR_COUNT + 1];
  int count = 0;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    const rwkv6_status status = check_presence(problem, operation, &places[i], id, error);
    if (status) return status;
    if (rwkv6_tensor_takes_part(problem, operation, id)) all[count++] = footprint_of(problem, &places[i], id);
  }
  if (workspace) {
    const footprint f = {RWKV6_TENSOR_COUNT, workspace, workspace->begin, workspace->begin + workspace_bytes, 0, 0, 0};
    all[count++] = f;
  }
  return check_overlap(all, count, problem->heads, error);
}

static float load(const void *data, rwkv6_dtype dtype, int64_t i) {
  if (dtype == RWKV6_FP32) return ((const float *)data)[i];
  const uint16_t half = ((const uint16_t *)data)[i];
  return dtype == RWKV6_FP16 ? rwkv6_fp16_to_float(half) : rwkv6_bf16_to_float(half);
}

/* What a value breaks, or NULL. */
static const char *forbidden(rwkv6_tensor_id id, rwkv6_decay decay, float value) {
  if (isnan(value)) return "anything but NaN";
  if (id != RWKV6_TENSOR_W) return NULL;
  if (decay == RWKV6_DECAY_LOG && value > 0) return "w <= 0 in log form";
  if (decay == RWKV6_DECAY_FACTOR && !(value >= 0 && value <= 1)) return "0 <= w <= 1 in factor form";
  return NULL;
}

static rwkv6_status check_row(const rwkv6_problem *problem, rwkv6_tensor_id id, const void *data, int64_t offset,
                              int64_t channels, rwkv6_error *error) {
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(problem, id);
  for (int64_t c = 0; c < channels; c++) {
    const float value = load(data, dtype, offset + c);
    const char *allowed = forbidden(id, problem->decay, value);
    if (allowed)
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s has %g at element %" PRId64 "; allowed: %s",
                        rwkv6_tensor_table[id].name, (double)value, offset + c, allowed);
  }
  return RWKV6_OK;
}

/* States of slots that take part. */
static rwkv6_status check_pool(const rwkv6_problem *problem, const void *pool, const int32_t *slots, rwkv6_error *error) {
  const int64_t state = problem->heads * problem->key_dim * problem->value_dim;
  rwkv6_status status = RWKV6_OK;
  for (int64_t n = 0; n < problem->sequences && !status; n++)
    if (slots[n] >= 0) status = check_row(problem, RWKV6_TENSOR_POOL, pool, slots[n] * state, state, error);
  return status;
}

static rwkv6_status check_values(const rwkv6_problem *problem, const void *data, rwkv6_tensor_id id, rwkv6_error *error) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  if (!stride) return check_row(problem, id, data, 0, rwkv6_tensor_elements(problem, id), error);
  for (int64_t t = 0; t < problem->tokens; t++)
    for (int64_t h = 0; h < problem->heads; h++) {
      const rwkv6_status status =
          check_row(problem, id, data, t * stride->token + h * stride->head, rwkv6_tensor_channels(problem, id), error);
      if (status) return status;
    }
  return RWKV6_OK;
}

/* `taken` [pool_slots], zeros. */
static rwkv6_status check_each_slot(const rwkv6_problem *problem, const int32_t *slots, bool *taken, rwkv6_error *error) {
  for (int64_t n = 0; n < problem->sequences; n++) {
    if (slots[n] == -1) continue;
    if (slots[n] < 0 || slots[n] >= problem->pool_slots)
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "tensors.slots[%" PRId64 "] is %" PRId32 "; allowed: -1 (leave the sequence out), or 0 to %" PRId64, n,
                        slots[n], problem->pool_slots - 1);
    if (taken[slots[n]])
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "tensors.slots[%" PRId64 "] is %" PRId32 ", as that of an earlier sequence; allowed: each slot once", n,
                        slots[n]);
    taken[slots[n]] = true;
  }
  return RWKV6_OK;
}

rwkv6_status rwkv6_slots_check(const rwkv6_problem *problem, const int32_t *slots, rwkv6_error *error) {
  bool *taken = rwkv6_alloc((size_t)problem->pool_slots, sizeof *taken, "the check of slots", error);
  if (!taken) return RWKV6_OUT_OF_MEMORY;
  const rwkv6_status status = check_each_slot(problem, slots, taken, error);
  free(taken);
  return status;
}

rwkv6_status rwkv6_values_check(const rwkv6_problem *problem, rwkv6_operation operation,
                                const void *const data[RWKV6_TENSOR_COUNT], rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  if (rwkv6_tensor_takes_part(problem, operation, RWKV6_TENSOR_SLOTS))
    status = rwkv6_slots_check(problem, data[RWKV6_TENSOR_SLOTS], error);
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status && (problem->checks & RWKV6_CHECK_VALUES); i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(problem, operation, id) || !rwkv6_tensor_is_read(id) || id == RWKV6_TENSOR_SLOTS) continue;
    status = id == RWKV6_TENSOR_POOL ? check_pool(problem, data[id], data[RWKV6_TENSOR_SLOTS], error)
                                     : check_values(problem, data[id], id, error);
  }
  return status;
}

rwkv6_status rwkv6_tensors_check(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                                 rwkv6_error *error) {
  rwkv6_place places[RWKV6_TENSOR_COUNT];
  const void *data[RWKV6_TENSOR_COUNT];
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    data[id] = rwkv6_tensor_pointer(tensors, (rwkv6_tensor_id)id);
    const rwkv6_place place = {data[id] != NULL, NULL, (int64_t)(uintptr_t)data[id]};
    places[id] = place;
  }
  const rwkv6_status status = rwkv6_places_check(problem, operation, places, NULL, 0, error);
  return status ? status : rwkv6_values_check(problem, operation, data, error);
}
