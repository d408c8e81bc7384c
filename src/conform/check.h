/* SPDX-License-Identifier: MIT */
/* Everything that must hold of a variant on a case. */
#ifndef RWKV6_SRC_CONFORM_CHECK_H
#define RWKV6_SRC_CONFORM_CHECK_H

#include "conform/compare.h"
#include "conform/run.h"

/* A case with what its results are judged by, computed once for all variants. */
typedef struct conform_trial {
  conform_data data; /* first: the struct points into itself, do not copy */
  conform_terms terms;
  conform_values expected;
} conform_trial;

void conform_trial_create(conform_trial *trial, const conform_case *test, rwkv6_operation operation);
void conform_trial_destroy(conform_trial *trial);

/* What is checked in addition to values, guards and gaps, unwritten elements and inputs: bits of conform_checks. */
typedef enum conform_check_set {
  CONFORM_CHECK_AGAIN = 1,      /* a second run gives the same bits */
  CONFORM_CHECK_ALONE = 2,      /* so does a sequence alone instead of in a batch */
  CONFORM_CHECK_IN_PLACE = 4,   /* so does final_state in the memory of initial_state */
  CONFORM_CHECK_LAUNCHES = 8,   /* so does work split over many launches */
  CONFORM_CHECK_SEQUENCES = 16, /* so do sequences in another order */
  CONFORM_CHECK_HEADS = 32,     /* so do heads in another order */
  CONFORM_CHECK_FLIP = 64,      /* so does the flipped sequence in the other direction */
  CONFORM_CHECK_DOUBLE = 128,   /* v and initial_state times 2: o, dr, ... times 2 */
  CONFORM_CHECK_SUM = 256,      /* linear: v alone and initial_state alone (backward: do and dfinal_state) add up */
  CONFORM_CHECK_SPLIT = 512,    /* a sequence in two calls is the sequence in one */
  CONFORM_CHECK_POOL = 1024,    /* states in a pool: the same bits, and nothing else touched */
  CONFORM_CHECK_FULL = 2048,    /* relaxed precision: the bits of full precision but where the variant makes use of it */
  CONFORM_CHECK_ALL = 4095
} conform_check_set;

/* The checks that a case gets where not all are asked for: again and the memory checks, and some of the others by its seed;
 * none under a simulator. */
unsigned conform_checks_of(const rwkv6_device_info *info, const conform_case *test);

/*
 * Runs the operation of subject->variant and judges it. `first` (may be NULL) receives the outputs of the first run, which it
 * made also where a later check failed; destroy them. False and the reason in `message`.
 */
bool conform_check(const conform_subject *subject, conform_trial *trial, unsigned checks, conform_values *first,
                   conform_message *message);

/*
 * The outputs of two variants agree: chunk = recurrent. Each may be off by its own tolerance, and the two errors know nothing
 * of each other: together they are the root of the sum of squares, which two that are off in opposite directions exceed.
 */
typedef struct conform_outcome {
  const rwkv6_variant *variant;
  conform_values values;
} conform_outcome;

bool conform_check_agree(const conform_trial *trial, const conform_outcome *one, const conform_outcome *other,
                         conform_message *message);

/* A trial of its own for one case. */
bool conform_check_case(const conform_subject *subject, const conform_case *test, unsigned checks, conform_message *message);

/* "chunk_forward, variant portable, on opencl:0 (...)", and the command that checks the case again. */
void conform_describe(const conform_subject *subject, const conform_case *test, char *text, size_t size);

/* "rwkv6 conform --device opencl:0 --operation chunk_forward --variant portable --case ..." */
void conform_command(const conform_subject *subject, const conform_case *test, char *text, size_t size);

/* The parts that check.c and metamorphic.c share: one run over data, and the checks of data made from other data. */
typedef struct conform_context {
  const conform_subject *subject;
  conform_trial *trial;
  const conform_values *first; /* outputs of the first run over the trial's data */
} conform_context;

bool conform_run_call(const conform_subject *subject, conform_data *data, const rwkv6_problem *problem,
                      const conform_call *call, conform_message *message);
/* All of `data`, its outputs poisoned before, or kept as they are. */
bool conform_run_all(const conform_subject *subject, conform_data *data, conform_message *message);
bool conform_run_kept(const conform_subject *subject, conform_data *data, conform_message *message);

bool conform_check_sequences(const conform_context *context, conform_message *message);
bool conform_check_heads(const conform_context *context, conform_message *message);
bool conform_check_flip(const conform_context *context, conform_message *message);
bool conform_check_double(const conform_context *context, conform_message *message);
bool conform_check_sum(const conform_context *context, conform_message *message);
bool conform_check_split(const conform_context *context, conform_message *message);
bool conform_check_pool(const conform_context *context, conform_message *message);
/* Whether the rows of o of sequences with a slot have the bits expected, and those of the others are unwritten. */
bool conform_check_pool_outputs(const conform_data *data, const int32_t *slots, const conform_values *expected,
                                conform_message *message);

#endif
