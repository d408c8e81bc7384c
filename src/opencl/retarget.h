/* SPDX-License-Identifier: MIT */
/*
 * Instructions that NVIDIA's driver does not compile, because it sets .target to the plain architecture: kernels have them
 * behind comment signs (HIDDEN in cl/engine_hopper.h). The binary of a program is PTX, which the driver takes back with another
 * target. What has those signs around the signs of a comment is there only until then (ENGINE_SHOWN_ONLY).
 */
#ifndef RWKV6_SRC_OPENCL_RETARGET_H
#define RWKV6_SRC_OPENCL_RETARGET_H

#include "opencl/context.h"

/* Whether a program has such instructions: some are in its source, and it is built for an engine, not for the emulation of one.
 */
bool rwkv6_cl_hides(const char *source, const char *options);

/*
 * The binary of a program that was built from such a source, with the instructions shown, in allocated memory that the caller
 * frees (NULL on error). BUILD_FAILED if it is anything but PTX for sm_90 with such instructions.
 */
rwkv6_status rwkv6_cl_show(const rwkv6_cl_device *device, cl_program program, unsigned char **binary, size_t *size,
                           rwkv6_error *error);

#endif
