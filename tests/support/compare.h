/* SPDX-License-Identifier: MIT */
/* Judging the outputs of a run. Every function returns false and writes why into a message. */
#ifndef RWKV6_TESTS_SUPPORT_COMPARE_H
#define RWKV6_TESTS_SUPPORT_COMPARE_H

#include "data.h"
#include "tolerance.h"

typedef struct test_message {
  char text[2048];
} test_message;

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
bool test_fail(test_message *message, const char *format, ...);

/* ||got - expected|| / max(||expected||, 2^-100) and the element that contributes most. */
typedef struct test_error {
  double error;
  double norm;   /* of expected */
  bool all_zero; /* got is 0 everywhere */
  int64_t worst; /* packed index */
} test_error;

test_error test_measure(const double *got, const double *expected, int64_t elements);

/* Passes if error <= tolerance; NaN fails, and so does a tensor of zeros where the expected norm is above 2^-100 (unless zeros
 * are what rounding to `dtype` leaves of the expected values). */
bool test_compare(const char *name, rwkv6_dtype dtype, const double *got, const double *expected, int64_t elements,
                  int64_t channels, double tolerance, test_message *message);

/* Guards, gaps, inputs and unwritten elements of all images. `n` is the sequence that was computed, or -1 for all. */
bool test_check_images(const test_data *data, int64_t n, test_message *message);
/* All outputs within the derived tolerance. */
bool test_check_values(const test_data *data, const test_terms *terms, const test_values *expected, test_message *message);
/* Same bits as in `before`: rows of sequence n, or of all if n is -1. `what` names the comparison. */
bool test_check_bits(const test_data *data, const test_values *before, int64_t n, const char *what, test_message *message);

/* Largest error / tolerance seen by test_compare in this process, for each tensor and dtype, printed as a small table. */
void test_print_ratios(void);

#endif
