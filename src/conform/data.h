/* SPDX-License-Identifier: MIT */
/* The tensors of a case for one operation, filled from its seed, and the values that the double reference gives for them. */
#ifndef RWKV6_SRC_CONFORM_DATA_H
#define RWKV6_SRC_CONFORM_DATA_H

#include "conform/case.h"
#include "conform/image.h"
#include "conform/random.h"
#include "reference/reference.h"

/* Results of a run as packed doubles, row after row; NULL where a tensor does not take part. */
typedef struct conform_values {
  double *of[RWKV6_TENSOR_COUNT];
} conform_values;

typedef struct conform_data {
  conform_case test;
  rwkv6_operation operation;
  int64_t cu_seqlens[CONFORM_MAX_SEQUENCES + 1];
  rwkv6_problem problem;  /* as handed to the library: packed strides are 0 */
  rwkv6_problem resolved; /* the same with every stride filled in */
  conform_image image[RWKV6_TENSOR_COUNT];
} conform_data;

/* Fills `data` in place (it points into itself: do not copy). `wide`: everything is stored as fp64, nothing is rounded. */
void conform_data_create(conform_data *data, const conform_case *test, rwkv6_operation operation, bool wide);
void conform_data_destroy(conform_data *data);
/* States in the pool of a case that has one. */
int64_t conform_pool_slots(const conform_case *test);
/* The problem alone, without images. */
void conform_data_prepare(conform_data *data, const conform_case *test, rwkv6_operation operation);
/* Steps of conform_data_create, for data that is made from other data: the problem from `test` and `cu_seqlens`; images,
 * poisoned. */
void conform_data_set_problem(conform_data *data);
void conform_data_create_images(conform_data *data, bool wide);
/* Strides of all tensors of a problem whose sizes are set. */
void conform_set_strides(rwkv6_problem *problem, conform_strides strides);
/* Poisons every output again. */
void conform_data_poison(conform_data *data);
/* final_state becomes a copy of initial_state, for a call that is given it as both. */
void conform_data_prepare_in_place(conform_data *data);

/* The part of a run that a call computes: a problem and where each tensor starts, in elements of its image. */
typedef struct conform_call {
  rwkv6_problem problem; /* strides filled in */
  rwkv6_operation operation;
  int64_t offset[RWKV6_TENSOR_COUNT];
  bool in_place; /* final_state is the memory of initial_state */
} conform_call;

conform_call conform_call_all(const conform_data *data);
/* Sequence n alone: the same tensors, the same strides, another start. */
conform_call conform_call_alone(const conform_data *data, int64_t n);

/* The host pointers of a call. */
rwkv6_tensors conform_tensors(const conform_data *data, const conform_call *call);
void conform_tensors_set(rwkv6_tensors *tensors, int id, void *pointer);

/* Rows of tensor `id` that belong to sequence n of the whole: [first, last). */
void conform_sequence_rows(const conform_data *data, rwkv6_tensor_id id, int64_t n, int64_t *first, int64_t *last);

/* Runs the reference, double or float, on the images and gives what it computed before any rounding to storage. */
void conform_reference(const conform_data *data, rwkv6_mode mode, bool use_double, conform_values *values);
void conform_values_destroy(conform_values *values);
/* The rows that the images hold now. */
void conform_values_read(const conform_data *data, conform_values *values);

/* A value of w for this key channel, whose decay is drawn from the distribution. */
double conform_draw_w(conform_random *random, conform_distribution distribution, rwkv6_decay form, int64_t channel);

bool conform_is_output(const conform_data *data, int id);

#endif
