/* SPDX-License-Identifier: MIT */
#ifndef RWKV6_SRC_OPENCL_VARIANTS_H
#define RWKV6_SRC_OPENCL_VARIANTS_H

#include "registry.h"

/* What every portable kernel needs of a device. */
bool rwkv6_cl_portable_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size);

/* The same, and a chunk length that fits. */
bool rwkv6_cl_portable_chunk_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size);

extern const rwkv6_variant rwkv6_cl_chunk_backward_emulated;
extern const rwkv6_variant rwkv6_cl_chunk_backward_nvidia;
extern const rwkv6_variant rwkv6_cl_chunk_backward_portable;
extern const rwkv6_variant rwkv6_cl_chunk_forward;
extern const rwkv6_variant rwkv6_cl_chunk_forward_emulated;
extern const rwkv6_variant rwkv6_cl_chunk_forward_emulated_hopper;
extern const rwkv6_variant rwkv6_cl_chunk_forward_hopper;
extern const rwkv6_variant rwkv6_cl_chunk_forward_nvidia;
extern const rwkv6_variant rwkv6_cl_recurrent_forward;
extern const rwkv6_variant rwkv6_cl_recurrent_backward;

#endif
