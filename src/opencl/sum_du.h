/* SPDX-License-Identifier: MIT */
/* The launch of cl/sum_du.h, the last step of both backward operations. */
#ifndef RWKV6_SRC_OPENCL_SUM_DU_H
#define RWKV6_SRC_OPENCL_SUM_DU_H

#include "opencl/launch.h"

/* du = the sum of the `units` rows [heads, K] at byte `du_byte` of the workspace. */
rwkv6_status rwkv6_cl_enqueue_sum_du(const rwkv6_plan *plan, cl_kernel kernel, uint64_t du_byte, int64_t units,
                                     const rwkv6_cl_call *call, rwkv6_error *error);

#endif
