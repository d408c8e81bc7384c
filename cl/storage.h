/* SPDX-License-Identifier: MIT */
/*
 * Element types of tensors. A kernel computes in float; DTYPE (r, k, v, o and their gradients) and W_DTYPE (w, dw) say how numbers
 * lie in memory: fp32, fp16 or bf16. 16-bit types are converted here, so no device needs arithmetic in half.
 */
#ifndef STORAGE_H
#define STORAGE_H

#ifndef DTYPE
#define DTYPE fp32
#endif
#ifndef W_DTYPE
#define W_DTYPE fp32
#endif

/* Offsets into tensors and counts of tokens: more than 2^31 elements are legal. */
typedef long index_t;

typedef float fp32_t;
typedef ushort fp16_t;
typedef ushort bf16_t;

static inline float load_fp32(global const fp32_t *p) {
  return *p;
}

static inline void store_fp32(global fp32_t *p, float value) {
  *p = value;
}

static inline float load_fp16(global const fp16_t *p) {
  return vload_half(0, (global const half *)p);
}

static inline void store_fp16(global fp16_t *p, float value) {
  vstore_half_rte(value, 0, (global half *)p);
}

static inline float load_bf16(global const bf16_t *p) {
  return as_float((uint)*p << 16);
}

/* Round to nearest, ties to even. A NaN is made quiet: rounding could carry its mantissa into infinity. */
static inline void store_bf16(global bf16_t *p, float value) {
  const uint bits = as_uint(value);
  const uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  *p = (ushort)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

/* Loops whose unrolling keeps arrays in registers. On GPUs only: CPU compilers gain nothing and take three times as long. */
#ifdef UNROLL_LOOPS
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define dtype_t JOIN(DTYPE, _t)
#define w_dtype_t JOIN(W_DTYPE, _t)
#define load_d JOIN(load_, DTYPE)
#define load_w JOIN(load_, W_DTYPE)
#define store_d JOIN(store_, DTYPE)
#define store_w JOIN(store_, W_DTYPE)

/* Where a tensor [tokens, heads, channels] lies in its buffer: (offset, token stride, head stride, unused), in elements. */
typedef long4 layout_t;

static inline index_t row_at(layout_t layout, index_t token, index_t head) {
  return layout.s0 + token * layout.s1 + head * layout.s2;
}

#endif
