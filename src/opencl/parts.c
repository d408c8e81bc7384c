/* SPDX-License-Identifier: MIT */
#include "opencl/parts.h"

/* Of a small batch that is split, in tokens of a full round: what it takes however small it is, and what its share of a round
 * costs on top. Measured with 64 key channels in bf16 (docs/performance-notes.md, "The last round"). */
#define SPLIT_LEAST 800.0
#define SPLIT_COST 1.05

/* The part of the batch's time that two parts have to save. */
#define LEAST_GAIN 0.1

/* Work-groups of a round, and what a batch has of them. */
typedef struct rounds {
  int64_t size, whole, rest;
} rounds;

static rounds rounds_of(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how) {
  const int64_t size = rwkv6_cl_wanted_groups(device, how->each);
  const int64_t groups = problem->sequences * problem->heads * how->tiles;
  const rounds found = {size, groups / size, groups % size};
  return found;
}

/* Whether `groups` work-groups, split, are done enough earlier than in the last round, which takes `last`. */
static bool is_worth_it(rounds r, double last, int64_t groups, int64_t length) {
  const double split = SPLIT_LEAST / (double)length + SPLIT_COST * (double)groups / (double)r.size;
  return last - split >= LEAST_GAIN * ((double)r.whole + last);
}

static bool is_split(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                     const rwkv6_cl_part *part) {
  const rwkv6_problem of_part = rwkv6_cl_part_problem(problem, part);
  return rwkv6_cl_units_count(&of_part, rwkv6_cl_choose_segments(device, &of_part, how)) > part->sequences;
}

/* States lie by sequence and head, so that those of some heads are side by side in one sequence only. */
static bool can_part_heads(const rwkv6_problem *problem) {
  if (problem->optional & RWKV6_STATE_POOL) return false;
  return problem->sequences == 1 || !(problem->optional & (RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE));
}

/* The rest of whole sequences, or of the same heads of all, whichever is less. */
static rwkv6_cl_part choose_rest(const rwkv6_problem *problem, int64_t groups, int64_t tiles) {
  const int64_t sequences = groups / (problem->heads * tiles), heads = groups / (problem->sequences * tiles);
  const rwkv6_cl_part late = {sequences, problem->sequences - sequences, 0, problem->heads};
  const rwkv6_cl_part narrow = {0, problem->sequences, heads, problem->heads - heads};
  return can_part_heads(problem) && narrow.sequences * narrow.heads < late.sequences * late.heads ? narrow : late;
}

int rwkv6_cl_choose_parts(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_splitting *how,
                          rwkv6_cl_part parts[RWKV6_CL_MAX_PARTS]) {
  const rwkv6_cl_part all = {0, problem->sequences, 0, problem->heads};
  parts[0] = all;
  const int64_t length = rwkv6_problem_longest(problem);
  if (device->info.kind != RWKV6_KIND_OPENCL_GPU || problem->cu_seqlens || problem->segment_length) return 1;
  const rounds r = rounds_of(device, problem, how);
  if (!r.whole || !r.rest) return 1;
  const rwkv6_cl_part rest = choose_rest(problem, r.whole * r.size, how->tiles);
  const double last = rwkv6_cl_rounds(device, how->each, r.rest);
  if (!is_worth_it(r, last, rest.sequences * rest.heads * how->tiles, length)) return 1;
  if (!is_split(device, problem, how, &rest)) return 1;
  parts[1] = rest;
  if (rest.first_sequence) parts[0].sequences = rest.first_sequence;
  if (rest.first_head) parts[0].heads = rest.first_head;
  return 2;
}

rwkv6_problem rwkv6_cl_part_problem(const rwkv6_problem *problem, const rwkv6_cl_part *part) {
  rwkv6_problem copy = *problem;
  if (!problem->cu_seqlens) copy.tokens = problem->tokens / problem->sequences * part->sequences;
  copy.sequences = part->sequences;
  copy.heads = part->heads;
  return copy;
}

/* Elements from the beginning of a tensor to the part's. */
static int64_t distance(const rwkv6_problem *problem, rwkv6_tensor_id id, const rwkv6_cl_part *part) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  const int64_t state = (int64_t)problem->key_dim * problem->value_dim;
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_TOKENS_VALUE:
    return rwkv6_problem_sequence(problem, part->first_sequence).begin * stride->token + part->first_head * stride->head;
  case RWKV6_SHAPE_HEADS_KEY: return part->first_head * problem->key_dim;
  case RWKV6_SHAPE_STATE: return (part->first_sequence * problem->heads + part->first_head) * state;
  case RWKV6_SHAPE_POOL: return 0;
  case RWKV6_SHAPE_SEQUENCES: return part->first_sequence;
  }
  return 0;
}

rwkv6_cl_call rwkv6_cl_part_call(const rwkv6_cl_call *call, const rwkv6_cl_part *part, rwkv6_problem *problem) {
  rwkv6_cl_call copy = *call;
  *problem = rwkv6_cl_part_problem(call->problem, part);
  copy.problem = problem;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (copy.tensor[id].buffer) copy.tensor[id].offset += distance(call->problem, (rwkv6_tensor_id)id, part);
  return copy;
}
