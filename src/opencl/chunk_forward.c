/* SPDX-License-Identifier: MIT */
#include "opencl/chunk_forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "opencl/chain.h"
#include "opencl/chunk_length.h"
#include "opencl/host_run.h"
#include "opencl/parts.h"
#include "opencl/pieces.h"
#include "opencl/variants.h"
#include "plan.h"

static const char *const kernel_names[RWKV6_CL_CHUNK_KERNELS] = {"chunk_forward", "chunk_states", "chunk_scan"};

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static int larger(int a, int b) {
  return a > b ? a : b;
}

/* As cl/chunk_forward.cl lays out its local memory. */
static int local_bytes(const rwkv6_problem *problem, const rwkv6_cl_chunk *g) {
  const int parts = g->work_group / g->lanes, chunk = g->chunk;
  const int padded_key = 4 * parts * ((problem->key_dim + 4 * parts - 1) / (4 * parts));
  const int pairs = (chunk + 1) / 2;
  const int shares = smaller(g->work_group / pairs, padded_key / 4);
  const int scratch = larger((pairs * (chunk + 1) + 1) * shares, g->round * g->work_group * 4);
  const int floats = 3 * chunk * (padded_key + 4) + chunk * 4 * g->lanes + 3 * padded_key + larger(g->work_group, padded_key) +
                     chunk * chunk + scratch;
  return 4 * floats;
}

static bool chunk_fits(const rwkv6_problem *problem, void *geometry, int chunk, int round) {
  rwkv6_cl_chunk *g = geometry;
  g->chunk = chunk;
  g->round = round;
  return local_bytes(problem, g) <= g->local_limit;
}

/* 16 x 4 elements of S in each work-item's registers, fewer where K x V is small. */
static bool choose_geometry(const rwkv6_problem *problem, int work_group, void *geometry) {
  rwkv6_cl_chunk *g = geometry;
  const int least_parts = smaller(work_group, rwkv6_power_of_2((problem->key_dim + 15) / 16));
  const int most_lanes = rwkv6_power_of_2((problem->value_dim + 3) / 4);
  g->work_group = work_group;
  g->each = 4;
  g->splits_from = 4;
  g->lanes = smaller(work_group / least_parts, most_lanes);
  const int parts_of_use = rwkv6_power_of_2((problem->key_dim + 3) / 4);
  if (work_group / g->lanes > parts_of_use) g->lanes = work_group / parts_of_use;
  if (!rwkv6_cl_fit_chunk(problem, chunk_fits, g)) return false;
  const int dim = larger(64, larger(problem->key_dim, problem->value_dim));
  const int multiple = problem->chunk_length ? g->chunk : 16; /* of the chunk length that chunk_backward chooses as well */
  g->span = (dim + multiple - 1) / multiple * multiple;
  g->tiles = (problem->value_dim + 4 * g->lanes - 1) / (4 * g->lanes);
  g->state_groups = (problem->key_dim * problem->value_dim + work_group - 1) / work_group;
  return true;
}

bool rwkv6_cl_chunk_length_fits(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  rwkv6_cl_chunk geometry = {.local_limit = rwkv6_cl_local_limit(device)};
  return rwkv6_cl_takes_chunk_length(problem, choose_geometry, &geometry, reason, size);
}

static bool options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  rwkv6_cl_chunk *g = geometry;
  if (!choose_geometry(problem, work_group, g)) return false;
  snprintf(text, size, " -DWORK_GROUP=%d -DLANES=%d -DCHUNK=%d -DROUND=%d -DSPAN=%d", g->work_group, g->lanes, g->chunk,
           g->round, (int)g->span);
  return true;
}

/* A large work-group keeps more of a large state on chip, a small one leaves more of them to run side by side. */
static int largest_work_group(const rwkv6_device *device, const rwkv6_problem *problem) {
  const int state = problem->key_dim * problem->value_dim;
  return rwkv6_cl_largest_work_group(device, state > 64 * 64 ? 256 : 128);
}

const rwkv6_cl_chunk_family rwkv6_cl_chunk_portable = {"chunk_forward.cl", "chunk_states.cl", rwkv6_cl_local_limit,
                                                       largest_work_group, options,           rwkv6_cl_portable_chunk_supports};

static rwkv6_status build_outputs(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                  int work_group, rwkv6_cl_chunk *chunk, rwkv6_error *error) {
  return rwkv6_cl_build_kernels(device, problem, family->forward_file, kernel_names, 1, work_group, family->options, chunk,
                                chunk->kernel, &chunk->log, error);
}

static rwkv6_status build_states(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                 int work_group, rwkv6_cl_chunk *chunk, rwkv6_error *error) {
  const char *log; /* like that of outputs */
  rwkv6_problem full = *problem;
  full.precision = RWKV6_PRECISION_FULL; /* relaxed is for outputs, and states are to be one program */
  return rwkv6_cl_build_kernels(device, &full, family->states_file, kernel_names + RWKV6_CL_CHUNK_STATES,
                                RWKV6_CL_CHUNK_KERNELS - RWKV6_CL_CHUNK_STATES, work_group, family->options, chunk,
                                chunk->kernel + RWKV6_CL_CHUNK_STATES, &log, error);
}

rwkv6_status rwkv6_cl_chunk_make(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                 rwkv6_cl_chunk *chunk, rwkv6_error *error) {
  chunk->local_limit = family->local_limit ? family->local_limit(device) : 0;
  return build_outputs(device, problem, family, family->work_group(device, problem), chunk, error);
}

/* Kernels that this plan will not launch: their program is kept as it is, lest it be compiled at every start. */
static rwkv6_status drop_kernels(rwkv6_device *device, cl_kernel *kernels, int count, rwkv6_error *error) {
  rwkv6_cl_device *d = device->cl;
  cl_program object = NULL;
  const cl_int code = d->cl->GetKernelInfo(kernels[0], CL_KERNEL_PROGRAM, sizeof object, &object, NULL);
  if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clGetKernelInfo");
  rwkv6_cl_program *program = rwkv6_cl_program_of(d, object);
  if (program) rwkv6_cl_program_drop(device, program);
  rwkv6_cl_release_kernels(d, kernels, count);
  return RWKV6_OK;
}

rwkv6_status rwkv6_cl_chunk_make_states(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk_family *family,
                                        rwkv6_cl_chunk *chunk, rwkv6_error *error) {
  cl_kernel *states = chunk->kernel + RWKV6_CL_CHUNK_STATES;
  for (;;) { /* with fewer work-items each time */
    const int wanted = chunk->work_group;
    rwkv6_status status = build_states(device, problem, family, wanted, chunk, error);
    if (status || chunk->work_group == wanted) return status;
    const int taken = chunk->work_group;
    status = drop_kernels(device, chunk->kernel, 1, error);
    if (!status) status = build_outputs(device, problem, family, taken, chunk, error);
    if (status || chunk->work_group == taken) return status;
    status = drop_kernels(device, states, RWKV6_CL_CHUNK_KERNELS - RWKV6_CL_CHUNK_STATES, error);
    if (status) return status;
  }
}

void rwkv6_cl_chunk_release(const rwkv6_device *device, rwkv6_cl_chunk *chunk) {
  rwkv6_cl_release_kernels(device->cl, chunk->kernel, RWKV6_CL_CHUNK_KERNELS);
}

static int64_t groups(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk, int64_t units) {
  return units * problem->heads * chunk->tiles;
}

static int64_t state_groups(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk, const rwkv6_cl_chunk_batch *batch,
                            int64_t units) {
  return groups(problem, chunk, units) * batch->pieces;
}

/* At least as many steps as the longest piece has: they are whole chunks, of which `span` is a multiple. */
static int64_t longest_piece(const rwkv6_cl_chunk *chunk, const rwkv6_cl_chunk_batch *batch, int64_t longest) {
  const int64_t quantum = chunk->span * batch->pieces;
  return batch->pieces == 1 ? longest : rwkv6_divide_up(longest, quantum) * chunk->span;
}

static int64_t scan_groups(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk) {
  return problem->sequences * problem->heads * chunk->state_groups;
}

void rwkv6_cl_chunk_windows(const rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                            int64_t count, int64_t longest, rwkv6_cl_chunk_batch *batch) {
  const double elements = (double)problem->key_dim * 4 * chunk->lanes;
  const int64_t all = groups(problem, chunk, count);
  batch->outputs = rwkv6_cl_choose_forward_window(device, all, longest, 4 * chunk->span, 5 * elements + 100 * problem->key_dim);
  batch->states =
      rwkv6_cl_choose_window(device, state_groups(problem, chunk, batch, count), longest_piece(chunk, batch, longest),
                             chunk->span, 3 * elements + 40 * problem->key_dim);
  /* The scan walks along a sequence's units, not its steps. */
  batch->scan = rwkv6_cl_choose_window(device, scan_groups(problem, chunk), 1, 1,
                                       10.0 * chunk->work_group * (double)count / (double)problem->sequences);
}

int64_t rwkv6_cl_chunk_output_launches(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                                       const rwkv6_cl_chunk_batch *batch) {
  return rwkv6_cl_count_launches(batch->outputs, groups(problem, chunk, batch->units.count), batch->units.longest);
}

int64_t rwkv6_cl_chunk_start_launches(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk,
                                      const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places) {
  if (!places->split) return 0;
  const int64_t scans = rwkv6_cl_count_launches(batch->scan, scan_groups(problem, chunk), 1);
  return rwkv6_cl_count_launches(batch->states, state_groups(problem, chunk, batch, batch->units.count),
                                 longest_piece(chunk, batch, batch->units.longest)) +
         (places->joined ? 0 : scans);
}

static rwkv6_cl_arguments begin(const rwkv6_cl_call *call, const rwkv6_cl_chunk *chunk, rwkv6_cl_chunk_kernel kernel) {
  const rwkv6_cl_arguments arguments = {call->chain->cl, chunk->kernel[kernel], 0, CL_SUCCESS};
  return arguments;
}

/* What `start` is: the same as in cl/chunk_group_state.h; elsewhere it is whether there is a state for each unit. */
enum { START_OF_SEQUENCE, START_OF_UNIT, START_SUMS };

static void set_start(rwkv6_cl_arguments *a, const rwkv6_cl_roles *roles, const rwkv6_cl_chunk_places *places,
                      const rwkv6_cl_call *call) {
  if (places->split)
    rwkv6_cl_arg_workspace(a, call, places->starts, true);
  else
    rwkv6_cl_arg_packed(a, call, roles->initial_state);
  rwkv6_cl_arg_int(a, places->joined ? START_SUMS : places->split ? START_OF_UNIT : START_OF_SEQUENCE);
}

/* What kernels that join units want beside. */
static void set_joins(rwkv6_cl_arguments *a, const rwkv6_cl_roles *roles, const rwkv6_cl_chunk_places *places,
                      const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_call *call) {
  rwkv6_cl_arg_packed(a, call, roles->initial_state);
  rwkv6_cl_arg_workspace(a, call, places->decays, places->joined);
  rwkv6_cl_arg_int(a, batch->pieces);
}

static void set_state_inputs(rwkv6_cl_arguments *a, const rwkv6_cl_roles *roles, const rwkv6_cl_call *call) {
  rwkv6_cl_arg_tensor(a, call, roles->k);
  rwkv6_cl_arg_tensor(a, call, roles->v);
  rwkv6_cl_arg_tensor(a, call, RWKV6_TENSOR_W);
}

static rwkv6_status enqueue_increments(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                       const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                       const rwkv6_cl_call *call, rwkv6_error *error) {
  rwkv6_cl_arguments a = begin(call, chunk, RWKV6_CL_CHUNK_STATES);
  set_state_inputs(&a, roles, call);
  rwkv6_cl_arg_workspace(&a, call, 0, false); /* from zero */
  rwkv6_cl_arg_int(&a, 0);
  rwkv6_cl_arg_workspace(&a, call, places->starts, true);
  rwkv6_cl_arg_workspace(&a, call, places->decays, true);
  rwkv6_cl_arg_workspace(&a, call, 0, false); /* no checkpoints */
  if (chunk->joins > 0) rwkv6_cl_arg_int(&a, batch->pieces);
  rwkv6_cl_arg_units(&a, call, &batch->units);
  rwkv6_cl_arg_int(&a, roles->dual);
  rwkv6_cl_arg_float(&a, roles->in_scale);
  return rwkv6_cl_launch_windows(call, &a, batch->states, state_groups(call->problem, chunk, batch, batch->units.count),
                                 longest_piece(chunk, batch, batch->units.longest), chunk->work_group, false, error);
}

rwkv6_status rwkv6_cl_chunk_enqueue_starts(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                           const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                           const rwkv6_cl_call *call, rwkv6_error *error) {
  const rwkv6_status status = enqueue_increments(chunk, roles, batch, places, call, error);
  if (status || (places->joined && !call->chain->rehearsal)) return status; /* a rehearsal runs all kernels of a program */
  rwkv6_cl_arguments a = begin(call, chunk, RWKV6_CL_CHUNK_SCAN);
  rwkv6_cl_arg_packed(&a, call, roles->initial_state);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_SLOTS);
  rwkv6_cl_arg_workspace(&a, call, places->starts, true);
  rwkv6_cl_arg_workspace(&a, call, places->decays, true);
  rwkv6_cl_arg_units(&a, call, &batch->units);
  rwkv6_cl_arg_int(&a, roles->dual);
  return rwkv6_cl_launch_windows(call, &a, batch->scan, scan_groups(call->problem, chunk), 1, chunk->work_group, false, error);
}

rwkv6_status rwkv6_cl_chunk_enqueue_checkpoints(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                                const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                                uint64_t checkpoints, const rwkv6_cl_call *call, rwkv6_error *error) {
  rwkv6_cl_arguments a = begin(call, chunk, RWKV6_CL_CHUNK_STATES);
  set_state_inputs(&a, roles, call);
  set_start(&a, roles, places, call);
  rwkv6_cl_arg_workspace(&a, call, 0, false); /* no sums */
  rwkv6_cl_arg_workspace(&a, call, 0, false); /* no decays */
  rwkv6_cl_arg_workspace(&a, call, checkpoints, true);
  rwkv6_cl_arg_units(&a, call, &batch->units);
  rwkv6_cl_arg_int(&a, roles->dual);
  rwkv6_cl_arg_float(&a, roles->in_scale);
  return rwkv6_cl_launch_windows(call, &a, batch->states, groups(call->problem, chunk, batch->units.count),
                                 batch->units.longest, chunk->work_group, false, error);
}

rwkv6_status rwkv6_cl_chunk_enqueue_outputs(const rwkv6_cl_chunk *chunk, const rwkv6_cl_roles *roles,
                                            const rwkv6_cl_chunk_batch *batch, const rwkv6_cl_chunk_places *places,
                                            const rwkv6_cl_call *call, rwkv6_error *error) {
  rwkv6_cl_arguments a = begin(call, chunk, RWKV6_CL_CHUNK_FORWARD);
  rwkv6_cl_arg_tensor(&a, call, roles->r);
  set_state_inputs(&a, roles, call);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_U);
  set_start(&a, roles, places, call);
  if (chunk->joins > 0) set_joins(&a, roles, places, batch, call);
  rwkv6_cl_arg_tensor(&a, call, roles->o);
  rwkv6_cl_arg_packed(&a, call, roles->final_state);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_SLOTS);
  rwkv6_cl_arg_workspace(&a, call, places->carry, batch->units.carries > 0);
  rwkv6_cl_arg_units(&a, call, &batch->units);
  rwkv6_cl_arg_int(&a, roles->dual);
  rwkv6_cl_arg_float(&a, roles->out_scale);
  rwkv6_cl_arg_float(&a, roles->in_scale);
  return rwkv6_cl_launch_windows(call, &a, batch->outputs, groups(call->problem, chunk, batch->units.count),
                                 batch->units.longest, chunk->work_group, false, error);
}

typedef struct forward_part {
  rwkv6_cl_part extent;
  rwkv6_cl_segments segments;
  rwkv6_cl_chunk_batch batch;
  rwkv6_cl_chunk_places places;
} forward_part;

typedef struct forward_state {
  rwkv6_cl_state base; /* first */
  rwkv6_cl_chunk chunk;
  int count;
  forward_part part[RWKV6_CL_MAX_PARTS]; /* one after the other */
} forward_state;

static rwkv6_status enqueue_part(const rwkv6_cl_chunk *chunk, const forward_part *part, const rwkv6_cl_call *whole,
                                 rwkv6_error *error) {
  rwkv6_problem problem;
  const rwkv6_cl_call call = rwkv6_cl_part_call(whole, &part->extent, &problem);
  const rwkv6_cl_roles roles = rwkv6_cl_forward_roles(&problem);
  const bool rehearses = call.chain->rehearsal && chunk->kernel[RWKV6_CL_CHUNK_STATES];
  rwkv6_status status = RWKV6_OK;
  if (part->places.split || rehearses)
    status = rwkv6_cl_chunk_enqueue_starts(chunk, &roles, &part->batch, &part->places, &call, error);
  if (!status) status = rwkv6_cl_chunk_enqueue_outputs(chunk, &roles, &part->batch, &part->places, &call, error);
  return status;
}

static rwkv6_status enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const forward_state *state = plan->state;
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < state->count && !status; i++) status = enqueue_part(&state->chunk, &state->part[i], call, error);
  return status;
}

void rwkv6_cl_chunk_forward_destroy(rwkv6_plan *plan) {
  forward_state *state = plan->state;
  if (!state) return;
  rwkv6_cl_host_release(plan->device, &state->base.host);
  rwkv6_cl_chunk_release(plan->device, &state->chunk);
  for (int i = 0; i < state->count; i++) rwkv6_cl_units_release(plan->device, &state->part[i].batch.units);
  free(state);
  plan->state = NULL;
}

static rwkv6_cl_splitting splitting_of(const rwkv6_cl_chunk *chunk) {
  const int64_t granule = 2 * chunk->span;
  const rwkv6_cl_splitting how = {chunk->tiles, chunk->each, granule, chunk->splits_from * granule};
  return how;
}

/* Parts, and how their sequences are split. */
static void divide(const rwkv6_device *device, const rwkv6_problem *problem, forward_state *state) {
  const rwkv6_cl_chunk *chunk = &state->chunk;
  const rwkv6_cl_splitting how = splitting_of(chunk);
  rwkv6_cl_part extents[RWKV6_CL_MAX_PARTS] = {{0, problem->sequences, 0, problem->heads}};
  state->count = chunk->divides ? rwkv6_cl_choose_parts(device, problem, &how, extents) : 1;
  for (int i = 0; i < state->count; i++) {
    forward_part *part = &state->part[i];
    part->extent = extents[i];
    const rwkv6_problem of_part = rwkv6_cl_part_problem(problem, &part->extent);
    part->segments = rwkv6_cl_choose_segments(device, &of_part, &how);
    part->places.split = rwkv6_cl_units_count(&of_part, part->segments) > of_part.sequences;
  }
}

/* With a length that the problem fixes, the states' program has a say in the geometry of a batch that is not split as well: the
 * same sequence in another batch is to have the same bits. */
static bool wants_states(const rwkv6_problem *problem, const forward_state *state) {
  bool any = problem->segment_length > 0;
  for (int i = 0; i < state->count; i++) any |= state->part[i].places.split;
  return any;
}

/* The last unit of a sequence may write final_state over initial_state while others have still to read it. */
static bool may_overwrite_initial(const rwkv6_problem *problem) {
  const uint32_t both = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  return (problem->optional & both) == both || problem->optional & RWKV6_STATE_POOL;
}

/* Whether outputs can join the units of a split sequence, of which none has many. */
static bool can_join(const rwkv6_problem *problem, const rwkv6_cl_chunk *chunk, rwkv6_cl_segments segments) {
  const int64_t most = rwkv6_divide_up(rwkv6_problem_longest(problem), segments.length);
  return most <= chunk->joins && !may_overwrite_initial(problem);
}

/* Behind what the plan's workspace has so far. */
static void lay_out_workspace(rwkv6_plan *plan, const rwkv6_problem *problem, forward_part *part) {
  const uint64_t row_bytes = sizeof(float) * (uint64_t)(problem->heads * problem->key_dim);
  const uint64_t state_bytes = row_bytes * (uint64_t)problem->value_dim;
  const uint64_t split = part->places.split ? (uint64_t)(part->batch.units.count * part->batch.pieces) : 0;
  part->places.starts = rwkv6_cl_align(plan->workspace);
  part->places.decays = rwkv6_cl_align(part->places.starts + split * state_bytes);
  part->places.carry = rwkv6_cl_align(part->places.decays + split * row_bytes);
  plan->workspace = part->places.carry + (uint64_t)part->batch.units.carries * state_bytes;
}

static rwkv6_status make_part(rwkv6_plan *plan, const rwkv6_cl_chunk *chunk, forward_part *part, rwkv6_error *error) {
  const rwkv6_problem problem = rwkv6_cl_part_problem(&plan->problem, &part->extent);
  part->places.joined = part->places.split && can_join(&problem, chunk, part->segments);
  const rwkv6_cl_splitting how = splitting_of(chunk);
  part->batch.pieces = part->places.joined ? rwkv6_cl_choose_pieces(plan->device, &problem, &how, part->segments) : 1;
  rwkv6_cl_chunk_windows(plan->device, &problem, chunk, rwkv6_cl_units_count(&problem, part->segments),
                         rwkv6_cl_longest_unit(&problem, part->segments), &part->batch);
  const rwkv6_status status =
      rwkv6_cl_units_make(plan->device, &problem, part->segments, 0, part->batch.outputs.steps, &part->batch.units, error);
  if (status) return status;
  lay_out_workspace(plan, &problem, part);
  plan->launches += rwkv6_cl_chunk_start_launches(&problem, chunk, &part->batch, &part->places) +
                    rwkv6_cl_chunk_output_launches(&problem, chunk, &part->batch);
  return RWKV6_OK;
}

static rwkv6_status make(rwkv6_plan *plan, forward_state *state, const rwkv6_cl_chunk_family *family, rwkv6_error *error) {
  const rwkv6_problem *problem = &plan->problem;
  rwkv6_cl_chunk *chunk = &state->chunk;
  rwkv6_status status = rwkv6_cl_chunk_make(plan->device, problem, family, chunk, error);
  if (status) return status;
  divide(plan->device, problem, state);
  if (wants_states(problem, state)) {
    status = rwkv6_cl_chunk_make_states(plan->device, problem, family, chunk, error);
    divide(plan->device, problem, state); /* the geometry may be another */
  }
  for (int i = 0; i < state->count && !status; i++) status = make_part(plan, chunk, &state->part[i], error);
  plan->parts = state->count;
  return status;
}

rwkv6_status rwkv6_cl_chunk_forward_create(rwkv6_plan *plan, const rwkv6_cl_chunk_family *family, rwkv6_error *error) {
  forward_state *state = rwkv6_alloc(1, sizeof *state, "a plan", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  plan->state = state;
  state->base.enqueue = enqueue;
  const rwkv6_status status = make(plan, state, family, error);
  if (status) {
    rwkv6_cl_chunk_forward_destroy(plan);
    return status;
  }
  plan->build_log = state->chunk.log;
  return RWKV6_OK;
}

static rwkv6_status create(rwkv6_plan *plan, rwkv6_error *error) {
  return rwkv6_cl_chunk_forward_create(plan, &rwkv6_cl_chunk_portable, error);
}

const rwkv6_variant rwkv6_cl_chunk_forward = {"portable",
                                              RWKV6_FORWARD,
                                              RWKV6_MODE_CHUNK,
                                              rwkv6_cl_portable_chunk_supports,
                                              create,
                                              rwkv6_cl_chunk_forward_destroy,
                                              rwkv6_cl_host_run,
                                              RWKV6_ARITHMETIC_FP32};
