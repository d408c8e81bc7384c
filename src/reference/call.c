/* SPDX-License-Identifier: MIT */
/* What does not depend on `real`: compiled once. */
#include "reference/reference.h"

/* Pairs of tokens cost chunk_length / 2 products per token and channel, handing the state on costs 1 / chunk_length of a state:
 * measured over 8 to 64, the sum is flat around this. */
enum { AUTOMATIC_CHUNK_LENGTH = 16 };

void rwkv6_reference_views(const rwkv6_problem *problem, rwkv6_operation operation, const rwkv6_tensors *tensors,
                           rwkv6_reference_call *call) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
    rwkv6_view *view = &call->view[id];
    /* Outputs are handed in through the same table as inputs, hence the cast; inputs are never written. */
    view->data = rwkv6_tensor_takes_part(problem, operation, id) ? (void *)rwkv6_tensor_pointer(tensors, id) : NULL;
    view->dtype = rwkv6_tensor_dtype(problem, id);
    view->token_stride = stride ? stride->token : 0;
    view->head_stride = stride ? stride->head : 0;
  }
  if (!rwkv6_tensor_takes_part(problem, operation, RWKV6_TENSOR_POOL)) return;
  call->view[RWKV6_TENSOR_INITIAL_STATE] = call->view[RWKV6_TENSOR_FINAL_STATE] = call->view[RWKV6_TENSOR_POOL];
  call->slots = tensors->slots;
}

int64_t rwkv6_reference_chunk_length(const rwkv6_problem *problem) {
  const int64_t length = problem->chunk_length > 0 ? problem->chunk_length : AUTOMATIC_CHUNK_LENGTH;
  const int64_t longest = rwkv6_problem_longest(problem);
  if (longest < 1) return 1;
  return length < longest ? length : longest;
}
