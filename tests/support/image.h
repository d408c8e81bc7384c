/* SPDX-License-Identifier: MIT */
/*
 * One tensor in memory as a test hands it over: guard zones at both ends, gaps where strides leave them, a start that is
 * aligned to one element and no more. Whatever is not a row is filled with a NaN of known bits: read by mistake it spoils the
 * result, written by mistake it shows.
 */
#ifndef RWKV6_TESTS_SUPPORT_IMAGE_H
#define RWKV6_TESTS_SUPPORT_IMAGE_H

#include <stdbool.h>

#include "tensor.h"

typedef struct test_image {
  rwkv6_tensor_id id;
  rwkv6_dtype dtype;
  unsigned char *memory; /* the whole allocation; NULL: the tensor does not take part */
  unsigned char *before; /* inputs: a copy to compare with */
  size_t elements;       /* of the allocation, guards included */
  size_t origin;         /* elements before the first of the tensor */
} test_image;

#define TEST_GUARD_ELEMENTS 1027

/* Rows of contiguous channels: [token][head] of a strided tensor, [head] of u, [sequence][head][key channel] of a state. */
int64_t test_rows(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Elements from the tensor's start to that row. */
int64_t test_row_offset(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t row);

/* Allocates and poisons; exits the program if memory runs out. `problem` is resolved. */
void test_image_create(test_image *image, const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_dtype dtype);
void test_image_destroy(test_image *image);
/* Every element becomes the poison. */
void test_image_poison(test_image *image);
/* Keeps the present content as what an input must still be after a run. */
void test_image_keep(test_image *image);

void test_image_write(test_image *image, int64_t element, double value);
double test_image_read(const test_image *image, int64_t element);
bool test_image_is_poison(const test_image *image, int64_t element);
void *test_image_pointer(const test_image *image, int64_t element);

/* Where an image went wrong: element relative to the tensor's start (guards before it are negative). */
typedef struct test_place {
  int64_t element;
  const char *what; /* "guard or gap written", "not written", "input changed" */
} test_place;

/* An output: rows [first, last) fully written and nothing else touched. */
bool test_image_check_output(const test_image *image, const rwkv6_problem *problem, int64_t first, int64_t last,
                             test_place *place);
/* An input: the same bytes as before. */
bool test_image_check_input(const test_image *image, test_place *place);

double test_round(double value, rwkv6_dtype dtype);

#endif
