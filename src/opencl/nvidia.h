/* SPDX-License-Identifier: MIT */
/* What NVIDIA's driver says of a GPU. For variants' `supports` and for limits; nothing else may look at a vendor. */
#ifndef RWKV6_SRC_OPENCL_NVIDIA_H
#define RWKV6_SRC_OPENCL_NVIDIA_H

#include "opencl/context.h"

/* 10 major + minor; 0: not an NVIDIA GPU, or the driver does not say. */
int rwkv6_cl_compute_capability(const rwkv6_device *device);

#endif
