/* SPDX-License-Identifier: MIT */
/*
 * How a program embeds rwkv6cl. A prompt runs in chunk mode; the tokens after it run one by one in recurrent mode, each from
 * the state that the one before left, updated in place. The outputs must be those of the whole sequence at once.
 *
 *     attention [DEVICE]     cpu, opencl, opencl:N or a part of a name; default: RWKV6_DEVICE, else the first GPU, else cpu
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rwkv6/rwkv6.h>

enum { PROMPT = 200, TOKENS = 232, HEADS = 4, DIM = 32, ROW = HEADS * DIM };

static float r[TOKENS * ROW], k[TOKENS * ROW], v[TOKENS * ROW], w[TOKENS * ROW], u[ROW]; /* [token][head][channel] */
static float whole[TOKENS * ROW], pieces[TOKENS * ROW], state[HEADS * DIM * DIM];        /* [head][key][value] */
static rwkv6_error error = RWKV6_ERROR_INIT;

static void check(rwkv6_status status) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s: %s\n", rwkv6_status_name(status), error.message);
  exit(1);
}

static void fill(float *x, size_t count, float low, float high) {
  for (size_t i = 0; i < count; i++) x[i] = low + (high - low) * (float)rand() / (float)RAND_MAX;
}

static rwkv6_plan *make_plan(rwkv6_device *device, int64_t tokens, rwkv6_mode mode, uint32_t states) {
  rwkv6_plan *plan;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, tokens, HEADS, DIM, DIM); /* one sequence */
  problem.optional = states;
  check(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, mode, &plan, &error));
  return plan;
}

static void run(rwkv6_plan *plan, size_t token, const float *initial_state, float *o, float *final_state) {
  const size_t at = token * ROW;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r + at, tensors.k = k + at, tensors.v = v + at, tensors.w = w + at, tensors.u = u, tensors.o = o + at;
  tensors.initial_state = initial_state, tensors.final_state = final_state;
  check(rwkv6_run(plan, &tensors, &error));
}

int main(int argc, char **argv) {
  rwkv6_device *device;
  check(rwkv6_device_open(argc > 1 ? argv[1] : NULL, NULL, &device, &error));
  rwkv6_plan *all = make_plan(device, TOKENS, RWKV6_MODE_RECURRENT, 0);
  rwkv6_plan *prompt = make_plan(device, PROMPT, RWKV6_MODE_CHUNK, RWKV6_FINAL_STATE);
  rwkv6_plan *next = make_plan(device, 1, RWKV6_MODE_RECURRENT, RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE);

  float *const inputs[] = {r, k, v};
  for (int i = 0; i < 3; i++) fill(inputs[i], TOKENS * ROW, -1, 1);
  fill(w, TOKENS * ROW, -4, 0); /* the logarithm of the decay factor */
  fill(u, ROW, -1, 1);
  run(all, 0, NULL, whole, NULL);
  run(prompt, 0, NULL, pieces, state);
  for (size_t t = PROMPT; t < TOKENS; t++) run(next, t, state, pieces, state);

  double distance = 0, norm = 0;
  for (size_t i = 0; i < TOKENS * ROW; i++) {
    distance += pow((double)pieces[i] - whole[i], 2);
    norm += pow(whole[i], 2);
  }
  const double difference = sqrt(distance / norm); /* each of the two is within 1e-5 of the exact answer */
  printf("%d tokens in chunk mode, then %d one by one, against all at once: %.1e\n", PROMPT, TOKENS - PROMPT, difference);
  rwkv6_plan_destroy(&all), rwkv6_plan_destroy(&prompt), rwkv6_plan_destroy(&next);
  rwkv6_device_close(&device);
  return difference <= 2e-5 ? 0 : 1;
}
