/* SPDX-License-Identifier: MIT */
/*
 * Matrix engine of NVIDIA GPUs of compute capability 9.0: products of 128 consecutive work-items, a group (wgmma m64n64k16 on
 * bf16 operands with sums in fp32), and of 32, a sub-group (mma m16n8k16 and m16n8k8), by inline PTX. A group's sub-group
 * `warp` has rows 16 warp to 16 warp + 15; within it, with row = lane / 4 and pair = lane % 4 (PTX ISA, "Register Fragments for
 * wgmma.mma_async.m64nNk16", "Matrix Fragments for mma.m16n8k16"), and two numbers of 16 bits in a register, low half first:
 *
 *     A [16 x 16]  a0 (row; 2 pair, 2 pair + 1)   a1 (row + 8; the same)   a2 (row; 2 pair + 8, + 9)   a3 (row + 8; the same)
 *     B [16 x 8]   b0 (2 pair, 2 pair + 1; row)   b1 (2 pair + 8, + 9; row)
 *     C [16 x 64]  c[4 n + 0, 1] (row; 8 n + 2 pair, + 1)   c[4 n + 2, 3] (row + 8; the same)
 *
 * Tiles in local memory are 64 rows of 64 numbers of 16 bits, 1024-byte aligned; the 16 bytes n of row i are in place n ^ (i &
 * 7).
 *
 * wgmma is for .target sm_90a alone, which the driver's compiler does not set. To it these instructions are comments (HIDDEN);
 * src/opencl/retarget.c shows them in the PTX that it makes, which is assembled again.
 */
#ifndef ENGINE_HOPPER_H
#define ENGINE_HOPPER_H

#define ENGINE_KERNEL kernel
#define ENGINE_EXCHANGE 1    /* words of local memory a work-item: none is needed */
#define ENGINE_SLACK 0       /* bytes of local memory to align the rest */
#define ENGINE_INDEPENDENT 1 /* groups and sub-groups need not reach the same barriers */

#define HIDDEN "//@"

/* At the beginning of a kernel: until hidden instructions are shown it ends here, and the assembler leaves out the rest. Once
 * they are shown, so are the signs that make a comment of this. */
#define ENGINE_SHOWN_ONLY __asm__ volatile(HIDDEN "/*\n\tret; " HIDDEN "*/")

/* x, of which compilers know nothing: what follows from it is found anew, not kept in registers for later. */
static inline int engine_fresh(int x) {
  __asm__ volatile("" : "+r"(x));
  return x;
}

/* x, which is the same for all of a sub-group: assemblers are to know that. */
static inline int engine_uniform(int x) {
  __asm__ volatile("shfl.sync.idx.b32 %0, %0, 0, 0x1f, 0xffffffff;" : "+r"(x));
  return x;
}

typedef struct engine_t {
  int group; /* its barrier: 1 or 2; 0 is that of the work-group, those from ENGINE_GIVEN on are between groups */
  int lane, row, pair, warp;
} engine_t;

/* What depends on the lane is found anew from here on, not kept in registers for later. */
static inline void engine_refresh(engine_t *e) {
  e->lane = engine_fresh(e->lane);
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
}

/* Work-item `item` of the work-group's group number `group`. */
static inline void engine_begin(engine_t *e, int group, int item, local uint *exchange) {
  e->group = group + 1;
  e->warp = engine_uniform(item / 32 & 3);
  e->lane = item & 31;
  engine_refresh(e);
}

/* `pool`, which begins with 4 bytes to use, after a barrier: what assemblers know of its address they find anew for each
 * access. */
static inline void engine_prepare_base(local uchar *pool, int item) {
  if (item == 0) *(local uint *)pool = (uint)(ulong)pool;
}

static inline local uchar *engine_base(local uchar *pool) {
  return (local uchar *)(ulong)(*(volatile local uint *)pool & 0x3ffffu);
}

static inline local uchar *engine_fresh_pointer(local uchar *base) {
  return (local uchar *)(ulong)(uint)engine_fresh((int)(ulong)base);
}

/* The same of a pointer that is one for all of a sub-group. */
static inline local uchar *engine_uniform_pointer(local uchar *base) {
  return (local uchar *)(ulong)(uint)engine_uniform((int)(ulong)base);
}

/* 2^x, a few units in the last place off; results and arguments that are denormal count as 0. */
static inline float engine_exp2(float x) {
  float y;
  __asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/* Two numbers rounded to bf16, x in the low half. */
static inline uint engine_pack_bf16(float x, float y) {
  uint pair;
  __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
  return pair;
}

/* The same, cut off. */
static inline uint engine_pack_upper(float x, float y) {
  uint pair;
  __asm__("prmt.b32 %0, %1, %2, 0x7632;" : "=r"(pair) : "r"(as_uint(x)), "r"(as_uint(y)));
  return pair;
}

/* The larger of both halves in bf16. */
static inline uint engine_max_bf16(uint x, uint y) {
  uint z;
  __asm__("max.NaN.bf16x2 %0, %1, %2;" : "=r"(z) : "r"(x), "r"(y));
  return z;
}

/* Of an operand in tf32 the unit ignores the low 13 bits: by how much it is larger on average than what the unit takes, 1 +
 * 0.72 * 2^-11. */
#define ENGINE_CUT 1.00035220f

/* x *= y where `yes` */
static inline float engine_scale(float x, float y, bool yes) {
  __asm__("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p mul.ftz.f32 %0, %0, %1; }" : "+f"(x) : "f"(y), "r"((uint)yes));
  return x;
}

/* At the beginning of a loop's body: the assembler is not to unroll it, as it does what compilers did not. */
#define ENGINE_ROLLED __asm__ volatile(".pragma \"nounroll\";")

/* ---- sub-groups ---- */

static inline void engine_barrier(void) {
  __asm__ volatile("bar.warp.sync 0xffffffff;" ::: "memory");
}

/* x of the work-item whose lane differs in the bits `lanes`. */
static inline float engine_swap(float x, int lanes, const engine_t *e) {
  float y;
  __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(y) : "f"(x), "r"(lanes));
  return y;
}

static inline uint engine_address(local const void *p) {
  return (uint)(ulong)p;
}

/* 16 bytes to local memory in the background, if `yes`; both addresses are multiples of 16. Lines of L2 are fetched whole:
 * others want the rest. */
static inline void engine_copy(local void *to, global const void *from, bool yes) {
  __asm__ volatile(
      "{ .reg .pred p; setp.ne.u32 p, %2, 0; @p cp.async.cg.shared.global.L2::128B [%0], [%1], 16; }" ::"r"(engine_address(to)),
      "l"((ulong)from), "r"((uint)yes)
      : "memory");
}

/* The same, or 16 zeros. */
static inline void engine_copy_or_clear(local void *to, global const void *from, bool yes) {
  __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(engine_address(to)), "l"((ulong)from),
                   "r"(yes ? 16u : 0u)
                   : "memory");
}

/* The copies since the last one are a batch. */
static inline void engine_commit(void) {
  __asm__ volatile("cp.async.commit_group;" ::: "memory");
}

/* Until this work-item's copies have arrived, but for the last `batches`, a constant. */
#define engine_wait(batches) __asm__ volatile("cp.async.wait_group " #batches ";" ::: "memory")

/* Where this work-item's part of 8 rows of a tile begins, for the next two, and of 16 rows for the third. */
static inline local uchar *engine_rows(local uchar *tile, const engine_t *e) {
  return tile + (e->lane & 7) * 128 + ((e->lane / 8 ^ (e->lane & 7)) << 4);
}

static inline local uchar *engine_columns(local uchar *tile, const engine_t *e) {
  return tile + (e->lane & 15) * 128 + ((e->lane / 16 ^ (e->lane & 7)) << 4);
}

/* Four [8 x 8], numbers (row; 2 pair, 2 pair + 1), side by side in 8 rows `offset` bytes, a multiple of 1024, behind `rows`, at
 * 16 bytes `unit`, 0 or 4. */
static inline void engine_store_rows(local uchar *rows, int offset, int unit, const uint *x, const engine_t *e) {
  __asm__ volatile(
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"((engine_address(rows) ^ unit << 4) + offset),
      "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
      : "memory");
}

static inline void engine_load_rows(uint *x, local const uchar *rows, int offset, int unit, const engine_t *e) {
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"((engine_address(rows) ^ unit << 4) + offset)
                   : "memory");
}

/* Of 16 rows, at 16 bytes `unit`, which is even, and the next, turned over, the 8 upper rows first: numbers (2 pair, 2 pair +
 * 1; row). */
static inline void engine_load_columns(uint *x, local const uchar *columns, int offset, int unit, const engine_t *e) {
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"((engine_address(columns) ^ unit << 4) + offset)
                   : "memory");
}

/* The opposite of engine_load_columns. */
static inline void engine_store_columns(local uchar *columns, int offset, int unit, const uint *x, const engine_t *e) {
  __asm__ volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(
                       (engine_address(columns) ^ unit << 4) + offset),
                   "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
                   : "memory");
}

/* C [16 x 8] += A [16 x 16] B [16 x 8] */
static inline void engine_multiply_bf16(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  __asm__("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* C [16 x 8] += A [16 x 8] B [8 x 8] in tf32: a0, a1 (row, row + 8; pair), a2, a3 (the same; pair + 4), b0, b1 (pair, pair + 4;
 * row) */
static inline void engine_multiply(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  __asm__("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* ---- groups ---- */

static inline void engine_group_barrier(const engine_t *e) {
  __asm__ volatile("bar.sync %0, 128;" ::"r"(e->group) : "memory");
}

/* The same, and whether `yes` holds in all of the group. */
static inline bool engine_all(bool yes, const engine_t *e) {
  uint all;
  __asm__ volatile("{ .reg .pred p, q; setp.ne.u32 p, %1, 0; bar.red.and.pred q, %2, 128, p; selp.u32 %0, 1, 0, q; }"
                   : "=r"(all)
                   : "r"((uint)yes), "r"(e->group)
                   : "memory");
  return all != 0;
}

/* The same of the work-group. */
static inline bool engine_all_groups(bool yes, const engine_t *e) {
  uint all;
  __asm__ volatile("{ .reg .pred p, q; setp.ne.u32 p, %1, 0; bar.red.and.pred q, 0, p; selp.u32 %0, 1, 0, q; }"
                   : "=r"(all)
                   : "r"((uint)yes)
                   : "memory");
  return all != 0;
}

/* Barriers between two groups, of which one goes on at once: for each of these, in turns, all work-items of one group signal,
 * and all of the other wait for them. */
enum { ENGINE_GIVEN = 3, ENGINE_TAKEN, ENGINE_DONE };

static inline void engine_signal(int which, bool yes) {
  if (yes) __asm__ volatile("bar.arrive %0, 256;" ::"r"(which) : "memory");
}

static inline void engine_await(int which, bool yes) {
  if (yes) __asm__ volatile("bar.sync %0, 256;" ::"r"(which) : "memory");
}

/* What this work-item wrote to local memory is seen by products of groups after the next barrier. */
static inline void engine_publish(void) {
  __asm__ volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* A tile as products want it, from its 16 bytes number `unit` on, `offset` bytes behind `base`: swizzled by 128 bytes, 1024
 * bytes from 8 rows to the next 8 (PTX ISA, "Matrix Descriptor Format"). */
static inline ulong engine_tile(local const uchar *base, int offset, int unit) {
  return upsample((64u | 1u << 30), (engine_address(base) >> 4) + (uint)(offset / 16 + unit + (1 << 16)));
}

#define ENGINE_C(c)                                                                                                            \
  "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]), "+f"((c)[4]), "+f"((c)[5]), "+f"((c)[6]), "+f"((c)[7]),              \
      "+f"((c)[8]), "+f"((c)[9]), "+f"((c)[10]), "+f"((c)[11]), "+f"((c)[12]), "+f"((c)[13]), "+f"((c)[14]), "+f"((c)[15]),    \
      "+f"((c)[16]), "+f"((c)[17]), "+f"((c)[18]), "+f"((c)[19]), "+f"((c)[20]), "+f"((c)[21]), "+f"((c)[22]), "+f"((c)[23]),  \
      "+f"((c)[24]), "+f"((c)[25]), "+f"((c)[26]), "+f"((c)[27]), "+f"((c)[28]), "+f"((c)[29]), "+f"((c)[30]), "+f"((c)[31])
#define ENGINE_LIST                                                                                                            \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}"

/* x is made here, not between products, which would have to wait for it. */
static inline void engine_ready(float *x) {
  UNROLL for (int q = 0; q < 4; q++) __asm__ volatile("" : "+f"(x[q]));
}

/* The same of 8 words. */
static inline void engine_ready_words(uint *x) {
  UNROLL for (int q = 0; q < 8; q++) __asm__ volatile("" : "+r"(x[q]));
}

/* Before products of numbers that were in registers or accumulators. */
static inline void engine_open(void) {
  __asm__ volatile(HIDDEN "wgmma.fence.sync.aligned;" ::: "memory");
}

/* The products since the last one are a batch. */
static inline void engine_close(void) {
  __asm__ volatile(HIDDEN "wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until all batches but the last `batches` are done; c are accumulators of those. */
#define engine_finish(batches, c) __asm__ volatile(HIDDEN "wgmma.wait_group.sync.aligned " #batches ";" : ENGINE_C(c)::"memory")

/* C [64 x 64] += A B, or, `more` 0, C = A B, of rows 16 step to 16 step + 15 of a tile. `more` is a constant. */
#define engine_group_multiply(c, a, base, offset, step, more, e)                                                               \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " ENGINE_LIST                                  \
                          ", {%32,%33,%34,%35}, %36, " #more ", 1, 1, 1;"                                                      \
                   : ENGINE_C(c)                                                                                               \
                   : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "l"(engine_tile(base, offset, 128 * (step)))          \
                   : "memory")

/* The same of 16 numbers each, B numbers 16 step to 16 step + 15 of a tile that has a row for each column of B. */
#define engine_group_multiply_rows(c, a, base, offset, step, more, e)                                                          \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " ENGINE_LIST                                  \
                          ", {%32,%33,%34,%35}, %36, " #more ", 1, 1, 0;"                                                      \
                   : ENGINE_C(c)                                                                                               \
                   : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "l"(engine_tile(base, offset, 2 * (step)))            \
                   : "memory")

/* C [64 x 64] += A B, or, `more` 0, C = A B, of 8 numbers each, in tf32: a0, a1 (row, row + 8; pair), a2, a3 (the same; pair +
 * 4). B is numbers 8 step to 8 step + 7 of a tile that has a row for each column of B. `more` is a constant. */
#define engine_group_multiply_tf32(c, a, base, offset, step, more, e)                                                          \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 " ENGINE_LIST                                   \
                          ", {%32,%33,%34,%35}, %36, " #more ", 1, 1;"                                                         \
                   : ENGINE_C(c)                                                                                               \
                   : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "l"(engine_tile(base, offset, 2 * (step)))            \
                   : "memory")

/* C += A^T B, or, `more` 0, C = A^T B, of rows 16 step to 16 step + 15 of two tiles. */
#define engine_group_multiply_tiles(c, a_base, a, b_base, b, step, more, e)                                                    \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " ENGINE_LIST ", %32, %33, " #more             \
                          ", 1, 1, 1, 1;"                                                                                      \
                   : ENGINE_C(c)                                                                                               \
                   : "l"(engine_tile(a_base, a, 128 * (step))), "l"(engine_tile(b_base, b, 128 * (step)))                      \
                   : "memory")

/* C += A^T B, of rows 16 step to 16 step + 15 of A's tile, and numbers 16 step and on of B's, which has a row for each column
 * of B. */
#define engine_group_multiply_turned(c, a_base, a, b_base, b, step, more, e)                                                   \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " ENGINE_LIST ", %32, %33, " #more             \
                          ", 1, 1, 1, 0;"                                                                                      \
                   : ENGINE_C(c)                                                                                               \
                   : "l"(engine_tile(a_base, a, 128 * (step))), "l"(engine_tile(b_base, b, 2 * (step)))                        \
                   : "memory")

#define ENGINE_C16(c)                                                                                                          \
  "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]), "+f"((c)[4]), "+f"((c)[5]), "+f"((c)[6]), "+f"((c)[7]),              \
      "+f"((c)[8]), "+f"((c)[9]), "+f"((c)[10]), "+f"((c)[11]), "+f"((c)[12]), "+f"((c)[13]), "+f"((c)[14]), "+f"((c)[15])

/* C [64 x 32] += A B^T in tf32, or, `more` 0, C = A B^T, of numbers 8 step to 8 step + 7 of both tiles. */
#define engine_group_multiply_half(c, a_base, a, b_base, b, step, more, e)                                                     \
  __asm__ volatile(HIDDEN "wgmma.mma_async.sync.aligned.m64n32k8.f32.tf32.tf32 "                                               \
                          "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, %16, %17, " #more ", 1, 1;"                \
                   : ENGINE_C16(c)                                                                                             \
                   : "l"(engine_tile(a_base, a, 2 * (step))), "l"(engine_tile(b_base, b, 2 * (step)))                          \
                   : "memory")

#define engine_finish_half(batches, c)                                                                                         \
  __asm__ volatile(HIDDEN "wgmma.wait_group.sync.aligned " #batches ";" : ENGINE_C16(c)::"memory")

#endif
