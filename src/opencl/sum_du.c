/* SPDX-License-Identifier: MIT */
#include "opencl/sum_du.h"

#include "plan.h"

rwkv6_status rwkv6_cl_enqueue_sum_du(const rwkv6_plan *plan, cl_kernel kernel, uint64_t du_byte, int64_t units,
                                     const rwkv6_cl_call *call, rwkv6_error *error) {
  const int64_t heads_key = plan->problem.heads * plan->problem.key_dim;
  const bool rehearsal = call->chain->rehearsal != NULL;
  rwkv6_cl_arguments a = {plan->device->cl->cl, kernel, 0, CL_SUCCESS};
  rwkv6_cl_arg_workspace(&a, call, du_byte, true);
  rwkv6_cl_arg_packed(&a, call, RWKV6_TENSOR_DU);
  rwkv6_cl_arg_long(&a, units);
  rwkv6_cl_arg_long(&a, rehearsal ? 0 : heads_key);
  if (a.code != CL_SUCCESS) return rwkv6_cl_fail(error, a.code, "clSetKernelArg");
  const size_t local = RWKV6_MIN_WORK_GROUP, global = ((size_t)heads_key + local - 1) / local * local;
  const cl_int code = rwkv6_cl_chain_launch(call, kernel, global, local);
  return code == CL_SUCCESS ? RWKV6_OK : rwkv6_cl_fail(error, code, "clEnqueueNDRangeKernel");
}
