/* SPDX-License-Identifier: MIT */
#include "cli/truth.h"

#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/storage.h"
#include "cli/text.h"
#include "error.h"
#include "problem.h"
#include "reference/reference.h"

#define ALIGNMENT 64 /* of the workspace */

void cli_truth_free(cli_truth *truth) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) free(truth->tensor[id]);
  memset(truth, 0, sizeof *truth);
}

/* Stored as the device has them; the reference widens them itself. */
static rwkv6_status add_input(const cli_case *loaded, rwkv6_tensor_id id, rwkv6_view *view, rwkv6_error *error) {
  const int64_t elements = rwkv6_tensor_elements(&loaded->problem, id);
  view->data = rwkv6_alloc((size_t)elements, rwkv6_dtype_size(view->dtype), rwkv6_tensor_table[id].name, error);
  if (!view->data) return RWKV6_OUT_OF_MEMORY;
  cli_storage_encode(loaded->tensor[id], elements, view->dtype, view->data);
  return RWKV6_OK;
}

static rwkv6_status add_output(const cli_case *loaded, rwkv6_tensor_id id, rwkv6_view *view, cli_truth *truth,
                               rwkv6_error *error) {
  const int64_t elements = rwkv6_tensor_elements(&loaded->problem, id);
  truth->tensor[id] = rwkv6_alloc((size_t)elements, sizeof(double), rwkv6_tensor_table[id].name, error);
  view->data = truth->tensor[id];
  view->dtype = RWKV6_FP64;
  return view->data ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

static rwkv6_status add_tensors(const cli_case *loaded, rwkv6_operation operation, rwkv6_reference_call *call, cli_truth *truth,
                                rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    rwkv6_view *view = &call->view[id];
    if (!rwkv6_tensor_takes_part(&loaded->problem, operation, id)) continue;
    status = rwkv6_tensor_table[id].output ? add_output(loaded, id, view, truth, error) : add_input(loaded, id, view, error);
  }
  return status;
}

static void free_inputs(rwkv6_reference_call *call) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (!rwkv6_tensor_table[id].output) free(call->view[id].data);
  }
}

static rwkv6_status compute(rwkv6_operation operation, rwkv6_reference_call *call, rwkv6_error *error) {
  const bool forward = operation == RWKV6_FORWARD;
  const size_t bytes = forward ? rwkv6_recurrent_forward_workspace_double(call->problem)
                               : rwkv6_recurrent_backward_workspace_double(call->problem);
  char *memory = rwkv6_alloc(bytes + ALIGNMENT, 1, "the workspace of the double reference", error);
  if (!memory) return RWKV6_OUT_OF_MEMORY;
  call->workspace = memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT);
  if (forward) {
    rwkv6_recurrent_forward_double(call);
  } else {
    rwkv6_recurrent_backward_double(call);
  }
  free(memory);
  return RWKV6_OK;
}

rwkv6_status cli_truth_compute(const cli_case *loaded, rwkv6_operation operation, cli_truth *truth, rwkv6_error *error) {
  rwkv6_problem resolved;
  rwkv6_status status = rwkv6_problem_resolve(&loaded->problem, operation, &resolved, error);
  if (status) return status;
  cli_progress("%s: %s in double precision, to compare with", loaded->name, cli_operation_name(operation));
  const rwkv6_tensors none = RWKV6_TENSORS_INIT;
  rwkv6_reference_call call;
  memset(&call, 0, sizeof call);
  rwkv6_reference_views(&resolved, operation, &none, &call);
  call.problem = &resolved;
  status = add_tensors(loaded, operation, &call, truth, error);
  if (!status) status = compute(operation, &call, error);
  free_inputs(&call);
  return status;
}
