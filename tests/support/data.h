/* SPDX-License-Identifier: MIT */
/* The tensors of a case for one operation, filled from its seed, and the values that the double reference gives for them. */
#ifndef RWKV6_TESTS_SUPPORT_DATA_H
#define RWKV6_TESTS_SUPPORT_DATA_H

#include "case.h"
#include "image.h"
#include "reference/reference.h"

/* Results of a run as packed doubles, row after row; NULL where a tensor does not take part. */
typedef struct test_values {
  double *of[RWKV6_TENSOR_COUNT];
} test_values;

typedef struct test_data {
  test_case test;
  rwkv6_operation operation;
  int64_t cu_seqlens[TEST_MAX_SEQUENCES + 1];
  rwkv6_problem problem;  /* as handed to the library: packed strides are 0 */
  rwkv6_problem resolved; /* the same with every stride filled in */
  test_image image[RWKV6_TENSOR_COUNT];
} test_data;

/* Fills `data` in place (it points into itself: do not copy). `wide`: everything is stored as fp64, nothing is rounded. */
void test_data_create(test_data *data, const test_case *test, rwkv6_operation operation, bool wide);
void test_data_destroy(test_data *data);
/* Poisons every output again. */
void test_data_poison(test_data *data);

/* The part of a run that a call computes: a problem and where each tensor starts, in elements of its image. */
typedef struct test_call {
  rwkv6_problem problem; /* strides filled in */
  rwkv6_operation operation;
  int64_t offset[RWKV6_TENSOR_COUNT];
  bool in_place; /* final_state is the memory of initial_state */
} test_call;

test_call test_call_all(const test_data *data);
/* Sequence n alone: the same tensors, the same strides, another start. */
test_call test_call_alone(const test_data *data, int64_t n);

/* The host pointers of a call. */
rwkv6_tensors test_tensors(const test_data *data, const test_call *call);
void test_tensors_set(rwkv6_tensors *tensors, int id, void *pointer);

/* Rows of tensor `id` that belong to sequence n of the whole: [first, last). */
void test_sequence_rows(const test_data *data, rwkv6_tensor_id id, int64_t n, int64_t *first, int64_t *last);

/* Runs the reference, double or float, on the images and gives what it computed before any rounding to storage. */
void test_reference(const test_data *data, rwkv6_mode mode, bool use_double, test_values *values);
void test_values_destroy(test_values *values);
/* The rows that the images hold now. */
void test_values_read(const test_data *data, test_values *values);

bool test_is_output(const test_data *data, int id);

#endif
