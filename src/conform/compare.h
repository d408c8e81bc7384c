/* SPDX-License-Identifier: MIT */
/* Judging the outputs of a run. Every function returns false and writes why into a message. */
#ifndef RWKV6_SRC_CONFORM_COMPARE_H
#define RWKV6_SRC_CONFORM_COMPARE_H

#include "conform/data.h"
#include "conform/tolerance.h"
#include "error.h"

typedef struct conform_message {
  char text[2048];
} conform_message;

RWKV6_PRINTF(2, 3)
bool conform_fail(conform_message *message, const char *format, ...);

/* ||got - expected|| / max(||expected||, 2^-100) and the element that contributes most. */
typedef struct conform_error {
  double error;
  double norm;   /* of expected */
  bool all_zero; /* got is 0 everywhere */
  int64_t worst; /* packed index */
} conform_error;

conform_error conform_measure(const double *got, const double *expected, int64_t elements);

/*
 * Output tensor `id` of a resolved problem, packed, stored as `dtype`. Passes if error <= tolerance; NaN fails, and so does a
 * tensor of zeros where the expected norm is above 2^-100 (unless zeros are what rounding to `dtype` leaves of the expected
 * values). The message names the worst element.
 */
bool conform_compare(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_dtype dtype, const double *got,
                     const double *expected, double tolerance, conform_message *message);

/* Guards, gaps, inputs and unwritten elements of all images. `n` is the sequence that was computed, or -1 for all. */
bool conform_check_images(const conform_data *data, int64_t n, conform_message *message);
/* All outputs within the derived tolerance. */
bool conform_check_values(const conform_data *data, const conform_terms *terms, const conform_values *expected,
                          conform_message *message);
/* Same bits as in `before`, of the tensors that it has: rows of sequence n, or of all if n is -1. `what` names the comparison.
 */
bool conform_check_bits(const conform_data *data, const conform_values *before, int64_t n, const char *what,
                        conform_message *message);

/* Largest error / tolerance seen by conform_compare since the process began or they were reset. */
double conform_worst_ratio(rwkv6_tensor_id id, rwkv6_dtype dtype);
void conform_reset_ratios(void);
/* All of them on one line. */
void conform_print_ratios(void);

#endif
