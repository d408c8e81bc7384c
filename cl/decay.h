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

/* A factor under 2^-100 counts as 0: a state that it multiplies again and again would sink into slow denormals. */
static inline float decay_factor(float w) {
#if DECAY == DECAY_LOG
  const float factor = exp(w);
#elif DECAY == DECAY_RAW
  const float factor = exp(-exp(w));
#else
  const float factor = w;
#endif
  return factor < 0x1p-100f ? 0.0f : factor;
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
