/* SPDX-License-Identifier: MIT */
/*
 * The twin of engine_hopper.h in plain OpenCL C: the same functions, the same lanes and tiles, operands exchanged through local
 * memory. Most of its functions are barriers of the work-group, so every work-item of all its groups must reach each of them.
 * It is slow.
 */
#ifndef ENGINE_HOPPER_EMULATED_H
#define ENGINE_HOPPER_EMULATED_H

/* The hint keeps a compiler for CPUs from making vectors of work-items (engine_emulated.h). */
#define ENGINE_KERNEL kernel __attribute__((vec_type_hint(float16)))
#define ENGINE_EXCHANGE 6 /* words of local memory a work-item */
#define ENGINE_SLACK 1024 /* bytes of local memory to align the rest: drivers for CPUs do not align arrays as they are told */
#define ENGINE_INDEPENDENT 0 /* all sub-groups must reach the same barriers */

#define ENGINE_SHOWN_ONLY

static inline int engine_fresh(int x) {
  return x;
}

static inline int engine_uniform(int x) {
  return x;
}

typedef struct engine_t {
  int lane, row, pair, warp;
  int item;
  local uint *exchange; /* [work-items][6]: a0 to a3, b0, b1 */
} engine_t;

static inline void engine_begin(engine_t *e, int group, int item, local uint *exchange) {
  e->lane = item & 31;
  e->row = e->lane / 4;
  e->pair = e->lane & 3;
  e->warp = item / 32;
  e->item = 128 * group + item;
  e->exchange = exchange;
}

static inline void engine_refresh(engine_t *e) {
}

static inline void engine_prepare_base(local uchar *pool, int item) {
}

static inline local uchar *engine_base(local uchar *pool) {
  return pool + (-(uintptr_t)pool & (ENGINE_SLACK - 1));
}

static inline local uchar *engine_fresh_pointer(local uchar *base) {
  return base;
}

static inline local uchar *engine_uniform_pointer(local uchar *base) {
  return base;
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
  const float low = fmax(as_float(x << 16), as_float(y << 16)),
              high = fmax(as_float(x & 0xffff0000u), as_float(y & 0xffff0000u));
  return engine_pack_upper(low, high);
}

#define ENGINE_CUT 1.00035220f

static inline float engine_scale(float x, float y, bool yes) {
  return yes ? x * y : x;
}

#define ENGINE_ROLLED

/* ---- sub-groups ---- */

static inline void engine_barrier(void) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_group_barrier(const engine_t *e) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

/* Of all groups, so that they go the same way: one that divides by decays beside one that does not is seen on GPUs only. */
static inline bool engine_all(bool yes, const engine_t *e) {
  e->exchange[e->item] = yes;
  barrier(CLK_LOCAL_MEM_FENCE);
  uint all = 1;
  for (int i = 0; i < (int)get_local_size(0); i++) all &= e->exchange[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  return all != 0;
}

static inline bool engine_all_groups(bool yes, const engine_t *e) {
  return engine_all(yes, e);
}

static inline float engine_swap(float x, int lanes, const engine_t *e) {
  e->exchange[e->item] = as_uint(x);
  barrier(CLK_LOCAL_MEM_FENCE);
  const float y = as_float(e->exchange[e->item ^ lanes]);
  barrier(CLK_LOCAL_MEM_FENCE);
  return y;
}

static inline void engine_copy(local void *to, global const void *from, bool yes) {
  if (yes) *(local uint4 *)to = *(global const uint4 *)from;
}

static inline void engine_copy_or_clear(local void *to, global const void *from, bool yes) {
  *(local uint4 *)to = (uint4)(0);
  engine_copy(to, from, yes);
}

static inline void engine_commit(void) {
}

#define engine_wait(batches)

static inline local uchar *engine_rows(local uchar *tile, const engine_t *e) {
  return tile;
}

static inline local uchar *engine_columns(local uchar *tile, const engine_t *e) {
  return tile;
}

/* 4 bytes of 16 bytes `unit` of this work-item's row of 8. */
static inline local uint *engine_word(local uchar *rows, int unit, const engine_t *e) {
  return (local uint *)(rows + e->row * 128 + ((unit ^ e->row) << 4) + 4 * e->pair);
}

static inline void engine_store_rows(local uchar *rows, int offset, int unit, const uint *x, const engine_t *e) {
  for (int i = 0; i < 4; i++) *engine_word(rows + offset, unit + i, e) = x[i];
}

static inline void engine_load_rows(uint *x, local uchar *rows, int offset, int unit, const engine_t *e) {
  for (int i = 0; i < 4; i++) x[i] = *engine_word(rows + offset, unit + i, e);
}

static inline uint engine_bits(local const uchar *tile, int row, int column) {
  return *(local const ushort *)(tile + row * 128 + ((column / 8 ^ (row & 7)) << 4) + 2 * (column & 7));
}

static inline void engine_load_columns(uint *x, local const uchar *columns, int offset, int unit, const engine_t *e) {
  for (int i = 0; i < 4; i++) {
    const int row = 8 * (i & 1) + 2 * e->pair, column = 8 * (unit + i / 2) + e->row;
    x[i] = engine_bits(columns + offset, row, column) | engine_bits(columns + offset, row + 1, column) << 16;
  }
}

static inline void engine_store_columns(local uchar *columns, int offset, int unit, const uint *x, const engine_t *e) {
  for (int i = 0; i < 4; i++) {
    const int row = 8 * (i & 1) + 2 * e->pair, column = 8 * (unit + i / 2) + e->row;
    for (int half_of = 0; half_of < 2; half_of++) {
      const int at = row + half_of;
      *(local ushort *)(columns + offset + at * 128 + ((column / 8 ^ (at & 7)) << 4) + 2 * (column & 7)) =
          (ushort)(x[i] >> 16 * half_of);
    }
  }
}

/* Number i of those that are added up, of 16, two in a register: in which of 4 lanes, in which of 2 registers. */
#define ENGINE_LANE(i) (((i)&7) / 2)
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

static inline void engine_multiply_bf16(float *c, const uint *a, uint b0, uint b1, const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  engine_give(a, b0, b1, e);
  for (int q = 0; q < 4; q++) {
    const int column = 2 * e->pair + (q & 1);
    float sum = c[q];
    for (int i = 0; i < 16; i++) {
      const uint x = group[(e->row * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + q / 2 + 2 * ENGINE_REGISTER(i)];
      const uint y = group[(column * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + 4 + ENGINE_REGISTER(i)];
      sum += engine_number(x, i) * engine_number(y, i);
    }
    c[q] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
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

enum { ENGINE_GIVEN, ENGINE_TAKEN, ENGINE_DONE };

static inline void engine_signal(int which, bool yes) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_await(int which, bool yes) {
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_publish(void) {
}

static inline void engine_open(void) {
}

static inline void engine_close(void) {
}

#define engine_finish(batches, c)

static inline void engine_ready(float *x) {
}

static inline void engine_ready_words(uint *x) {
}

static inline float engine_element(local const uchar *tile, int row, int column) {
  return as_float(engine_bits(tile, row, column) << 16);
}

/* Products of groups are functions of their own: Intel's compiler for CPUs ends on kernels with dozens of barriers. */
#define ENGINE_APART static __attribute__((noinline))

/* sum += A B of accumulator q: 16 numbers of A, as given, and of B, which begins at a row and a column of a tile and goes down,
 * or along the row. */
static inline float engine_sum(float sum, int q, local const uchar *tile, int row, int column, bool down, const engine_t *e) {
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  const int upper = q / 2 & 1;
  for (int i = 0; i < 16; i++) {
    const uint x = group[(e->row * 4 + ENGINE_LANE(i)) * ENGINE_EXCHANGE + upper + 2 * ENGINE_REGISTER(i)];
    sum += engine_number(x, i) * (down ? engine_element(tile, row + i, column) : engine_element(tile, row, column + i));
  }
  return sum;
}

ENGINE_APART void engine_group_multiply(float *c, const uint *a, local const uchar *base, int offset, int step, int more,
                                        const engine_t *e) {
  engine_give(a, 0, 0, e);
  for (int q = 0; q < 32; q++) {
    const int n = 8 * (q / 4) + 2 * e->pair + (q & 1);
    c[q] = engine_sum(more ? c[q] : 0.0f, q, base + offset, 16 * step, n, true, e);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

ENGINE_APART void engine_group_multiply_rows(float *c, const uint *a, local const uchar *base, int offset, int step, int more,
                                             const engine_t *e) {
  engine_give(a, 0, 0, e);
  for (int q = 0; q < 32; q++) {
    const int n = 8 * (q / 4) + 2 * e->pair + (q & 1);
    c[q] = engine_sum(more ? c[q] : 0.0f, q, base + offset, n, 16 * step, false, e);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

ENGINE_APART void engine_group_multiply_tf32(float *c, const uint *a, local const uchar *base, int offset, int step, int more,
                                             const engine_t *e) {
  local const uchar *tile = base + offset;
  local const uint *group = e->exchange + (e->item - e->lane) * ENGINE_EXCHANGE;
  engine_give(a, 0, 0, e);
  for (int q = 0; q < 32; q++) {
    const int row = 8 * (q / 4) + 2 * e->pair + (q & 1);
    float sum = more ? c[q] : 0.0f;
    for (int i = 0; i < 8; i++) {
      const uint x = group[(e->row * 4 + (i & 3)) * ENGINE_EXCHANGE + (q / 2 & 1) + 2 * (i / 4)];
      const uint y = *(local const uint *)(tile + row * 128 + (((2 * step + i / 4) ^ (row & 7)) << 4) + 4 * (i & 3));
      sum += as_float(x & 0xffffe000u) * as_float(y & 0xffffe000u);
    }
    c[q] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline void engine_group_multiply_tiles(float *c, local const uchar *a_base, int first, local const uchar *b_base,
                                               int second, int step, int more, const engine_t *e) {
  local const uchar *a = a_base + first, *b = b_base + second;
  for (int q = 0; q < 32; q++) {
    const int row = 16 * e->warp + e->row + 8 * (q / 2 & 1), column = 8 * (q / 4) + 2 * e->pair + (q & 1);
    float sum = more ? c[q] : 0.0f;
    for (int i = 16 * step; i < 16 * step + 16; i++) sum += engine_element(a, i, row) * engine_element(b, i, column);
    c[q] = sum;
  }
}

static inline void engine_group_multiply_turned(float *c, local const uchar *a_base, int first, local const uchar *b_base,
                                                int second, int step, int more, const engine_t *e) {
  local const uchar *a = a_base + first, *b = b_base + second;
  for (int q = 0; q < 32; q++) {
    const int row = 16 * e->warp + e->row + 8 * (q / 2 & 1), column = 8 * (q / 4) + 2 * e->pair + (q & 1);
    float sum = more ? c[q] : 0.0f;
    for (int i = 16 * step; i < 16 * step + 16; i++) sum += engine_element(a, i, row) * engine_element(b, column, i);
    c[q] = sum;
  }
}

static inline float engine_cut_element(local const uchar *tile, int row, int column) {
  const uint x = *(local const uint *)(tile + row * 128 + ((column / 4 ^ (row & 7)) << 4) + 4 * (column & 3));
  return as_float(x & 0xffffe000u);
}

static inline void engine_group_multiply_half(float *c, local const uchar *a_base, int first, local const uchar *b_base,
                                              int second, int step, int more, const engine_t *e) {
  local const uchar *a = a_base + first, *b = b_base + second;
  for (int q = 0; q < 16; q++) {
    const int row = 16 * e->warp + e->row + 8 * (q / 2 & 1), column = 8 * (q / 4) + 2 * e->pair + (q & 1);
    float sum = more ? c[q] : 0.0f;
    for (int i = 8 * step; i < 8 * step + 8; i++) sum += engine_cut_element(a, row, i) * engine_cut_element(b, column, i);
    c[q] = sum;
  }
}

#define engine_finish_half(batches, c)

#endif
