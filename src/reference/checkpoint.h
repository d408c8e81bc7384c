/* SPDX-License-Identifier: MIT */
/*
 * A backward sweep needs the states in reverse order, and they can only be computed forward. Keeping one per token would cost
 * K * V numbers a token; so the sequence is cut into steps (blocks or chunks of tokens), about sqrt(steps) steps make a leg,
 * and only the states where legs start are kept. Going back leg by leg, the states where the steps of one leg start are
 * rebuilt. Memory: 2 sqrt(steps) states. Work: each step is taken forward twice.
 */
#ifndef RWKV6_SRC_REFERENCE_CHECKPOINT_H
#define RWKV6_SRC_REFERENCE_CHECKPOINT_H

#include <string.h>

#include "reference/real.h"
#include "reference/scratch.h"

typedef struct checkpoints {
  void *work; /* handed to the two functions */
  /* Takes the state through a step, from the state before it to the state after it. */
  void (*advance)(void *work, int64_t step, real *state);
  /* Takes the gradients through a step, given the state before it, which it may overwrite. */
  void (*backward)(void *work, int64_t step, real *state);
  int64_t state_size;
  real *state;      /* [state_size] */
  real *leg_starts; /* [legs][state_size] */
  real *leg_states; /* [steps of a leg][state_size] */
} checkpoints;

/* Steps in a leg: the smallest number whose square is at least `steps`. At least 1. */
static inline int64_t checkpoint_leg(int64_t steps) {
  int64_t low = 1, high = INT64_C(3037000499); /* high * high still fits */
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (middle * middle >= steps)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* `steps`: of the longest sequence. Any shorter one needs less. */
static inline void checkpoints_lay_out(checkpoints *c, scratch *s, int64_t steps, int64_t state_size) {
  const int64_t leg = checkpoint_leg(steps);
  c->state_size = state_size;
  c->state = scratch_take(s, 1, state_size, sizeof(real));
  c->leg_starts = scratch_take(s, leg, state_size, sizeof(real));
  c->leg_states = scratch_take(s, leg, state_size, sizeof(real));
}

static inline void checkpoint_copy(const checkpoints *c, real *to, const real *from) {
  memcpy(to, from, (size_t)c->state_size * sizeof(real));
}

static inline void checkpoints_forward(const checkpoints *c, int64_t steps, int64_t leg) {
  for (int64_t start = 0; start < steps; start += leg) {
    checkpoint_copy(c, c->leg_starts + start / leg * c->state_size, c->state);
    if (start + leg >= steps) break; /* nothing comes after the last leg */
    for (int64_t step = start; step < start + leg; ++step) c->advance(c->work, step, c->state);
  }
}

static inline void checkpoints_leg_backward(const checkpoints *c, int64_t start, int64_t end) {
  for (int64_t step = start; step < end; ++step) {
    checkpoint_copy(c, c->leg_states + (step - start) * c->state_size, c->state);
    if (step + 1 < end) c->advance(c->work, step, c->state);
  }
  for (int64_t step = end; step-- > start;) c->backward(c->work, step, c->leg_states + (step - start) * c->state_size);
}

/* Calls `backward` for the steps from the last to the first. c->state holds the initial state and is overwritten. */
static inline void checkpoints_run(const checkpoints *c, int64_t steps) {
  const int64_t leg = checkpoint_leg(steps);
  checkpoints_forward(c, steps, leg);
  for (int64_t start = (steps - 1) / leg * leg; steps > 0 && start >= 0; start -= leg) {
    checkpoint_copy(c, c->state, c->leg_starts + start / leg * c->state_size);
    checkpoints_leg_backward(c, start, start + leg < steps ? start + leg : steps);
  }
}

#endif
