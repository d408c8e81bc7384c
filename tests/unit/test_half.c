/* SPDX-License-Identifier: MIT */
/* Both 16-bit formats, exhaustively: every value, and the floats around every boundary between two neighbours. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "half.h"

typedef struct format {
  int exponent_bits, mantissa_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
} format;

static const format fp16 = {5, 10, rwkv6_fp16_to_float, rwkv6_float_to_fp16};
static const format bf16 = {8, 7, rwkv6_bf16_to_float, rwkv6_float_to_bf16};

static int infinity_of(const format *f) {
  return ((1 << f->exponent_bits) - 1) << f->mantissa_bits;
}

/* The value of a finite half without its sign, from the definition: in double, where all of this is exact. */
static double magnitude(const format *f, int bits) {
  const int exponent = bits >> f->mantissa_bits, mantissa = bits & ((1 << f->mantissa_bits) - 1);
  const int bias = (1 << (f->exponent_bits - 1)) - 1;
  if (exponent == 0) return ldexp(mantissa, 1 - bias - f->mantissa_bits);
  return ldexp(mantissa + (1 << f->mantissa_bits), exponent - bias - f->mantissa_bits);
}

static void widens_exactly(void **state) {
  const format *f = *state;
  for (int bits = 0; bits < infinity_of(f); ++bits) {
    const float plus = f->widen((uint16_t)bits), minus = f->widen((uint16_t)(bits | 0x8000));
    if ((double)plus != magnitude(f, bits) || (double)minus != -magnitude(f, bits)) fail_msg("0x%04x gives %a", bits, plus);
    if (signbit(plus) || !signbit(minus)) fail_msg("0x%04x loses its sign", bits);
  }
}

static void returns_from_float(void **state) {
  const format *f = *state;
  for (int bits = 0; bits < 0x10000; ++bits) {
    const uint16_t back = f->narrow(f->widen((uint16_t)bits));
    const int is_nan = (bits & 0x7fff) > infinity_of(f);
    if (!is_nan && back != bits) fail_msg("0x%04x comes back as 0x%04x", bits, back);
  }
}

static void keeps_infinities(void **state) {
  const format *f = *state;
  const int inf = infinity_of(f);
  assert_true(isinf(f->widen((uint16_t)inf)) && !signbit(f->widen((uint16_t)inf)));
  assert_true(isinf(f->widen((uint16_t)(inf | 0x8000))) && signbit(f->widen((uint16_t)(inf | 0x8000))));
  assert_int_equal(f->narrow(INFINITY), inf);
  assert_int_equal(f->narrow(-INFINITY), inf | 0x8000);
}

static void check_nan(const format *f, uint16_t half, int sign) {
  const int quiet = 1 << (f->mantissa_bits - 1);
  assert_true((half & 0x7fff) > infinity_of(f));
  assert_true(half & quiet);
  assert_int_equal(half >> 15, sign);
}

static void keeps_nans(void **state) {
  const format *f = *state;
  for (int bits = infinity_of(f) + 1; bits < 0x8000; ++bits) {
    assert_true(isnan(f->widen((uint16_t)bits)));
    check_nan(f, f->narrow(f->widen((uint16_t)bits)), 0);
    check_nan(f, f->narrow(f->widen((uint16_t)(bits | 0x8000))), 1);
  }
  /* Payloads of float in bits that the half does not have: the first, the last, and all of them. */
  const uint32_t payloads[] = {0x7f800001u, 0x7f800fffu, 0x7fbfffffu, 0x7fffffffu, 0x7fc00000u};
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; ++i) {
    check_nan(f, f->narrow(rwkv6_bits_float(payloads[i])), 0);
    check_nan(f, f->narrow(rwkv6_bits_float(payloads[i] | 0x80000000u)), 1);
  }
}

static void narrows_to(const format *f, float value, int expected) {
  if (f->narrow(value) != expected) fail_msg("%a gives 0x%04x, not 0x%04x", value, f->narrow(value), expected);
  if (f->narrow(-value) != (expected | 0x8000)) fail_msg("%a gives 0x%04x", -value, f->narrow(-value));
}

/* Above the largest finite value the next one would be 2^(bias + 1), which is infinity. */
static double magnitude_or_next(const format *f, int bits) {
  return bits < infinity_of(f) ? magnitude(f, bits) : ldexp(1, 1 << (f->exponent_bits - 1));
}

/* Between each value and the next: the midpoint goes to the even one, the floats next to it to the nearer one. */
static void rounds_to_nearest_even(void **state) {
  const format *f = *state;
  for (int low = 0; low < infinity_of(f); ++low) {
    const int high = low + 1, even = low % 2 == 0 ? low : high;
    const double exact_middle = (magnitude(f, low) + magnitude_or_next(f, high)) / 2;
    const float middle = (float)exact_middle;
    assert_true((double)middle == exact_middle);
    narrows_to(f, middle, even);
    narrows_to(f, nextafterf(middle, 0), low);
    narrows_to(f, nextafterf(middle, INFINITY), high);
    narrows_to(f, nextafterf(f->widen((uint16_t)low), INFINITY), low);
    if (high < infinity_of(f)) narrows_to(f, nextafterf(f->widen((uint16_t)high), 0), high);
  }
}

static void known_values(void **state) {
  (void)state;
  narrows_to(&fp16, 1.0f, 0x3c00);
  narrows_to(&fp16, 65504.0f, 0x7bff);
  narrows_to(&fp16, nextafterf(65520.0f, 0), 0x7bff);
  narrows_to(&fp16, 65520.0f, 0x7c00);
  narrows_to(&fp16, 3e38f, 0x7c00);
  narrows_to(&fp16, 0x1p-14f, 0x0400);
  narrows_to(&fp16, 0x1p-24f, 0x0001);
  narrows_to(&fp16, 0x1p-25f, 0x0000);
  narrows_to(&fp16, nextafterf(0x1p-25f, 1), 0x0001);
  narrows_to(&fp16, 0x1p-149f, 0x0000);
  narrows_to(&bf16, 1.0f, 0x3f80);
  narrows_to(&bf16, 0x1.fep127f, 0x7f7f);
  narrows_to(&bf16, nextafterf(0x1.ffp127f, 0), 0x7f7f);
  narrows_to(&bf16, 0x1.ffp127f, 0x7f80);
  narrows_to(&bf16, 0x1p-133f, 0x0001);
  narrows_to(&bf16, 0x1p-134f, 0x0000);
}

#define EACH(function)                                                                                                         \
  {"fp16 " #function, function, NULL, NULL, (void *)(uintptr_t)&fp16}, {                                                       \
    "bf16 " #function, function, NULL, NULL, (void *)(uintptr_t)&bf16                                                          \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      EACH(widens_exactly), EACH(returns_from_float),     EACH(keeps_infinities),
      EACH(keeps_nans),     EACH(rounds_to_nearest_even), cmocka_unit_test(known_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
