/* SPDX-License-Identifier: MIT */
#include "conform/image.h"

#include <stdlib.h>
#include <string.h>

#include "conform/memory.h"
#include "half.h"

/* Quiet NaNs with payloads that no computation produces. */
#define POISON_FP32 0x7fe1a5edu
#define POISON_16 0x7fe3u
#define POISON_FP64 0x7ffe1a5ed0f00d5au

int64_t conform_rows(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_HEADS_KEY: return problem->heads;
  case RWKV6_SHAPE_STATE: return problem->sequences * problem->heads * problem->key_dim;
  case RWKV6_SHAPE_POOL: return problem->pool_slots * problem->heads * problem->key_dim;
  case RWKV6_SHAPE_SEQUENCES: return problem->sequences;
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_TOKENS_VALUE: break;
  }
  return problem->tokens * problem->heads;
}

int64_t conform_row_offset(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t row) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  if (!stride) return row * rwkv6_tensor_channels(problem, id);
  return row / problem->heads * stride->token + row % problem->heads * stride->head;
}

void conform_image_create(conform_image *image, const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_dtype dtype) {
  image->id = id;
  image->dtype = dtype;
  image->origin = CONFORM_GUARD_ELEMENTS;
  image->elements = 2 * CONFORM_GUARD_ELEMENTS + (size_t)rwkv6_tensor_extent(problem, id);
  image->memory = conform_allocate(image->elements, rwkv6_dtype_size(image->dtype));
  image->before = NULL;
  conform_image_poison(image);
}

void conform_image_destroy(conform_image *image) {
  free(image->memory);
  free(image->before);
  image->memory = image->before = NULL;
}

void conform_image_poison(conform_image *image) {
  for (size_t i = 0; i < image->elements; i++) {
    const uint64_t bits64 = POISON_FP64;
    const uint32_t bits32 = POISON_FP32;
    const uint16_t bits16 = POISON_16;
    switch (rwkv6_dtype_size(image->dtype)) {
    case 8: memcpy(image->memory + 8 * i, &bits64, 8); break;
    case 4: memcpy(image->memory + 4 * i, &bits32, 4); break;
    default: memcpy(image->memory + 2 * i, &bits16, 2);
    }
  }
}

void conform_image_keep(conform_image *image) {
  const size_t bytes = image->elements * rwkv6_dtype_size(image->dtype);
  if (!image->before) image->before = conform_allocate(bytes, 1);
  memcpy(image->before, image->memory, bytes);
}

void *conform_image_pointer(const conform_image *image, int64_t element) {
  if (!image->memory) return NULL;
  return image->memory + (int64_t)rwkv6_dtype_size(image->dtype) * ((int64_t)image->origin + element);
}

void conform_image_write(conform_image *image, int64_t element, double value) {
  void *at = conform_image_pointer(image, element);
  const float narrow = (float)value;
  uint16_t half;
  switch (image->dtype) {
  case RWKV6_FP32: memcpy(at, &narrow, sizeof narrow); return;
  case RWKV6_FP16: half = rwkv6_float_to_fp16(narrow); break;
  case RWKV6_BF16: half = rwkv6_float_to_bf16(narrow); break;
  default: memcpy(at, &value, sizeof value); return;
  }
  memcpy(at, &half, sizeof half);
}

double conform_image_read(const conform_image *image, int64_t element) {
  const void *at = conform_image_pointer(image, element);
  float narrow;
  double wide;
  uint16_t half;
  memcpy(&half, at, sizeof half);
  switch (image->dtype) {
  case RWKV6_FP32: memcpy(&narrow, at, sizeof narrow); return (double)narrow;
  case RWKV6_FP16: return (double)rwkv6_fp16_to_float(half);
  case RWKV6_BF16: return (double)rwkv6_bf16_to_float(half);
  default: memcpy(&wide, at, sizeof wide); return wide;
  }
}

bool conform_image_is_poison(const conform_image *image, int64_t element) {
  const void *at = conform_image_pointer(image, element);
  uint64_t bits64;
  uint32_t bits32;
  uint16_t bits16;
  switch (rwkv6_dtype_size(image->dtype)) {
  case 8: memcpy(&bits64, at, 8); return bits64 == POISON_FP64;
  case 4: memcpy(&bits32, at, 4); return bits32 == POISON_FP32;
  default: memcpy(&bits16, at, 2); return bits16 == POISON_16;
  }
}

unsigned char *conform_image_map(const conform_image *image) {
  return conform_allocate(image->elements, 1);
}

void conform_image_map_rows(const conform_image *image, const rwkv6_problem *problem, int64_t first, int64_t last,
                            unsigned char *map) {
  const size_t channels = (size_t)rwkv6_tensor_channels(problem, image->id);
  for (int64_t row = first; row < last; row++)
    memset(map + (int64_t)image->origin + conform_row_offset(problem, image->id, row), 1, channels);
}

bool conform_image_check_map(const conform_image *image, const unsigned char *map, conform_place *place) {
  bool right = true;
  for (size_t i = 0; i < image->elements && right; i++) {
    place->element = (int64_t)i - (int64_t)image->origin;
    place->what = map[i] ? "not written" : "guard or gap written";
    right = conform_image_is_poison(image, place->element) != (map[i] == 1);
  }
  return right;
}

bool conform_image_check_output(const conform_image *image, const rwkv6_problem *problem, int64_t first, int64_t last,
                                conform_place *place) {
  unsigned char *map = conform_image_map(image);
  conform_image_map_rows(image, problem, first, last, map);
  const bool right = conform_image_check_map(image, map, place);
  free(map);
  return right;
}

bool conform_image_check_input(const conform_image *image, conform_place *place) {
  const size_t size = rwkv6_dtype_size(image->dtype);
  if (!memcmp(image->memory, image->before, image->elements * size)) return true;
  size_t i = 0;
  while (!memcmp(image->memory + i * size, image->before + i * size, size)) i++;
  place->element = (int64_t)i - (int64_t)image->origin;
  place->what = "input changed";
  return false;
}

double conform_round(double value, rwkv6_dtype dtype) {
  switch (dtype) {
  case RWKV6_FP32: return (double)(float)value;
  case RWKV6_FP16: return (double)rwkv6_fp16_to_float(rwkv6_float_to_fp16((float)value));
  case RWKV6_BF16: return (double)rwkv6_bf16_to_float(rwkv6_float_to_bf16((float)value));
  default: return value;
  }
}
