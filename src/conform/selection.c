/* SPDX-License-Identifier: MIT */
#include "conform/selection.h"

#include <stdio.h>

#include "conform/random.h"
#include "tensor.h"

static const int32_t dims[8] = {1, 8, 33, 60, 64, 100, 128, 256};
static const int64_t lengths[8] = {1, 15, 16, 17, 63, 64, 65, 300};

static conform_specialization make(int key, int value, rwkv6_dtype dtype, bool w_fp32, int decay) {
  const conform_specialization made = {dims[key], dims[value], dtype, w_fp32 ? RWKV6_FP32 : dtype, (rwkv6_decay)decay};
  return made;
}

/* For each type V is K moved round by another distance, so that V too meets every type. The table and the alternation of w were
 * found by search; test_selection.c checks what they promise. */
static size_t select_pairwise(conform_specialization *selected) {
  static const int distance[3] = {3, 6, 0};
  static const int decay[8][3] = {{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {2, 0, 1}, {2, 0, 1}, {0, 2, 1}, {1, 2, 0}, {1, 2, 0}};
  size_t count = 0;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int key = 0; key < 8; key++)
      selected[count++] = make(key, (key + distance[dtype]) % 8, (rwkv6_dtype)dtype, (key + dtype) % 2 != 0, decay[key][dtype]);
  return count;
}

/* Rows of the orthogonal array of four factors with three levels. K = V = 64 in bf16 and log form, what models have, is one. */
static size_t select_quick(conform_specialization *selected) {
  static const int key_dims[3] = {7, 64, 256}, value_dims[3] = {20, 64, 256};
  size_t count = 0;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int decay = 0; decay < 3; decay++) {
      const bool w_fp32 = (dtype + decay) % 2 != 0;
      const conform_specialization made = {key_dims[(dtype + decay + 2) % 3], value_dims[(dtype + 2 * decay + 2) % 3],
                                           (rwkv6_dtype)dtype, w_fp32 ? RWKV6_FP32 : (rwkv6_dtype)dtype, (rwkv6_decay)decay};
      selected[count++] = made;
    }
  return count;
}

static size_t select_full(conform_specialization *selected) {
  size_t count = 0;
  for (int key = 0; key < 8; key++)
    for (int value = 0; value < 8; value++)
      for (int types = 0; types < 5; types++)
        for (int decay = 0; decay < 3; decay++)
          selected[count++] = make(key, value, (rwkv6_dtype)((types + 1) / 2), types % 2 != 0, decay);
  return count;
}

size_t conform_select_specializations(conform_extent extent, conform_specialization selected[CONFORM_ALL_SPECIALIZATIONS]) {
  if (extent == CONFORM_QUICK) return select_quick(selected);
  return extent == CONFORM_FULL ? select_full(selected) : select_pairwise(selected);
}

const char *conform_specialization_name(const conform_specialization *specialization, char text[96]) {
  snprintf(text, 96, "K=%d V=%d %s w %s %s", (int)specialization->key_dim, (int)specialization->value_dim,
           rwkv6_dtype_name(specialization->dtype), rwkv6_dtype_name(specialization->w_dtype),
           conform_decay_name(specialization->decay));
  return text;
}

static double work_of(const conform_case *test) {
  return (double)(test->sequences * test->length * test->heads) * test->key_dim * test->value_dim;
}

/* Fewer sequences, then fewer heads, then fewer tokens. */
static void shrink(conform_case *test, double work) {
  while (work_of(test) > work && test->sequences > 2) test->sequences = test->sequences / 2 + 1;
  if (work_of(test) > work) test->heads = 1;
  if (work_of(test) > work && test->sequences == 2) test->sequences = 1;
  for (int i = 7; i >= 0 && work_of(test) > work; i--) test->length = lengths[i];
}

/* Each chunk length is another program, so a default run has each from 1 to 16 with one type and K only, in one case of four,
 * cut to what the portable kernels have local memory for. 0: automatic. */
static int64_t choose_chunk_length(const conform_specialization *s, int64_t index, conform_extent extent) {
  static const int8_t of_key_dim[3][8] = {{11, 0, 8, 0, 5, 13, 0, 3}, {9, 2, 0, 16, 0, 7, 14, 0}, {0, 12, 1, 4, 15, 0, 10, 6}};
  if (extent == CONFORM_QUICK) return s->dtype == RWKV6_FP16 && s->decay == RWKV6_DECAY_LOG && index == 5 ? 3 : 0;
  if (index % 4 != 1) return 0;
  int key = 0;
  while (dims[key] != s->key_dim) key++;
  const int32_t largest = s->key_dim > s->value_dim ? s->key_dim : s->value_dim;
  const int most = largest > 128 ? 7 : largest > 64 ? 15 : 16;
  const int length = of_key_dim[s->dtype][key];
  return length > most ? most : length;
}

/* Each type, and each decay form, meets each distribution within the cases of three specializations. */
static conform_distribution choose_distribution(const conform_specialization *specialization, int64_t index, uint64_t seed) {
  const int64_t start =
      4 * ((int64_t)specialization->dtype + (int64_t)specialization->decay) + (int64_t)(seed % CONFORM_DISTRIBUTIONS);
  return (conform_distribution)((start + index) % CONFORM_DISTRIBUTIONS);
}

conform_case conform_select_case(const conform_specialization *specialization, int64_t index, conform_extent extent,
                                 uint64_t seed, double work) {
  static const int64_t sequences[8] = {1, 2, 3, 5, 17, 1, 4, 9};
  static const double scales[4] = {0, 0, 1, 0.37};
  static const int64_t segments[4] = {0, -1, 64, 100};
  conform_random random = {(uint64_t)(specialization->key_dim * 1000003 + specialization->value_dim * 1009 +
                                      (int)specialization->dtype * 101 + (int)specialization->w_dtype * 11 +
                                      (int)specialization->decay)};
  const int64_t start = conform_random_below(&random, 8);
  random.state += (uint64_t)index * 7919 + seed * 0x9e3779b9u;
  conform_case test = conform_case_make(lengths[(start + 3 * index) % 8], specialization->key_dim, specialization->value_dim);
  test.sequences = sequences[conform_random_below(&random, 8)];
  test.ragged = conform_random_below(&random, 3) > 0;
  test.heads = 1 + conform_random_below(&random, 3);
  test.dtype = specialization->dtype;
  test.w_dtype = specialization->w_dtype;
  test.decay = specialization->decay;
  test.distribution = choose_distribution(specialization, index, seed);
  test.strides = (conform_strides)conform_random_below(&random, CONFORM_STRIDES);
  test.reverse = conform_random_below(&random, 2);
  /* all of them half of the time, else any combination */
  test.optional = conform_random_below(&random, 2) ? CONFORM_ALL_OPTIONAL : (uint32_t)conform_random_below(&random, 16);
  test.scale = scales[conform_random_below(&random, 4)];
  test.host = index % 4 == 3;
  test.chunk_length = choose_chunk_length(specialization, index, extent);
  test.segment_length = segments[conform_random_below(&random, 4)];
  test.seed = conform_random_bits(&random) % 1000000 + 1;
  shrink(&test, work);
  return test;
}
