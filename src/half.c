/* SPDX-License-Identifier: MIT */
#include "half.h"

/* fp16: sign 1, exponent 5 (bias 15), mantissa 10. float: sign 1, exponent 8 (bias 127), mantissa 23. */

float rwkv6_fp16_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  uint32_t mantissa = half & 0x3ffu;
  if (exponent == 31) { /* infinity or NaN, made quiet */
    return rwkv6_bits_float(sign | 0x7f800000u | (mantissa << 13) | (mantissa ? 0x400000u : 0u));
  }
  if (exponent > 0) return rwkv6_bits_float(sign | ((exponent + 112) << 23) | (mantissa << 13));
  if (mantissa == 0) return rwkv6_bits_float(sign);
  /* Subnormal: mantissa * 2^-24, an ordinary number as float. Shift its leading bit to the implicit place. */
  uint32_t shifts = 0;
  while (!(mantissa & 0x400u)) {
    mantissa <<= 1;
    ++shifts;
  }
  return rwkv6_bits_float(sign | ((113 - shifts) << 23) | ((mantissa & 0x3ffu) << 13));
}

/* value / 2^shift, to nearest, ties to even. 1 <= shift <= 31. */
static uint32_t shift_rounded(uint32_t value, uint32_t shift) {
  const uint32_t quotient = value >> shift;
  const uint32_t rest = value & ((1u << shift) - 1);
  const uint32_t half = 1u << (shift - 1);
  return quotient + (rest > half || (rest == half && (quotient & 1u)));
}

uint16_t rwkv6_float_to_fp16(float value) {
  const uint32_t bits = rwkv6_float_bits(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7c00u); /* 2^16 and more */
  /* Normal: rebias the exponent. A carry out of the mantissa raises it, at 65520 to infinity, as it should. */
  if (magnitude >= 0x38800000u) return (uint16_t)(sign | shift_rounded(magnitude - (112u << 23), 13));
  if (magnitude < 0x33000000u) return (uint16_t)sign; /* under 2^-25 */
  /* Subnormal, in units of 2^-24: the mantissa with its implicit bit, shifted by how far the exponent is below. */
  const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  return (uint16_t)(sign | shift_rounded(mantissa, 126 - (magnitude >> 23)));
}
