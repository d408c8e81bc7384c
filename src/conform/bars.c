/* SPDX-License-Identifier: MIT */
/* The only place with numbers in it; docs/numerics.md says where they come from. */
#include "conform/bars.h"

#include <math.h>

#include "problem.h"

#define FP32_OUTPUT 1e-5    /* o and states */
#define FP32_GRADIENT 5e-5  /* every gradient that is stored in fp32 */
#define BF16_STORED 1.75e-3 /* rounding the exact answer alone costs 1.66e-3 */
#define FP16_STORED 2.5e-4  /* 2.1e-4 */
#define BF16_RELAXED 2.4e-3 /* two errors of 1.66e-3 are 2.35e-3 */
#define LONGEST 65536.0     /* tokens; sums of longer sequences may lose more, with the square root of their length */

static double growth(const rwkv6_problem *problem) {
  const double longest = (double)rwkv6_problem_longest(problem);
  return longest > LONGEST ? sqrt(longest / LONGEST) : 1.0;
}

double conform_bar_fp32(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  const bool gradient = rwkv6_tensor_table[id].in_backward;
  return (gradient ? FP32_GRADIENT : FP32_OUTPUT) * growth(problem);
}

/* Variants that round the operands of matrix units: [dtype is bf16][state, o, gradient]. */
static double matrix_bar(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  static const double bars[2][3] = {{3e-4, 6e-4, 8e-4}, {1.2e-3, 2e-3, 2.4e-3}};
  const int kind = id == RWKV6_TENSOR_FINAL_STATE ? 0 : id == RWKV6_TENSOR_O ? 1 : 2;
  return bars[problem->dtype == RWKV6_BF16][kind] * growth(problem);
}

/*
 * A rounding of A moves a whole row of o, and half of the bar's square is its. With few rows, the mean of the squares of these
 * errors, each weighted with the square of its row, is off by 1.8 / sqrt(rows) as a root mean square (docs/numerics.md), and
 * most often downward: five times that is allowed for.
 */
static double few_rows(const rwkv6_problem *problem) {
  const double rows = (double)problem->tokens * (double)problem->heads;
  return rows > 0 ? sqrt(1 + 5 * 1.8 / 2 / sqrt(rows)) : 1;
}

double conform_bar(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_arithmetic arithmetic) {
  if (id == RWKV6_TENSOR_O && rwkv6_rounds_A(problem, arithmetic)) return BF16_RELAXED * few_rows(problem) * growth(problem);
  if (arithmetic != RWKV6_ARITHMETIC_FP32 && problem->dtype != RWKV6_FP32) return matrix_bar(problem, id);
  switch (rwkv6_tensor_dtype(problem, id)) {
  case RWKV6_FP16: return FP16_STORED * growth(problem);
  case RWKV6_BF16: return BF16_STORED * growth(problem);
  default: return conform_bar_fp32(problem, id);
  }
}
