/* SPDX-License-Identifier: MIT */
/*
 * Some drivers compile a kernel when it is first launched, and once more when a launch is much larger than all before it. A
 * plan that is made rehearses: it enqueues what it will enqueue in a run, but for steps past the end of every unit, so that its
 * kernels do nothing. Launches that a plan of this device has rehearsed before are left out, so a plan for another batch shape
 * costs no time on the device.
 */
#ifndef RWKV6_SRC_OPENCL_REHEARSAL_H
#define RWKV6_SRC_OPENCL_REHEARSAL_H

#include "opencl/call.h"
#include "opencl/context.h"

/* What has been rehearsed: a kernel of a program, in small launches or in those of 65536 work-items and more. */
typedef struct rwkv6_cl_rehearsed {
  struct rwkv6_cl_rehearsed *next;
  cl_program program;
  bool large;
  char name[64];
} rwkv6_cl_rehearsed;

typedef struct rwkv6_cl_rehearsal rwkv6_cl_rehearsal;

/* In the place of a launch of a run. */
cl_int rwkv6_cl_rehearse_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local);

void rwkv6_cl_rehearsed_free(rwkv6_cl_rehearsed *list);

#endif
