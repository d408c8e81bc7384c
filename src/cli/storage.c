/* SPDX-License-Identifier: MIT */
#include "cli/storage.h"

#include <math.h>
#include <string.h>

#include "half.h"

void cli_storage_encode(const float *values, int64_t count, rwkv6_dtype dtype, void *stored) {
  uint16_t *halves = stored;
  if (dtype == RWKV6_FP32) memcpy(stored, values, (size_t)count * sizeof *values);
  if (dtype == RWKV6_FP16) {
    for (int64_t i = 0; i < count; ++i) halves[i] = rwkv6_float_to_fp16(values[i]);
  }
  if (dtype == RWKV6_BF16) {
    for (int64_t i = 0; i < count; ++i) halves[i] = rwkv6_float_to_bf16(values[i]);
  }
}

void cli_storage_decode(const void *stored, int64_t count, rwkv6_dtype dtype, float *values) {
  const uint16_t *halves = stored;
  if (dtype == RWKV6_FP32) memcpy(values, stored, (size_t)count * sizeof *values);
  if (dtype == RWKV6_FP16) {
    for (int64_t i = 0; i < count; ++i) values[i] = rwkv6_fp16_to_float(halves[i]);
  }
  if (dtype == RWKV6_BF16) {
    for (int64_t i = 0; i < count; ++i) values[i] = rwkv6_bf16_to_float(halves[i]);
  }
}

/* Rounding to odd: a float that lies between the same two halves as `value`, and on a tie only if `value` does. */
static float to_float_odd(double value) {
  const float nearest = (float)value;
  if ((double)nearest == value || !isfinite(nearest) || (rwkv6_float_bits(nearest) & 1u)) return nearest;
  return nextafterf(nearest, (double)nearest < value ? INFINITY : -INFINITY);
}

double cli_storage_round(double value, rwkv6_dtype dtype) {
  if (dtype == RWKV6_FP16) return (double)rwkv6_fp16_to_float(rwkv6_float_to_fp16(to_float_odd(value)));
  if (dtype == RWKV6_BF16) return (double)rwkv6_bf16_to_float(rwkv6_float_to_bf16(to_float_odd(value)));
  return (double)(float)value;
}
