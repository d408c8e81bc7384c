/* SPDX-License-Identifier: MIT */
/*
 * The scalar recurrent forward against the loop that comes to mind first: token by token, in each token all heads, the value
 * channel innermost. Both on one thread, built alike, timed in turns in one run. Exit status 1 if ours is slower, by the
 * median over pairs of neighbouring runs, or the outputs differ.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reference/reference.h"

enum { HEADS = 32, DIM = 64, MOST_TOKENS = 4096, MOST_ROUNDS = 41 };

typedef struct data {
  float *r, *k, *v, *d; /* [tokens][HEADS][DIM]; d: decay factors */
  float *u;             /* [HEADS][DIM] */
  float *o, *loop_o;    /* [tokens][HEADS][DIM] */
  float *state;         /* [HEADS][DIM][DIM], of the loop */
  void *workspace;
} data;

/* Processor time in seconds: other programs on the machine disturb it least. */
static double now(void) {
  return (double)clock() / CLOCKS_PER_SEC;
}

/* One token of one head. S: [DIM][DIM]. */
static void loop_head(float *restrict o, float *restrict S, const float *restrict r, const float *restrict k,
                      const float *restrict v, const float *restrict d, const float *restrict u) {
  for (int c = 0; c < DIM; ++c) o[c] = 0;
  for (int row = 0; row < DIM; ++row) {
    float *restrict s = S + row * DIM;
    for (int c = 0; c < DIM; ++c) {
      const float kv = k[row] * v[c];
      const float seen = kv * u[row] + s[c];
      o[c] += seen * r[row];
      s[c] = s[c] * d[row] + kv;
    }
  }
}

static void run_loop(const data *x, int64_t tokens) {
  memset(x->state, 0, HEADS * DIM * DIM * sizeof(float));
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < HEADS; ++h) {
      const int64_t at = (t * HEADS + h) * DIM;
      loop_head(x->loop_o + at, x->state + h * DIM * DIM, x->r + at, x->k + at, x->v + at, x->d + at, x->u + h * DIM);
    }
  }
}

static void run_ours(const data *x, const rwkv6_problem *problem) {
  rwkv6_reference_call call;
  memset(&call, 0, sizeof call);
  call.problem = problem;
  call.workspace = x->workspace;
  const rwkv6_view rows = {NULL, RWKV6_FP32, HEADS * DIM, DIM};
  const rwkv6_tensor_id ids[] = {RWKV6_TENSOR_R, RWKV6_TENSOR_K, RWKV6_TENSOR_V,
                                 RWKV6_TENSOR_W, RWKV6_TENSOR_U, RWKV6_TENSOR_O};
  float *const pointers[] = {x->r, x->k, x->v, x->d, x->u, x->o};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; ++i) {
    call.view[ids[i]] = rows;
    call.view[ids[i]].data = pointers[i];
  }
  rwkv6_recurrent_forward_float(&call);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  return values[count / 2];
}

/* ||o - loop_o|| / ||loop_o|| */
static double difference(const data *x, int64_t tokens) {
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < tokens * HEADS * DIM; ++i) {
    distance += pow((double)x->o[i] - (double)x->loop_o[i], 2);
    norm += pow((double)x->loop_o[i], 2);
  }
  return sqrt(distance / norm);
}

/* Times both for a number of tokens; returns 0 if ours is no slower and the outputs agree. */
static int compare(const data *x, rwkv6_problem *problem, int64_t tokens) {
  const int rounds = tokens > 1024 ? 9 : MOST_ROUNDS;
  double ours[MOST_ROUNDS], loop[MOST_ROUNDS], gain[MOST_ROUNDS];
  problem->tokens = tokens;
  for (int i = 0; i < rounds; ++i) {
    const double start = now();
    run_ours(x, problem);
    const double middle = now();
    run_loop(x, tokens);
    ours[i] = middle - start;
    loop[i] = now() - middle;
    gain[i] = loop[i] / ours[i];
  }
  const double unit = 1e9 / (double)(tokens * HEADS);
  const double ours_ns = median(ours, rounds) * unit, loop_ns = median(loop, rounds) * unit;
  const double differs = difference(x, tokens), times_as_fast = median(gain, rounds);
  const int failed = !(times_as_fast >= 1) || !(differs <= 1e-5);
  printf("tokens %5lld: ours %7.1f, token loop %7.1f ns per token and head; %.2f times as fast; outputs differ by %.1e%s\n",
         (long long)tokens, ours_ns, loop_ns, times_as_fast, differs, failed ? "  FAIL" : "");
  return failed;
}

static float *random_array(int64_t size, float low, float high) {
  static uint32_t seed = 1;
  float *array = malloc((size_t)size * sizeof(float));
  if (!array) exit(2);
  for (int64_t i = 0; i < size; ++i) {
    seed = seed * 1664525u + 1013904223u;
    array[i] = low + (high - low) * (float)(seed >> 8) / 16777216.0f;
  }
  return array;
}

static rwkv6_problem make_problem(void) {
  rwkv6_problem problem;
  memset(&problem, 0, sizeof problem);
  problem.sequences = 1;
  problem.tokens = MOST_TOKENS;
  problem.heads = HEADS;
  problem.key_dim = problem.value_dim = DIM;
  problem.decay = RWKV6_DECAY_FACTOR;
  problem.scale = 1;
  return problem;
}

int main(void) {
  const int64_t size = (int64_t)MOST_TOKENS * HEADS * DIM;
  rwkv6_problem problem = make_problem();
  data x;
  x.r = random_array(size, -1, 1);
  x.k = random_array(size, -1, 1);
  x.v = random_array(size, -1, 1);
  x.d = random_array(size, 0.5f, 1);
  x.u = random_array(HEADS * DIM, -1, 1);
  x.o = random_array(size, 0, 0);
  x.loop_o = random_array(size, 0, 0);
  x.state = random_array(HEADS * DIM * DIM, 0, 0);
  x.workspace = aligned_alloc(64, rwkv6_recurrent_forward_workspace_float(&problem));
  if (!x.workspace) return 2;
  int failed = compare(&x, &problem, 512);
  failed |= compare(&x, &problem, MOST_TOKENS);
  void *const all[] = {x.r, x.k, x.v, x.d, x.u, x.o, x.loop_o, x.state, x.workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) free(all[i]);
  return failed;
}
