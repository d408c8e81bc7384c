/* SPDX-License-Identifier: MIT */
#include "conform/random.h"

#include <math.h>

/* splitmix64 */
uint64_t conform_random_bits(conform_random *random) {
  uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int64_t conform_random_below(conform_random *random, int64_t bound) {
  return (int64_t)(conform_random_bits(random) % (uint64_t)bound);
}

int64_t conform_random_within(conform_random *random, int64_t least, int64_t most) {
  return least + conform_random_below(random, most - least + 1);
}

double conform_random_uniform(conform_random *random) {
  return ((double)(conform_random_bits(random) >> 11) + 0.5) * 0x1p-53;
}

double conform_random_between(conform_random *random, double low, double high) {
  return low + (high - low) * conform_random_uniform(random);
}

double conform_random_normal(conform_random *random) {
  const double radius = sqrt(-2.0 * log(conform_random_uniform(random)));
  return radius * cos(6.283185307179586 * conform_random_uniform(random));
}
