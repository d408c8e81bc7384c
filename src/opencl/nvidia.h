/* SPDX-License-Identifier: MIT */
#ifndef RWKV6_SRC_OPENCL_NVIDIA_H
#define RWKV6_SRC_OPENCL_NVIDIA_H

#include "opencl/context.h"

/* 10 major + minor; 0: not an NVIDIA GPU. */
int rwkv6_cl_compute_capability(const rwkv6_device *device);

#endif
