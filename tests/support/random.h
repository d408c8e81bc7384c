/* SPDX-License-Identifier: MIT */
/* A small generator, the same on every machine: a failure is reproduced from its seed alone. */
#ifndef RWKV6_TESTS_SUPPORT_RANDOM_H
#define RWKV6_TESTS_SUPPORT_RANDOM_H

#include <stdint.h>

typedef struct test_random {
  uint64_t state;
} test_random;

uint64_t test_random_bits(test_random *random);
/* An integer in [0, bound); bound >= 1. */
int64_t test_random_below(test_random *random, int64_t bound);
/* In (0, 1): never an end. */
double test_random_uniform(test_random *random);
double test_random_between(test_random *random, double low, double high);
/* Mean 0, variance 1. */
double test_random_normal(test_random *random);

#endif
