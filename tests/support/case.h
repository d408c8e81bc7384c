/* SPDX-License-Identifier: MIT */
/* What a test computes: shape, types, decays, strides and seed. Written and read as one line of text, for reproduction. */
#ifndef RWKV6_TESTS_SUPPORT_CASE_H
#define RWKV6_TESTS_SUPPORT_CASE_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

/* How the log of the decay factor is distributed, whatever the form in which it is handed over. */
typedef enum test_distribution {
  TEST_ORDINARY, /* log of a sigmoid, mean -0.8: what trained models have */
  TEST_WEAK,     /* about -1e-5: a memory as long as the sequence */
  TEST_STRONG,   /* from ordinary to -2500 */
  TEST_MINUS_8,
  TEST_MINUS_12,
  TEST_MINUS_20,
  TEST_SPIKES,   /* ordinary, 2 % at -20000 */
  TEST_RESETS,   /* ordinary, 5 % at -inf: the state is forgotten exactly */
  TEST_NONE,     /* 0: nothing is ever forgotten */
  TEST_DENORMAL, /* products of two decays are denormal in fp32 */
  TEST_DISTRIBUTIONS
} test_distribution;

typedef enum test_strides {
  TEST_PACKED,
  TEST_PADDED,      /* odd gaps between heads and between tokens, different for each tensor */
  TEST_FUSED,       /* rows as they come out of one fused projection */
  TEST_HEADS_FIRST, /* [heads, tokens, channels] */
  TEST_STRIDES
} test_strides;

#define TEST_MAX_SEQUENCES 32

typedef struct test_case {
  int64_t sequences;
  int64_t length; /* tokens of each sequence; ragged: of the longest */
  bool ragged;    /* lengths from 0 to `length`, at least one of them 0 if there are two or more sequences */
  int64_t heads;
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
  test_distribution distribution;
  test_strides strides;
  bool reverse;
  uint32_t optional;
  double scale; /* 0: key_dim^(-1/2) */
  int64_t chunk_length, segment_length;
  uint64_t seed;
} test_case;

#define TEST_ALL_OPTIONAL (RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE)

/* One sequence, one head, fp32, log, ordinary, packed, every optional tensor, never split into segments. */
test_case test_case_make(int64_t length, int32_t key_dim, int32_t value_dim);

#define TEST_CASE_TEXT 320

/* "n=5 t=65 ragged=1 h=2 k=33 v=60 ..." into `text`, which it returns. */
const char *test_case_format(const test_case *test, char text[TEST_CASE_TEXT]);
/* Reads such a line; what it does not name stays as it is. False and the offending word in `wrong` if it cannot. */
bool test_case_parse(const char *text, test_case *test, char wrong[64]);

const char *test_decay_name(rwkv6_decay decay);

#endif
