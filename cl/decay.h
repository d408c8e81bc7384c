/* SPDX-License-Identifier: MIT */
/* From w to the decay factor of a token and channel, and from the gradient of log(factor) to the gradient of w. */
#ifndef DECAY_H
#define DECAY_H

#define DECAY_LOG 0
#define DECAY_RAW 1
#define DECAY_FACTOR 2
#ifndef DECAY
#define DECAY DECAY_LOG
#endif

/* log(factor) */
static inline float decay_log(float w) {
#if DECAY == DECAY_LOG
  return w;
#elif DECAY == DECAY_RAW
  return -exp(w);
#else
  return log(w);
#endif
}

/* A factor under 2^-100 counts as 0: a state that it multiplies again and again would sink into slow denormals. */
static inline float decay_factor(float w) {
#if DECAY == DECAY_FACTOR
  const float factor = w;
#else
  const float factor = exp(decay_log(w));
#endif
  return factor < 0x1p-100f ? 0.0f : factor;
}

/*
 * For factors that multiply a state token after token: near 1 through expm1, so that the factor is rounded once, to nearest.
 * exp may err to one side always, and over 10^5 tokens that adds up.
 */
static inline float decay_factor_nearest(float w) {
#if DECAY == DECAY_FACTOR
  return decay_factor(w);
#else
  const float log_factor = decay_log(w);
  return log_factor > -0.5f ? 1.0f + expm1(log_factor) : decay_factor(w);
#endif
}

/*
 * The factor of a whole chunk as keep + change, so that S is taken to keep S + change S: where the product of factors is near
 * 1, its distance from 1 keeps its digits (`log_sum` is the sum of decay_log over the tokens).
 */
static inline float2 chunk_decay(float product, float log_sum) {
  return product > 0.5f ? (float2)(1.0f, expm1(log_sum)) : (float2)(0.0f, product);
}

/* From the gradient of log(factor) to that of w. In raw form exp(w) may be infinite where the factor is 0: 0 there, not NaN. */
static inline float decay_gradient(float w, float factor, float log_gradient) {
#if DECAY == DECAY_RAW
  return factor == 0.0f ? 0.0f : -exp(w) * log_gradient;
#else
  return log_gradient;
#endif
}

#endif
