/* SPDX-License-Identifier: MIT */
/* What is timed, and what came of it. */
#ifndef RWKV6_SRC_CLI_BENCH_CASE_H
#define RWKV6_SRC_CLI_BENCH_CASE_H

#include "cli/bench/times.h"
#include "cli/compare.h"
#include "conform/case.h"

typedef struct bench_shape {
  int64_t sequences, length; /* length: tokens of each sequence; ragged: sequences * length tokens in all */
  int64_t heads;
  int32_t key_dim, value_dim;
  bool ragged;  /* lengths from 1 to 4 * length, as many sequences as that takes */
  bool states;  /* initial and final states, and their gradients, take part */
  bool reverse; /* time runs backward */
  bool padded;  /* strides as conform's CONFORM_PADDED */
} bench_shape;

typedef struct bench_case {
  bench_shape shape;
  rwkv6_operation operation;
  rwkv6_mode mode;
  const char *variant; /* NULL: the library chooses */
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
  conform_distribution distribution;
  rwkv6_precision precision;
  bool of_suite; /* if the device does not take it, that is only told */
} bench_case;

typedef enum bench_outcome {
  BENCH_PASSED,  /* timed, and every tensor that was checked is right */
  BENCH_WRONG,   /* timed, but an error is above its bar */
  BENCH_REFUSED, /* the library refuses it, or it does not fit the device's memory: nothing was timed */
  BENCH_FAILED   /* the device failed */
} bench_outcome;

typedef struct bench_result {
  bench_outcome outcome;
  rwkv6_error error; /* of a refusal or a failure */
  int64_t sequences; /* of a ragged batch these two are drawn */
  int64_t longest;
  rwkv6_mode mode;
  rwkv6_precision precision; /* that was computed with: full, unless the variant makes use of relaxed. Without a plan this and
                              * mode are as asked for */
  char variant[64];
  double plan;         /* seconds to make the plan */
  uint64_t workspace;  /* bytes */
  uint64_t extra;      /* workspace and every buffer that the library made for itself, bytes */
  uint64_t tensor;     /* tokens x heads x max(K, V) in dtype: the unit for the two above */
  uint64_t floor;      /* every tensor of the operation once, bytes */
  int64_t launches;    /* 0 on the CPU path */
  int64_t sets;        /* of tensors, used in turns */
  uint64_t footprint;  /* of all sets, bytes */
  bench_times device;  /* start of the first launch to the end of the last, by the device's clock; by the host's: of a call */
  double busy;         /* device's clock: launches alone, without what lies between them; median */
  double batch;        /* OpenCL: per run, of runs enqueued back to back, by the host's clock; median */
  double enqueue;      /* OpenCL: host time to enqueue one run on an idle queue; median */
  bench_times latency; /* OpenCL: from the call that enqueues, on an idle queue, to the return of clFinish */
  int64_t heads_checked;
  bool checked[RWKV6_TENSOR_COUNT];
  cli_comparison comparison[RWKV6_TENSOR_COUNT];
} bench_result;

/* "8,4096,32,64,64", with ",ragged", ",states", ",reverse" and ",padded" where they hold. */
#define BENCH_SHAPE_TEXT 128
const char *bench_shape_format(const bench_shape *shape, char text[BENCH_SHAPE_TEXT]);
/* The same, read; false if it is none. */
bool bench_shape_parse(const char *text, bench_shape *shape);

/* Whether both cases run the same compiled program. */
bool bench_case_same_program(const bench_case *a, const bench_case *b);

#endif
