/* SPDX-License-Identifier: MIT */
/*
 * How a program embeds rwkv6cl. A prompt runs in chunk mode; the tokens after it run one by one in recurrent mode, each
 * from the state that the one before left, updated in place. The outputs must be those of the whole sequence at once.
 *
 *     attention [DEVICE]     cpu, opencl, opencl:N or a part of a name; default: RWKV6_DEVICE, else the first GPU, else cpu
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rwkv6/rwkv6.h>

enum { PROMPT = 200, TOKENS = 232, HEADS = 4, DIM = 64, ROW = HEADS * DIM };

static float r[TOKENS * ROW], k[TOKENS * ROW], v[TOKENS * ROW], w[TOKENS * ROW]; /* inputs, [token][head][channel] */
static float u[ROW];                                                             /* [head][channel] */
static float whole[TOKENS * ROW], pieces[TOKENS * ROW];                          /* outputs, [token][head][channel] */
static float whole_state[HEADS * DIM * DIM], state[HEADS * DIM * DIM];           /* [head][key][value] */
static rwkv6_error error = RWKV6_ERROR_INIT;

static void check(rwkv6_status status) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s: %s\n", rwkv6_status_name(status), error.message);
  exit(1);
}

static void fill(float *x, size_t count, float low, float high) {
  for (size_t i = 0; i < count; i++) x[i] = low + (high - low) * (float)rand() / (float)RAND_MAX;
}

/* For one sequence of `tokens`; `states` says whether it starts from a state and leaves one. */
static rwkv6_plan *make_plan(rwkv6_device *device, int64_t tokens, rwkv6_mode mode, uint32_t states) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, tokens, HEADS, DIM, DIM);
  problem.optional = states;
  rwkv6_plan *plan;
  check(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, mode, &plan, &error));
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  check(rwkv6_plan_get_info(plan, &info, &error));
  printf("%3d tokens: %s mode, variant %s\n", (int)tokens, info.mode == RWKV6_MODE_CHUNK ? "chunk" : "recurrent", info.variant);
  return plan;
}

static void run(rwkv6_plan *plan, size_t first_token, const float *initial_state, float *o, float *final_state) {
  const size_t first = first_token * ROW;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r + first;
  tensors.k = k + first;
  tensors.v = v + first;
  tensors.w = w + first;
  tensors.u = u;
  tensors.initial_state = initial_state;
  tensors.o = o + first;
  tensors.final_state = final_state;
  check(rwkv6_run(plan, &tensors, &error));
}

/* ||x - y|| / ||y|| */
static double difference(const float *x, const float *y, size_t count) {
  double distance = 0, norm = 0;
  for (size_t i = 0; i < count; i++) {
    distance += pow((double)x[i] - y[i], 2);
    norm += pow(y[i], 2);
  }
  return sqrt(distance / norm);
}

int main(int argc, char **argv) {
  fill(r, TOKENS * ROW, -1, 1);
  fill(k, TOKENS * ROW, -1, 1);
  fill(v, TOKENS * ROW, -1, 1);
  fill(u, ROW, -1, 1);
  fill(w, TOKENS * ROW, -4, 0); /* the logarithm of the decay factor */

  rwkv6_device *device;
  check(rwkv6_device_open(argc > 1 ? argv[1] : NULL, NULL, &device, &error));
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  check(rwkv6_device_get_info(device, &info, &error));
  printf("device %s: %s\n", info.id, info.name);

  rwkv6_plan *all = make_plan(device, TOKENS, RWKV6_MODE_RECURRENT, RWKV6_FINAL_STATE);
  rwkv6_plan *prompt = make_plan(device, PROMPT, RWKV6_MODE_CHUNK, RWKV6_FINAL_STATE);
  rwkv6_plan *next = make_plan(device, 1, RWKV6_MODE_RECURRENT, RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE);
  run(all, 0, NULL, whole, whole_state);
  run(prompt, 0, NULL, pieces, state);
  for (size_t t = PROMPT; t < TOKENS; t++) run(next, t, state, pieces, state);
  rwkv6_plan_destroy(&all);
  rwkv6_plan_destroy(&prompt);
  rwkv6_plan_destroy(&next);
  rwkv6_device_close(&device);

  const double outputs = difference(pieces, whole, TOKENS * ROW), states = difference(state, whole_state, HEADS * DIM * DIM);
  const int right = outputs <= 2e-5 && states <= 2e-5; /* each way is within 1e-5 of the exact answer */
  printf("in pieces against at once: o %.1e, final state %.1e: %s\n", outputs, states, right ? "ok" : "WRONG");
  return right ? 0 : 1;
}
