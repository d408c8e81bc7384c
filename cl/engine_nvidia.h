/* SPDX-License-Identifier: MIT */
/*
 * Matrix engine of NVIDIA GPUs from compute capability 8.0 on: mma.sync m16n8k8 on tf32 operands (8 bits of exponent, 10 of
 * mantissa) with sums in fp32, by inline PTX. 32 consecutive work-items are one sub-group and work together; work-item `lane`
 * holds, with row = lane / 4 and pair = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k8"):
 *
 *     A [16 x 8]   a0 (row, pair)   a1 (row + 8, pair)   a2 (row, pair + 4)   a3 (row + 8, pair + 4)
 *     B [8 x 8]    b0 (pair, row)   b1 (pair + 4, row)
 *     C [16 x 8]   c0 (row, 2 pair)   c1 (row, 2 pair + 1)   c2 (row + 8, 2 pair)   c3 (row + 8, 2 pair + 1)
 */
#ifndef ENGINE_NVIDIA_H
#define ENGINE_NVIDIA_H

#define ENGINE_KERNEL kernel
#define ENGINE_EXCHANGE 1    /* words of local memory a work-item: none is needed */
#define ENGINE_INDEPENDENT 1 /* sub-groups need not reach the same barriers */

typedef struct engine_t {
  int lane, row, pair;
} engine_t;

static inline void engine_begin(engine_t *e, int item, local uint *exchange) {
  e->lane = item & 31;
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
}

/* The operand nearest to x; the unit ignores the low 13 bits. */
static inline uint engine_round(float x) {
  return as_uint(x) + 0x1000u;
}

/* exp, a few units in the last place off; denormal results count as 0. */
static inline float engine_exp(float x) {
  float y;
  __asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504f));
  return y;
}

/* Two numbers rounded to 16 bits, x in the low half. */
static inline uint engine_pack_bf16(float x, float y) {
  uint pair;
  __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
  return pair;
}

static inline uint engine_pack_fp16(float x, float y) {
  uint pair;
  __asm__("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
  return pair;
}

/* Waits for the sub-group and makes its writes to local memory visible within it. */
static inline void engine_barrier(void) {
  __asm__ volatile("bar.warp.sync 0xffffffff;" ::: "memory");
}

/* Waits for the work-group, wherever each of its sub-groups calls it, and makes writes to local memory visible to all of it. */
static inline void engine_join(const engine_t *e) {
  __asm__ volatile("bar.sync 1, %0;" ::"n"(WORK_GROUP) : "memory");
}

/* The same for the makers, the first sub-groups of the work-group, which alone may call this. */
static inline void engine_join_makers(const engine_t *e) {
  __asm__ volatile("bar.sync 2, %0;" ::"n"(32 * MAKERS) : "memory");
}

/* The value of work-item lane ^ distance of the sub-group (distance is a constant). */
#define engine_swap(x, distance, e) engine_swap_##distance(x)
#define ENGINE_SWAP(distance)                                                                                                  \
  static inline float engine_swap_##distance(float x) {                                                                        \
    float y;                                                                                                                   \
    __asm__ volatile("shfl.sync.bfly.b32 %0, %1, " #distance ", 31, 0xffffffff;" : "=f"(y) : "f"(x));                          \
    return y;                                                                                                                  \
  }
ENGINE_SWAP(1)
ENGINE_SWAP(2)

/* Whether `yes` holds in all of the sub-group, or in as many more work-items as the engine finds easier. */
static inline bool engine_all(bool yes, const engine_t *e) {
  uint all;
  __asm__ volatile("{ .reg .pred p; setp.ne.u32 p, %1, 0; vote.sync.all.pred p, p, 0xffffffff; selp.u32 %0, 1, 0, p; }"
                   : "=r"(all)
                   : "r"((uint)yes));
  return all != 0;
}

static inline uint engine_address(local const void *p) {
  return (uint)(ulong)p;
}

/* 16 bytes, or zeros, to local memory in the background; both addresses are multiples of 16. */
static inline void engine_copy(local uint4 *to, global const uint4 *from, bool there) {
  __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                   :
                   : "r"(engine_address(to)), "l"((ulong)from), "r"(there ? 16 : 0)
                   : "memory");
}

/* The copies since the last commit are one group. */
static inline void engine_commit(void) {
  __asm__ volatile("cp.async.commit_group;" ::: "memory");
}

/* Until this work-item's copies have arrived, but for the last `groups` groups (a constant). */
#define engine_wait(groups) __asm__ volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory")

/*
 * Of 16 rows and 16 columns of 16-bit values in a tile whose rows are swizzled (chunk_matrix_tiles.h) with `mask`, from column 8
 * unit on: the pairs (row; 2 pair, 2 pair + 1), low half first, of x0 rows 0-7, columns 0-7; x1 rows 8-15, columns 0-7; x2, x3
 * the same of columns 8-15.
 */
static inline void engine_load_tokens(uint *x, const engine_t *e, local const ushort *tile, int stride, int mask, int unit) {
  const int row = e->lane & 15;
  const uint from = engine_address(tile + row * stride + ((unit + (e->lane >> 4)) ^ swizzle(row, mask)) * 8);
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(from)
                   : "memory");
}

/* Two B, k 0 to 7 and 8 to 15, of a tile with a row of 16 k for each of 8 columns: b0, b1 of the first, b0, b1 of the second.
 */
static inline void engine_load_columns(uint *b, const engine_t *e, local const float *tile, int stride) {
  const uint from = engine_address(tile + (e->lane & 7) * stride + (e->lane >> 3) * 4);
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
                   : "r"(from)
                   : "memory");
}

/* Row n of 8 in the order of engine_load_pairs. */
static inline int engine_token(int n, int upper, bool apart) {
  return apart ? n / 4 + (n & 2) * 4 + (n & 1) * 2 + upper * 4 : n + upper * 8;
}

/*
 * The same by columns: the pairs (rows 2 pair, 2 pair + 1; column row) of x0 rows 0-7, columns 0-7; x1 rows 8-15, columns 0-7;
 * x2, x3 the same of columns 8-15. `apart`: rows in another order, 0 2 8 10 1 3 9 11 and 4 6 12 14 5 7 13 15, which makes 0, 8,
 * 1, 9 to 7, 15 the rows pair, pair + 4, pair + 8, pair + 12.
 */
static inline void engine_load_pairs(uint *x, const engine_t *e, local const ushort *tile, int stride, int mask, int unit,
                                     bool apart) {
  const int row = engine_token(e->lane & 7, (e->lane >> 3) & 1, apart);
  const uint from = engine_address(tile + row * stride + ((unit + (e->lane >> 4)) ^ swizzle(row, mask)) * 8);
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(from)
                   : "memory");
}

/* C += A B, or, `first`, C = A B */
static inline void engine_multiply(float *c, const uint *a, uint b0, uint b1, bool first, const engine_t *e) {
  if (first)
    __asm__("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
            : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
  else
    __asm__("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/*
 * The same on operands of 16 bits, two in a register, low half first (PTX ISA, "Matrix Fragments for mma.m16n8k16"):
 *
 *     A [16 x 16]  a0 (row; 2 pair, 2 pair + 1)   a1 (row + 8; the same)   a2 (row; 2 pair + 8, 2 pair + 9)   a3 (row + 8; the same)
 *     B [16 x 8]   b0 (2 pair, 2 pair + 1; row)   b1 (2 pair + 8, 2 pair + 9; row)
 */
#define ENGINE_MULTIPLY(name, type)                                                                                            \
  static inline void engine_multiply_##name(float *c, const uint *a, uint b0, uint b1, bool first, const engine_t *e) {        \
    if (first)                                                                                                                 \
      __asm__("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                                                           \
              ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"                                                 \
              : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])                                                                 \
              : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));                                      \
    else                                                                                                                       \
      __asm__("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                                                           \
              ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                                     \
              : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                                 \
              : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                                                 \
  }
ENGINE_MULTIPLY(bf16, "bf16")
ENGINE_MULTIPLY(fp16, "f16")

/* The larger of both halves; NaN if one is. */
#define ENGINE_MAX(name, type)                                                                                                 \
  static inline uint engine_max_##name(uint x, uint y) {                                                                       \
    uint z;                                                                                                                    \
    __asm__("max.NaN." type " %0, %1, %2;" : "=r"(z) : "r"(x), "r"(y));                                                        \
    return z;                                                                                                                  \
  }
ENGINE_MAX(bf16, "bf16x2")
ENGINE_MAX(fp16, "f16x2")

#endif
