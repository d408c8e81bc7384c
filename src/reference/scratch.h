/* SPDX-License-Identifier: MIT */
/*
 * Cutting the caller's workspace into arrays. Each operation has one function that takes its arrays in order; with no memory
 * behind it the same function measures how much the operation needs.
 */
#ifndef RWKV6_SRC_REFERENCE_SCRATCH_H
#define RWKV6_SRC_REFERENCE_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

typedef struct scratch {
  unsigned char *base; /* NULL: only measure */
  size_t used;         /* bytes; SIZE_MAX once it overflowed */
} scratch;

/*
 * Space left between arrays. Arrays that start at the same place of a 4 KiB page make a processor hold back loads from one for
 * stores to the other, for it compares only the lower address bits at first. That cost a third of the speed.
 */
enum { SCRATCH_STAGGER = 5 * 64 };

/* An array of `rows` x `columns` elements, aligned to 64 bytes; NULL when only measuring. */
static inline void *scratch_take(scratch *s, int64_t rows, int64_t columns, size_t element) {
  const size_t limit = SIZE_MAX / 2;
  const size_t r = (size_t)rows, c = (size_t)columns;
  if (s->used > limit || r > limit || c > limit || (c && r > (limit - s->used) / element / c)) {
    s->used = SIZE_MAX;
    return NULL;
  }
  void *array = s->base ? s->base + s->used : NULL;
  s->used += (r * c * element + 63) / 64 * 64 + SCRATCH_STAGGER;
  return array;
}

#endif
