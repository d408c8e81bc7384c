/* SPDX-License-Identifier: MIT */
#include "opencl/recurrent_forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "opencl/host_run.h"
#include "opencl/variants.h"
#include "plan.h"
#include "registry.h"

static int local_bytes(const rwkv6_cl_recurrence *recurrence, int padded_key) {
  return recurrence->block * (12 * padded_key + 4 * recurrence->work_group) + 4 * recurrence->work_group;
}

/* 16 key channels of a column in a work-item's registers, 32 where key_dim is large; idle lanes only where V or K leaves no
 * choice. */
static void choose_geometry(const rwkv6_problem *problem, int work_group, rwkv6_cl_recurrence *recurrence) {
  const int rows = problem->key_dim > 64 ? 32 : 16;
  const int least_parts = rwkv6_power_of_2((problem->key_dim + rows - 1) / rows);
  const int most_parts = rwkv6_power_of_2(problem->key_dim);
  int parts = work_group / rwkv6_power_of_2(problem->value_dim);
  if (parts > most_parts) parts = most_parts;
  if (parts < least_parts) parts = least_parts;
  if (parts > work_group) parts = work_group;
  const int padded_key = (problem->key_dim + parts - 1) / parts * parts;
  recurrence->work_group = work_group;
  recurrence->columns = work_group / parts;
  recurrence->block = 16;
  while (local_bytes(recurrence, padded_key) > RWKV6_CL_LOCAL_BYTES) recurrence->block /= 2;
  const int64_t tiles = (problem->value_dim + recurrence->columns - 1) / recurrence->columns;
  recurrence->groups = problem->sequences * problem->heads * tiles;
}

static bool options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  rwkv6_cl_recurrence *recurrence = geometry;
  choose_geometry(problem, work_group, recurrence);
  snprintf(text, size, " -DWORK_GROUP=%d -DCOLUMNS=%d -DBLOCK=%d", recurrence->work_group, recurrence->columns,
           recurrence->block);
  return true;
}

rwkv6_status rwkv6_cl_recurrence_make(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_cl_recurrence *recurrence,
                                      rwkv6_error *error) {
  static const char *const name = "recurrent_forward";
  const rwkv6_status status =
      rwkv6_cl_build_kernels(device, problem, "recurrent_forward.cl", &name, 1, rwkv6_cl_largest_work_group(device, 64),
                             options, recurrence, &recurrence->kernel, &recurrence->log, error);
  if (status) return status;
  /* Two multiply-adds an element of S, and the loads and exponentials of K channels. */
  const double operations = 5.0 * problem->key_dim * recurrence->columns + 20.0 * problem->key_dim;
  const int64_t blocks = (rwkv6_cl_least_window(problem) + recurrence->block - 1) / recurrence->block;
  recurrence->window = rwkv6_cl_choose_forward_window(device, recurrence->groups, rwkv6_problem_longest(problem),
                                                      blocks * recurrence->block, operations);
  return RWKV6_OK;
}

void rwkv6_cl_recurrence_release(const rwkv6_device *device, rwkv6_cl_recurrence *recurrence) {
  rwkv6_cl_release_kernels(device->cl, &recurrence->kernel, 1);
}

/* A tensor's layout as the roles name it: dv in the place of o has dv's own strides. */
static void set_arguments(rwkv6_cl_arguments *a, const rwkv6_cl_roles *roles, const rwkv6_cl_units *units, uint64_t carry_byte,
                          const rwkv6_cl_call *call) {
  rwkv6_cl_arg_tensor(a, call, roles->r);
  rwkv6_cl_arg_tensor(a, call, roles->k);
  rwkv6_cl_arg_tensor(a, call, roles->v);
  rwkv6_cl_arg_tensor(a, call, RWKV6_TENSOR_W);
  rwkv6_cl_arg_packed(a, call, RWKV6_TENSOR_U);
  rwkv6_cl_arg_packed(a, call, roles->initial_state);
  rwkv6_cl_arg_tensor(a, call, roles->o);
  rwkv6_cl_arg_packed(a, call, roles->final_state);
  rwkv6_cl_arg_packed(a, call, RWKV6_TENSOR_SLOTS);
  rwkv6_cl_arg_workspace(a, call, carry_byte, units->carries > 0);
  rwkv6_cl_arg_units(a, call, units);
  rwkv6_cl_arg_int(a, roles->dual);
  rwkv6_cl_arg_float(a, roles->out_scale);
  rwkv6_cl_arg_float(a, roles->in_scale);
}

rwkv6_status rwkv6_cl_recurrence_enqueue(const rwkv6_plan *plan, const rwkv6_cl_recurrence *recurrence,
                                         const rwkv6_cl_roles *roles, const rwkv6_cl_units *units, uint64_t carry_byte,
                                         const rwkv6_cl_call *call, rwkv6_error *error) {
  rwkv6_cl_arguments arguments = {plan->device->cl->cl, recurrence->kernel, 0, CL_SUCCESS};
  set_arguments(&arguments, roles, units, carry_byte, call);
  return rwkv6_cl_launch_windows(call, &arguments, recurrence->window, recurrence->groups, units->longest,
                                 recurrence->work_group, false, error);
}

typedef struct forward_state {
  rwkv6_cl_state base; /* first */
  rwkv6_cl_recurrence recurrence;
  rwkv6_cl_units units;
} forward_state;

static rwkv6_status enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  const forward_state *state = plan->state;
  const rwkv6_cl_roles roles = rwkv6_cl_forward_roles(&plan->problem);
  return rwkv6_cl_recurrence_enqueue(plan, &state->recurrence, &roles, &state->units, 0, call, error);
}

static void destroy(rwkv6_plan *plan) {
  forward_state *state = plan->state;
  if (!state) return;
  rwkv6_cl_host_release(plan->device, &state->base.host);
  rwkv6_cl_recurrence_release(plan->device, &state->recurrence);
  rwkv6_cl_units_release(plan->device, &state->units);
  free(state);
  plan->state = NULL;
}

static rwkv6_status create(rwkv6_plan *plan, rwkv6_error *error) {
  const rwkv6_problem *problem = &plan->problem;
  forward_state *state = rwkv6_alloc(1, sizeof *state, "a plan", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  plan->state = state;
  state->base.enqueue = enqueue;
  rwkv6_status status = rwkv6_cl_recurrence_make(plan->device, problem, &state->recurrence, error);
  if (!status)
    status =
        rwkv6_cl_units_make(plan->device, problem, rwkv6_cl_unsplit, 0, state->recurrence.window.steps, &state->units, error);
  if (status) {
    destroy(plan);
    return status;
  }
  const uint64_t state_bytes = sizeof(float) * (uint64_t)(problem->heads * problem->key_dim * problem->value_dim);
  plan->workspace = (uint64_t)state->units.carries * state_bytes;
  plan->launches = rwkv6_cl_count_launches(state->recurrence.window, state->recurrence.groups, state->units.longest);
  plan->build_log = state->recurrence.log;
  return RWKV6_OK;
}

const rwkv6_variant rwkv6_cl_recurrent_forward = {"portable", RWKV6_FORWARD, RWKV6_MODE_RECURRENT, rwkv6_cl_portable_supports,
                                                  create,     destroy,       rwkv6_cl_host_run,    RWKV6_ARITHMETIC_FP32};
