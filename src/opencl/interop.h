/* SPDX-License-Identifier: MIT */
/* What the calls of include/rwkv6/opencl.h have in common: checks of objects that the caller brings. */
#ifndef RWKV6_SRC_OPENCL_INTEROP_H
#define RWKV6_SRC_OPENCL_INTEROP_H

#include "opencl/context.h"
#include "rwkv6/opencl.h"
#include "tensor.h"

/* The member of `tensors` for a tensor. */
const rwkv6_opencl_tensor *rwkv6_interop_tensor(const rwkv6_opencl_tensors *tensors, rwkv6_tensor_id id);

/* A queue of the device's context and device; `out_of_order` may be NULL. */
rwkv6_status rwkv6_interop_check_queue(const rwkv6_cl_device *d, cl_command_queue queue, bool *out_of_order,
                                       rwkv6_error *error);

/* Events of the device's context. */
rwkv6_status rwkv6_interop_check_events(const rwkv6_cl_device *d, cl_uint count, const cl_event *list, rwkv6_error *error);

/* What a call does to a range of a buffer. */
typedef struct rwkv6_interop_use {
  const char *name;
  bool read, written;           /* by a kernel, or a copy on the device */
  bool host_read, host_written; /* by a transfer between the buffer and host memory */
} rwkv6_interop_use;

/*
 * A buffer of the device's context that holds `bytes` from byte `begin` on and may be used so. `root` and `root_begin` receive
 * where that is once sub-buffers are looked through: two ranges can only overlap in the same root.
 */
rwkv6_status rwkv6_interop_check_buffer(const rwkv6_cl_device *d, cl_mem buffer, uint64_t begin, uint64_t bytes,
                                        const rwkv6_interop_use *use, cl_mem *root, uint64_t *root_begin, rwkv6_error *error);

#endif
