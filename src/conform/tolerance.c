/* SPDX-License-Identifier: MIT */
#include "conform/tolerance.h"

#include <math.h>

#include "conform/bars.h"

/* Unit roundoff of fp32. */
#define U 0x1p-24

/* Largest error of exp in OpenCL, 3 ulp, in units of U: an ulp is at most 2 U. */
#define EXP_ERROR 6.0

/*
 * One rounding of an operand to tf32, in units of U: up to 2^-11 of it, over sqrt(3). In fp32 problems an operand is two such
 * numbers, so that up to 2^-22 is left over.
 */
#define TF32_ERROR (0x1p13 / 1.7320508)
#define TF32_PAIR_ERROR (0x1p2 / 1.7320508)

/*
 * A product of operands that are two numbers in bf16 each: up to 2^-17 of both is left over, and the product of the lower
 * numbers, up to 2^-16, is left out. The root of the sum of these squares is 2^-17 sqrt(6), over sqrt(3).
 */
#define BF16_PAIRS_ERROR (0x1p7 * 1.4142136)

/* One rounding of an operand to bf16: up to 2^-8 of it, over sqrt(3). */
#define BF16_ERROR (0x1p16 / 1.7320508)

/* Roundings outside of the sums: products, scale, u, the last store. */
#define FIXED_ROUNDINGS 4.0

/* The terms are root mean squares of random errors; a case may be less lucky than the mean. */
#define SAFETY 2.0

/* A statistical bar holds for tensors with this many elements. */
#define BAR_ELEMENTS 1024

typedef struct decay_of {
  double factor; /* as used: exp(w), ... */
  double log;    /* its log, -inf included */
} decay_of;

static decay_of read_decay(const conform_data *data, int64_t row, int64_t channel) {
  const double w =
      conform_image_read(&data->image[RWKV6_TENSOR_W], conform_row_offset(&data->resolved, RWKV6_TENSOR_W, row) + channel);
  decay_of decay = {w, log(w)};
  if (data->test.decay == RWKV6_DECAY_LOG) decay.log = w;
  if (data->test.decay == RWKV6_DECAY_RAW) decay.log = -exp(w);
  decay.factor = exp(decay.log);
  return decay;
}

/* sqrt(sum (weight * x)^2 / sum weight^2) with weight = factor * x, the size of a gradient in raw form, and x = -log factor,
 * the relative error of the factor per relative error of x. */
typedef struct weighted {
  double sum, weights;
} weighted;

static void add_weighted(weighted *total, decay_of decay, bool times_log) {
  if (decay.factor == 0) return;
  const double x = -decay.log;
  const double weight = times_log ? decay.factor * x : decay.factor;
  total->sum += weight * x * weight * x;
  total->weights += weight * weight;
}

static double weighted_mean(weighted total) {
  return total.weights > 0 ? sqrt(total.sum / total.weights) : 0;
}

static void walk_channel(const conform_data *data, int64_t n, int64_t head, int64_t channel, conform_terms *terms,
                         weighted *all, weighted *first) {
  const int64_t heads = data->resolved.heads;
  const int64_t begin = data->cu_seqlens[n], end = data->cu_seqlens[n + 1];
  double memory = 0;
  for (int64_t i = begin; i < end; i++) {
    const int64_t t = data->resolved.reverse ? end - 1 - (i - begin) : i;
    const decay_of decay = read_decay(data, t * heads + head, channel);
    memory = 1 + decay.factor * memory;
    if (memory > terms->memory) terms->memory = memory;
    add_weighted(all, decay, true);
    if (i == begin) add_weighted(first, decay, false);
  }
}

conform_terms conform_terms_of(const conform_data *data) {
  conform_terms terms = {.memory = 1};
  weighted all = {0, 0}, first = {0, 0};
  for (int64_t n = 0; n < data->resolved.sequences; n++)
    for (int64_t head = 0; head < data->resolved.heads; head++)
      for (int64_t channel = 0; channel < data->resolved.key_dim; channel++)
        walk_channel(data, n, head, channel, &terms, &all, &first);
  if (data->test.decay == RWKV6_DECAY_RAW) {
    terms.sensitivity = weighted_mean(all);
    terms.first = weighted_mean(first);
  }
  conform_conditions(data, &terms);
  return terms;
}

/* A sum of n random terms, one after the other. */
static double sum_of(double n) {
  return sqrt(n / 6);
}

/* A state or its gradient: `memory` additions, and as many factors that are each off by a random part of EXP_ERROR. */
static double state_error(const conform_data *data, const conform_terms *terms) {
  /* raw: exp(-exp(w)); a factor d moves by d * |log d| <= 1/e for each relative error of the inner exp */
  const double factor = data->test.decay == RWKV6_DECAY_FACTOR ? 1
                        : data->test.decay == RWKV6_DECAY_RAW  ? 1.37 * EXP_ERROR
                                                               : EXP_ERROR;
  return sum_of(terms->memory) + (1 + factor / sqrt(3)) * sqrt(terms->memory / 2);
}

/*
 * How many rounded operands a term of this tensor is made from: k^ for a state; that state or A, made of two, and r~ for o and
 * dv. Of the other gradients only the states they begin with are made in matrix units, two of them for dw.
 */
static double rounded_operands(rwkv6_tensor_id id) {
  switch (id) {
  case RWKV6_TENSOR_O:
  case RWKV6_TENSOR_DV: return 3;
  case RWKV6_TENSOR_DW: return 2;
  default: return 1;
  }
}

static double operand_error(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id) {
  const double rounded = rounded_operands(id);
  if (terms->arithmetic == RWKV6_ARITHMETIC_FP32) return 0;
  if (id == RWKV6_TENSOR_O && rwkv6_rounds_A(&data->resolved, terms->arithmetic))
    return hypot(sqrt(rounded) * TF32_ERROR, BF16_ERROR);
  if (data->resolved.dtype != RWKV6_FP32) return sqrt(rounded) * TF32_ERROR;
  if (terms->arithmetic == RWKV6_ARITHMETIC_TF32) return sqrt(rounded) * TF32_PAIR_ERROR;
  return sqrt(id == RWKV6_TENSOR_FINAL_STATE ? 1 : 2) * BF16_PAIRS_ERROR; /* o: r~ S, or A v, of what has one already */
}

double conform_sum_error(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id) {
  const double key = data->resolved.key_dim, value = data->resolved.value_dim;
  const double tokens = (double)data->resolved.tokens;
  const double state = state_error(data, terms);
  double error = FIXED_ROUNDINGS;
  switch (id) {
  case RWKV6_TENSOR_O:
  case RWKV6_TENSOR_DV: error += state + sum_of(key); break;
  case RWKV6_TENSOR_DR:
  case RWKV6_TENSOR_DK: error += state + sum_of(value); break;
  case RWKV6_TENSOR_DW: error += 2 * state + sum_of(value) + (1 + terms->sensitivity) * EXP_ERROR; break;
  case RWKV6_TENSOR_DU: error += sum_of(value) + sum_of(tokens); break;
  case RWKV6_TENSOR_DINITIAL_STATE: error += state + (1 + terms->first) * EXP_ERROR; break;
  default: error += state;
  }
  return SAFETY * U * (error + operand_error(data, terms, id));
}

double conform_unit_roundoff(rwkv6_dtype dtype) {
  if (dtype == RWKV6_BF16) return 0x1p-9;
  return dtype == RWKV6_FP16 ? 0x1p-12 : U;
}

/* bf16 and fp32: half of the least denormal number, or all of a number that the device flushes. */
double conform_least_step(rwkv6_dtype dtype) {
  return dtype == RWKV6_FP16 ? 0x1p-25 : 0x1p-126;
}

double conform_rounding_error(const double *exact, int64_t elements, rwkv6_dtype dtype) {
  double sum = 0, norm = 0;
  for (int64_t i = 0; i < elements; i++) {
    const double off = conform_round(exact[i], dtype) - exact[i];
    sum += off * off;
    norm += exact[i] * exact[i];
  }
  return norm > 0 ? sqrt(sum) / fmax(sqrt(norm), 0x1p-100) : 0;
}

/* How much smaller than its terms the result is; 1 if it is not. */
static double cancellation(const conform_terms *terms, rwkv6_tensor_id id, const double *exact, int64_t elements) {
  double norm = 0;
  for (int64_t i = 0; i < elements; i++) norm += exact[i] * exact[i];
  return norm > 0 ? fmax(1, terms->expected_norm[id] / sqrt(norm)) : 1;
}

double conform_sum_tolerance(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id, const double *exact) {
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, id);
  return conform_sum_error(data, terms, id) * cancellation(terms, id, exact, elements);
}

double conform_tolerance(const conform_data *data, const conform_terms *terms, rwkv6_tensor_id id, const double *exact) {
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&data->resolved, id);
  const int64_t elements = rwkv6_tensor_elements(&data->resolved, id);
  const double bar = conform_bar(&data->resolved, id, terms->arithmetic);
  const double cancelled = cancellation(terms, id, exact, elements);
  const double sums = conform_sum_error(data, terms, id) * cancelled;
  /* All of a few elements may have cancelled. */
  if (dtype == RWKV6_FP32) return fmin(sums, elements < BAR_ELEMENTS ? bar * cancelled : bar);
  const double rounding = conform_rounding_error(exact, elements, dtype);
  const double tolerance = rounding + 2 * sums;
  /* A few elements can round worse than the mean, and gradients under the range of fp16 all do: no bar helps there. */
  return elements < BAR_ELEMENTS || rounding > bar ? tolerance : fmin(tolerance, bar);
}
