/* SPDX-License-Identifier: MIT */
/*
 * The twin of engine_hopper.h in plain OpenCL C: the same functions, the same lanes and tiles, operands exchanged through local
 * memory. Most of its functions are barriers of the work-group, which is one group here, so every work-item must reach each of
 * them. It is slow.
 */
#ifndef ENGINE_HOPPER_EMULATED_H
#define ENGINE_HOPPER_EMULATED_H

/* The hint keeps a compiler for CPUs from making vectors of work-items (engine_emulated.h). */
#define ENGINE_KERNEL kernel __attribute__((vec_type_hint(float16)))
#define ENGINE_EXCHANGE 6    /* words of local memory a work-item */
#define ENGINE_INDEPENDENT 0 /* all sub-groups must reach the same barriers */

static inline int engine_fresh(int x) {
  return x;
}

typedef struct engine_t {
  int lane, row, pair, warp;
  int item;
  local uint *exchange; /* [128][6]: a0 to a3, b0, b1 */
} engine_t;

static inline void engine_begin(engine_t *e, int item, local uint *exchange) {
  e->lane = item & 31;
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
  e->warp = item / 32;
  e->item = item;
  e->exchange = exchange;
}

static inline void engine_refresh(engine_t *e) {
}

static inline float engine_exp2(float x) {
  return exp2(x);
}

static inline uint engine_pack_bf16(float x, float y) {
  return (uint)round_bf16(x) | (uint)round_bf16(y) << 16;
}

static inline uint engine_pack_upper(float x, float y) {
  return as_uint(x) >> 16 | (as_uint(y) & 0xffff0000u);
}

static inline uint engine_max_bf16(uint x, uint y) {
  const float low = fmax(as_float(x << 16), as_float(y << 16)), high = fmax(as_float(x & 0xffff0000u), as_float(y & 0xffff0000u));
  return engine_pack_upper(low, high);
}

#define ENGINE_ROLLED

/* ---- sub-groups ---- */

static inline void engine_barrier(void) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* Of the whole group, so that all of it goes the same way. */
static inline bool engine_all(bool yes, const engine_t *e) {
  e->exchange[e->item] = yes;
  barrier(CLK_LOCAL_MEM_FENCE);
  uint all = 1;
  for (int i = 0; i < 128; i++) all &= e->exchange[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  return all != 0;
}

static inline float engine_swap(float x, int lanes, const engine_t *e) {
  e->exchange[e->item] = as_uint(x);
  barrier(CLK_LOCAL_MEM_FENCE);
  const float y = as_float(e->exchange[e->item ^ lanes]);
  barrier(CLK_LOCAL_MEM_FENCE);
  return y;
}

static inline void engine_copy(local void *to, global const void *from) {
  *(local uint4 *)to = *(global const uint4 *)from;
}

static inline void engine_commit(void) {
}

static inline void engine_wait(void) {
}

static inline uint engine_transpose(uint x, const engine_t *e) {
  e->exchange[e->item] = x;
  barrier(CLK_LOCAL_MEM_FENCE);
  local const ushort *from = (local const ushort *)(e->exchange + (e->item - e->lane));
  const uint y = (uint)from[16 * e->pair + e->row] | (uint)from[16 * e->pair + 8 + e->row] << 16;
  barrier(CLK_LOCAL_MEM_FENCE);
  return y;
}

static inline void engine_store_rows(local uchar *tile, int first, int unit, const uint *x, const engine_t *e) {
  const int row = first + e->row;
  for (int i = 0; i < 4; i++) *(local uint *)(tile + row * 128 + (((unit + i) ^ (row & 7)) << 4) + 4 * e->pair) = x[i];
}

static inline void engine_load_rows(uint *x, local const uchar *tile, int first, int unit, const engine_t *e) {
  const int row = first + e->row;
  for (int i = 0; i < 4; i++) x[i] = *(local const uint *)(tile + row * 128 + (((unit + i) ^ (row & 7)) << 4) + 4 * e->pair);
}

/* Number i of those that are added up, of 16, two in a register: in which of 4 lanes, in which of 2 registers. */
#define ENGINE_LANE(i) (((i) & 7) / 2)
#define ENGINE_REGISTER(i) ((i) / 8)

static inline float engine_number(uint pair, int i) {
  return as_float(i & 1 ? pair & 0xffff0000u : pair << 16);
}

static inline void engine_give(const uint *a, uint b0, uint b1, const engine_t *e) {
  local uint *mine = e->exchange + e->item * ENGINE_EXCHANGE;
  for (int i = 0; i < 4; i++) mine[i] = a[i];
  mine[4] = b0;
  mine[5] = b1;
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_multiply_bf16(float *c, const uint *a, uint b0, uint b1, bool first, const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  engine_give(a, b0, b1, e);
  for (int q = 0; q < 4; q++) {
    const int column = 2 * e->pair + (q & 1);
    float sum = first ? 0.0f : c[q];
    for (int i = 0; i < 16; i++) {
      const uint x = group[(e->row * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + q / 2 + 2 * ENGINE_REGISTER(i)];
      const uint y = group[(column * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + 4 + ENGINE_REGISTER(i)];
      sum += engine_number(x, i) * engine_number(y, i);
    }
    c[q] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline uint engine_round(float x) {
  return (as_uint(x) + 0x1000u) & 0xffffe000u;
}

static inline void engine_multiply(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  engine_give(a, b0, b1, e);
  for (int q = 0; q < 4; q++) {
    const int column = 2 * e->pair + (q & 1);
    float sum = c[q];
    for (int i = 0; i < 8; i++) {
      const uint x = group[(e->row * 4 + (i & 3)) * ENGINE_EXCHANGE + q / 2 + 2 * (i / 4)];
      const uint y = group[(column * 4 + (i & 3)) * ENGINE_EXCHANGE + 4 + i / 4];
      sum += as_float(x & 0xffffe000u) * as_float(y & 0xffffe000u);
    }
    c[q] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* ---- groups ---- */

static inline void engine_publish(void) {
}

static inline void engine_open(void) {
}

static inline void engine_close(void) {
}

#define engine_finish(batches, c)

static inline float engine_element(local const uchar *tile, int row, int column) {
  return as_float((uint) * (local const ushort *)(tile + row * 128 + ((column / 8 ^ (row & 7)) << 4) + 2 * (column & 7)) << 16);
}

static inline void engine_group_multiply(float *c, const uint *a, local const uchar *tile, int step, int more, int across,
                                         const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  engine_give(a, 0, 0, e);
  for (int q = 0; q < 32; q++) {
    const int column = 8 * (q / 4) + 2 * e->pair + (q & 1), upper = q / 2 & 1;
    float sum = more ? c[q] : 0.0f;
    for (int i = 0; i < 16; i++) {
      const uint x = group[(e->row * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + upper + 2 * ENGINE_REGISTER(i)];
      const int number = 16 * step + i;
      sum += engine_number(x, i) * (across ? engine_element(tile, number, column) : engine_element(tile, column, number));
    }
    c[q] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_group_multiply_tiles(float *c, local const uchar *a, local const uchar *b, int step,
                                               const engine_t *e) {
  for (int q = 0; q < 32; q++) {
    const int row = 16 * e->warp + e->row + 8 * (q / 2 & 1), column = 8 * (q / 4) + 2 * e->pair + (q & 1);
    float sum = c[q];
    for (int i = 16 * step; i < 16 * step + 16; i++) sum += engine_element(a, i, row) * engine_element(b, i, column);
    c[q] = sum;
  }
}

#endif
