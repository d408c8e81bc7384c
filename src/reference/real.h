/* SPDX-License-Identifier: MIT */
/* The number type that this folder computes in: float, or double when compiled with RWKV6_REAL_DOUBLE. */
#ifndef RWKV6_SRC_REFERENCE_REAL_H
#define RWKV6_SRC_REFERENCE_REAL_H

#ifdef RWKV6_REAL_DOUBLE
typedef double real;
#define RWKV6_REAL_NAME(name) rwkv6_##name##_double
#define REAL_FLOOR 0x1p-960
#define REAL_NEAR_ONE 0x1p-49
#define REAL_DTYPE RWKV6_FP64
#else
typedef float real;
#define RWKV6_REAL_NAME(name) rwkv6_##name##_float
#define REAL_FLOOR 0x1p-120f
#define REAL_NEAR_ONE 0x1p-20
#define REAL_DTYPE RWKV6_FP32
#endif

/*
 * For an inner loop over arrays that are known not to overlap: once inlined, gcc forgets what `restrict` says and compares all
 * addresses on each call, which costs more than the call.
 */
#if defined(__GNUC__) && !defined(__clang__)
#define INNER_LOOP __attribute__((noinline))
#else
#define INNER_LOOP
#endif

/*
 * States and decay products that have decayed below REAL_FLOOR count as 0. Otherwise padding (k = 0) would leave denormals in
 * the state, some of which round to themselves for ever and make each operation on them slow. A NaN stays.
 */
static inline real flush(real x) {
  return x < REAL_FLOOR && x > -REAL_FLOOR ? (real)0 : x;
}

#endif
