/* SPDX-License-Identifier: MIT */
#include "opencl/chain.h"

#include "opencl/host_run.h"
#include "opencl/rehearsal.h"
#include "registry.h"

static cl_int launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local) {
  rwkv6_cl_chain *chain = call->chain;
  const bool is_last = chain->left == 1;
  const cl_event before = chain->last;
  const cl_uint wait_count = chain->begun ? before != NULL : call->wait_count;
  const cl_event *wait_list = chain->begun ? (before ? &before : NULL) : call->wait_list;
  cl_event made = NULL;
  cl_event *event = (is_last ? call->event != NULL : call->out_of_order) ? &made : NULL;
  const cl_int code =
      chain->cl->EnqueueNDRangeKernel(call->queue, kernel, 1, NULL, &global, &local, wait_count, wait_list, event);
  chain->last = NULL;
  if (before) chain->cl->ReleaseEvent(before); /* the queue holds what it still waits for */
  if (code != CL_SUCCESS) return code;
  chain->begun = true;
  chain->left--;
  if (is_last && event)
    *call->event = made;
  else
    chain->last = made;
  return CL_SUCCESS;
}

cl_int rwkv6_cl_chain_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local) {
  if (call->chain->rehearsal) return rwkv6_cl_rehearse_launch(call, kernel, global, local);
  return launch(call, kernel, global, local);
}

rwkv6_status rwkv6_cl_enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error) {
  rwkv6_cl_chain chain = {.cl = plan->device->cl->cl, .left = plan->launches};
  rwkv6_cl_call chained = *call;
  chained.chain = &chain;
  const rwkv6_status status = ((rwkv6_cl_state *)plan->state)->enqueue(plan, &chained, error);
  if (chain.last) chain.cl->ReleaseEvent(chain.last);
  if (!status && chain.left)
    return rwkv6_fail(error, RWKV6_DEVICE_ERROR, "variant %s made %d launches fewer than it said", plan->variant->name,
                      (int)chain.left);
  return status;
}
