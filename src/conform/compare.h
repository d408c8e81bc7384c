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

/* Passes if error <= tolerance; NaN fails, and so does a tensor of zeros where the expected norm is above 2^-100 (unless zeros
 * are what rounding to `dtype` leaves of the expected values). */
bool conform_compare(const char *name, rwkv6_dtype dtype, const double *got, const double *expected, int64_t elements,
                     int64_t channels, double tolerance, conform_message *message);

/* Guards, gaps, inputs and unwritten elements of all images. `n` is the sequence that was computed, or -1 for all. */
bool conform_check_images(const conform_data *data, int64_t n, conform_message *message);
/* All outputs within the derived tolerance. */
bool conform_check_values(const conform_data *data, const conform_terms *terms, const conform_values *expected,
                          conform_message *message);
/* Same bits as in `before`: rows of sequence n, or of all if n is -1. `what` names the comparison. */
bool conform_check_bits(const conform_data *data, const conform_values *before, int64_t n, const char *what,
                        conform_message *message);

/* Largest error / tolerance seen by conform_compare in this process, for each tensor and dtype, printed as a small table. */
void conform_print_ratios(void);

#endif
