/* SPDX-License-Identifier: MIT */
/* Where the rows of a unit's tokens are, for kernels by groups, and how they get to local memory. Included after tiles. */
#ifndef CHUNK_GROUP_WALK_H
#define CHUNK_GROUP_WALK_H

/* A work-item's part of a chunk's first tokens, and bytes from token to token: 64 tokens are less than 2^31 bytes. */
typedef struct walker_t {
  global uchar *place;
  int stride;
} walker_t;

/* Whether rows of numbers of `size` bytes can be read and written 16 bytes at a time. */
static inline bool aligned(global const void *p, layout_t at, int size) {
  return (((ulong)p + (ulong)(at.s0 * size)) & 15) == 0 && ((at.s1 | at.s2) & (16 / size - 1)) == 0;
}

static inline long part_of(int stride, int token, const place_t *p) {
  return (long)stride * (token + first_token(p)) + 16 * (p->engine.lane & 7);
}

#if PARTS == 1
/* Those of the next chunk that is asked for. */
typedef struct walkers_t {
  walker_t of[WALKS];
} walkers_t;

static inline void set_walker(walkers_t *x, int which, const tiles_t *tiles, global uchar *first, int stride,
                              const place_t *p) {
  x->of[which].place = first + part_of(stride, 0, p);
  x->of[which].stride = stride;
}

/* For chunk n; walk_on has been called for all chunks before it, and `ahead` more. */
static inline void find_walker(walker_t *walker, const walkers_t *x, int which, const tiles_t *tiles, int n, int ahead,
                               const place_t *p) {
  walker->stride = engine_fresh(x->of[which].stride);
  walker->place = x->of[which].place - (long)walker->stride * (CHUNK * ahead);
}

static inline void walk_on(walkers_t *x, int which, const walker_t *walker) {
  x->of[which].place += (long)walker->stride * CHUNK;
}
#else
/* Nothing: they are in local memory. Compilers would keep registers that are seldom used in memory that is far away. */
typedef int walkers_t;

typedef struct kept_walker_t {
  long first; /* token's address */
  int stride, unused;
} kept_walker_t;

static inline local kept_walker_t *kept_walker_of(const tiles_t *tiles, int which) {
  return (local kept_walker_t *)(tiles->base + AT_WALKS) + which;
}

/* Before a barrier. */
static inline void set_walker(walkers_t *x, int which, const tiles_t *tiles, global uchar *first, int stride,
                              const place_t *p) {
  if (p->item > 0) return;
  kept_walker_of(tiles, which)->first = (long)first;
  kept_walker_of(tiles, which)->stride = stride;
}

static inline void find_walker(walker_t *walker, const walkers_t *x, int which, const tiles_t *tiles, int n, int ahead,
                               const place_t *p) {
  const kept_walker_t kept = *kept_walker_of(tiles, which);
  walker->place = (global uchar *)(kept.first + part_of(kept.stride, CHUNK * n, p));
  walker->stride = kept.stride;
}

static inline void walk_on(walkers_t *x, int which, const walker_t *walker) {
}
#endif

/* Numbers of `size` bytes, channels from `column` on. */
static inline void begin_walk(walkers_t *x, int which, const tiles_t *tiles, global const void *from, layout_t at, int size,
                              const place_t *p, index_t step, int column) {
  walk_t walk;
  find_walk(&walk, at, &p->unit, p->head, step, p->reverse);
  set_walker(x, which, tiles, (global uchar *)((ulong)from + (ulong)((walk.first + column) * size)), (int)walk.stride * size,
             p);
}

/* Rows of 64 channels, `further` bytes after the walker's, of a chunk with all its tokens, in the background, if `yes`. */
static inline void copy_rows(local uchar *place, const walker_t *x, int further, const place_t *p, bool yes) {
  local uchar *slots = slots_of(place, p);
  UNROLL for (int i = 0; i < 4; i++) engine_copy(slot_of(slots, 0, i), x->place + further + (long)x->stride * (4 * i), yes);
}

/* Chunk n of 64 channels of a tensor. */
static inline void copy_tensor(walkers_t *x, int which, local uchar *place, const tiles_t *tiles, int n, const place_t *p,
                               bool whole) {
  walker_t from;
  find_walker(&from, x, which, tiles, n, 0, p);
  copy_rows(place, &from, 0, p, whole);
  walk_on(x, which, &from);
}

/* Of a chunk with `count` tokens; the others are 0. Where rows are not aligned: number by number, seldom, and in little code.
 */
static inline void copy_some_rows(local uchar *place, const walkers_t *x, int which, int further, const tiles_t *tiles, int n,
                                  const place_t *p, int count) {
  walker_t from;
  find_walker(&from, x, which, tiles, n, AHEAD, p);
  local uchar *slots = slots_of(place, p);
  if (p->whole) {
    UNROLL for (int i = 0; i < 4; i++) engine_copy_or_clear(
        slot_of(slots, 0, i), from.place + further + (long)from.stride * (4 * i), first_token(p) + 4 * i < count);
    return;
  }
  ROLL for (int i = 0; i < p->numbers; i++) {
    ENGINE_ROLLED;
    global const ushort *number = (global const ushort *)(from.place + further + 4 * (i / 8) * from.stride) + (i & 7);
    ((local ushort *)slot_of(slots, 0, i / 8))[i & 7] = first_token(p) + 4 * (i / 8) < count ? *number : (ushort)0;
  }
}

/* Whether all of a chunk's tokens, of which `left` or more are there, are for copy_rows. */
static inline bool is_whole(const place_t *p, int left) {
  return p->whole && left >= CHUNK;
}

#endif
