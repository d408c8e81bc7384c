/* SPDX-License-Identifier: MIT */
/* The CPU path: host memory and wall time. */
#include <stdlib.h>
#include <string.h>

#include "cli/bench/backend.h"
#include "conform/data.h"
#include "plan.h"

#define FOOTPRINT ((uint64_t)64 << 20) /* beyond what the last level of a cache keeps for one core */
#define MEMORY ((uint64_t)8 << 30)

typedef struct cpu_state {
  char *memory[RWKV6_TENSOR_COUNT]; /* all sets of a tensor */
} cpu_state;

static uint64_t footprint(const rwkv6_device *device) {
  (void)device;
  return FOOTPRINT;
}

static uint64_t memory(const rwkv6_device *device) {
  (void)device;
  return MEMORY;
}

/* The workspace is all that a plan of the CPU path makes. */
static rwkv6_status make_plan(rwkv6_device *device, const bench_case *timed, const bench_data *data, rwkv6_plan **plan,
                              uint64_t *extra, rwkv6_error *error) {
  *extra = 0;
  return rwkv6_plan_create_variant(device, &data->problem, timed->operation, timed->mode, timed->variant, plan, error);
}

static size_t set_bytes(const bench_data *data, rwkv6_tensor_id id) {
  return (size_t)bench_set_stride(&data->problem, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(&data->problem, id));
}

static rwkv6_status make_tensor(bench_run *run, rwkv6_tensor_id id, char **tensor, rwkv6_error *error) {
  const bench_data *data = run->data;
  const size_t bytes = set_bytes(data, id);
  *tensor = rwkv6_alloc((size_t)run->sets, bytes, rwkv6_tensor_table[id].name, error);
  if (!*tensor) return RWKV6_OUT_OF_MEMORY;
  if (rwkv6_tensor_table[id].output) {
    memset(*tensor, 0xff, (size_t)run->sets * bytes); /* a NaN in every storage type */
    return RWKV6_OK;
  }
  for (int64_t set = 0; set < run->sets; ++set)
    bench_data_copy(data, id, set, 0, rwkv6_tensor_extent(&data->problem, id), *tensor + (size_t)set * bytes);
  return RWKV6_OK;
}

static rwkv6_status prepare(bench_run *run, rwkv6_error *error) {
  cpu_state *state = rwkv6_alloc(1, sizeof *state, "the tensors", error);
  if (!state) return RWKV6_OUT_OF_MEMORY;
  run->state = state;
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (rwkv6_tensor_takes_part(&run->data->problem, run->data->operation, id))
      status = make_tensor(run, id, &state->memory[id], error);
  }
  return status;
}

static rwkv6_tensors tensors_of(const bench_run *run, int64_t set) {
  const cpu_state *state = run->state;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (state->memory[id]) conform_tensors_set(&tensors, i, state->memory[id] + (size_t)set * set_bytes(run->data, id));
  }
  return tensors;
}

rwkv6_status bench_host_run(bench_run *run, int64_t set, double *seconds, rwkv6_error *error) {
  const rwkv6_tensors tensors = tensors_of(run, set);
  const double start = bench_now();
  const rwkv6_status status = rwkv6_run(run->plan, &tensors, error);
  *seconds = bench_now() - start;
  return status;
}

static rwkv6_status time_runs(bench_run *run, bench_result *result, int64_t *last, rwkv6_error *error) {
  double seconds[BENCH_MOST_RUNS], first = 0;
  rwkv6_status status = bench_host_run(run, 0, &first, error);
  const size_t runs = bench_runs_for(first);
  for (size_t i = 0; i < runs && !status; ++i) {
    *last = (int64_t)(i + 1) % run->sets;
    status = bench_host_run(run, *last, &seconds[i], error);
  }
  if (!status) result->device = bench_times_of(seconds, runs);
  return status;
}

static rwkv6_status read_rows(const bench_run *run, rwkv6_tensor_id id, int64_t set, const bench_rows *rows, void *to,
                              rwkv6_error *error) {
  (void)error;
  const cpu_state *state = run->state;
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(&run->data->problem, id));
  const char *from = state->memory[id] + (size_t)set * set_bytes(run->data, id) + (size_t)rows->first * size;
  for (int64_t row = 0; row < rows->rows; ++row)
    memcpy((char *)to + (size_t)(row * rows->length) * size, from + (size_t)(row * rows->pitch) * size,
           (size_t)rows->length * size);
  return RWKV6_OK;
}

static void release(bench_run *run) {
  cpu_state *state = run->state;
  for (int id = 0; state && id < RWKV6_TENSOR_COUNT; ++id) free(state->memory[id]);
  free(state);
  run->state = NULL;
}

/* ------------------------------------------------------------------------------------------------------------------ peaks */

/* memcpy between two buffers that no cache holds. */
static rwkv6_status measure_copy(double *bytes_per_second, rwkv6_error *error) {
  const size_t bytes = FOOTPRINT;
  char *from = rwkv6_alloc(bytes, 1, "a buffer to copy", error), *to = from ? rwkv6_alloc(bytes, 1, "a copy", error) : NULL;
  double seconds[9];
  for (int i = 0; to && i < 9; ++i) {
    memset(from, i + 1, bytes);
    const double start = bench_now();
    memcpy(to, from, bytes);
    seconds[i] = bench_now() - start;
  }
  if (to && to[bytes / 2] == 9) *bytes_per_second = 2.0 * (double)bytes / bench_times_of(seconds, 9).median;
  free(from);
  free(to);
  return to ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

enum { CHAINS = 64, STEPS = 1 << 16 };

/* Independent chains, so that the latency of one hides behind the others. */
static float multiply_add(float factor) {
  float chain[CHAINS], sum = 0;
  for (int c = 0; c < CHAINS; ++c) chain[c] = (float)c;
  for (int step = 0; step < STEPS; ++step)
    for (int c = 0; c < CHAINS; ++c) chain[c] = chain[c] * factor + 0.5f;
  for (int c = 0; c < CHAINS; ++c) sum += chain[c];
  return sum;
}

static double measure_fma(void) {
  double seconds[9];
  volatile float factor = 0.5f, sink = 0; /* neither known to the compiler nor left out */
  for (int i = 0; i < 9; ++i) {
    const double start = bench_now();
    sink = multiply_add(factor);
    seconds[i] = bench_now() - start;
  }
  (void)sink;
  return 2.0 * CHAINS * STEPS / bench_times_of(seconds, 9).median;
}

static rwkv6_status peaks(rwkv6_device *device, bench_peaks *measured, rwkv6_error *error) {
  (void)device;
  memset(measured, 0, sizeof *measured);
  measured->host_clock = true;
  measured->fma = measure_fma();
  return measure_copy(&measured->copy, error);
}

const bench_backend bench_backend_cpu = {footprint, memory, memory, make_plan, prepare, time_runs, read_rows, release, peaks};
