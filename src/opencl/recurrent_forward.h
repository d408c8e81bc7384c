/* SPDX-License-Identifier: MIT */
/* The launcher of cl/recurrent_forward.cl. recurrent_backward uses it as well: for dv and dinitial_state (the duality). */
#ifndef RWKV6_SRC_OPENCL_RECURRENT_FORWARD_H
#define RWKV6_SRC_OPENCL_RECURRENT_FORWARD_H

#include "opencl/launch.h"
#include "opencl/roles.h"
#include "opencl/units.h"

typedef struct rwkv6_cl_recurrence {
  cl_kernel kernel; /* owned */
  const char *log;
  int work_group, columns, block;
  int64_t groups;
  rwkv6_cl_window window;
} rwkv6_cl_recurrence;

rwkv6_status rwkv6_cl_recurrence_make(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_cl_recurrence *recurrence,
                                      rwkv6_error *error);
void rwkv6_cl_recurrence_release(const rwkv6_device *device, rwkv6_cl_recurrence *recurrence);

/* carry_byte: where carried states begin in the workspace. */
rwkv6_status rwkv6_cl_recurrence_enqueue(const rwkv6_plan *plan, const rwkv6_cl_recurrence *recurrence,
                                         const rwkv6_cl_roles *roles, const rwkv6_cl_units *units, uint64_t carry_byte,
                                         const rwkv6_cl_call *call, rwkv6_error *error);

#endif
