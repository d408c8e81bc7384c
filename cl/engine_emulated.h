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

static inline void engine_join(const engine_t *e) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_join_makers(const engine_t *e) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline float engine_swap(float x, int distance, const engine_t *e) {
  e->exchange[e->item] = as_uint(x);
  barrier(CLK_LOCAL_MEM_FENCE);
  const float y = as_float(e->exchange[e->item ^ distance]);
  barrier(CLK_LOCAL_MEM_FENCE);
  return y;
}

static inline void engine_copy(local uint4 *to, global const uint4 *from, bool there) {
  *to = there ? *from : (uint4)(0);
}

static inline void engine_commit(void) {
}

#define engine_wait(groups) (void)0

/* Of the whole work-group, so that all of it goes the same way. */
static inline bool engine_all(bool yes, const engine_t *e) {
  e->exchange[e->item] = yes;
  barrier(CLK_LOCAL_MEM_FENCE);
  uint all = 1;
  for (int i = 0; i < WORK_GROUP; i++) all &= e->exchange[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  return all != 0;
}

static inline void engine_load_tokens(uint *x, const engine_t *e, local const ushort *tile, int stride, int mask, int unit) {
  for (int i = 0; i < 4; i++) {
    local const ushort *from = tile + element_of(e->row + (i & 1) * 8, 8 * (unit + i / 2) + 2 * e->pair, stride, mask);
    x[i] = (uint)from[0] | (uint)from[1] << 16;
  }
}

static inline void engine_load_columns(uint *b, const engine_t *e, local const float *tile, int stride) {
  for (int i = 0; i < 4; i++) b[i] = as_uint(tile[e->row * stride + e->pair + i * 4]);
}

static inline int engine_token(int n, int upper, bool apart) {
  return apart ? n / 4 + (n & 2) * 4 + (n & 1) * 2 + upper * 4 : n + upper * 8;
}

static inline void engine_load_pairs(uint *x, const engine_t *e, local const ushort *tile, int stride, int mask, int unit,
                                     bool apart) {
  for (int i = 0; i < 4; i++) {
    x[i] = 0;
    for (int later = 0; later < 2; later++) {
      const int row = engine_token(2 * e->pair + later, i & 1, apart);
      x[i] |= (uint)tile[element_of(row, 8 * (unit + i / 2) + e->row, stride, mask)] << 16 * later;
    }
  }
}

static inline uint engine_max_bf16(uint x, uint y) {
  const float low = widen_bf16((ushort)x), high = widen_bf16((ushort)(x >> 16)), least = widen_bf16((ushort)y);
  return (low < least ? y & 0xffffu : x & 0xffffu) | (high < least ? y & 0xffff0000u : x & 0xffff0000u);
}

static inline uint engine_max_fp16(uint x, uint y) {
  const float low = widen_fp16((ushort)x), high = widen_fp16((ushort)(x >> 16)), least = widen_fp16((ushort)y);
  return (low < least ? y & 0xffffu : x & 0xffffu) | (high < least ? y & 0xffff0000u : x & 0xffff0000u);
}

static inline float engine_operand(uint x) {
  return as_float(x & 0xffffe000u);
}

/* Everyone's operands, for the sub-group to see; followed by a barrier once they were used. */
static inline local const uint *engine_exchange(const uint *a, uint b0, uint b1, const engine_t *e) {
  local uint *mine = e->exchange + e->item * ENGINE_EXCHANGE;
  for (int i = 0; i < 4; i++) mine[i] = a[i];
  mine[4] = b0;
  mine[5] = b1;
  barrier(CLK_LOCAL_MEM_FENCE);
  return e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
}

static inline void engine_multiply(float *c, const uint *a, uint b0, uint b1, bool first, const engine_t *e) {
  local const uint *group = engine_exchange(a, b0, b1, e);
  for (int q = 0; q < 4; q++) {
    const int column = 2 * e->pair + (q & 1);
    float sum = 0.0f;
    for (int k = 0; k < 8; k++) {
      const uint x = group[(e->row * 4 + (k & 3)) * ENGINE_EXCHANGE + (q >> 1) + 2 * (k >> 2)];
      const uint y = group[(column * 4 + (k & 3)) * ENGINE_EXCHANGE + 4 + (k >> 2)];
      sum += engine_operand(x) * engine_operand(y);
    }
    c[q] = first ? sum : c[q] + sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

#define ENGINE_MULTIPLY(name)                                                                                                  \
  static inline void engine_multiply_##name(float *c, const uint *a, uint b0, uint b1, bool first, const engine_t *e) {        \
    local const uint *group = engine_exchange(a, b0, b1, e);                                                                   \
    for (int q = 0; q < 4; q++) {                                                                                              \
      const int column = 2 * e->pair + (q & 1);                                                                                \
      float sum = 0.0f;                                                                                                        \
      for (int k = 0; k < 16; k++) {                                                                                           \
        const int lane = (k & 7) / 2, high = 16 * (k & 1);                                                                     \
        const uint x = group[(e->row * 4 + lane) * ENGINE_EXCHANGE + (q >> 1) + 2 * (k >> 3)] >> high;                         \
        const uint y = group[(column * 4 + lane) * ENGINE_EXCHANGE + 4 + (k >> 3)] >> high;                                    \
        sum += widen_##name((ushort)x) * widen_##name((ushort)y);                                                              \
      }                                                                                                                        \
      c[q] = first ? sum : c[q] + sum;                                                                                         \
    }                                                                                                                          \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                                              \
  }
ENGINE_MULTIPLY(bf16)
ENGINE_MULTIPLY(fp16)

#endif
