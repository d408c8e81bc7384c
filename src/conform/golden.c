/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* opendir */
#include "conform/golden.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/memory.h"
#include "error.h"
#include "problem.h"

static int by_name(const void *a, const void *b) {
  return strcmp(a, b);
}

size_t conform_golden_names(const char *folder, char names[][64], size_t capacity) {
  size_t count = 0;
  DIR *directory = opendir(folder);
  for (const struct dirent *entry; directory && count < capacity && (entry = readdir(directory));) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%.63s/meta.json", folder, entry->d_name);
    FILE *meta = fopen(path, "rb");
    if (!meta) continue;
    fclose(meta);
    snprintf(names[count++], 64, "%.63s", entry->d_name);
  }
  if (directory) closedir(directory);
  if (!count) {
    printf("no golden data in %s\n", folder);
    exit(1);
  }
  qsort(names, count, sizeof names[0], by_name);
  return count;
}

/* The parts of a conform_case that the checks look at. */
static conform_case describe(const cli_case *loaded) {
  conform_case test = conform_case_make(loaded->problem.tokens, loaded->problem.key_dim, loaded->problem.value_dim);
  test.sequences = loaded->problem.sequences;
  test.heads = loaded->problem.heads;
  test.ragged = loaded->cu_seqlens != NULL;
  test.dtype = loaded->problem.dtype;
  test.w_dtype = loaded->problem.w_dtype;
  test.decay = loaded->problem.decay;
  test.reverse = loaded->problem.reverse;
  test.optional = loaded->problem.optional;
  test.scale = loaded->problem.scale;
  return test;
}

static rwkv6_status fill_problem(conform_data *data, const cli_case *loaded, rwkv6_operation operation, rwkv6_error *error) {
  memset(data, 0, sizeof *data);
  data->test = describe(loaded);
  data->operation = operation;
  if (loaded->problem.sequences > CONFORM_MAX_SEQUENCES)
    return rwkv6_fail(error, RWKV6_UNSUPPORTED, "more than %d sequences", CONFORM_MAX_SEQUENCES);
  for (int64_t n = 0; n < loaded->problem.sequences; n++) {
    const rwkv6_sequence sequence = rwkv6_problem_sequence(&loaded->problem, n);
    data->cu_seqlens[n + 1] = sequence.begin + sequence.length;
  }
  data->problem = loaded->problem;
  data->problem.cu_seqlens = data->cu_seqlens;
  return rwkv6_problem_resolve(&data->problem, operation, &data->resolved, error);
}

static void fill_image(conform_data *data, const cli_case *loaded, rwkv6_tensor_id id, bool wide) {
  conform_image *image = &data->image[id];
  conform_image_create(image, &data->resolved, id, wide ? RWKV6_FP64 : rwkv6_tensor_dtype(&data->resolved, id));
  if (rwkv6_tensor_table[id].output) return;
  for (int64_t i = 0; i < rwkv6_tensor_elements(&data->resolved, id); i++)
    conform_image_write(image, i, (double)loaded->tensor[id][i]);
  conform_image_keep(image);
}

static void fill_expected(conform_golden *golden, rwkv6_tensor_id id) {
  const float *from = golden->loaded.tensor[id];
  if (!rwkv6_tensor_table[id].output || !from) return;
  const int64_t elements = rwkv6_tensor_elements(&golden->data.resolved, id);
  double *to = golden->expected.of[id] = conform_allocate((size_t)elements, sizeof *to);
  for (int64_t i = 0; i < elements; i++) to[i] = (double)from[i];
}

bool conform_golden_create(conform_golden *golden, const char *folder, const char *name, rwkv6_operation operation, bool wide) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  char path[1024];
  memset(golden, 0, sizeof *golden);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  rwkv6_status status = cli_case_load(path, &golden->loaded, &error);
  if (!status) status = fill_problem(&golden->data, &golden->loaded, operation, &error);
  if (status) {
    printf("%s: %s\n", path, error.message);
    return false;
  }
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&golden->data.resolved, operation, id)) continue;
    fill_image(&golden->data, &golden->loaded, id, wide);
    fill_expected(golden, id);
  }
  return true;
}

void conform_golden_destroy(conform_golden *golden) {
  conform_data_destroy(&golden->data);
  conform_values_destroy(&golden->expected);
  cli_case_free(&golden->loaded);
}
