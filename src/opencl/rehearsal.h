/* SPDX-License-Identifier: MIT */
/*
 * Some drivers compile a kernel when it is first launched. A plan that is made rehearses: it enqueues what it will enqueue in a
 * run, but for steps past the end of every unit, so that its kernels do nothing. Kernels that a plan of this device has
 * rehearsed before are left out, so a plan for another batch shape costs no time on the device.
 *
 * A plan rehearses all kernels of its programs, also those that only other problems need, as a program goes into the cache
 * once. Where the driver compiles for small and for large launches, it rehearses large ones, which do for both: kernels must
 * not mind more work-groups than there are units, so they get no table of units and no slots.
 *
 * The thread that rehearses a program holds it (opencl/hold.h) until it is in the cache as well.
 */
#ifndef RWKV6_SRC_OPENCL_REHEARSAL_H
#define RWKV6_SRC_OPENCL_REHEARSAL_H

#include "opencl/call.h"
#include "opencl/context.h"

typedef struct rwkv6_cl_rehearsal rwkv6_cl_rehearsal;

/* In the place of a launch of a run. */
cl_int rwkv6_cl_rehearse_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local);

#endif
