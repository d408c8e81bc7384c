/* SPDX-License-Identifier: MIT */
#include "conform/covering.h"

#include <stdlib.h>
#include <string.h>

#include "conform/memory.h"
#include "conform/random.h"

typedef struct cover {
  const covering_plan *plan;
  conform_random random;
  covering_row *rows;
  size_t count, capacity;
  size_t *used; /* rows of each block so far */
  bool met[COVERING_FIELDS][COVERING_LEVELS][COVERING_FIELDS][COVERING_LEVELS];
} cover;

typedef struct pair {
  int field[2], level[2];
} pair;

static void mark(cover *c, int a, int i, int b, int j) {
  c->met[a][i][b][j] = c->met[b][j][a][i] = true;
}

/* The next pair that no row has, from a random field on, so that no field is always the last one. */
static bool find_open(const cover *c, int start, pair *open) {
  const covering_plan *plan = c->plan;
  for (int n = 0; n < plan->fields; n++) {
    const int a = (start + n) % plan->fields;
    for (int b = 0; b < plan->fields; b++)
      for (int i = 0; b != a && i < plan->levels[a]; i++)
        for (int j = 0; j < plan->levels[b]; j++) {
          if (c->met[a][i][b][j]) continue;
          *open = (pair){{a, b}, {i, j}};
          return true;
        }
  }
  return false;
}

/* A row of a block with the pair in it, if it can have it, everything else at its least. */
static bool begin_row(const cover *c, size_t block, const pair *open, covering_row *row) {
  memset(row, 0, sizeof *row);
  row->block = block;
  memcpy(row->level, c->plan->blocks[block].level, (size_t)c->plan->fixed);
  for (int i = 0; open && i < 2; i++) {
    if (open->field[i] < c->plan->fixed && row->level[open->field[i]] != open->level[i]) return false;
    row->level[open->field[i]] = (int8_t)open->level[i];
  }
  return !open || c->plan->work(c->plan->user, row) <= c->plan->most;
}

/* In the block with the fewest rows that can have the pair. */
static bool choose_block(const cover *c, const pair *open, covering_row *row) {
  covering_row tried;
  bool found = false;
  for (size_t block = 0; block < c->plan->block_count; block++)
    if (begin_row(c, block, open, &tried) && (!found || c->used[block] < c->used[row->block])) {
      *row = tried;
      found = true;
    }
  return found;
}

/* Pairs that this level would be the first to have with what is set. */
static int gain(const cover *c, const covering_row *row, const bool *set, int field, int level) {
  int count = 0;
  for (int other = 0; other < c->plan->fields; other++) count += set[other] && !c->met[field][level][other][row->level[other]];
  return count;
}

/* The level with most new pairs, of those that are not too much work; a random one of equals. */
static void set_field(cover *c, covering_row *row, bool *set, int field) {
  int best = -1, chosen = 0;
  const int levels = c->plan->levels[field], start = (int)conform_random_below(&c->random, levels);
  for (int n = 0; n < levels; n++) {
    row->level[field] = (int8_t)((start + n) % levels);
    if (row->level[field] && c->plan->work(c->plan->user, row) > c->plan->most) continue;
    const int found = gain(c, row, set, field, row->level[field]);
    if (found <= best) continue;
    best = found;
    chosen = row->level[field];
  }
  row->level[field] = (int8_t)chosen;
  set[field] = true;
}

static void add_row(cover *c, covering_row *row, const pair *open) {
  const int fields = c->plan->fields, fixed = c->plan->fixed;
  bool set[COVERING_FIELDS] = {false};
  for (int i = 0; i < fixed; i++) set[i] = true;
  if (open) set[open->field[0]] = set[open->field[1]] = true;
  const int start = (int)conform_random_below(&c->random, fields);
  for (int i = 0; i < fields; i++) {
    const int field = (start + i) % fields;
    if (!set[field]) set_field(c, row, set, field);
  }
  for (int a = 0; a < fields; a++)
    for (int b = a + 1; b < fields; b++) mark(c, a, row->level[a], b, row->level[b]);
  c->used[row->block]++;
  c->rows[c->count++] = *row;
}

static void cover_pairs(cover *c) {
  pair open;
  covering_row row;
  while (c->count < c->capacity && find_open(c, (int)conform_random_below(&c->random, c->plan->fields), &open)) {
    if (choose_block(c, &open, &row))
      add_row(c, &row, &open);
    else
      mark(c, open.field[0], open.level[0], open.field[1], open.level[1]);
  }
}

static int by_block(const void *a, const void *b) {
  const covering_row *one = a, *other = b;
  if (one->block != other->block) return one->block < other->block ? -1 : 1;
  return memcmp(one->level, other->level, sizeof one->level);
}

size_t conform_cover(const covering_plan *plan, uint64_t seed, covering_row *rows, size_t capacity) {
  cover *c = conform_allocate(1, sizeof *c);
  c->plan = plan;
  c->random = (conform_random){seed};
  c->rows = rows;
  c->capacity = capacity;
  c->used = conform_allocate(plan->block_count, sizeof *c->used);
  cover_pairs(c);
  for (size_t block = 0; block < plan->block_count; block++)
    while (c->used[block] < plan->least && c->count < capacity) {
      covering_row row;
      begin_row(c, block, NULL, &row);
      add_row(c, &row, NULL);
    }
  const size_t count = c->count;
  qsort(rows, count, sizeof *rows, by_block);
  free(c->used);
  free(c);
  return count;
}
