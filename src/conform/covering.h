/* SPDX-License-Identifier: MIT */
/*
 * Covering arrays: rows of levels, one level for each field, in which every two levels of different fields meet. Some fields
 * are fixed together, by the row's block (for conform: what a program is compiled for), the others are free.
 */
#ifndef RWKV6_SRC_CONFORM_COVERING_H
#define RWKV6_SRC_CONFORM_COVERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COVERING_FIELDS 24
#define COVERING_LEVELS 16

typedef struct covering_row {
  size_t block;
  int8_t level[COVERING_FIELDS];
} covering_row;

typedef struct covering_plan {
  int fields, fixed; /* fields 0 .. fixed-1 are those of the block */
  int levels[COVERING_FIELDS];
  const covering_row *blocks; /* levels of the fixed fields */
  size_t block_count;
  size_t least; /* rows of each block, at least */
  /* How much work a row is; no row is more than `most`. Level 0 is the least of each free field. */
  double (*work)(const void *user, const covering_row *row);
  const void *user;
  double most;
} covering_plan;

/*
 * Fills `rows`, block after block, the same for the same seed, and returns their number, `capacity` at most. Pairs that no row
 * can have, because no block has both or because they are too much work, are left out.
 */
size_t conform_cover(const covering_plan *plan, uint64_t seed, covering_row *rows, size_t capacity);

#endif
