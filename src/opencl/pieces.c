/* SPDX-License-Identifier: MIT */
#include "opencl/pieces.h"

#define MOST_PIECES 8

/* What beginning a piece costs, in tokens, and the part of the time that pieces have to save. Measured with 64 key channels in
 * bf16 (docs/performance-notes.md, "Pieces of units"). */
#define PIECE_COST 150.0
#define LEAST_GAIN 0.1

/* Tokens in a row that states take. `busy`: work-groups without pieces, of which `at_once` run side by side. */
static double cost_of(int pieces, int64_t busy, int64_t at_once, int64_t longest) {
  const int64_t rounds = (busy * pieces + at_once - 1) / at_once;
  return (double)rounds * ((double)longest / (double)pieces + PIECE_COST);
}

int rwkv6_cl_choose_pieces(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                           rwkv6_cl_segments segments) {
  const int64_t units = rwkv6_cl_units_count(problem, segments), longest = rwkv6_cl_longest_unit(problem, segments);
  const int64_t busy = (units - problem->sequences) * problem->heads * how->tiles; /* nobody asks for a last unit's */
  const int64_t at_once = rwkv6_cl_wanted_groups(device, how->each), room = problem->tokens / (how->granule * units);
  if (problem->segment_length) return 1;
  int best = 1;
  double least = (1 - LEAST_GAIN) * cost_of(1, busy, at_once, longest);
  for (int pieces = 2; pieces <= MOST_PIECES && pieces <= room; pieces++) {
    const double cost = cost_of(pieces, busy, at_once, longest);
    if (cost > least) continue;
    best = pieces;
    least = cost;
  }
  return best;
}
