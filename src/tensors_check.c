/* SPDX-License-Identifier: MIT */
/* What a call of rwkv6_run hands in, against what the plan's problem wants. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>

#include "error.h"
#include "half.h"
#include "problem.h"

/* The memory of one tensor: rows of `row` bytes at begin + token * token_stride + head * head_stride bytes. */
typedef struct footprint {
  rwkv6_tensor_id id;
  int64_t begin, end; /* addresses of the first byte and one past the last */
  int64_t token_stride, head_stride, row;
} footprint;

static rwkv6_status check_presence(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                                   rwkv6_tensor_id id, rwkv6_error *error) {
  const rwkv6_tensor_traits *traits = &rwkv6_tensor_table[id];
  const void *pointer = rwkv6_tensor_pointer(tensors, id);
  const char *name = operation == RWKV6_FORWARD ? "forward" : "backward";
  const bool wanted = rwkv6_tensor_takes_part(problem, operation, id);
  if (wanted && !pointer && rwkv6_tensor_elements(problem, id) > 0)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is NULL; %s of this problem needs it", traits->name, name);
  if (!wanted && pointer)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is %p; allowed: NULL, as %s of this problem %s", traits->name,
                      pointer, name, traits->optional ? "has it only if problem.optional says so" : "has no such tensor");
  const size_t alignment = rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  if (wanted && (uintptr_t)pointer % alignment)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.%s is %p; allowed: an address aligned to %zu bytes", traits->name,
                      pointer, alignment);
  return RWKV6_OK;
}

static footprint footprint_of(const rwkv6_problem *problem, const rwkv6_tensors *tensors, rwkv6_tensor_id id) {
  const int64_t size = (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  footprint f = {.id = id, .begin = (int64_t)(uintptr_t)rwkv6_tensor_pointer(tensors, id)};
  f.end = f.begin + rwkv6_tensor_extent(problem, id) * size;
  f.token_stride = stride ? stride->token * size : 0;
  f.head_stride = stride ? stride->head * size : 0;
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
  const bool token_outside = a->token_stride >= a->head_stride;
  const int64_t inner = token_outside ? a->head_stride : a->token_stride;
  const int64_t outer = token_outside ? a->token_stride : a->head_stride;
  if (inner <= 0 || outer % inner) return false;
  const int64_t shift = modulo(b->begin - a->begin, inner);
  return shift >= a->row && shift + b->row <= inner;
}

static bool overlap(const footprint *a, const footprint *b, int64_t heads) {
  if (a->begin == a->end || b->begin == b->end) return false;
  if (a->end <= b->begin || b->end <= a->begin) return false;
  return !apart_within_token(a, b, heads) && !apart_within_row(a, b);
}

static bool legal_alias(const footprint *a, const footprint *b) {
  return a->id == RWKV6_TENSOR_INITIAL_STATE && b->id == RWKV6_TENSOR_FINAL_STATE && a->begin == b->begin;
}

static rwkv6_status check_overlap(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                                  rwkv6_error *error) {
  footprint all[RWKV6_TENSOR_COUNT];
  int count = 0;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (rwkv6_tensor_takes_part(problem, operation, (rwkv6_tensor_id)id))
      all[count++] = footprint_of(problem, tensors, (rwkv6_tensor_id)id);
  for (int i = 0; i < count; i++)
    for (int j = i + 1; j < count; j++) {
      const rwkv6_tensor_traits *a = &rwkv6_tensor_table[all[i].id], *b = &rwkv6_tensor_table[all[j].id];
      if (!(a->output || b->output) || legal_alias(&all[i], &all[j]) || !overlap(&all[i], &all[j], problem->heads)) continue;
      return rwkv6_fail(
          error, RWKV6_INVALID_ARGUMENT,
          "tensors.%s at %p overlaps tensors.%s at %p; allowed: outputs apart from everything else, or final_state "
          "equal to initial_state",
          b->name, rwkv6_tensor_pointer(tensors, all[j].id), a->name, rwkv6_tensor_pointer(tensors, all[i].id));
    }
  return RWKV6_OK;
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

static rwkv6_status check_values(const rwkv6_problem *problem, const rwkv6_tensors *tensors, rwkv6_tensor_id id,
                                 rwkv6_error *error) {
  const void *data = rwkv6_tensor_pointer(tensors, id);
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

rwkv6_status rwkv6_tensors_check(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                                 rwkv6_error *error) {
  if (!tensors) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors is NULL; allowed: a struct from RWKV6_TENSORS_INIT");
  if (tensors->size < sizeof *tensors)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors.size is %zu; at least %zu is needed (RWKV6_TENSORS_INIT sets it)",
                      tensors->size, sizeof *tensors);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const rwkv6_status status = check_presence(problem, operation, tensors, (rwkv6_tensor_id)id, error);
    if (status) return status;
  }
  rwkv6_status status = check_overlap(problem, operation, tensors, error);
  for (int id = 0; id < RWKV6_TENSOR_COUNT && !status && (problem->checks & RWKV6_CHECK_VALUES); id++)
    if (rwkv6_tensor_takes_part(problem, operation, (rwkv6_tensor_id)id) && !rwkv6_tensor_table[id].output)
      status = check_values(problem, tensors, (rwkv6_tensor_id)id, error);
  return status;
}
