/* SPDX-License-Identifier: MIT */
/* From w, in any of its three forms, to the decay factor d of a token and key channel, and back for the gradient. */
#ifndef RWKV6_SRC_REFERENCE_DECAY_H
#define RWKV6_SRC_REFERENCE_DECAY_H

#include <math.h>

#include "reference/rows.h"

static inline double decay_factor(rwkv6_decay form, double w) {
  return form == RWKV6_DECAY_RAW ? exp(-exp(w)) : exp(w);
}

/*
 * Rounds a decay, keeping in `carry` what that lost and putting it into the next one. So the product of any run of decays
 * rounded in turn is right to a few units in the last place, however long the run: without it a channel with w = -1e-7 at
 * every token, whose factor rounds to 1 - 1.19e-7, would after 65,536 tokens be off by 1e-3 in float. The carry is relative,
 * and a decay of 0 stays exactly 0. Set it to 0 where a sweep over tokens starts; a NaN is not handed on.
 */
static inline real round_decay(double decay, double *carry) {
  const double exact = decay * (1 + *carry);
  const real rounded = (real)exact;
  const double lost = exact - rounded;
  *carry = lost == lost ? lost : 0;
  return rounded;
}

/*
 * The same, but closer to 1 than REAL_NEAR_ONE it rounds to multiples of that. A state times such a factor changes by a few
 * units in its own last place, and rounding that would be wrong in the same direction for thousands of tokens.
 */
static inline real round_factor(double factor, double *carry) {
  const double exact = factor * (1 + *carry);
  if (!(fabs(exact - 1) < REAL_NEAR_ONE)) return round_decay(factor, carry);
  const double rounded = 1 + REAL_NEAR_ONE * round((exact - 1) / REAL_NEAR_ONE);
  *carry = exact - rounded;
  return (real)rounded;
}

/* d[count][K] holds w of tokens that follow each other and gets their decay factors. carry: [K], see round_decay. */
static inline void decays_from_w(real *d, double *carry, rwkv6_decay form, int64_t count, int64_t key_dim) {
  if (form == RWKV6_DECAY_FACTOR) return;
  for (int64_t i = 0; i < count; ++i) {
    real *row = d + i * key_dim;
    for (int64_t ch = 0; ch < key_dim; ++ch) row[ch] = round_factor(decay_factor(form, row[ch]), &carry[ch]);
  }
}

/* d[count][K] = decay factors of positions begin .. begin + count - 1. */
static inline void load_decays(real *d, double *carry, const strand *s, int64_t begin, int64_t count) {
  const int64_t key_dim = s->call->problem->key_dim;
  load_rows(d, s, RWKV6_TENSOR_W, begin, count, key_dim);
  decays_from_w(d, carry, s->call->problem->decay, count, key_dim);
}

/*
 * The gradient of w from that of log d: the same in log form; in raw form log d = -exp(w), and a factor that is 0 in `real`
 * gives exactly 0 where the product would be 0 * inf.
 */
static inline void decay_gradient(real *dw, const strand *s, int64_t begin, int64_t count, const real *d, real *w) {
  const int64_t size = count * s->call->problem->key_dim;
  if (s->call->problem->decay != RWKV6_DECAY_RAW) return;
  load_rows(w, s, RWKV6_TENSOR_W, begin, count, s->call->problem->key_dim);
  for (int64_t i = 0; i < size; ++i) dw[i] = d[i] == 0 ? (real)0 : dw[i] * (real)-exp(w[i]);
}

#endif
