/* SPDX-License-Identifier: MIT */
/* Relative error of a tensor, and whether it passes. */
#ifndef RWKV6_SRC_CLI_COMPARE_H
#define RWKV6_SRC_CLI_COMPARE_H

#include "registry.h"

/* One of two: reference results of the case (float) or of the double reference. */
typedef struct cli_reference {
  const float *from_case;
  const double *computed;
} cli_reference;

typedef struct cli_comparison {
  double error;   /* ||out - ref|| / max(||ref||, 2^-100); NaN if there is a NaN in either */
  double allowed; /* at most this passes */
  bool all_zero;  /* the output is zero everywhere and the reference is not: fails */
  bool pass;
} cli_comparison;

/*
 * Compares an output tensor, widened to float, with its reference; both packed. `problem` is checked and says the storage type,
 * `arithmetic` is that of the variant.
 * The bar is lifted where rounding the exact answer to that type already costs more, as it can in a tensor of few elements.
 * Elements beyond the range of the storage type are right if they are the infinity that rounding gives.
 */
cli_comparison cli_compare(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_arithmetic arithmetic, const float *output,
                           cli_reference reference);

#endif
