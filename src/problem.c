/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "sized.h"

/* What the first version of the struct held. */
#define LEAST_SIZE offsetof(rwkv6_problem, pool_slots)

void rwkv6_problem_init(rwkv6_problem *problem, size_t size, int64_t sequences, int64_t tokens, int64_t heads, int32_t key_dim,
                        int32_t value_dim) {
  if (!problem) return;
  rwkv6_problem defaults;
  memset(&defaults, 0, sizeof defaults);
  defaults.size = size;
  defaults.sequences = sequences;
  defaults.tokens = tokens;
  defaults.heads = heads;
  defaults.key_dim = key_dim;
  defaults.value_dim = value_dim;
  defaults.scale = key_dim > 0 ? 1.0 / sqrt((double)key_dim) : 1.0;
  if (size > sizeof defaults) memset((char *)problem + sizeof defaults, 0, size - sizeof defaults);
  memcpy(problem, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

static rwkv6_status out_of_range(const char *field, int64_t value, const char *allowed, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem.%s is %" PRId64 "; allowed: %s", field, value, allowed);
}

static rwkv6_status check_sizes(const rwkv6_problem *p, rwkv6_error *error) {
  if (p->sequences < 1) return out_of_range("sequences", p->sequences, "1 or more", error);
  if (p->tokens < 0) return out_of_range("tokens", p->tokens, "0 or more", error);
  if (p->heads < 1) return out_of_range("heads", p->heads, "1 or more", error);
  if (p->key_dim < 1 || p->key_dim > RWKV6_MAX_DIM) return out_of_range("key_dim", p->key_dim, "1 to 256", error);
  if (p->value_dim < 1 || p->value_dim > RWKV6_MAX_DIM) return out_of_range("value_dim", p->value_dim, "1 to 256", error);
  if (p->chunk_length < 0 || p->chunk_length > RWKV6_MAX_CHUNK_LENGTH)
    return out_of_range("chunk_length", p->chunk_length, "0 (automatic) to 4096", error);
  if (p->segment_length < -1)
    return out_of_range("segment_length", p->segment_length, "-1 (never split), 0 (automatic) or a length", error);
  return RWKV6_OK;
}

static rwkv6_status check_pool(const rwkv6_problem *p, rwkv6_operation operation, rwkv6_error *error) {
  const uint32_t states = p->optional & (RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE);
  if (!(p->optional & RWKV6_STATE_POOL)) {
    if (p->pool_slots == 0) return RWKV6_OK;
    return out_of_range("pool_slots", p->pool_slots, "0, as problem.optional has no RWKV6_STATE_POOL (16)", error);
  }
  if (operation == RWKV6_BACKWARD)
    return rwkv6_fail(
        error, RWKV6_INVALID_ARGUMENT,
        "problem.optional has RWKV6_STATE_POOL (16), which is forward only; backward takes RWKV6_INITIAL_STATE (1)");
  if (states)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "problem.optional is %u: RWKV6_STATE_POOL (16) takes the place of RWKV6_INITIAL_STATE (1) and "
                      "RWKV6_FINAL_STATE (2)",
                      (unsigned)p->optional);
  if (p->pool_slots < 1 || p->pool_slots > INT32_MAX)
    return out_of_range("pool_slots", p->pool_slots, "1 to 2147483647, with RWKV6_STATE_POOL (16)", error);
  return RWKV6_OK;
}

static rwkv6_status check_choices(const rwkv6_problem *p, rwkv6_operation operation, rwkv6_error *error) {
  const uint32_t known = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE | RWKV6_STATE_POOL;
  const uint32_t checks = RWKV6_CHECK_VALUES | RWKV6_CHECK_SLOTS;
  const int dtype = (int)p->dtype, w_dtype = (int)p->w_dtype, decay = (int)p->decay, precision = (int)p->precision;
  if (dtype < 0 || dtype > 2) return out_of_range("dtype", dtype, "RWKV6_FP32 (0), RWKV6_FP16 (1), RWKV6_BF16 (2)", error);
  if (w_dtype != dtype && w_dtype != RWKV6_FP32)
    return out_of_range("w_dtype", w_dtype, "the value of problem.dtype, or RWKV6_FP32 (0)", error);
  if (decay < 0 || decay > 2)
    return out_of_range("decay", decay, "RWKV6_DECAY_LOG (0), RWKV6_DECAY_RAW (1), RWKV6_DECAY_FACTOR (2)", error);
  if (operation == RWKV6_BACKWARD && p->decay == RWKV6_DECAY_FACTOR)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "problem.decay is RWKV6_DECAY_FACTOR (2), which is forward only; backward takes RWKV6_DECAY_LOG (0) or "
                      "RWKV6_DECAY_RAW (1)");
  if (precision < 0 || precision > 1)
    return out_of_range("precision", precision, "RWKV6_PRECISION_FULL (0), RWKV6_PRECISION_RELAXED (1)", error);
  if (p->reserved != 0) return out_of_range("reserved", p->reserved, "0", error);
  if (!isfinite(p->scale))
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem.scale is %g; allowed: a finite number", p->scale);
  if (p->optional & ~known)
    return out_of_range("optional", p->optional, "RWKV6_INITIAL_STATE | ... (bits 1, 2, 4, 8, 16)", error);
  if (p->checks & ~checks)
    return out_of_range("checks", p->checks, "RWKV6_CHECK_VALUES (1) | RWKV6_CHECK_SLOTS (2), or 0", error);
  return check_pool(p, operation, error);
}

static rwkv6_status check_cu_seqlens(const rwkv6_problem *p, rwkv6_error *error) {
  const int64_t *cu = p->cu_seqlens;
  if (!cu) {
    if (p->tokens % p->sequences == 0) return RWKV6_OK;
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "problem.tokens is %" PRId64 ", which %" PRId64
                      " sequences of equal length cannot share; give problem.cu_seqlens or a multiple",
                      p->tokens, p->sequences);
  }
  if ((uintptr_t)cu % sizeof *cu)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem.cu_seqlens is %p; allowed: an address aligned to 8 bytes",
                      (const void *)cu);
  if (cu[0] != 0) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem.cu_seqlens[0] is %" PRId64 "; allowed: 0", cu[0]);
  for (int64_t n = 0; n < p->sequences; n++)
    if (cu[n + 1] < cu[n])
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "problem.cu_seqlens[%" PRId64 "] is %" PRId64 "; allowed: at least cu_seqlens[%" PRId64 "], %" PRId64,
                        n + 1, cu[n + 1], n, cu[n]);
  if (cu[p->sequences] != p->tokens)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "problem.cu_seqlens[%" PRId64 "] is %" PRId64 "; allowed: problem.tokens, %" PRId64, p->sequences,
                      cu[p->sequences], p->tokens);
  return RWKV6_OK;
}

/* a * b + c for numbers >= 0, or -1 if it exceeds int64 (or if an operand already is -1). */
static int64_t checked_mul_add(int64_t a, int64_t b, int64_t c) {
  if (a < 0 || b < 0 || c < 0) return -1;
  if (b && a > (INT64_MAX - c) / b) return -1;
  return a * b + c;
}

static rwkv6_status too_large(const char *name, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                    "tensor %s: its size in bytes exceeds what 63 bits or this machine's size_t hold", name);
}

static bool bytes_fit(int64_t elements, size_t size) {
  const int64_t bytes = checked_mul_add(elements, (int64_t)size, 0);
  return bytes >= 0 && (uint64_t)bytes <= (uint64_t)SIZE_MAX / 2;
}

/*
 * Whether |dt * token - dh * head| < channels for some dt < tokens and 0 < dh < heads. Of all such fractions dt / dh the
 * convergents of head / token come closest (they are best approximations), and Euclid's algorithm walks through them: what it
 * leaves after a step is the distance of the next one.
 */
static bool rows_meet(const rwkv6_stride *stride, int64_t tokens, int64_t heads, int64_t channels) {
  int64_t dt = 1, dh = 0, dt_before = 0, dh_before = 1;
  for (int64_t larger = stride->head, smaller = stride->token; smaller;) {
    const int64_t times = larger / smaller, distance = larger % smaller;
    if (dt && times > (tokens - 1 - dt_before) / dt) return false;
    if (dh && times > (heads - 1 - dh_before) / dh) return false;
    const int64_t dt_next = times * dt + dt_before, dh_next = times * dh + dh_before;
    if (distance < channels) return true;
    dt_before = dt, dh_before = dh;
    dt = dt_next, dh = dh_next;
    larger = smaller, smaller = distance;
  }
  return false;
}

static bool overlaps_itself(const rwkv6_stride *stride, int64_t tokens, int64_t heads, int64_t channels) {
  if (tokens == 0) return false;
  if (tokens > 1 && stride->token < channels) return true;
  if (heads > 1 && stride->head < channels) return true;
  /* Nested, as nearly all are: all heads of a token before the next token, or all tokens of a head before the next head. */
  if (tokens == 1 || stride->token >= (heads - 1) * stride->head + channels) return false;
  if (stride->head >= (tokens - 1) * stride->token + channels) return false;
  return rows_meet(stride, tokens, heads, channels);
}

static rwkv6_status resolve_stride(const rwkv6_problem *p, rwkv6_tensor_id id, rwkv6_stride *stride, rwkv6_error *error) {
  const char *name = rwkv6_tensor_table[id].name;
  const int64_t channels = rwkv6_tensor_channels(p, id);
  if (stride->token < 0 || stride->head < 0)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "stride of %s is (token %" PRId64 ", head %" PRId64 "); allowed: 0 (packed) or more", name, stride->token,
                      stride->head);
  if (!stride->head) stride->head = channels;
  if (!stride->token) stride->token = checked_mul_add(p->heads, channels, 0);
  const int64_t last_token = p->tokens ? p->tokens - 1 : 0;
  const int64_t extent = checked_mul_add(last_token, stride->token, checked_mul_add(p->heads - 1, stride->head, channels));
  if (extent < 0 || !bytes_fit(extent, sizeof(double))) return too_large(name, error);
  if (overlaps_itself(stride, p->tokens, p->heads, channels))
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                      "stride of %s is (token %" PRId64 ", head %" PRId64 "), so that rows of %" PRId64
                      " channels overlap; allowed: strides that keep %" PRId64 " tokens x %" PRId64 " heads apart",
                      name, stride->token, stride->head, channels, p->tokens, p->heads);
  return RWKV6_OK;
}

static rwkv6_status resolve_strides(rwkv6_problem *p, rwkv6_error *error) {
  const int64_t heads_key = checked_mul_add(p->heads, p->key_dim, 0);
  const int64_t state = checked_mul_add(heads_key, p->value_dim, 0);
  const int64_t states = checked_mul_add(state, p->sequences, 0), pool = checked_mul_add(state, p->pool_slots, 0);
  if (states < 0 || !bytes_fit(states, sizeof(double))) return too_large("initial_state", error);
  if (pool < 0 || !bytes_fit(pool, sizeof(double))) return too_large("pool", error);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    /* The table hands out const pointers into a struct that is ours to write. */
    rwkv6_stride *stride = (rwkv6_stride *)rwkv6_tensor_stride(p, (rwkv6_tensor_id)id);
    if (!stride) continue;
    const rwkv6_status status = resolve_stride(p, (rwkv6_tensor_id)id, stride, error);
    if (status) return status;
  }
  return RWKV6_OK;
}

rwkv6_status rwkv6_problem_resolve(const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_problem *resolved,
                                   rwkv6_error *error) {
  if (!problem) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem is NULL; allowed: a problem from rwkv6_problem_init");
  if ((int)operation != RWKV6_FORWARD && (int)operation != RWKV6_BACKWARD)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "operation is %d; allowed: RWKV6_FORWARD (0), RWKV6_BACKWARD (1)",
                      (int)operation);
  rwkv6_status status = rwkv6_copy_sized(problem, resolved, sizeof *resolved, LEAST_SIZE, "problem", error);
  if (!status) status = check_sizes(resolved, error);
  if (!status) status = check_choices(resolved, operation, error);
  if (!status) status = check_cu_seqlens(resolved, error);
  if (!status) status = resolve_strides(resolved, error);
  return status;
}

int64_t rwkv6_problem_longest(const rwkv6_problem *problem) {
  if (!problem->cu_seqlens) return problem->tokens / problem->sequences;
  int64_t longest = 0;
  for (int64_t n = 0; n < problem->sequences; n++) {
    const int64_t length = rwkv6_problem_sequence(problem, n).length;
    if (length > longest) longest = length;
  }
  return longest;
}

rwkv6_status rwkv6_problem_state(const rwkv6_problem *problem, rwkv6_problem *copy, int64_t *elements, rwkv6_error *error) {
  if (!problem) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "problem is NULL; allowed: a problem from rwkv6_problem_init");
  rwkv6_status status = rwkv6_copy_sized(problem, copy, sizeof *copy, LEAST_SIZE, "problem", error);
  if (!status) status = check_sizes(copy, error);
  if (status) return status;
  const int64_t channels = (int64_t)copy->key_dim * copy->value_dim;
  *elements = checked_mul_add(copy->heads, channels, 0);
  const int64_t pool = checked_mul_add(*elements, copy->pool_slots > 0 ? copy->pool_slots : 1, 0);
  return pool < 0 || !bytes_fit(pool, sizeof(double)) ? too_large("pool", error) : RWKV6_OK;
}
