/* SPDX-License-Identifier: MIT */
/* From memory to the tiles of chunk_forward_matrix.cl: rows of a chunk, asked for AHEAD chunks before they are used. */
#ifndef CHUNK_MATRIX_FEED_H
#define CHUNK_MATRIX_FEED_H

#include "chunk_matrix_tiles.h"

/* Tensors and their layouts. */
typedef struct inputs_t {
  global const dtype_t *r, *k, *v; /* r may be 0 */
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, w_at;
} inputs_t;

/* This work-item's first 16 bytes in the next chunk, and elements from row to row. */
typedef struct rows_d {
  global const dtype_t *place;
  index_t stride;
} rows_d;

typedef struct rows_w {
  global const w_dtype_t *place;
  index_t stride;
} rows_w;

typedef struct feed_t {
  rows_d r, k, v;
  rows_w w;
  index_t left;    /* tokens that were not asked for */
  int columns;     /* value channels of the work-group's tile that are there */
  int raw, values; /* where the next chunk goes: of AHEAD and AHEAD + 1 places */
  bool whole;      /* every 16 bytes of a row are aligned to 16 bytes */
} feed_t;

static inline bool aligned(global const void *p, layout_t at, int size) {
  return (((ulong)p + (ulong)at.s0 * size) & 15) == 0 && ((at.s1 | at.s2) & (16 / size - 1)) == 0;
}

/* Work-items of a head side by side along a row of `width` channels, and below each other. */
#define ACROSS(width, type_t) (POWER_OF_2(width) / (16 / (int)sizeof(type_t)))
#define DOWN(width, type_t) (HEAD_ITEMS / ACROSS(width, type_t))

/*
 * Rows of `channels` in a chunk of `count` tokens, 16 bytes at a time, into a tile with rows of `width` channels `stride`
 * elements apart, and a gap after 8 of them. Rows and channels that are not there become 0. `whole`: the copy goes on in the
 * background.
 */
#define COPY_ROWS(suffix, type_t, load)                                                                                        \
  static inline void begin_rows_##suffix(rows_##suffix *rows, global const type_t *from, layout_t at, const place_t *p,        \
                                         index_t step, int width) {                                                            \
    const int across = ACROSS(width, type_t), vector = 16 / (int)sizeof(type_t);                                               \
    walk_t walk;                                                                                                               \
    find_walk(&walk, at, &p->unit, p->head, step, p->reverse);                                                                 \
    rows->place = from + walk.first + p->item / across * walk.stride + (p->item & (across - 1)) * vector;                      \
    rows->stride = walk.stride;                                                                                                \
  }                                                                                                                            \
                                                                                                                               \
  static inline void copy_rows_##suffix(local type_t *tile, int stride, int gap, int width, int channels, rows_##suffix *rows, \
                                        bool whole, int count, int item) {                                                     \
    const int across = ACROSS(width, type_t), down = DOWN(width, type_t), vector = 16 / (int)sizeof(type_t);                   \
    const int c = (item & (across - 1)) * vector;                                                                              \
    global const type_t *place = rows->place;                                                                                  \
    UNROLL for (int n = 0; n < (CHUNK + down - 1) / down; n++) {                                                               \
      const int t = item / across + n * down;                                                                                  \
      const bool there = t < count && c < channels;                                                                            \
      local uint4 *to = (local uint4 *)(tile + t * stride + t / 8 * gap + c);                                                  \
      if (t < CHUNK && c < width) {                                                                                            \
        if (whole)                                                                                                             \
          engine_copy(to, (global const uint4 *)place, there);                                                                 \
        else                                                                                                                   \
          *to = there ? load : (uint4)(0);                                                                                     \
      }                                                                                                                        \
      place += down * rows->stride;                                                                                            \
    }                                                                                                                          \
    rows->place += CHUNK * rows->stride;                                                                                       \
  }

#define LOAD_fp32 as_uint4(vload4(0, place))
#define LOAD_fp16 as_uint4(vload8(0, place))
#define LOAD_bf16 as_uint4(vload8(0, place))
COPY_ROWS(d, dtype_t, JOIN(LOAD_, DTYPE))
COPY_ROWS(w, w_dtype_t, JOIN(LOAD_, W_DTYPE))

static inline void feed_begin(feed_t *feed, const inputs_t *in, const place_t *p, index_t step, index_t end, int tile_column) {
  feed->whole = aligned(in->k, in->k_at, sizeof(dtype_t)) && aligned(in->w, in->w_at, sizeof(w_dtype_t)) &&
                aligned(in->v, in->v_at, sizeof(dtype_t)) && (!in->r || aligned(in->r, in->r_at, sizeof(dtype_t)));
  feed->left = end - step;
  feed->columns = VALUE_DIM - tile_column;
  feed->raw = feed->values = 0;
  begin_rows_d(&feed->k, in->k, in->k_at, p, step, KEY_ROW);
  begin_rows_w(&feed->w, in->w, in->w_at, p, step, KEY_ROW);
  begin_rows_d(&feed->v, in->v + tile_column, in->v_at, p, step, TILE_COLUMNS);
  if (in->r) begin_rows_d(&feed->r, in->r, in->r_at, p, step, KEY_ROW);
}

static inline void copy_all(feed_t *feed, const tiles_t *tiles, bool with_r, bool whole, int count, int item) {
  copy_rows_d(tiles->k + feed->raw * RAW_D, KEY_ROW, JOIN(GAP_, DTYPE), KEY_ROW, KEY_DIM, &feed->k, whole, count, item);
  copy_rows_w(tiles->w + feed->raw * RAW_W, KEY_ROW, JOIN(GAP_, W_DTYPE), KEY_ROW, KEY_DIM, &feed->w, whole, count, item);
  copy_rows_d(tiles->v + feed->values * RAW_V, VALUE_STRIDE, 0, TILE_COLUMNS, feed->columns, &feed->v, whole, count, item);
  if (with_r)
    copy_rows_d(tiles->r + feed->raw * RAW_D, KEY_ROW, JOIN(GAP_, DTYPE), KEY_ROW, KEY_DIM, &feed->r, whole, count, item);
}

/* Asks for the next chunk, if there is one. */
static inline void feed_next(feed_t *feed, const tiles_t *tiles, bool with_r, int item) {
  const int count = (int)min((index_t)CHUNK, feed->left);
  if (count > 0 && feed->whole) copy_all(feed, tiles, with_r, true, count, item);
  if (count > 0 && !feed->whole) copy_all(feed, tiles, with_r, false, count, item);
  engine_commit();
  feed->left -= CHUNK;
  feed->raw = feed->raw + 1 == AHEAD ? 0 : feed->raw + 1;
  feed->values = feed->values == AHEAD ? 0 : feed->values + 1;
}

#endif
