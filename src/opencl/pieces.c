/* SPDX-License-Identifier: MIT */
#include "opencl/pieces.h"

#define MOST_PIECES 8

/* In tokens: what beginning a piece costs, and joining a sum more; and the part of the time that pieces have to save. Measured
 * with 64 key channels in bf16 (docs/performance-notes.md, "Pieces of units"). */
#define PIECE_COST 150.0
#define JOIN_COST 40.0
#define LEAST_GAIN 0.05

/* Where more work-groups than that part of a round make states anyway, memory is what they wait for. */
#define MOST_BUSY (2.0 / 3)

/* Units of `length` tokens of which others follow, in `busy` work-groups without pieces, and of one sequence `joins` at most.
 */
typedef struct followed {
  int64_t length, busy, joins;
} followed;

/* What states and their sums take in so many pieces, in tokens of a round. */
static double cost_of(const rwkv6_device *device, int each, followed units, int pieces) {
  return rwkv6_cl_rounds(device, each, units.busy * pieces) * ((double)units.length / pieces + PIECE_COST) +
         JOIN_COST * (double)(units.joins * (pieces - 1));
}

int rwkv6_cl_choose_pieces(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                           rwkv6_cl_segments segments) {
  if (device->info.kind != RWKV6_KIND_OPENCL_GPU || problem->segment_length) return 1;
  const int64_t count = rwkv6_cl_units_count(problem, segments), room = problem->tokens / (how->granule * count);
  const followed units = {segments.length, (count - problem->sequences) * problem->heads * how->tiles,
                          rwkv6_cl_units_of(rwkv6_problem_longest(problem), segments) - 1};
  if ((double)units.busy > MOST_BUSY * (double)rwkv6_cl_wanted_groups(device, how->each)) return 1;
  int best = 1;
  double least = (1 - LEAST_GAIN) * cost_of(device, how->each, units, 1);
  for (int pieces = 2; pieces <= MOST_PIECES && pieces <= room; pieces++) {
    const double cost = cost_of(device, how->each, units, pieces);
    if (cost > least) continue;
    best = pieces;
    least = cost;
  }
  return best;
}
