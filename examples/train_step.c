/* SPDX-License-Identifier: MIT */
/*
 * A training step: forward, a loss, backward, an update. The decay (one raw w for each head and channel) and the bonus u of a
 * layer are learned from what a teacher with other ones puts out. The loss has to fall to a thousandth.
 *
 *     train_step [DEVICE]     cpu, opencl, opencl:N or a part of a name; default: RWKV6_DEVICE, else the first GPU, else cpu
 *
 * In recurrent mode, whose kernels compile in half the time: seconds where the device is a CPU, and only in the first run, as
 * later ones find them in the program cache. For long sequences RWKV6_MODE_AUTO is the one to take.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rwkv6/rwkv6.h>

enum { SEQUENCES = 2, TOKENS = 96, HEADS = 2, DIM = 32, ROW = HEADS * DIM, ALL = SEQUENCES * TOKENS * ROW, STEPS = 150 };

/* What is learned: [head][channel]. `slope` and `square` are Adam's running means of the gradient and of its square. */
typedef struct parameter {
  float value[ROW], gradient[ROW], slope[ROW], square[ROW];
} parameter;

static float r[ALL], k[ALL], v[ALL], w[ALL];               /* inputs, [token][head][channel] */
static float o[ALL], target[ALL];                          /* what the layer puts out, and what it should */
static float do_[ALL], dr[ALL], dk[ALL], dv[ALL], dw[ALL]; /* gradients of o and of the inputs */
static parameter decay, bonus;
static rwkv6_error error = RWKV6_ERROR_INIT;

static void check(rwkv6_status status) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s: %s\n", rwkv6_status_name(status), error.message);
  exit(1);
}

static void fill(float *x, int count, float low, float high) {
  for (int i = 0; i < count; i++) x[i] = low + (high - low) * (float)rand() / (float)RAND_MAX;
}

static void forward(rwkv6_plan *plan, float *out) {
  for (int i = 0; i < ALL; i++) w[i] = decay.value[i % ROW]; /* every token has the same decay */
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = bonus.value, tensors.o = out;
  check(rwkv6_run(plan, &tensors, &error));
}

/* Mean of (o - target)^2, and its gradient by o. */
static double loss(void) {
  double sum = 0;
  for (int i = 0; i < ALL; i++) {
    const float difference = o[i] - target[i];
    sum += (double)difference * difference;
    do_[i] = 2 * difference / ALL;
  }
  return sum / ALL;
}

static void backward(rwkv6_plan *plan) {
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = bonus.value, tensors.do_ = do_;
  tensors.dr = dr, tensors.dk = dk, tensors.dv = dv, tensors.dw = dw, tensors.du = bonus.gradient;
  check(rwkv6_run(plan, &tensors, &error));
  for (int c = 0; c < ROW; c++) decay.gradient[c] = 0;
  for (int i = 0; i < ALL; i++) decay.gradient[i % ROW] += dw[i]; /* dw has the form of w: raw */
}

static void update(parameter *p, int step) {
  const double rate = 0.1 * (1 - (double)step / (STEPS + 1));
  for (int c = 0; c < ROW; c++) {
    const float g = p->gradient[c];
    p->slope[c] += 0.1f * (g - p->slope[c]);
    p->square[c] += 0.01f * (g * g - p->square[c]);
    const double slope = p->slope[c] / (1 - pow(0.9, step)), square = p->square[c] / (1 - pow(0.99, step));
    p->value[c] -= (float)(rate * slope / (sqrt(square) + 1e-12));
  }
}

int main(int argc, char **argv) {
  rwkv6_device *device;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  check(rwkv6_device_open(argc > 1 ? argv[1] : NULL, NULL, &device, &error));
  check(rwkv6_device_get_info(device, &info, &error));
  printf("device %s: %s\n", info.id, info.name);

  rwkv6_problem problem;
  rwkv6_plan *forth, *back;
  rwkv6_problem_init(&problem, sizeof problem, SEQUENCES, SEQUENCES * TOKENS, HEADS, DIM, DIM);
  problem.decay = RWKV6_DECAY_RAW;
  check(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &forth, &error));
  check(rwkv6_plan_create(device, &problem, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, &back, &error));

  fill(r, ALL, -1, 1), fill(k, ALL, -1, 1), fill(v, ALL, -1, 1);
  fill(decay.value, ROW, -3, 0), fill(bonus.value, ROW, -1, 1);
  forward(forth, target); /* the teacher */
  for (int c = 0; c < ROW; c++) decay.value[c] = -1.5f, bonus.value[c] = 0;

  double first = 0, last = 0;
  for (int step = 0; step <= STEPS; step++) {
    forward(forth, o);
    last = loss();
    if (step == 0) first = last;
    if (step % 25 == 0) printf("step %3d: loss %.3e\n", step, last);
    backward(back);
    update(&decay, step + 1);
    update(&bonus, step + 1);
  }
  rwkv6_plan_destroy(&forth);
  rwkv6_plan_destroy(&back);
  rwkv6_device_close(&device);
  const int learned = last < 1e-3 * first;
  printf("loss %.3e -> %.3e: %s\n", first, last, learned ? "ok" : "WRONG");
  return learned ? 0 : 1;
}
