/* SPDX-License-Identifier: MIT */
/*
 * The launcher of cl/chunk_backward.cl. One run: if sequences are split, the state before and G after each segment; the states
 * at checkpoints; the rows kernel (dr, dk, dw, du by unit; backward in time); the sum of du; dv and dinitial_state as a forward
 * run with the parts exchanged. Workspace: S and decays | G and decays | checkpoints | carried G | du by unit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "opencl/chain.h"
#include "opencl/chunk_forward.h"
#include "opencl/chunk_length.h"
#include "opencl/host_run.h"
#include "opencl/segments.h"
#include "opencl/sum_du.h"
#include "opencl/variants.h"
#include "plan.h"

enum { ROWS, DU, KERNELS };
static const char *const kernel_names[KERNELS] = {"chunk_backward", "sum_du"};

typedef struct backward_geometry {
  int local_limit; /* bytes of local memory to plan with; set first */
  int work_group, lanes, rows, chunk, round;
  int64_t tiles; /* work-groups of one head of a unit */
} backward_geometry;

typedef struct backward_state {
  rwkv6_cl_state base; /* first */
  cl_kernel kernel[KERNELS];
  const char *log;
  backward_geometry geometry;
  rwkv6_cl_chunk chunk; /* states, and dv */
  rwkv6_cl_chunk_batch batch;
  rwkv6_cl_window window;
  rwkv6_cl_chunk_places places, gradient_places;
  uint64_t checkpoints_byte, du_byte;
} backward_state;

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static int larger(int a, int b) {
  return a > b ? a : b;
}

/* As cl/chunk_backward.cl lays out its local memory. */
static int local_bytes(const rwkv6_problem *problem, const backward_geometry *g) {
  const int chunk = g->chunk, tile_rows = g->work_group / g->lanes * g->rows;
  const int padded_value = 4 * g->lanes * ((problem->value_dim + 4 * g->lanes - 1) / (4 * g->lanes));
  const int triangle = chunk * (chunk + 1) / 2;
  const int shares = smaller(smaller(g->work_group / ((chunk + 1) / 2), 16), padded_value / 4);
  const int lane_stride = tile_rows + larger(32 * g->rows / g->lanes, 1);
  const int scratch = larger((triangle + 1) * shares, larger(2 * g->round * g->lanes * lane_stride, 2 * chunk * tile_rows));
  const int values = chunk * (padded_value + 4 + larger(padded_value + 4, tile_rows));
  const int floats = 3 * chunk * tile_rows + values + (g->lanes + 2) * tile_rows + g->work_group + triangle + scratch;
  return 4 * floats;
}

static bool chunk_fits(const rwkv6_problem *problem, void *geometry, int chunk, int round) {
  backward_geometry *g = geometry;
  g->chunk = chunk;
  g->round = round;
  return local_bytes(problem, g) <= g->local_limit;
}

/*
 * 16 value channels and 2 key channels in a work-item, and at least two work-items for each row of the tile, as two of them
 * finish it. More lanes where K has not the rows for the whole group, and until a chunk of some length fits, as fewer rows then
 * make a tile; but no more than V has use for.
 */
static bool choose_geometry(const rwkv6_problem *problem, int work_group, void *geometry) {
  backward_geometry *g = geometry;
  const int rows_of_use = rwkv6_power_of_2(problem->key_dim);
  const int most_lanes = larger(2, smaller(work_group, rwkv6_power_of_2((problem->value_dim + 3) / 4)));
  g->work_group = work_group;
  g->lanes = larger(2, smaller(most_lanes, rwkv6_power_of_2((problem->value_dim + 15) / 16)));
  if (most_lanes >= 4 && work_group / 4 * 2 <= rows_of_use) g->lanes = larger(4, g->lanes);
  g->rows = g->lanes >= 4 && work_group / g->lanes * 2 <= rows_of_use ? 2 : 1;
  g->lanes = smaller(most_lanes, larger(g->lanes, work_group / rows_of_use));
  bool fits = rwkv6_cl_fit_chunk(problem, chunk_fits, g);
  while ((!fits || (!problem->chunk_length && g->chunk < 8)) && g->lanes < most_lanes) {
    g->lanes *= 2;
    fits = rwkv6_cl_fit_chunk(problem, chunk_fits, g);
  }
  const int tile_rows = work_group / g->lanes * g->rows;
  g->tiles = (problem->key_dim + tile_rows - 1) / tile_rows;
  return fits;
}

static bool length_fits(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  backward_geometry geometry = {.local_limit = rwkv6_cl_local_limit(device)};
  return rwkv6_cl_takes_chunk_length(problem, choose_geometry, &geometry, reason, size);
}

/* What options() needs besides the problem. */
typedef struct build_context {
  backward_geometry *geometry;
  int64_t span;
} build_context;

static bool options(const rwkv6_problem *problem, int work_group, void *context_, char *text, size_t size) {
  const build_context *context = context_;
  backward_geometry *g = context->geometry;
  if (!choose_geometry(problem, work_group, g)) return false;
  snprintf(text, size, " -DWORK_GROUP=%d -DLANES=%d -DROWS=%d -DCHUNK=%d -DROUND=%d -DSPAN=%d", g->work_group, g->lanes,
           g->rows, g->chunk, g->round, (int)context->span);
  return true;
}

static int preferred_work_group(const rwkv6_problem *problem) {
  const int state = problem->key_dim * problem->value_dim;
  return state > 64 * 64 ? 256 : 128;
}

static rwkv6_status enqueue_rows(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  const bool split = state->places.split;
  rwkv6_cl_arguments a = {plan->device->cl->cl, state->kernel[ROWS], 0, CL_SUCCESS};
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_R);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_K);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_V);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_W);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_U);
  if (split) {
    rwkv6_cl_arg_workspace(&a, call, state->places.starts, true);
    rwkv6_cl_arg_workspace(&a, call, state->gradient_places.starts, true);
  } else {
    rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_INITIAL_STATE);
    rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_DFINAL_STATE);
  }
  rwkv6_cl_arg_int(&a, split);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DO);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DR);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DK);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DW);
  rwkv6_cl_arg_workspace(&a, call, state->checkpoints_byte, state->batch.units.checkpoints > 0);
  rwkv6_cl_arg_workspace(&a, call, state->du_byte, true);
  rwkv6_cl_arg_workspace(&a, call, state->places.carry, state->batch.units.carries > 0);
  rwkv6_cl_arg_units(&a, call, &state->batch.units);
  rwkv6_cl_arg_float(&a, plan->problem.scale);
  return rwkv6_cl_launch_windows(call, &a, state->window,
                                 state->batch.units.count * plan->problem.heads * state->geometry.tiles,
                                 state->batch.units.longest, state->geometry.work_group, true, error);
}

/* What the rows kernel and the last run read: states and gradients at the ends of segments, states at checkpoints. */
static rwkv6_status enqueue_states(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  const rwkv6_cl_roles roles = rwkv6_cl_forward_roles(&plan->problem), dual = rwkv6_cl_dual_roles(&plan->problem);
  rwkv6_status status = RWKV6_OK;
  if (state->places.split || call->chain->rehearsal)
    status = rwkv6_cl_chunk_enqueue_starts(&state->chunk, &roles, &state->batch, &state->places, call, error);
  if (!status && state->places.split)
    status = rwkv6_cl_chunk_enqueue_starts(&state->chunk, &dual, &state->batch, &state->gradient_places, call, error);
  if (!status && state->batch.units.checkpoints)
    status = rwkv6_cl_chunk_enqueue_checkpoints(&state->chunk, &roles, &state->batch, &state->places, state->checkpoints_byte,
                                                call, error);
  return status;
}

static rwkv6_status enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  const rwkv6_cl_roles dual = rwkv6_cl_dual_roles(&plan->problem);
  rwkv6_status status = enqueue_states(plan, call, error);
  if (!status) status = enqueue_rows(plan, call, error);
  if (!status) status = rwkv6_cl_enqueue_sum_du(plan, state->kernel[DU], state->du_byte, state->batch.units.count, call, error);
  if (!status)
    status = rwkv6_cl_chunk_enqueue_outputs(&state->chunk, &dual, &state->batch, &state->gradient_places, call, error);
  return status;
}

static void destroy(rwkv6_plan *plan) {
  backward_state *state = plan->state;
  if (!state) return;
  rwkv6_cl_host_release(plan->device, &state->base.host);
  rwkv6_cl_release_kernels(plan->device->cl, state->kernel, KERNELS);
  rwkv6_cl_chunk_release(plan->device, &state->chunk);
  rwkv6_cl_units_release(plan->device, &state->batch.units);
  free(state);
  plan->state = NULL;
}

static rwkv6_status make(rwkv6_plan *plan, backward_state *state, const rwkv6_cl_chunk_family *family, rwkv6_error *error) {
  const rwkv6_problem *problem = &plan->problem;
  rwkv6_cl_chunk *chunk = &state->chunk;
  rwkv6_status status = rwkv6_cl_chunk_make(plan->device, problem, family, chunk, error);
  if (!status) status = rwkv6_cl_chunk_make_states(plan->device, problem, family, chunk, error);
  build_context context = {&state->geometry, chunk->span};
  state->geometry.local_limit = rwkv6_cl_local_limit(plan->device);
  if (!status)
    status = rwkv6_cl_build_kernels(plan->device, problem, "chunk_backward.cl", kernel_names, KERNELS,
                                    rwkv6_cl_largest_work_group(plan->device, preferred_work_group(problem)), options, &context,
                                    state->kernel, &state->log, error);
  if (status) return status;

  const int64_t granule = 4 * chunk->span;
  const rwkv6_cl_splitting how = {chunk->tiles, chunk->each, granule, 2 * granule};
  const rwkv6_cl_segments segments = rwkv6_cl_choose_segments(plan->device, problem, &how);
  const int64_t count = rwkv6_cl_units_count(problem, segments), longest = rwkv6_cl_longest_unit(problem, segments);
  state->batch.pieces = 1;
  rwkv6_cl_chunk_windows(plan->device, problem, chunk, count, longest, &state->batch);
  const double elements =
      (double)state->geometry.work_group / state->geometry.lanes * state->geometry.rows * problem->value_dim;
  state->window = rwkv6_cl_choose_window(plan->device, count * problem->heads * state->geometry.tiles, longest, 4 * chunk->span,
                                         12 * elements);
  state->places.split = state->gradient_places.split = count > problem->sequences;
  /* One place for a carried G serves both kernels that need it, one after the other. */
  const int64_t steps = state->window.steps < state->batch.outputs.steps ? state->window.steps : state->batch.outputs.steps;
  return rwkv6_cl_units_make(plan->device, problem, segments, chunk->span, steps, &state->batch.units, error);
}

static void lay_out_workspace(rwkv6_plan *plan, backward_state *state) {
  const rwkv6_problem *problem = &plan->problem;
  const uint64_t row_bytes = sizeof(float) * (uint64_t)(problem->heads * problem->key_dim);
  const uint64_t state_bytes = row_bytes * (uint64_t)problem->value_dim;
  const uint64_t units = (uint64_t)state->batch.units.count, split = state->places.split ? units : 0;
  state->places.decays = rwkv6_cl_align(split * state_bytes);
  state->gradient_places.starts = rwkv6_cl_align(state->places.decays + split * row_bytes);
  state->gradient_places.decays = rwkv6_cl_align(state->gradient_places.starts + split * state_bytes);
  state->checkpoints_byte = rwkv6_cl_align(state->gradient_places.decays + split * row_bytes);
  state->places.carry = rwkv6_cl_align(state->checkpoints_byte + (uint64_t)state->batch.units.checkpoints * state_bytes);
  state->gradient_places.carry = state->places.carry;
  state->du_byte = rwkv6_cl_align(state->places.carry + (uint64_t)state->batch.units.carries * state_bytes);
  plan->workspace = state->du_byte + units * row_bytes;
}

static int64_t count_launches(const rwkv6_plan *plan, const backward_state *state) {
  const rwkv6_problem *problem = &plan->problem;
  const rwkv6_cl_chunk *chunk = &state->chunk;
  const int64_t states = rwkv6_cl_count_launches(state->batch.states, state->batch.units.count * problem->heads * chunk->tiles,
                                                 state->batch.units.longest);
  int64_t launches = 1; /* du */
  launches += 2 * rwkv6_cl_chunk_start_launches(problem, chunk, &state->batch, &state->places);
  if (state->batch.units.checkpoints) launches += states;
  launches += rwkv6_cl_count_launches(state->window, state->batch.units.count * problem->heads * state->geometry.tiles,
                                      state->batch.units.longest);
  return launches + rwkv6_cl_chunk_output_launches(problem, chunk, &state->batch);
}

static rwkv6_status create_of(rwkv6_plan *plan, const rwkv6_cl_chunk_family *family, rwkv6_error *error) {
  backward_state *state = rwkv6_alloc(1, sizeof *state, "a plan", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  plan->state = state;
  state->base.enqueue = enqueue;
  const rwkv6_status status = make(plan, state, family, error);
  if (status) {
    destroy(plan);
    return status;
  }
  lay_out_workspace(plan, state);
  plan->launches = count_launches(plan, state);
  plan->build_log = state->log;
  return RWKV6_OK;
}

/* Variants differ in who computes states, dv and dinitial_state; the rows kernel is the same. */
static bool supports_of(const rwkv6_cl_chunk_family *family, const rwkv6_device *device, const rwkv6_problem *problem,
                        char *reason, size_t size) {
  return family->supports(device, problem, reason, size) && rwkv6_cl_portable_supports(device, problem, reason, size) &&
         length_fits(device, problem, reason, size);
}

#define VARIANT(family, arithmetic)                                                                                            \
  static bool supports_##family(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {         \
    return supports_of(&rwkv6_cl_chunk_##family, device, problem, reason, size);                                               \
  }                                                                                                                            \
  static rwkv6_status create_##family(rwkv6_plan *plan, rwkv6_error *error) {                                                  \
    return create_of(plan, &rwkv6_cl_chunk_##family, error);                                                                   \
  }                                                                                                                            \
  const rwkv6_variant rwkv6_cl_chunk_backward_##family = {                                                                     \
      #family,         RWKV6_BACKWARD, RWKV6_MODE_CHUNK,  supports_##family,                                                   \
      create_##family, destroy,        rwkv6_cl_host_run, RWKV6_ARITHMETIC_##arithmetic}

VARIANT(portable, FP32);
VARIANT(nvidia, TF32);
VARIANT(emulated, TF32);
