/* SPDX-License-Identifier: MIT */
/*
 * From memory to the tiles of chunk_forward_matrix.cl: rows of a chunk, asked for AHEAD chunks before they are used. A
 * sub-group copies one tensor, or a part of its rows, or two tensors: it then has few addresses to keep and to move on.
 */
#ifndef CHUNK_MATRIX_FEED_H
#define CHUNK_MATRIX_FEED_H

#include "chunk_matrix_tiles.h"

/* Tensors and their layouts. */
typedef struct inputs_t {
  global const dtype_t *r, *k, *v; /* r may be 0 */
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, w_at;
} inputs_t;

enum { COPY_R, COPY_K, COPY_W, COPY_V, COPIED };
#define COPIERS MAKERS
#define COPIES (COPIERS < COPIED ? COPIED / COPIERS : 1)           /* tensors of a sub-group */
#define COPY_ITEMS (COPIERS < COPIED ? 32 : 32 * COPIERS / COPIED) /* work-items of a tensor */

#define WHOLE_TILE (VALUE_DIM % TILE_COLUMNS == 0) /* every tile has all its value channels */

/* This work-item's first 16 bytes in the next chunk, and bytes from row to row. */
typedef struct rows_t {
  global const uchar *place;
  index_t stride;
} rows_t;

typedef struct feed_t {
  rows_t rows[COPIES];
  int tensor;      /* the first of them; the next is COPIERS further on */
  int item;        /* among those that copy it */
  int columns;     /* value channels of the work-group's tile that are there */
  int raw, values; /* where the next chunk goes: of AHEAD and AHEAD + 1 places */
  bool whole;      /* every 16 bytes of a row are aligned to 16 bytes */
} feed_t;

static inline bool aligned(global const void *p, layout_t at, int size) {
  return (((ulong)p + (ulong)at.s0 * size) & 15) == 0 && ((at.s1 | at.s2) & (16 / size - 1)) == 0;
}

/* Work-items side by side along a row of `bytes`. */
#define ACROSS(bytes) POWER_OF_2((bytes) / 16)

static inline void begin_rows(rows_t *rows, global const void *from, layout_t at, int size, int width, const place_t *p, index_t step,
                              int item) {
  const int across = ACROSS(width * size);
  walk_t walk;
  find_walk(&walk, at, &p->unit, p->head, step, p->reverse);
  rows->place = (global const uchar *)from + (walk.first + item / across * walk.stride) * size + (item & (across - 1)) * 16;
  rows->stride = walk.stride * size;
}

/*
 * Rows of `there` bytes in a chunk of `count` tokens, 16 bytes at a time, into a tile with rows of `width` bytes `stride` apart,
 * swizzled with `mask`. Rows and channels that are not there become 0. `whole`: all tokens are there and aligned, and the copy goes on in the background.
 */
static inline void copy_rows(local uchar *tile, int stride, int mask, int width, int there, rows_t *rows, bool whole, int count,
                             int item) {
  const int across = ACROSS(width), down = COPY_ITEMS / across, unit = item & (across - 1), c = unit * 16;
  global const uchar *place = rows->place;
  UNROLL for (int n = 0; n < (CHUNK + down - 1) / down; n++) {
    const int t = item / across + n * down;
    const bool present = (whole || t < count) && c < there;
    local uint4 *to = (local uint4 *)(tile + t * stride) + (unit ^ swizzle(t, mask));
    if ((CHUNK % down == 0 || t < CHUNK) && (across * 16 == width || c < width)) {
      if (whole)
        engine_copy(to, (global const uint4 *)place, present);
      else
        *to = present ? as_uint4(vload16(0, place)) : (uint4)(0);
    }
    place += down * rows->stride;
  }
  rows->place += CHUNK * rows->stride;
}

static inline void feed_begin(feed_t *feed, const inputs_t *in, const place_t *p, index_t step) {
  const int d_size = sizeof(dtype_t), w_size = sizeof(w_dtype_t), copier = p->sub_group;
  feed->whole = aligned(in->k, in->k_at, d_size) && aligned(in->w, in->w_at, w_size) && aligned(in->v, in->v_at, d_size) &&
                (!in->r || aligned(in->r, in->r_at, d_size));
  feed->columns = VALUE_DIM - p->tile_first;
  feed->raw = feed->values = 0;
  feed->tensor = copier & (COPIED - 1);
  feed->item = p->engine.lane + (copier / COPIED & (COPY_ITEMS / 32 - 1)) * 32;
  UNROLL for (int n = 0; n < COPIES; n++) {
    rows_t *rows = &feed->rows[n];
    const int tensor = feed->tensor + n * COPIERS;
    if (tensor == COPY_V)
      begin_rows(rows, in->v + p->tile_first, in->v_at, d_size, TILE_COLUMNS, p, step, feed->item);
    else if (tensor == COPY_W)
      begin_rows(rows, in->w, in->w_at, w_size, KEY_ROW, p, step, feed->item);
    else if (tensor == COPY_K)
      begin_rows(rows, in->k, in->k_at, d_size, KEY_ROW, p, step, feed->item);
    else
      begin_rows(rows, in->r, in->r_at, d_size, KEY_ROW, p, step, feed->item);
  }
}

static inline void copy_tensor(feed_t *feed, int n, const tiles_t *tiles, bool with_r, bool whole, int count) {
  const int tensor = feed->tensor + n * COPIERS, d_size = sizeof(dtype_t), w_size = sizeof(w_dtype_t);
  rows_t *rows = &feed->rows[n];
  if (tensor == COPY_V) {
    copy_rows((local uchar *)tile_of_v(tiles, feed->values), V_STRIDE * d_size, V_SWIZZLE, TILE_COLUMNS * d_size,
              WHOLE_TILE ? TILE_COLUMNS * d_size : feed->columns * d_size, rows, whole, count, feed->item);
  } else if (tensor == COPY_W) {
    copy_rows((local uchar *)tile_of_w(tiles, feed->raw), W_STRIDE * w_size, W_SWIZZLE, KEY_ROW * w_size, KEY_DIM * w_size, rows, whole, count,
              feed->item);
  } else if (with_r || tensor == COPY_K) {
    copy_rows((local uchar *)(tensor == COPY_K ? tile_of_k(tiles, feed->raw) : tile_of_r(tiles, feed->raw)), D_STRIDE * d_size, D_SWIZZLE, KEY_ROW * d_size,
              KEY_DIM * d_size, rows, whole, count, feed->item);
  }
}

/* Asks for the next chunk, of `count` tokens; there may be none. */
static inline void feed_next(feed_t *feed, const tiles_t *tiles, bool with_r, int count) {
  UNROLL for (int n = 0; n < COPIES; n++) {
    if (count == CHUNK && feed->whole)
      copy_tensor(feed, n, tiles, with_r, true, CHUNK);
    else if (count > 0)
      copy_tensor(feed, n, tiles, with_r, false, count);
  }
  engine_commit();
  feed->raw = feed->raw + 1 == AHEAD ? 0 : feed->raw + 1;
  feed->values = feed->values == AHEAD ? 0 : feed->values + 1;
}

#endif
