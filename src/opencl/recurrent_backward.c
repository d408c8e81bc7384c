/* SPDX-License-Identifier: MIT */
/*
 * The launcher of cl/recurrent_backward.cl. One run: states (checkpoints, forward in time), then the rows kernel (dr, dk, dw
 * and du by sequence, backward in time), then the sum of du over sequences, then dv and dinitial_state as a recurrence.
 * Workspace: checkpoints | carried G | du by sequence.
 */
#include <stdio.h>
#include <stdlib.h>

#include "opencl/chain.h"
#include "opencl/host_run.h"
#include "opencl/recurrent_forward.h"
#include "opencl/sum_du.h"
#include "opencl/variants.h"
#include "plan.h"

enum { STATES, ROWS, DU, KERNELS };
static const char *const kernel_names[KERNELS] = {"recurrent_backward_states", "recurrent_backward", "sum_du"};

typedef struct backward_geometry {
  int work_group, lanes, block;
  int64_t span, groups;
} backward_geometry;

typedef struct backward_state {
  rwkv6_cl_state base; /* first */
  cl_kernel kernel[KERNELS];
  const char *log;
  backward_geometry geometry;
  rwkv6_cl_window states_window, rows_window;
  rwkv6_cl_recurrence recurrence;
  rwkv6_cl_units units;
  uint64_t carry_byte, du_byte; /* in the workspace; checkpoints begin at 0 */
} backward_state;

static int larger(int a, int b) {
  return a > b ? a : b;
}

/* Lanes such that a work-item has about 4 value channels; a row needs at least one work-item, a group no more rows than K has.
 */
static void choose_geometry(const rwkv6_problem *problem, int work_group, backward_geometry *geometry) {
  int lanes = rwkv6_power_of_2((problem->value_dim + 3) / 4);
  lanes = larger(lanes, work_group / rwkv6_power_of_2(problem->key_dim));
  if (lanes > work_group) lanes = work_group;
  const int dim = larger(64, larger(problem->key_dim, problem->value_dim));
  geometry->work_group = work_group;
  geometry->lanes = lanes;
  /* 4 sums a step and work-item in local memory: 16 KiB. */
  geometry->block = dim > 128 ? 16 : 8;
  if (geometry->block > 1024 / work_group) geometry->block = 1024 / work_group;
  /* Spans of max(64, K, V) steps bound the checkpoints to two tensors. */
  geometry->span = (dim + geometry->block - 1) / geometry->block * geometry->block;
  const int rows = work_group / lanes;
  geometry->groups = problem->sequences * problem->heads * ((problem->key_dim + rows - 1) / rows);
}

static bool options(const rwkv6_problem *problem, int work_group, void *geometry_, char *text, size_t size) {
  backward_geometry *geometry = geometry_;
  choose_geometry(problem, work_group, geometry);
  snprintf(text, size, " -DWORK_GROUP=%d -DLANES=%d -DSPAN=%d -DBLOCK=%d", geometry->work_group, geometry->lanes,
           (int)geometry->span, geometry->block);
  return true;
}

static rwkv6_cl_arguments begin(const rwkv6_plan *plan, int kernel) {
  const backward_state *state = plan->state;
  const rwkv6_cl_arguments arguments = {plan->device->cl->cl, state->kernel[kernel], 0, CL_SUCCESS};
  return arguments;
}

static rwkv6_status enqueue_states(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  if (!state->units.checkpoints && !call->chain->rehearsal) return RWKV6_OK;
  rwkv6_cl_arguments a = begin(plan, STATES);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_K);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_V);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_W);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_INITIAL_STATE);
  rwkv6_cl_arg_workspace(&a, call, 0, true);
  rwkv6_cl_arg_units(&a, call, &state->units);
  return rwkv6_cl_launch_windows(call, &a, state->states_window, state->geometry.groups, state->units.longest,
                                 state->geometry.work_group, false, error);
}

static rwkv6_status enqueue_rows(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  rwkv6_cl_arguments a = begin(plan, ROWS);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_R);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_K);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_V);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_W);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_U);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_INITIAL_STATE);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DO);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_DFINAL_STATE);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DR);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DK);
  rwkv6_cl_arg_tensor(&a, call, RWKV6_TENSOR_DW);
  rwkv6_cl_arg_workspace(&a, call, 0, state->units.checkpoints > 0);
  rwkv6_cl_arg_workspace(&a, call, state->du_byte, true);
  rwkv6_cl_arg_workspace(&a, call, state->carry_byte, state->units.carries > 0);
  rwkv6_cl_arg_units(&a, call, &state->units);
  rwkv6_cl_arg_float(&a, plan->problem.scale);
  return rwkv6_cl_launch_windows(call, &a, state->rows_window, state->geometry.groups, state->units.longest,
                                 state->geometry.work_group, true, error);
}

static rwkv6_status enqueue_dv(const rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  const rwkv6_cl_roles roles = rwkv6_cl_dual_roles(&plan->problem);
  return rwkv6_cl_recurrence_enqueue(plan, &state->recurrence, &roles, &state->units, state->carry_byte, call, error);
}

static rwkv6_status enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const backward_state *state = plan->state;
  rwkv6_status status = enqueue_states(plan, call, error);
  if (!status) status = enqueue_rows(plan, call, error);
  if (!status) status = rwkv6_cl_enqueue_sum_du(plan, state->kernel[DU], state->du_byte, state->units.count, call, error);
  if (!status) status = enqueue_dv(plan, call, error);
  return status;
}

static void destroy(rwkv6_plan *plan) {
  backward_state *state = plan->state;
  if (!state) return;
  rwkv6_cl_host_release(plan->device, &state->base.host);
  rwkv6_cl_release_kernels(plan->device->cl, state->kernel, KERNELS);
  rwkv6_cl_recurrence_release(plan->device, &state->recurrence);
  rwkv6_cl_units_release(plan->device, &state->units);
  free(state);
  plan->state = NULL;
}

static void choose_windows(const rwkv6_plan *plan, backward_state *state) {
  const rwkv6_problem *problem = &plan->problem;
  const backward_geometry *geometry = &state->geometry;
  const int64_t longest = rwkv6_problem_longest(problem);
  const double elements = (double)geometry->work_group / geometry->lanes * problem->value_dim;
  state->states_window = rwkv6_cl_choose_window(plan->device, geometry->groups, longest, geometry->span, 6 * elements);
  state->rows_window = rwkv6_cl_choose_window(plan->device, geometry->groups, longest, 4 * geometry->span, 30 * elements);
}

static void lay_out_workspace(rwkv6_plan *plan, backward_state *state) {
  const rwkv6_problem *problem = &plan->problem;
  const uint64_t heads_key = (uint64_t)(problem->heads * problem->key_dim);
  const uint64_t state_bytes = sizeof(float) * heads_key * (uint64_t)problem->value_dim;
  state->carry_byte = rwkv6_cl_align((uint64_t)state->units.checkpoints * state_bytes);
  state->du_byte = rwkv6_cl_align(state->carry_byte + (uint64_t)state->units.carries * state_bytes);
  plan->workspace = state->du_byte + sizeof(float) * heads_key * (uint64_t)problem->sequences;
}

static int64_t count_launches(const backward_state *state) {
  const int64_t longest = state->units.longest;
  int64_t launches = 1; /* du */
  if (state->units.checkpoints) launches += rwkv6_cl_count_launches(state->states_window, state->geometry.groups, longest);
  launches += rwkv6_cl_count_launches(state->rows_window, state->geometry.groups, longest);
  return launches + rwkv6_cl_count_launches(state->recurrence.window, state->recurrence.groups, longest);
}

static rwkv6_status make(rwkv6_plan *plan, backward_state *state, rwkv6_error *error) {
  const rwkv6_problem *problem = &plan->problem;
  rwkv6_status status = rwkv6_cl_build_kernels(plan->device, problem, "recurrent_backward.cl", kernel_names, KERNELS,
                                               rwkv6_cl_largest_work_group(plan->device, 64), options, &state->geometry,
                                               state->kernel, &state->log, error);
  if (!status) status = rwkv6_cl_recurrence_make(plan->device, problem, &state->recurrence, error);
  if (status) return status;
  choose_windows(plan, state);
  /* One place for a carried G serves both kernels that need it, one after the other. */
  const int64_t rows_steps = state->rows_window.steps, recurrence_steps = state->recurrence.window.steps;
  return rwkv6_cl_units_make(plan->device, problem, rwkv6_cl_unsplit, state->geometry.span,
                             rows_steps < recurrence_steps ? rows_steps : recurrence_steps, &state->units, error);
}

static rwkv6_status create(rwkv6_plan *plan, rwkv6_error *error) {
  backward_state *state = rwkv6_alloc(1, sizeof *state, "a plan", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  plan->state = state;
  state->base.enqueue = enqueue;
  const rwkv6_status status = make(plan, state, error);
  if (status) {
    destroy(plan);
    return status;
  }
  lay_out_workspace(plan, state);
  plan->launches = count_launches(state);
  plan->build_log = state->log;
  return RWKV6_OK;
}

const rwkv6_variant rwkv6_cl_recurrent_backward = {"portable", RWKV6_BACKWARD, RWKV6_MODE_RECURRENT, rwkv6_cl_portable_supports,
                                                   create,     destroy,        rwkv6_cl_host_run,    RWKV6_ARITHMETIC_FP32};
