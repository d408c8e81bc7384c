/* SPDX-License-Identifier: MIT */
/* What is computed: shape, types, decays, strides and seed. Written and read as one line of text, for reproduction. */
#ifndef RWKV6_SRC_CONFORM_CASE_H
#define RWKV6_SRC_CONFORM_CASE_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

/* How the log of the decay factor is distributed, whatever the form in which it is handed over. */
typedef enum conform_distribution {
  CONFORM_ORDINARY, /* log of a sigmoid, mean -0.8: what trained models have */
  CONFORM_WEAK,     /* about -1e-5: a memory as long as the sequence */
  CONFORM_STRONG,   /* from ordinary to -2500 */
  CONFORM_MINUS_5,
  CONFORM_MINUS_10,
  CONFORM_MINUS_12,
  CONFORM_MINUS_20,
  CONFORM_SPIKES,   /* ordinary, 2 % at -20000 */
  CONFORM_RESETS,   /* ordinary, 5 % at -inf: the state is forgotten exactly */
  CONFORM_NONE,     /* 0: nothing is ever forgotten */
  CONFORM_DENORMAL, /* products of two decays are denormal in fp32 */
  CONFORM_SLOW,     /* by channel from -1e-1 to -1e-4: what is left of a state after hundreds of tokens differs by channel */
  CONFORM_RARE,     /* slow, 0.02 % at -20000: what goes another way where a decay is strong takes turns with what does not */
  CONFORM_EDGE,     /* from -1.545 to -1.56: 16 tokens are just above e^-25, the least that variant hopper divides by */
  CONFORM_DISTRIBUTIONS
} conform_distribution;

typedef enum conform_strides {
  CONFORM_PACKED,
  CONFORM_PADDED,      /* odd gaps between heads and between tokens, different for each tensor */
  CONFORM_FUSED,       /* rows as they come out of one fused projection */
  CONFORM_HEADS_FIRST, /* [heads, tokens, channels] */
  CONFORM_STRIDES
} conform_strides;

#define CONFORM_MAX_SEQUENCES 32

typedef struct conform_case {
  int64_t sequences;
  int64_t length; /* tokens of each sequence; ragged: of the longest */
  bool ragged;    /* lengths from 0 to `length`, at least one of them 0 if there are two or more sequences */
  int64_t heads;
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
  conform_distribution distribution;
  conform_strides strides;
  bool reverse;
  uint32_t optional;
  double scale; /* 0: key_dim^(-1/2) */
  int64_t chunk_length, segment_length;
  rwkv6_precision precision;
  bool host;          /* host pointers on OpenCL devices too; else device buffers with guards and offsets of their own */
  int32_t work_group; /* largest that kernels are built for; 0: what each prefers */
  uint64_t seed;
} conform_case;

#define CONFORM_ALL_OPTIONAL (RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE)

/* One sequence, one head, fp32, log, ordinary, packed, every optional tensor, never split into segments. */
conform_case conform_case_make(int64_t length, int32_t key_dim, int32_t value_dim);

#define CONFORM_CASE_TEXT 384
#define CONFORM_COMMAND_TEXT 704 /* with the longest of folders that are likely, a list of variants and a case */

/* "n=5 t=65 ragged=1 h=2 k=33 v=60 ..." into `text`, which it returns. */
const char *conform_case_format(const conform_case *test, char text[CONFORM_CASE_TEXT]);
/* Reads such a line; what it does not name stays as it is. False and the offending word in `wrong` if it cannot. */
bool conform_case_parse(const char *text, conform_case *test, char wrong[64]);

/* Digits and nothing else, below 2^64. */
bool conform_seed_parse(const char *text, uint64_t *seed);

const char *conform_decay_name(rwkv6_decay decay);

#endif
