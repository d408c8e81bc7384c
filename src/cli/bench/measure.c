/* SPDX-License-Identifier: MIT */
#include "cli/bench/measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench/check.h"
#include "plan.h"
#include "problem.h"
#include "registry.h"

#define MOST_SETS 2048

/* Of one set, as it lies in memory. */
static uint64_t set_bytes(const bench_data *data, uint64_t *largest) {
  uint64_t all = 0;
  *largest = 1;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&data->problem, data->operation, id)) continue;
    const uint64_t bytes =
        (uint64_t)bench_set_stride(&data->problem, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(&data->problem, id));
    if (bytes > *largest) *largest = bytes;
    all += bytes;
  }
  return all;
}

/* As many as the footprint asks for and the memory allows. */
static rwkv6_status choose_sets(const bench_backend *backend, const bench_run *run, int64_t *sets, rwkv6_error *error) {
  const uint64_t memory = backend->memory(run->device), workspace = run->plan->workspace;
  const uint64_t allocation = backend->allocation(run->device);
  uint64_t largest;
  const uint64_t each = set_bytes(run->data, &largest);
  uint64_t fitting = memory > workspace ? (memory - workspace) / each : 0;
  if (allocation / largest < fitting) fitting = allocation / largest;
  if (fitting == 0)
    return rwkv6_fail(error, RWKV6_OUT_OF_DEVICE_MEMORY,
                      "tensors of %" PRIu64 " bytes, the largest of %" PRIu64 ", and a workspace of %" PRIu64
                      " do not fit: there may be %" PRIu64 " bytes in all and %" PRIu64 " in one buffer",
                      each, largest, workspace, memory, allocation);
  const uint64_t wanted = (backend->footprint(run->device) + each - 1) / each;
  *sets = (int64_t)(wanted < fitting ? wanted : fitting);
  if (*sets > MOST_SETS) *sets = MOST_SETS;
  return RWKV6_OK;
}

static void describe(const bench_run *run, uint64_t buffers, bench_result *result) {
  const rwkv6_problem *problem = &run->data->problem;
  const int64_t dim = problem->key_dim > problem->value_dim ? problem->key_dim : problem->value_dim;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  rwkv6_plan_get_info(run->plan, &info, NULL); /* cannot fail: neither is NULL */
  snprintf(result->variant, sizeof result->variant, "%s", info.variant);
  result->mode = info.mode;
  result->precision = rwkv6_rounds_A(problem, run->plan->variant->arithmetic) ? RWKV6_PRECISION_RELAXED : RWKV6_PRECISION_FULL;
  result->workspace = info.workspace;
  result->extra = info.workspace + buffers;
  result->launches = info.launches;
  result->tensor = (uint64_t)(problem->tokens * problem->heads * dim) * rwkv6_dtype_size(problem->dtype);
  result->floor = bench_data_all_bytes(run->data);
  result->sequences = problem->sequences;
  result->longest = rwkv6_problem_longest(problem);
}

static rwkv6_status make_plan(const bench_backend *backend, const bench_case *timed, bench_run *run, bench_result *result,
                              rwkv6_error *error) {
  uint64_t buffers;
  const double start = bench_now();
  const rwkv6_status status = backend->plan(run->device, timed, run->data, &run->plan, &buffers, error);
  if (status) return status;
  result->plan = bench_now() - start;
  describe(run, buffers, result);
  return RWKV6_OK;
}

static rwkv6_status measure(const bench_backend *backend, const bench_case *timed, bench_data *data, bench_run *run,
                            bench_result *result, rwkv6_error *error) {
  int64_t last = 0;
  uint64_t largest;
  rwkv6_status status = bench_data_problem(timed, data, error);
  if (!status) status = make_plan(backend, timed, run, result, error);
  if (!status) status = choose_sets(backend, run, &run->sets, error);
  if (!status) status = bench_data_draw(timed, run->sets, data, error);
  if (!status) status = backend->prepare(run, error);
  if (!status) status = backend->time(run, result, &last, error);
  if (status) return status;
  result->sets = run->sets;
  result->footprint = (uint64_t)run->sets * set_bytes(data, &largest);
  return bench_check(backend, run, last, result, error);
}

static bench_outcome outcome_of(rwkv6_status status) {
  switch (status) {
  case RWKV6_INVALID_ARGUMENT:
  case RWKV6_UNSUPPORTED:
  case RWKV6_OUT_OF_MEMORY:
  case RWKV6_OUT_OF_DEVICE_MEMORY: return BENCH_REFUSED;
  default: return BENCH_FAILED;
  }
}

void bench_measure(rwkv6_device *device, const bench_backend *backend, bool host_clock, const bench_case *timed,
                   bench_result *result) {
  bench_data data;
  memset(&data, 0, sizeof data);
  bench_run run = {.device = device, .data = &data, .host_clock = host_clock};
  memset(result, 0, sizeof *result);
  result->mode = timed->mode;
  result->precision = timed->precision;
  result->error = (rwkv6_error)RWKV6_ERROR_INIT;
  const rwkv6_status status = measure(backend, timed, &data, &run, result, &result->error);
  if (status) result->outcome = outcome_of(status);
  backend->release(&run);
  rwkv6_plan_destroy(&run.plan);
  bench_data_free(&data);
}
