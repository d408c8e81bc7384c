/* SPDX-License-Identifier: MIT */
/* States in host memory: rwkv6_state_*. */
#include "state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "problem.h"

rwkv6_status rwkv6_state_place(const rwkv6_problem *problem, const char *name, int32_t slot, rwkv6_state_range *range,
                               rwkv6_error *error) {
  rwkv6_problem copy;
  int64_t elements;
  const rwkv6_status status = rwkv6_problem_state(problem, &copy, &elements, error);
  if (status) return status;
  if (copy.pool_slots < 1 || copy.pool_slots > INT32_MAX)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem.pool_slots is %" PRId64 "; allowed: 1 to 2147483647",
                      copy.pool_slots);
  if (slot < 0 || slot >= copy.pool_slots)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is %" PRId32 "; allowed: 0 to %" PRId64, name, slot,
                      copy.pool_slots - 1);
  range->first = slot * elements;
  range->elements = elements;
  return RWKV6_OK;
}

rwkv6_status rwkv6_state_pointer_check(const char *name, const void *pointer, rwkv6_error *error) {
  if (!pointer) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is NULL; allowed: the address of a state", name);
  if ((uintptr_t)pointer % sizeof(float))
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s is %p; allowed: an address aligned to 4 bytes", name, pointer);
  return RWKV6_OK;
}

static size_t bytes_of(const rwkv6_state_range *range) {
  return (size_t)range->elements * sizeof(float);
}

/* The place of a slot in a pool in host memory. */
static rwkv6_status find(const rwkv6_problem *problem, const float *pool, const char *name, int32_t slot,
                         rwkv6_state_range *range, rwkv6_error *error) {
  const rwkv6_status status = rwkv6_state_place(problem, name, slot, range, error);
  return status ? status : rwkv6_state_pointer_check("pool", pool, error);
}

rwkv6_status rwkv6_state_elements(const rwkv6_problem *problem, int64_t *elements, rwkv6_error *error) {
  rwkv6_problem copy;
  int64_t found;
  if (!elements) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "elements is NULL; allowed: the address of an int64_t");
  const rwkv6_status status = rwkv6_problem_state(problem, &copy, &found, error);
  if (!status) *elements = found;
  return status;
}

rwkv6_status rwkv6_state_zero(const rwkv6_problem *problem, float *pool, int32_t slot, rwkv6_error *error) {
  rwkv6_state_range range;
  const rwkv6_status status = find(problem, pool, "slot", slot, &range, error);
  if (!status) memset(pool + range.first, 0, bytes_of(&range)); /* bits of 0.0f */
  return status;
}

rwkv6_status rwkv6_state_fork(const rwkv6_problem *problem, float *pool, int32_t from, int32_t to, rwkv6_error *error) {
  rwkv6_state_range source = {0, 0}, target = {0, 0};
  rwkv6_status status = find(problem, pool, "from", from, &source, error);
  if (!status) status = find(problem, pool, "to", to, &target, error);
  if (!status && from != to) memcpy(pool + target.first, pool + source.first, bytes_of(&source));
  return status;
}

rwkv6_status rwkv6_state_save(const rwkv6_problem *problem, const float *pool, int32_t slot, float *state, rwkv6_error *error) {
  rwkv6_state_range range;
  rwkv6_status status = find(problem, pool, "slot", slot, &range, error);
  if (!status) status = rwkv6_state_pointer_check("state", state, error);
  if (!status) memcpy(state, pool + range.first, bytes_of(&range));
  return status;
}

rwkv6_status rwkv6_state_load(const rwkv6_problem *problem, float *pool, int32_t slot, const float *state, rwkv6_error *error) {
  rwkv6_state_range range;
  rwkv6_status status = find(problem, pool, "slot", slot, &range, error);
  if (!status) status = rwkv6_state_pointer_check("state", state, error);
  if (!status) memcpy(pool + range.first, state, bytes_of(&range));
  return status;
}

/* to [columns, rows] = from [rows, columns] */
static void transpose(const float *from, float *to, int64_t rows, int64_t columns) {
  for (int64_t c = 0; c < columns; c++)
    for (int64_t r = 0; r < rows; r++) *to++ = from[r * columns + c];
}

static rwkv6_status check_conversion(rwkv6_state_layout layout, int64_t count, int64_t elements, const float *from,
                                     const float *to, rwkv6_error *error) {
  if ((int)layout != RWKV6_STATE_KEY_VALUE && (int)layout != RWKV6_STATE_VALUE_KEY)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "layout is %d; allowed: RWKV6_STATE_KEY_VALUE (0), RWKV6_STATE_VALUE_KEY (1)", (int)layout);
  if (count < 0 || count > (int64_t)(SIZE_MAX / 2 / sizeof(float)) / elements)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "count is %" PRId64 "; allowed: 0 or more, as many as memory holds",
                      count);
  rwkv6_status status = rwkv6_state_pointer_check("from", from, error);
  if (!status) status = rwkv6_state_pointer_check("to", to, error);
  if (status) return status;
  const uintptr_t bytes = (uintptr_t)(count * elements) * sizeof(float), a = (uintptr_t)from, b = (uintptr_t)to;
  if (bytes && a < b + bytes && b < a + bytes)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "from at %p overlaps to at %p; allowed: memory apart", (const void *)from,
                      (const void *)to);
  return RWKV6_OK;
}

rwkv6_status rwkv6_state_convert(const rwkv6_problem *problem, rwkv6_state_layout layout, int64_t count, const float *from,
                                 float *to, rwkv6_error *error) {
  rwkv6_problem copy;
  int64_t elements;
  rwkv6_status status = rwkv6_problem_state(problem, &copy, &elements, error);
  if (!status) status = check_conversion(layout, count, elements, from, to, error);
  if (status) return status;
  const int64_t head = (int64_t)copy.key_dim * copy.value_dim;
  const bool to_values = layout == RWKV6_STATE_VALUE_KEY;
  for (int64_t i = 0; i < count * copy.heads; i++)
    transpose(from + i * head, to + i * head, to_values ? copy.key_dim : copy.value_dim,
              to_values ? copy.value_dim : copy.key_dim);
  return RWKV6_OK;
}
