/* SPDX-License-Identifier: MIT */
/* A small generator, the same on every machine: a failure is reproduced from its seed alone. */
#ifndef RWKV6_SRC_CONFORM_RANDOM_H
#define RWKV6_SRC_CONFORM_RANDOM_H

#include <stdint.h>

typedef struct conform_random {
  uint64_t state;
} conform_random;

uint64_t conform_random_bits(conform_random *random);
/* An integer in [0, bound); bound >= 1. */
int64_t conform_random_below(conform_random *random, int64_t bound);
/* An integer from `least` to `most`, which is no less. */
int64_t conform_random_within(conform_random *random, int64_t least, int64_t most);
/* In (0, 1): never an end. */
double conform_random_uniform(conform_random *random);
double conform_random_between(conform_random *random, double low, double high);
/* Mean 0, variance 1. */
double conform_random_normal(conform_random *random);

#endif
