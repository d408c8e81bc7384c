/* SPDX-License-Identifier: MIT */
/* The variants of OpenCL devices, in order of preference within an operation and mode. */
#include "opencl/variants.h"

#include <inttypes.h>
#include <stdio.h>

#include "opencl/chunk_forward.h"
#include "opencl/launch.h"

#define PORTABLE_LOCAL_MEMORY (32 * 1024)

bool rwkv6_cl_portable_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  const rwkv6_device_info *info = &device->info;
  (void)problem;
  if (info->local_memory < PORTABLE_LOCAL_MEMORY) {
    snprintf(reason, size, "needs %d bytes of local memory, the device has %" PRIu64, PORTABLE_LOCAL_MEMORY,
             info->local_memory);
    return false;
  }
  if (info->max_work_group < RWKV6_MIN_WORK_GROUP) {
    snprintf(reason, size, "needs work-groups of %d, the device takes %" PRIu64, RWKV6_MIN_WORK_GROUP, info->max_work_group);
    return false;
  }
  return true;
}

bool rwkv6_cl_portable_chunk_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  return rwkv6_cl_portable_supports(device, problem, reason, size) && rwkv6_cl_chunk_length_fits(device, problem, reason, size);
}

const rwkv6_variant *const rwkv6_cl_variants[] = {
    &rwkv6_cl_recurrent_forward,
    &rwkv6_cl_recurrent_backward,
    &rwkv6_cl_chunk_forward_hopper,
    &rwkv6_cl_chunk_forward_nvidia,
    &rwkv6_cl_chunk_forward_emulated,
    &rwkv6_cl_chunk_forward_emulated_hopper,
    &rwkv6_cl_chunk_forward,
    &rwkv6_cl_chunk_backward_nvidia,
    &rwkv6_cl_chunk_backward_emulated,
    &rwkv6_cl_chunk_backward_portable,
    NULL,
};
