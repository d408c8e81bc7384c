/* SPDX-License-Identifier: MIT */
#include "conform/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/covering.h"
#include "conform/memory.h"
#include "conform/random.h"
#include "tensor.h"

static const int32_t dims[8] = {1, 8, 33, 60, 64, 100, 128, 256};

/* What kernels for matrix units take, though it is no multiple of the 64 channels of a task of theirs: in a long case of each
 * type, beside the pairs. */
#define ODD_DIM 80

/* ----------------------------------------------------------------------------------------------------- what is compiled for */

#define SMALL_GROUP 64

static conform_specialization make(int key, int value, rwkv6_dtype dtype, bool w_fp32, int decay) {
  const conform_specialization made = {dims[key], dims[value], dtype, w_fp32 ? RWKV6_FP32 : dtype, (rwkv6_decay)decay, 0, 0};
  return made;
}

/*
 * The same with a chunk length of its own, or for smaller work-groups, or both. Each chunk length from 1 to 16 occurs with one
 * type and K, cut to what the portable kernels have local memory for.
 */
static conform_specialization make_other(conform_specialization made, int key) {
  static const int8_t of_key_dim[3][8] = {{11, 0, 8, 0, 5, 13, 0, 3}, {9, 2, 0, 16, 0, 7, 14, 0}, {0, 12, 1, 4, 15, 0, 10, 6}};
  const int32_t largest = made.key_dim > made.value_dim ? made.key_dim : made.value_dim;
  const int most = largest > 128 ? 7 : largest > 64 ? 15 : 16;
  const int length = of_key_dim[made.dtype][key];
  made.chunk_length = length > most ? most : length;
  made.work_group = !length || key % 4 == 3 ? SMALL_GROUP : 0;
  return made;
}

/* For each type V is K moved round by another distance, so that V too meets every type. The table and the alternation of w were
 * found by search; test_selection.c checks what they promise. */
static size_t select_pairwise(conform_specialization *selected) {
  static const int distance[3] = {3, 6, 0};
  static const int decay[8][3] = {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}, {2, 0, 1}, {1, 2, 0}, {1, 2, 0}, {1, 2, 0}, {0, 1, 2}};
  size_t count = 0;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int key = 0; key < 8; key++) {
      selected[count] = make(key, (key + distance[dtype]) % 8, (rwkv6_dtype)dtype, (key + dtype) % 2 != 0, decay[key][dtype]);
      selected[count + 1] = make_other(selected[count], key);
      count += 2;
    }
  return count;
}

/* Rows of the orthogonal array of four factors with three levels, and two more, so that w, chunk lengths and work-groups, found
 * by search, meet everything too. K = V = 64 in bf16 and log form, what models have, is left as it is there. */
static size_t select_quick(conform_specialization *selected) {
  static const int key_dims[3] = {7, 64, 256}, value_dims[3] = {20, 64, 256};
  static const struct {
    int8_t dtype, decay, w_fp32, chunk_length;
    uint8_t work_group;
  } rows[] = {{0, 0, 0, 3, SMALL_GROUP}, {0, 1, 0, 0, 0},          {0, 2, 0, 7, SMALL_GROUP}, {1, 0, 1, 0, 0},
              {1, 1, 1, 0, 0},           {1, 2, 0, 6, 0},          {1, 2, 1, 0, SMALL_GROUP}, {2, 0, 0, 0, 0},
              {2, 1, 1, 5, SMALL_GROUP}, {2, 2, 1, 4, SMALL_GROUP}};
  const size_t count = sizeof rows / sizeof *rows;
  for (size_t i = 0; i < count; i++) {
    const int dtype = rows[i].dtype, decay = rows[i].decay;
    const conform_specialization made = {key_dims[(dtype + decay + 2) % 3],
                                         value_dims[(dtype + 2 * decay + 2) % 3],
                                         (rwkv6_dtype)dtype,
                                         rows[i].w_fp32 ? RWKV6_FP32 : (rwkv6_dtype)dtype,
                                         (rwkv6_decay)decay,
                                         rows[i].chunk_length,
                                         rows[i].work_group};
    selected[i] = made;
  }
  return count;
}

/* Every combination as it is, and those of the pairwise selection that are not. */
static size_t select_full(conform_specialization *selected) {
  const size_t pairwise = select_pairwise(selected);
  size_t count = 0;
  for (size_t i = 0; i < pairwise; i++)
    if (selected[i].chunk_length || selected[i].work_group) selected[count++] = selected[i];
  for (int key = 0; key < 8; key++)
    for (int value = 0; value < 8; value++)
      for (int types = 0; types < 5; types++)
        for (int decay = 0; decay < 3; decay++)
          selected[count++] = make(key, value, (rwkv6_dtype)((types + 1) / 2), types % 2 != 0, decay);
  return count;
}

static size_t select_paired(conform_extent extent, conform_specialization *selected) {
  if (extent == CONFORM_QUICK) return select_quick(selected);
  return extent == CONFORM_FULL ? select_full(selected) : select_pairwise(selected);
}

static size_t add_odd(conform_specialization *selected, size_t count) {
  for (int dtype = 0; dtype < 3; dtype++)
    selected[count++] =
        (conform_specialization){ODD_DIM, ODD_DIM, (rwkv6_dtype)dtype, (rwkv6_dtype)dtype, RWKV6_DECAY_LOG, 0, 0};
  return count;
}

size_t conform_select_specializations(conform_extent extent, conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS]) {
  const size_t paired = select_paired(extent, selected);
  return extent == CONFORM_QUICK ? paired : add_odd(selected, paired);
}

const char *conform_specialization_name(const conform_specialization *specialization, char text[96]) {
  snprintf(text, 96, "K=%d V=%d %s w %s %s", (int)specialization->key_dim, (int)specialization->value_dim,
           rwkv6_dtype_name(specialization->dtype), rwkv6_dtype_name(specialization->w_dtype),
           conform_decay_name(specialization->decay));
  return text;
}

/* ------------------------------------------------------------------------------------------------------------------- cases */

enum {
  KEY,
  VALUE,
  DTYPE,
  W_FP32,
  DECAY,
  CHUNK,
  GROUP,
  FIXED, /* the fields before it make a specialization */
  DISTRIBUTION = FIXED,
  LENGTH,
  SEQUENCES,
  RAGGED,
  HEADS,
  STRIDES,
  REVERSE,
  OPTIONAL, /* four of them, a tensor each */
  SCALE = OPTIONAL + 4,
  HOST,
  SEGMENT,
  PRECISION,
  FIELDS
};

static const int64_t lengths[] = {1, 15, 16, 17, 63, 64, 65, 300};
static const int64_t sequences[] = {1, 2, 5, 17};
static const double scales[] = {0, 1, 0.37};
static const int64_t segments[] = {-1, 0, 64, 100};
static const uint32_t optionals[] = {RWKV6_INITIAL_STATE, RWKV6_FINAL_STATE, RWKV6_DFINAL_STATE, RWKV6_DINITIAL_STATE};

static conform_case case_of(const conform_specialization *specialization, const covering_row *row) {
  const int8_t *level = row->level;
  conform_case test = conform_case_make(lengths[level[LENGTH]], specialization->key_dim, specialization->value_dim);
  test.dtype = specialization->dtype;
  test.w_dtype = specialization->w_dtype;
  test.decay = specialization->decay;
  test.chunk_length = specialization->chunk_length;
  test.work_group = specialization->work_group;
  test.distribution = (conform_distribution)level[DISTRIBUTION];
  test.sequences = sequences[level[SEQUENCES]];
  test.ragged = level[RAGGED];
  test.heads = 1 + level[HEADS];
  test.strides = (conform_strides)level[STRIDES];
  test.reverse = level[REVERSE];
  test.optional = 0;
  for (int i = 0; i < 4; i++)
    if (level[OPTIONAL + i]) test.optional |= optionals[i];
  test.scale = scales[level[SCALE]];
  test.host = level[HOST];
  test.segment_length = segments[level[SEGMENT]];
  test.precision = (rwkv6_precision)level[PRECISION];
  return test;
}

/* Distinct values of K and V have levels of their own; their order is that of dims, or of the quick three. */
static int8_t level_of_dim(int32_t dim, int32_t *known, int *count) {
  for (int8_t i = 0; i < *count; i++)
    if (known[i] == dim) return i;
  known[*count] = dim;
  return (int8_t)(*count)++;
}

typedef struct blocks {
  covering_row row[CONFORM_ALL_SPECIALIZATIONS];
  int32_t key_dims[COVERING_LEVELS], value_dims[COVERING_LEVELS]; /* of the levels */
  int keys, values;
} blocks;

static void set_blocks(blocks *made, const conform_specialization *selected, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const conform_specialization *s = &selected[i];
    int8_t *level = made->row[i].level;
    level[KEY] = level_of_dim(s->key_dim, made->key_dims, &made->keys);
    level[VALUE] = level_of_dim(s->value_dim, made->value_dims, &made->values);
    level[DTYPE] = (int8_t)s->dtype;
    level[W_FP32] = s->w_dtype != s->dtype;
    level[DECAY] = (int8_t)s->decay;
    level[CHUNK] = s->chunk_length != 0;
    level[GROUP] = s->work_group != 0;
  }
}

static double work_of(const void *user, const covering_row *row) {
  const blocks *made = user;
  const int8_t *level = row->level;
  return (double)(lengths[level[LENGTH]] * sequences[level[SEQUENCES]] * (1 + level[HEADS])) * made->key_dims[level[KEY]] *
         made->value_dims[level[VALUE]];
}

/* What models have, longer than anything else here: segments joined, forward and backward, with decays that leave something of
 * a state; and states of 256 x 256 past the first checkpoint. */
static bool make_long(const conform_specialization *s, conform_extent extent, conform_case *test) {
  const int32_t largest = s->key_dim > s->value_dim ? s->key_dim : s->value_dim;
  if (s->chunk_length || s->work_group) return false;
  *test = conform_case_make(600, s->key_dim, s->value_dim);
  test->dtype = s->dtype;
  test->w_dtype = s->w_dtype;
  test->decay = s->decay;
  test->distribution = CONFORM_SLOW;
  test->segment_length = 64;
  if (s->decay == RWKV6_DECAY_RAW) test->precision = RWKV6_PRECISION_RELAXED; /* log is what models have */
  if (largest == 256) test->length = 300;
  return largest <= 64 || largest == ODD_DIM || (largest == 256 && extent != CONFORM_QUICK);
}

static covering_plan plan_of(const blocks *made, size_t count, conform_extent extent, double work) {
  covering_plan plan = {
      .fields = FIELDS,
      .fixed = FIXED,
      .levels =
          {made->keys, made->values, 3, 2, 3, 2, 2, CONFORM_DISTRIBUTIONS, 8, 4, 2, 3, CONFORM_STRIDES, 2, 2, 2, 2, 2, 3, 2, 4,
           2},
      .blocks = made->row,
      .block_count = count,
      .least = extent == CONFORM_QUICK ? 0 : 4,
      .work = work_of,
      .user = made,
      .most = work};
  return plan;
}

#define MOST_ROWS (4 * CONFORM_ALL_SPECIALIZATIONS + 512)

size_t conform_select_cases(conform_extent extent, uint64_t seed, double work, conform_selected **cases) {
  conform_specialization *selected = conform_allocate(CONFORM_ALL_SPECIALIZATIONS, sizeof *selected);
  blocks *made = conform_allocate(1, sizeof *made);
  covering_row *rows = conform_allocate(MOST_ROWS, sizeof *rows);
  const size_t paired = select_paired(extent, selected), all = conform_select_specializations(extent, selected);
  set_blocks(made, selected, paired);
  const covering_plan plan = plan_of(made, paired, extent, work);
  const size_t row_count = conform_cover(&plan, seed, rows, MOST_ROWS);
  *cases = conform_allocate(row_count + all, sizeof **cases);
  size_t count = 0, row = 0;
  for (size_t block = 0; block < all; block++) {
    for (; row < row_count && rows[row].block == block; row++)
      (*cases)[count++] = (conform_selected){case_of(&selected[block], &rows[row]), block};
    conform_selected *one = &(*cases)[count];
    one->specialization = block;
    if (work >= CONFORM_LEAST_WORK_OF_LONG && make_long(&selected[block], extent, &one->test)) count++;
  }
  conform_random random = {seed * 0x9e3779b9u + 1};
  for (size_t i = 0; i < count; i++) (*cases)[i].test.seed = conform_random_bits(&random) % 1000000 + 1;
  free(rows);
  free(made);
  free(selected);
  return count;
}
