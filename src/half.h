/* SPDX-License-Identifier: MIT */
/* 16-bit floating point formats, by integer arithmetic: no compiler or CPU support needed. Round to nearest, ties to even. */
#ifndef RWKV6_SRC_HALF_H
#define RWKV6_SRC_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t rwkv6_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float rwkv6_bits_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* bf16 is the upper half of a float, so widening is exact. */
static inline float rwkv6_bf16_to_float(uint16_t half) {
  return rwkv6_bits_float((uint32_t)half << 16);
}

/* A NaN stays a NaN: rounding could carry its mantissa into infinity, so it is made quiet instead. */
static inline uint16_t rwkv6_float_to_bf16(float value) {
  const uint32_t bits = rwkv6_float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float rwkv6_fp16_to_float(uint16_t half);

/* Overflow gives infinity, as IEEE 754 does; results under 2^-24 / 2 give a signed zero. */
uint16_t rwkv6_float_to_fp16(float value);

#endif
