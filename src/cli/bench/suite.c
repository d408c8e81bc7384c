/* SPDX-License-Identifier: MIT */
#include "cli/bench/suite.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

static rwkv6_status append(bench_cases *cases, const bench_case *added, rwkv6_error *error) {
  if (cases->count == cases->capacity) {
    const size_t capacity = cases->capacity ? 2 * cases->capacity : 64;
    bench_case *grown = realloc(cases->of, capacity * sizeof *grown);
    if (!grown) return rwkv6_fail_memory(error, capacity * sizeof *grown, "the list of cases");
    cases->of = grown;
    cases->capacity = capacity;
  }
  cases->of[cases->count++] = *added;
  return RWKV6_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- shapes */

/* With both operations, a form that is forward only is timed forward. */
static rwkv6_status add_shape(const bench_options *options, const bench_shape *shape, bench_cases *cases, rwkv6_error *error) {
  const rwkv6_operation first = options->has_operation ? options->operation : RWKV6_FORWARD;
  const bool forward_only = options->has_decay && options->decay == RWKV6_DECAY_FACTOR;
  const rwkv6_operation last = options->has_operation || forward_only ? first : RWKV6_BACKWARD;
  bench_case added = {.shape = *shape, .variant = options->variant, .precision = options->precision};
  added.dtype = options->has_dtype ? options->dtype : RWKV6_BF16;
  added.w_dtype = options->has_dtype ? options->w_dtype : RWKV6_BF16;
  added.decay = options->has_decay ? options->decay : RWKV6_DECAY_LOG;
  added.distribution = options->has_distribution ? options->distribution : CONFORM_ORDINARY;
  rwkv6_status status = RWKV6_OK;
  for (int operation = (int)first; operation <= (int)last && !status; ++operation) {
    added.operation = (rwkv6_operation)operation;
    added.mode = options->both_modes ? RWKV6_MODE_RECURRENT : options->has_mode ? options->mode : RWKV6_MODE_AUTO;
    status = append(cases, &added, error);
    added.mode = RWKV6_MODE_CHUNK;
    if (!status && options->both_modes) status = append(cases, &added, error);
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------------------------ suite */

#define EQUAL(n, t, h, dim)                                                                                                    \
  { n, t, h, dim, dim, false, false, false, false }
#define RAGGED(n, t, h, dim)                                                                                                   \
  { n, t, h, dim, dim, true, false, false, false }
#define DECODE(n, h, dim)                                                                                                      \
  { n, 1, h, dim, dim, false, true, false, false }
#define CHUNK RWKV6_MODE_CHUNK
#define RECURRENT RWKV6_MODE_RECURRENT
#define ROW(shape, mode, dtype, distribution)                                                                                  \
  { shape, RWKV6_FORWARD, mode, NULL, dtype, dtype, RWKV6_DECAY_LOG, distribution, RWKV6_PRECISION_FULL, true }

/* Training and prompts, both operations. Variant and decay form are the library's and log, precision is what is asked for. */
static const bench_case both_operations[] = {
    ROW(EQUAL(8, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(1, 32768, 32, 64), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(1, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(8, 4096, 32, 64), CHUNK, RWKV6_FP32, CONFORM_ORDINARY),
    ROW(EQUAL(4, 4096, 64, 128), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(1, 8192, 96, 128), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(RAGGED(8, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(8, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_STRONG),
    ROW(EQUAL(8, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_SPIKES),
    ROW(EQUAL(8, 4096, 32, 64), CHUNK, RWKV6_BF16, CONFORM_RESETS),
};

static const bench_case forward_only[] = {
    ROW(EQUAL(8, 4096, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(EQUAL(1, 4096, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(DECODE(1, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(DECODE(8, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(DECODE(64, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
    ROW(DECODE(256, 32, 64), RECURRENT, RWKV6_BF16, CONFORM_ORDINARY),
};

/* Whether the command line leaves this row of a suite. */
static bool wanted(const bench_options *options, const bench_case *row) {
  if (options->has_operation && options->operation != row->operation) return false;
  if (options->has_mode && options->mode != RWKV6_MODE_AUTO && options->mode != row->mode) return false;
  if (options->has_dtype && options->dtype != row->dtype) return false;
  if (options->has_distribution && options->distribution != row->distribution) return false;
  return !options->has_decay || options->decay == row->decay;
}

static bool same_shape(const bench_shape *a, const bench_shape *b) {
  return a->sequences == b->sequences && a->length == b->length && a->heads == b->heads && a->ragged == b->ragged &&
         a->states == b->states && a->reverse == b->reverse && a->padded == b->padded;
}

/* The rows of a suite and the points of its curves overlap. */
static bool known(const bench_cases *cases, const bench_case *row) {
  for (size_t i = 0; i < cases->count; ++i) {
    const bench_case *other = &cases->of[i];
    if (bench_case_same_program(other, row) && same_shape(&other->shape, &row->shape) &&
        other->distribution == row->distribution)
      return true;
  }
  return false;
}

static rwkv6_status add_row(const bench_options *options, const bench_case *row, rwkv6_operation operation, bench_cases *cases,
                            rwkv6_error *error) {
  bench_case added = *row;
  added.operation = operation;
  added.variant = options->variant;
  added.precision = options->precision;
  if (options->has_dtype) added.w_dtype = options->w_dtype; /* a row of another type is not wanted anyway */
  return wanted(options, &added) && !known(cases, &added) ? append(cases, &added, error) : RWKV6_OK;
}

static rwkv6_status add_short(const bench_options *options, bench_cases *cases, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int operation = RWKV6_FORWARD; operation <= RWKV6_BACKWARD; ++operation)
    for (size_t i = 0; i < sizeof both_operations / sizeof *both_operations && !status; ++i)
      status = add_row(options, &both_operations[i], (rwkv6_operation)operation, cases, error);
  for (size_t i = 0; i < sizeof forward_only / sizeof *forward_only && !status; ++i)
    status = add_row(options, &forward_only[i], RWKV6_FORWARD, cases, error);
  return status;
}

/* Chunk mode in bf16 with K = V = 64, both operations, for a curve. */
static rwkv6_status add_point(const bench_options *options, int64_t sequences, int64_t length, int64_t heads,
                              bench_cases *cases, rwkv6_error *error) {
  const bench_case row = {.shape = EQUAL(sequences, length, heads, 64),
                          .mode = CHUNK,
                          .dtype = RWKV6_BF16,
                          .w_dtype = RWKV6_BF16,
                          .of_suite = true};
  const rwkv6_status status = add_row(options, &row, RWKV6_FORWARD, cases, error);
  return status ? status : add_row(options, &row, RWKV6_BACKWARD, cases, error);
}

/* Of 4096 tokens; 32 heads of several sequences where that can be. */
static rwkv6_status add_heads(const bench_options *options, int64_t all, bench_cases *cases, rwkv6_error *error) {
  const int64_t heads = all % 32 ? all : 32;
  return add_point(options, all / heads, 4096, heads, cases, error);
}

/*
 * Over T at one sequence, powers of 2 and odd numbers beside them; over N x H at 4096 tokens likewise, and where a device of
 * 132 compute units has just begun another round of work-groups, with one or two of them to a unit.
 */
static rwkv6_status add_growth(const bench_options *options, bench_cases *cases, rwkv6_error *error) {
  static const int64_t odd_lengths[] = {127, 129, 1023, 4095, 4097, 16381, 32771};
  static const int64_t other_heads[] = {3, 7, 31, 33, 65, 89, 127, 129, 133, 257, 265, 320, 513, 529};
  rwkv6_status status = RWKV6_OK;
  for (int64_t length = 128; length <= 1048576 && !status; length *= 2)
    status = add_point(options, 1, length, 32, cases, error);
  for (size_t i = 0; i < sizeof odd_lengths / sizeof *odd_lengths && !status; ++i)
    status = add_point(options, 1, odd_lengths[i], 32, cases, error);
  for (int64_t all = 1; all <= 4096 && !status; all *= 2) status = add_heads(options, all, cases, error);
  for (size_t i = 0; i < sizeof other_heads / sizeof *other_heads && !status; ++i)
    status = add_heads(options, other_heads[i], cases, error);
  return status;
}

rwkv6_status bench_cases_make(const bench_options *options, bench_cases *cases, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  memset(cases, 0, sizeof *cases);
  for (size_t i = 0; i < options->shapes && !status; ++i) status = add_shape(options, &options->shape[i], cases, error);
  if (!status && options->suite != BENCH_SUITE_NONE) status = add_short(options, cases, error);
  if (!status && options->suite == BENCH_SUITE_FULL) status = add_growth(options, cases, error);
  return status;
}
