/* SPDX-License-Identifier: MIT */
/*
 * One tensor in memory as a test hands it over: guard zones at both ends, gaps where strides leave them, a start that is
 * aligned to one element and no more. Whatever is not a row is filled with a NaN of known bits: read by mistake it spoils the
 * result, written by mistake it shows.
 */
#ifndef RWKV6_SRC_CONFORM_IMAGE_H
#define RWKV6_SRC_CONFORM_IMAGE_H

#include <stdbool.h>

#include "tensor.h"

typedef struct conform_image {
  rwkv6_tensor_id id;
  rwkv6_dtype dtype;
  unsigned char *memory; /* the whole allocation; NULL: the tensor does not take part */
  unsigned char *before; /* inputs: a copy to compare with */
  size_t elements;       /* of the allocation, guards included */
  size_t origin;         /* elements before the first of the tensor */
} conform_image;

#define CONFORM_GUARD_ELEMENTS 1027

/* Rows of contiguous channels: [token][head] of a strided tensor, [head] of u, [sequence][head][key channel] of a state. */
int64_t conform_rows(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Elements from the tensor's start to that row. */
int64_t conform_row_offset(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t row);

/* Allocates and poisons; exits the program if memory runs out. `problem` is resolved. */
void conform_image_create(conform_image *image, const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_dtype dtype);
void conform_image_destroy(conform_image *image);
/* Every element becomes the poison. */
void conform_image_poison(conform_image *image);
/* Keeps the present content as what an input must still be after a run. */
void conform_image_keep(conform_image *image);

void conform_image_write(conform_image *image, int64_t element, double value);
double conform_image_read(const conform_image *image, int64_t element);
bool conform_image_is_poison(const conform_image *image, int64_t element);
void *conform_image_pointer(const conform_image *image, int64_t element);

/* Where an image went wrong: element relative to the tensor's start (guards before it are negative). */
typedef struct conform_place {
  int64_t element;
  const char *what; /* "guard or gap written", "not written", "input changed" */
} conform_place;

/* Which elements of the allocation a run had to write, one byte each: none, and rows [first, last) added. Free it. */
unsigned char *conform_image_map(const conform_image *image);
void conform_image_map_rows(const conform_image *image, const rwkv6_problem *problem, int64_t first, int64_t last,
                            unsigned char *map);
/* An output: what is in the map is written and nothing else. */
bool conform_image_check_map(const conform_image *image, const unsigned char *map, conform_place *place);
/* An output: rows [first, last) fully written and nothing else touched. */
bool conform_image_check_output(const conform_image *image, const rwkv6_problem *problem, int64_t first, int64_t last,
                                conform_place *place);
/* An input: the same bytes as before. */
bool conform_image_check_input(const conform_image *image, conform_place *place);

double conform_round(double value, rwkv6_dtype dtype);

#endif
