/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/execute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/progress.h"
#include "cli/storage.h"
#include "cli/text.h"
#include "error.h"
#include "plan.h"

#define LONG_RUN 5.0 /* seconds, after which a run is not repeated for the sake of its time */

/* Every tensor of a case in its storage type. */
typedef struct stored_tensors {
  void *data[RWKV6_TENSOR_COUNT];
} stored_tensors;

static void free_stored(stored_tensors *stored) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) free(stored->data[id]);
}

void cli_outputs_free(cli_outputs *outputs) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) free(outputs->tensor[id]);
  memset(outputs, 0, sizeof *outputs);
}

static bool takes_part(const cli_case *loaded, rwkv6_tensor_id id) {
  return rwkv6_tensor_takes_part(&loaded->problem, RWKV6_FORWARD, id) ||
         (loaded->backward && rwkv6_tensor_takes_part(&loaded->problem, RWKV6_BACKWARD, id));
}

/* All bits set is a NaN in every storage type. */
static rwkv6_status store_tensor(const cli_case *loaded, rwkv6_tensor_id id, void **data, rwkv6_error *error) {
  const int64_t elements = rwkv6_tensor_elements(&loaded->problem, id);
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&loaded->problem, id);
  const size_t size = rwkv6_dtype_size(dtype);
  *data = rwkv6_alloc((size_t)elements, size, rwkv6_tensor_table[id].name, error);
  if (!*data) return RWKV6_OUT_OF_MEMORY;
  if (rwkv6_tensor_table[id].output) {
    memset(*data, 0xff, (size_t)elements * size);
  } else {
    cli_storage_encode(loaded->tensor[id], elements, dtype, *data);
  }
  return RWKV6_OK;
}

static rwkv6_status store(const cli_case *loaded, stored_tensors *stored, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int id = 0; id < RWKV6_TENSOR_COUNT && !status; ++id) {
    if (takes_part(loaded, (rwkv6_tensor_id)id)) {
      status = store_tensor(loaded, (rwkv6_tensor_id)id, &stored->data[id], error);
    }
  }
  return status;
}

static rwkv6_status load_outputs(const cli_case *loaded, const stored_tensors *stored, cli_outputs *outputs,
                                 rwkv6_error *error) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_table[id].output || !stored->data[id]) continue;
    const int64_t elements = rwkv6_tensor_elements(&loaded->problem, id);
    outputs->tensor[id] = rwkv6_alloc((size_t)elements, sizeof(float), rwkv6_tensor_table[id].name, error);
    if (!outputs->tensor[id]) return RWKV6_OUT_OF_MEMORY;
    cli_storage_decode(stored->data[id], elements, rwkv6_tensor_dtype(&loaded->problem, id), outputs->tensor[id]);
  }
  return RWKV6_OK;
}

/* Only tensors of the operation: the library refuses a pointer that has no part in a call. */
static rwkv6_tensors call_tensors(const rwkv6_problem *problem, rwkv6_operation operation, const stored_tensors *stored) {
  void *use[RWKV6_TENSOR_COUNT];
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    use[id] = rwkv6_tensor_takes_part(problem, operation, (rwkv6_tensor_id)id) ? stored->data[id] : NULL;
  }
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = use[RWKV6_TENSOR_R];
  tensors.k = use[RWKV6_TENSOR_K];
  tensors.v = use[RWKV6_TENSOR_V];
  tensors.w = use[RWKV6_TENSOR_W];
  tensors.u = use[RWKV6_TENSOR_U];
  tensors.initial_state = use[RWKV6_TENSOR_INITIAL_STATE];
  tensors.o = use[RWKV6_TENSOR_O];
  tensors.final_state = use[RWKV6_TENSOR_FINAL_STATE];
  tensors.do_ = use[RWKV6_TENSOR_DO];
  tensors.dfinal_state = use[RWKV6_TENSOR_DFINAL_STATE];
  tensors.dr = use[RWKV6_TENSOR_DR];
  tensors.dk = use[RWKV6_TENSOR_DK];
  tensors.dv = use[RWKV6_TENSOR_DV];
  tensors.dw = use[RWKV6_TENSOR_DW];
  tensors.du = use[RWKV6_TENSOR_DU];
  tensors.dinitial_state = use[RWKV6_TENSOR_DINITIAL_STATE];
  return tensors;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The lines of the library without the newline at their end. */
static void copy_explanation(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
  size_t length = strlen(out);
  while (length && out[length - 1] == '\n') out[--length] = '\0';
}

static rwkv6_status timed_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, double *seconds, rwkv6_error *error) {
  const double start = seconds_now();
  const rwkv6_status status = rwkv6_run(plan, tensors, error);
  *seconds = seconds_now() - start;
  return status;
}

/* In the first run of a plan, device buffers are made and some drivers only then compile, so the second one is timed: it gives
 * the same bits. */
static rwkv6_status run_plan(rwkv6_plan *plan, const rwkv6_tensors *tensors, cli_operation_result *result, rwkv6_error *error) {
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  rwkv6_status status = rwkv6_plan_get_info(plan, &info, error);
  if (status) return status;
  result->mode = info.mode;
  result->variant = info.variant;
  result->arithmetic = plan->variant->arithmetic;
  result->workspace = info.workspace;
  result->launches = info.launches;
  copy_explanation(result->explanation, sizeof result->explanation, info.explanation);
  status = timed_run(plan, tensors, &result->seconds, error);
  const bool again = info.launches > 0 && result->seconds < LONG_RUN;
  if (!status && again) status = timed_run(plan, tensors, &result->seconds, error);
  result->done = !status;
  return status;
}

static rwkv6_status operate(rwkv6_device *device, const cli_case *loaded, rwkv6_operation operation, rwkv6_mode mode,
                            const stored_tensors *stored, cli_operation_result *result, rwkv6_error *error) {
  cli_progress("%s: %s", loaded->name, cli_operation_name(operation));
  rwkv6_plan *plan = NULL;
  rwkv6_status status = rwkv6_plan_create(device, &loaded->problem, operation, mode, &plan, error);
  if (status) return status;
  const rwkv6_tensors tensors = call_tensors(&loaded->problem, operation, stored);
  status = run_plan(plan, &tensors, result, error);
  rwkv6_plan_destroy(&plan);
  return status;
}

rwkv6_status cli_execute(rwkv6_device *device, const cli_case *loaded, rwkv6_mode mode, cli_outputs *outputs,
                         cli_operation_result results[2], rwkv6_error *error) {
  stored_tensors stored = {{NULL}};
  memset(outputs, 0, sizeof *outputs);
  rwkv6_status status = store(loaded, &stored, error);
  for (int operation = RWKV6_FORWARD; operation <= (loaded->backward ? RWKV6_BACKWARD : RWKV6_FORWARD) && !status;
       ++operation) {
    status = operate(device, loaded, (rwkv6_operation)operation, mode, &stored, &results[operation], error);
  }
  if (!status) status = load_outputs(loaded, &stored, outputs, error);
  free_stored(&stored);
  if (status) cli_outputs_free(outputs);
  return status;
}
