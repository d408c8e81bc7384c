/* SPDX-License-Identifier: MIT */
/*
 * The twin of engine_nvidia.h in plain OpenCL C: the same functions, the same lanes, operands exchanged through local memory.
 * It lets the kernels that use the engine run on any device, to test them; it is slow. engine_barrier and engine_multiply are
 * barriers of the work-group here, so every work-item must reach each of them.
 */
#ifndef ENGINE_EMULATED_H
#define ENGINE_EMULATED_H

/* The hint keeps a compiler for CPUs from making vectors of work-items: Intel's 2026.22.10 gets the kernels with SPLIT wrong. */
#define ENGINE_KERNEL kernel __attribute__((vec_type_hint(float16)))
#define ENGINE_EXCHANGE 6    /* words of local memory a work-item */
#define ENGINE_INDEPENDENT 0 /* all sub-groups must reach the same barriers */

typedef struct engine_t {
  int lane, row, pair;
  int item;
  local uint *exchange; /* [WORK_GROUP][6]: a0 to a3, b0, b1 */
} engine_t;

static inline void engine_begin(engine_t *e, int item, local uint *exchange) {
  e->lane = item & 31;
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
  e->item = item;
  e->exchange = exchange;
}

static inline uint engine_round(float x) {
  return (as_uint(x) + 0x1000u) & 0xffffe000u;
}

static inline float engine_exp(float x) {
  return exp(x);
}

static inline float engine_inverse(float x) {
  return 1.0f / x;
}

static inline uint engine_pack_bf16(float x, float y) {
  return (uint)round_bf16(x) | (uint)round_bf16(y) << 16;
}

static inline uint engine_pack_fp16(float x, float y) {
  ushort pair[2];
  vstore_half_rte(x, 0, (half *)pair);
  vstore_half_rte(y, 1, (half *)pair);
  return (uint)pair[0] | (uint)pair[1] << 16;
}

static inline void engine_barrier(void) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_copy(local uint4 *to, global const uint4 *from, bool there) {
  *to = there ? *from : (uint4)(0);
}

static inline void engine_wait(void) {
}

/* Of the whole work-group, so that all of it goes the same way. */
static inline bool engine_all(bool yes, const engine_t *e) {
  e->exchange[e->item] = yes;
  barrier(CLK_LOCAL_MEM_FENCE);
  uint all = 1;
  for (int i = 0; i < WORK_GROUP; i++) all &= e->exchange[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  return all != 0;
}

static inline void engine_load_rows(uint *a, const engine_t *e, local const float *tile, int stride) {
  for (int i = 0; i < 4; i++) a[i] = as_uint(tile[(e->row + (i & 1) * 8) * stride + e->pair + (i >> 1) * 4]);
}

static inline void engine_load_columns(uint *b, const engine_t *e, local const float *tile, int stride) {
  for (int i = 0; i < 4; i++) b[i] = as_uint(tile[e->row * stride + e->pair + i * 4]);
}

static inline void engine_load_pairs(uint *x, const engine_t *e, local const ushort *tile, int stride) {
  for (int i = 0; i < 4; i++) {
    local const ushort *from = tile + (2 * e->pair + (i >> 1) * 8) * stride + e->row + (i & 1) * 8;
    x[i] = (uint)from[0] | (uint)from[stride] << 16;
  }
}

static inline float engine_operand(uint x) {
  return as_float(x & 0xffffe000u);
}

/*
 * Not inline: a kernel with the barriers of all its products in itself makes Intel's 2026.22.10 crash or hang now and then. That
 * compiler makes a function that is called once inline, whatever its size.
 */
static __attribute__((noinline)) void engine_multiply(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  local uint *mine = e->exchange + e->item * ENGINE_EXCHANGE;
  for (int i = 0; i < 4; i++) mine[i] = a[i];
  mine[4] = b0;
  mine[5] = b1;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int q = 0; q < 4; q++) {
    const int column = 2 * e->pair + (q & 1);
    float sum = 0.0f;
    for (int k = 0; k < 8; k++) {
      const uint x = group[(e->row * 4 + (k & 3)) * ENGINE_EXCHANGE + (q >> 1) + 2 * (k >> 2)];
      const uint y = group[(column * 4 + (k & 3)) * ENGINE_EXCHANGE + 4 + (k >> 2)];
      sum += engine_operand(x) * engine_operand(y);
    }
    c[q] += sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

#endif
