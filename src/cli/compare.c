/* SPDX-License-Identifier: MIT */
#include "cli/compare.h"

#include <math.h>

#include "cli/storage.h"
#include "conform/bars.h"

#define SMALLEST_NORM 0x1p-100

/* Sums of squares over a tensor. */
typedef struct sums {
  double difference; /* out - ref */
  double norm;       /* ref */
  double rounding;   /* ref rounded to storage - ref */
  bool all_zero;     /* of out */
} sums;

static void add(sums *total, double output, double reference, rwkv6_dtype dtype) {
  const double rounded = cli_storage_round(reference, dtype);
  if (output != 0.0) total->all_zero = false;
  if (isinf(rounded) && output == rounded) return;
  total->difference += (output - reference) * (output - reference);
  total->norm += reference * reference;
  if (!isinf(rounded)) total->rounding += (rounded - reference) * (rounded - reference);
}

static sums add_up(const float *output, cli_reference reference, int64_t count, rwkv6_dtype dtype) {
  sums total = {0.0, 0.0, 0.0, true};
  for (int64_t i = 0; i < count; ++i) {
    add(&total, (double)output[i], reference.computed ? reference.computed[i] : (double)reference.from_case[i], dtype);
  }
  return total;
}

/* rounding: what the exact answer loses in storage, relative; the fp32 bar is for the sums before it. */
static double allowed_error(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_arithmetic arithmetic, double rounding) {
  const double bar = conform_bar(problem, id, arithmetic);
  if (rwkv6_tensor_dtype(problem, id) == RWKV6_FP32) return bar;
  return fmax(bar, rounding * (1.0 + 1e-3) + conform_bar_fp32(problem, id));
}

cli_comparison cli_compare(const rwkv6_problem *problem, rwkv6_tensor_id id, rwkv6_arithmetic arithmetic, const float *output,
                           cli_reference reference) {
  const sums total = add_up(output, reference, rwkv6_tensor_elements(problem, id), rwkv6_tensor_dtype(problem, id));
  const double norm = sqrt(total.norm);
  const double divisor = norm > SMALLEST_NORM ? norm : SMALLEST_NORM;
  cli_comparison result;
  result.error = sqrt(total.difference) / divisor;
  result.allowed = allowed_error(problem, id, arithmetic, sqrt(total.rounding) / divisor);
  result.all_zero = total.all_zero && norm > SMALLEST_NORM;
  result.pass = !result.all_zero;
  if (!(result.error <= result.allowed)) result.pass = false; /* so that NaN fails */
  return result;
}
