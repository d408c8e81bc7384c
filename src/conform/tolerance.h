/* SPDX-License-Identifier: MIT */
/* How far a result may be from the double reference: derived, not chosen. docs/numerics.md explains every term. */
#ifndef RWKV6_SRC_CONFORM_TOLERANCE_H
#define RWKV6_SRC_CONFORM_TOLERANCE_H

#include "conform/data.h"
#include "registry.h"

/* What the tolerance needs to know about the values of a case. */
typedef struct conform_terms {
  double memory;      /* how many tokens a state holds, at most: the largest m with m = 1 + d * m */
  double sensitivity; /* relative error of dw per relative error of exp(w), raw form; 0 in the other forms */
  double first;       /* the same for dinitial_state, which hangs on the first decay of each sequence */
  double expected_norm[RWKV6_TENSOR_COUNT]; /* of each output, were its terms of random sign */
  rwkv6_arithmetic arithmetic;              /* of the variant; fp32 unless somebody changes it */
} conform_terms;

conform_terms conform_terms_of(const conform_data *data);
/* Fills expected_norm (condition.c). */
void conform_conditions(const conform_data *data, conform_terms *terms);

/* Error that fp32 sums and exponentials may leave in this tensor, relative to expected_norm. */
double conform_sum_error(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id);

/* The same relative to the norm of the exact values: more where they cancel. */
double conform_sum_tolerance(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id, const double *exact);

/* Largest relative error of rounding a number in the range of `dtype`, and the largest absolute error of rounding a tiny one.
 */
double conform_unit_roundoff(rwkv6_dtype dtype);
double conform_least_step(rwkv6_dtype dtype);

/* Relative error of rounding the exact values to `dtype`. */
double conform_rounding_error(const double *exact, int64_t elements, rwkv6_dtype dtype);

/* The allowed relative error of tensor `id`, whose exact values are given. */
double conform_tolerance(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id, const double *exact);

#endif
