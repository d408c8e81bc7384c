/* SPDX-License-Identifier: MIT */
/*
 * Instructions that NVIDIA's driver does not compile, because it sets .target to the plain architecture: kernels have them behind
 * comment signs (HIDDEN in cl/engine_hopper.h). The binary of a program is PTX, which the driver takes back with another target.
 */
#ifndef RWKV6_SRC_OPENCL_RETARGET_H
#define RWKV6_SRC_OPENCL_RETARGET_H

#include "opencl/context.h"

/* Whether there are such instructions in a kernel text, perhaps for another engine than the one that it was compiled for. */
bool rwkv6_cl_has_hidden(const char *source);

/* Replaces a program that was built from such a text by one that has them, if its binary has any. Else it is as it was. */
rwkv6_status rwkv6_cl_retarget(const rwkv6_device *device, cl_program *program, const char *options, const char *const *names,
                               int count, rwkv6_error *error);

#endif
