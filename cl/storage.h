/* SPDX-License-Identifier: MIT */
/*
 * Element types of tensors. A kernel computes in float; DTYPE (r, k, v, o and their gradients) and W_DTYPE (w, dw) say how
 * numbers lie in memory: fp32, fp16 or bf16. 16-bit types are converted here, so no device needs arithmetic in half.
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

/* From storage to float. */
static inline float widen_fp32(fp32_t x) {
  return x;
}

static inline float widen_fp16(fp16_t x) {
  return vload_half(0, (const half *)&x);
}

static inline float widen_bf16(bf16_t x) {
  return as_float((uint)x << 16);
}

static inline void store_fp32(global fp32_t *p, float value) {
  *p = value;
}

static inline void store_fp16(global fp16_t *p, float value) {
  vstore_half_rte(value, 0, (global half *)p);
}

/* Round to nearest, ties to even. A NaN is made quiet: rounding could carry its mantissa into infinity. */
static inline ushort round_bf16(float value) {
  const uint bits = as_uint(value);
  const uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (ushort)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

static inline void store_bf16(global bf16_t *p, float value) {
  *p = round_bf16(value);
}

/* Loops whose unrolling keeps arrays in registers. On GPUs only: CPU compilers gain nothing and take three times as long. */
#ifdef UNROLL_LOOPS
#define UNROLL _Pragma("unroll")
#define UNROLL_4 _Pragma("unroll 4") /* independent trips side by side, without a register for each of them */
#define ROLL _Pragma("unroll 1")     /* code that would leave too little of an instruction cache to the rest of a kernel */
/* The number of the work-item, of WORK_GROUP, a power of 2: compilers see its range and drop many a test. Not on CPUs, as PoCL
 * 3.1 loses work-item loops that it finds to have one trip at most. */
#define LOCAL_ITEM ((int)get_local_id(0) & (WORK_GROUP - 1))
/* A usual case that has code of its own. CPU compilers take their time for it, and what it leaves out costs little there. */
#define USUAL(condition) (condition)
#else
#define UNROLL
#define UNROLL_4
#define ROLL
#define LOCAL_ITEM ((int)get_local_id(0))
#define USUAL(condition) false
#endif

/* The least power of 2 that is at least x, 1 to 512. */
#define POWER_OF_2(x)                                                                                                          \
  ((x) <= 1     ? 1                                                                                                            \
   : (x) <= 2   ? 2                                                                                                            \
   : (x) <= 4   ? 4                                                                                                            \
   : (x) <= 8   ? 8                                                                                                            \
   : (x) <= 16  ? 16                                                                                                           \
   : (x) <= 32  ? 32                                                                                                           \
   : (x) <= 64  ? 64                                                                                                           \
   : (x) <= 128 ? 128                                                                                                          \
   : (x) <= 256 ? 256                                                                                                          \
                : 512)

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define dtype_t JOIN(DTYPE, _t)
#define w_dtype_t JOIN(W_DTYPE, _t)
#define widen_d JOIN(widen_, DTYPE)
#define widen_w JOIN(widen_, W_DTYPE)
#define load_d(p) widen_d(*(p))
#define load_w(p) widen_w(*(p))
#define store_d JOIN(store_, DTYPE)
#define store_w JOIN(store_, W_DTYPE)

/* Where a tensor [tokens, heads, channels] lies in its buffer: (offset, token stride, head stride, unused), in elements. */
typedef long4 layout_t;

static inline index_t row_at(layout_t layout, index_t token, index_t head) {
  return layout.s0 + token * layout.s1 + head * layout.s2;
}

#endif
