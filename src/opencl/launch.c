/* SPDX-License-Identifier: MIT */
#include "opencl/launch.h"

#include <stdio.h>
#include <string.h>

#include "quirks.h"

int rwkv6_power_of_2(int value) {
  int power = 1;
  while (power < value) power *= 2;
  return power;
}

int64_t rwkv6_divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int rwkv6_cl_local_limit(const rwkv6_device *device) {
  const uint64_t most = 48 * 1024, there = device->info.local_memory;
  return (int)(there < most ? there : most) - 2 * 1024;
}

/* What every program is specialized by. */
static void problem_options(const rwkv6_device *device, const rwkv6_problem *problem, char *options, size_t size) {
  snprintf(options, size, "-cl-std=CL1.2 -DKEY_DIM=%d -DVALUE_DIM=%d -DDTYPE=%s -DW_DTYPE=%s -DDECAY=%d%s", problem->key_dim,
           problem->value_dim, rwkv6_dtype_name(problem->dtype), rwkv6_dtype_name(problem->w_dtype), (int)problem->decay,
           device->info.kind == RWKV6_KIND_OPENCL_GPU ? " -DUNROLL_LOOPS" : "");
}

int rwkv6_cl_largest_work_group(const rwkv6_device *device, int preferred) {
  size_t limit = device->work_group ? device->work_group : (size_t)preferred;
  if (device->info.max_work_group < limit) limit = (size_t)device->info.max_work_group;
  int work_group = RWKV6_MIN_WORK_GROUP;
  while ((size_t)work_group * 2 <= limit) work_group *= 2;
  return work_group;
}

/* The limit of a built kernel can be lower than the device's. (Its local memory is not asked for: rusticl of Mesa 22.3 says
 * double what it takes. Launchers stay under what rwkv6_cl_portable_supports asks of a device.) */
static rwkv6_status check_fit(const rwkv6_cl_device *d, const cl_kernel *kernels, int count, int work_group, bool *fits,
                              rwkv6_error *error) {
  *fits = true;
  for (int i = 0; i < count; i++) {
    size_t limit = 0;
    const cl_int code =
        d->cl->GetKernelWorkGroupInfo(kernels[i], d->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof limit, &limit, NULL);
    if (code != CL_SUCCESS) return rwkv6_cl_fail(error, code, "clGetKernelWorkGroupInfo");
    *fits = *fits && limit >= (size_t)work_group;
  }
  return RWKV6_OK;
}

void rwkv6_cl_release_kernels(const rwkv6_cl_device *d, cl_kernel *kernels, int count) {
  for (int i = 0; i < count; i++) {
    if (kernels[i]) d->cl->ReleaseKernel(kernels[i]);
    kernels[i] = NULL;
  }
}

static rwkv6_status create_kernels(const rwkv6_cl_device *d, cl_program program, const char *const *names, int count,
                                   cl_kernel *kernels, rwkv6_error *error) {
  for (int i = 0; i < count; i++) {
    cl_int code;
    kernels[i] = d->cl->CreateKernel(program, names[i], &code);
    if (code == CL_SUCCESS) continue;
    kernels[i] = NULL;
    rwkv6_cl_release_kernels(d, kernels, i);
    return rwkv6_cl_fail(error, code, "clCreateKernel");
  }
  return RWKV6_OK;
}

rwkv6_status rwkv6_cl_build_kernels(rwkv6_device *device, const rwkv6_problem *problem, const char *file,
                                    const char *const *names, int count, int largest, rwkv6_cl_options_function *options,
                                    void *geometry, cl_kernel *kernels, const char **log, rwkv6_error *error) {
  char text[512];
  for (int work_group = largest; work_group >= RWKV6_MIN_WORK_GROUP; work_group /= 2) {
    problem_options(device, problem, text, sizeof text);
    if (!options(problem, work_group, geometry, text + strlen(text), sizeof text - strlen(text))) continue;
    rwkv6_cl_program *program;
    rwkv6_status status = rwkv6_cl_program_get(device, file, text, names, count, &program, error);
    if (!status) status = create_kernels(device->cl, program->program, names, count, kernels, error);
    if (status) return status;
    *log = program->log;
    bool fits;
    status = check_fit(device->cl, kernels, count, work_group, &fits, error);
    if (!status && fits) return RWKV6_OK;
    rwkv6_cl_release_kernels(device->cl, kernels, count);
    if (status) return status;
    rwkv6_cl_program_drop(device, program);
  }
  return rwkv6_fail(
      error, RWKV6_UNSUPPORTED,
      "%s on device %s needs work-groups of %d with the local memory that goes with them; no kernel built takes that", file,
      device->info.id, RWKV6_MIN_WORK_GROUP);
}

void rwkv6_cl_arg_value(rwkv6_cl_arguments *arguments, size_t size, const void *value) {
  const cl_int code = arguments->cl->SetKernelArg(arguments->kernel, arguments->index++, size, value);
  if (arguments->code == CL_SUCCESS) arguments->code = code;
}

void rwkv6_cl_arg_buffer(rwkv6_cl_arguments *arguments, cl_mem buffer) {
  rwkv6_cl_arg_value(arguments, sizeof buffer, &buffer);
}

void rwkv6_cl_arg_long(rwkv6_cl_arguments *arguments, int64_t value) {
  const cl_long number = value;
  rwkv6_cl_arg_value(arguments, sizeof number, &number);
}

void rwkv6_cl_arg_int(rwkv6_cl_arguments *arguments, int value) {
  const cl_int number = value;
  rwkv6_cl_arg_value(arguments, sizeof number, &number);
}

void rwkv6_cl_arg_float(rwkv6_cl_arguments *arguments, double value) {
  const cl_float number = (cl_float)value;
  rwkv6_cl_arg_value(arguments, sizeof number, &number);
}

void rwkv6_cl_arg_tensor(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, rwkv6_tensor_id id) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(call->problem, id);
  const cl_long4 layout = {{call->tensor[id].offset, stride->token, stride->head, 0}};
  rwkv6_cl_arg_buffer(arguments, call->tensor[id].buffer);
  rwkv6_cl_arg_value(arguments, sizeof layout, &layout);
}

void rwkv6_cl_arg_packed(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, rwkv6_tensor_id id) {
  rwkv6_cl_arg_buffer(arguments, call->tensor[id].buffer);
  rwkv6_cl_arg_long(arguments, call->tensor[id].offset);
}

void rwkv6_cl_arg_workspace(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, uint64_t byte, bool present) {
  rwkv6_cl_arg_buffer(arguments, present ? call->workspace : NULL);
  rwkv6_cl_arg_long(arguments, (int64_t)((call->workspace_offset + byte) / sizeof(float)));
}

/* A quarter of what a compute unit of the kind usually does, in operations a second. */
static double cautious_speed(const rwkv6_device_info *info) {
  const double lanes = info->kind == RWKV6_KIND_OPENCL_GPU ? 32 : 4;
  const double clock = info->clock_mhz > 0 ? info->clock_mhz * 1e6 : 1e9;
  const double units = info->compute_units > 0 ? info->compute_units : 1;
  return units * clock * lanes * 0.25;
}

/* Some drivers count work-items of a launch in 32 bits. */
static int64_t groups_of_a_launch(int64_t groups) {
  const int64_t most = (int64_t)1 << 22;
  return groups < most ? groups : most;
}

rwkv6_cl_window rwkv6_cl_choose_window(const rwkv6_device *device, int64_t groups, int64_t longest, int64_t quantum,
                                       double operations_per_step) {
  const double budget = device->launch_budget_ms * 1e-3;
  const double group_step = operations_per_step / cautious_speed(&device->info);
  const double latency = 5e-6; /* of a step, however little work it has */
  const double all_groups = group_step * (double)groups;
  const double per_step = all_groups > latency ? all_groups : latency;

  const double quanta = budget / (per_step * (double)quantum);
  const int64_t wanted = longest > 0 ? rwkv6_divide_up(longest, quantum) : 1;
  rwkv6_cl_window window = {quantum, groups};
  if (longest >= 2 * quantum && rwkv6_quirk_with(&device->info, RWKV6_QUIRK_ENDS_LOOPS))
    window.steps = quantum;
  else if (quanta >= (double)wanted || longest < 2 * quantum)
    window.steps = wanted * quantum;
  else if (quanta >= 1)
    window.steps = (int64_t)quanta * quantum;
  const int64_t steps = window.steps < longest ? window.steps : (longest > 0 ? longest : 1);
  const double fitting = budget / (group_step * (double)steps);
  if (fitting < (double)groups) window.groups = fitting >= 1 ? (int64_t)fitting : 1;
  window.groups = groups_of_a_launch(window.groups);
  return window;
}

rwkv6_cl_window rwkv6_cl_choose_forward_window(const rwkv6_device *device, int64_t groups, int64_t longest, int64_t quantum,
                                               double operations_per_step) {
  const rwkv6_cl_window step = {quantum, groups_of_a_launch(groups)};
  return longest > 1 ? rwkv6_cl_choose_window(device, groups, longest, quantum, operations_per_step) : step;
}

int64_t rwkv6_cl_least_window(const rwkv6_problem *problem) {
  int64_t dim = problem->key_dim > problem->value_dim ? problem->key_dim : problem->value_dim;
  return 4 * (dim > 64 ? dim : 64);
}

/* Without a step there is still one launch: states are copied, sums set to 0. */
int64_t rwkv6_cl_count_launches(rwkv6_cl_window window, int64_t groups, int64_t longest) {
  return rwkv6_divide_up(longest > 0 ? longest : 1, window.steps) * rwkv6_divide_up(groups, window.groups);
}

static cl_int launch(const rwkv6_cl_call *call, const rwkv6_cl_arguments *arguments, int64_t first_step, int64_t steps,
                     int64_t first_group, int64_t groups, int work_group) {
  rwkv6_cl_arguments last = *arguments;
  rwkv6_cl_arg_long(&last, first_step);
  rwkv6_cl_arg_long(&last, first_step + steps);
  rwkv6_cl_arg_long(&last, first_group);
  if (last.code != CL_SUCCESS) return last.code;
  return rwkv6_cl_chain_launch(call, last.kernel, (size_t)groups * (size_t)work_group, (size_t)work_group);
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

rwkv6_status rwkv6_cl_launch_windows(const rwkv6_cl_call *call, rwkv6_cl_arguments *arguments, rwkv6_cl_window window,
                                     int64_t groups, int64_t longest, int work_group, bool backward, rwkv6_error *error) {
  if (arguments->code != CL_SUCCESS) return rwkv6_cl_fail(error, arguments->code, "clSetKernelArg");
  const int64_t windows = rwkv6_divide_up(longest > 0 ? longest : 1, window.steps);
  cl_int code = CL_SUCCESS;
  if (call->chain->rehearsal)
    code = launch(call, arguments, windows * window.steps, window.steps, 0, smaller(groups, window.groups), work_group);
  for (int64_t i = 0; i < windows && !code && !call->chain->rehearsal; i++) {
    const int64_t first_step = (backward ? windows - 1 - i : i) * window.steps;
    for (int64_t group = 0; group < groups && !code; group += window.groups)
      code = launch(call, arguments, first_step, window.steps, group, smaller(groups - group, window.groups), work_group);
  }
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueNDRangeKernel");
}
