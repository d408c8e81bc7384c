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
  uint gate; /* of the head's work-items */
} engine_t;

/* `slot`: the number of the head within the work-group, 0 to 7. */
static inline void engine_begin(engine_t *e, int item, int slot, local uint *exchange) {
  e->gate = (uint)slot + 1;
  e->lane = item & 31;
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
}

/* The operand nearest to x; the unit ignores the low 13 bits. */
static inline uint engine_round(float x) {
  return as_uint(x) + 0x1000u;
}

/* exp and 1 / x, a few units in the last place off; results and arguments that are denormal count as 0. */
static inline float engine_exp(float x) {
  float y;
  __asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504f));
  return y;
}

static inline float engine_inverse(float x) {
  float y;
  __asm__("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
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

/* Waits for the HEAD_ITEMS work-items of the head, or for more, and makes their writes to local memory visible to each other.
 */
static inline void engine_join(const engine_t *e) {
  __asm__ volatile("bar.sync %0, %1;" ::"r"(e->gate), "n"(HEAD_ITEMS) : "memory");
}

/* The value of the work-item 16 further on, or 16 before, in the sub-group. */
static inline float engine_swap(float x, const engine_t *e) {
  float y;
  __asm__ volatile("shfl.sync.bfly.b32 %0, %1, 16, 31, 0xffffffff;" : "=f"(y) : "f"(x));
  return y;
}

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

/* A of a tile of floats in local memory, rows `stride` floats apart (16-byte rows). */
static inline void engine_load_rows(uint *a, const engine_t *e, local const float *tile, int stride) {
  const uint from = engine_address(tile + (e->lane & 15) * stride + (e->lane >> 4) * 4);
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
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

/*
 * Of a 16 x 16 tile of 16-bit values in rows, the pairs (2 pair, 2 pair + 1; row), low half first, of its quarters:
 * x0 rows 0-7, columns 0-7; x1 rows 0-7, columns 8-15; x2, x3 the same of rows 8-15.
 */
static inline void engine_load_pairs(uint *x, const engine_t *e, local const ushort *tile, int stride) {
  const uint from = engine_address(tile + ((e->lane & 7) + (e->lane >> 4) * 8) * stride + ((e->lane >> 3) & 1) * 8);
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(from)
                   : "memory");
}

/* C += A B */
static inline void engine_multiply(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  __asm__("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
