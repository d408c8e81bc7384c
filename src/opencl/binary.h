/* SPDX-License-Identifier: MIT */
/* Programs to and from the bytes that a driver compiled them to. */
#ifndef RWKV6_SRC_OPENCL_BINARY_H
#define RWKV6_SRC_OPENCL_BINARY_H

#include "opencl/context.h"

/* The binary of a built program for the device, in allocated memory that the caller frees (NULL on error). */
rwkv6_status rwkv6_cl_binary_get(const rwkv6_cl_device *device, cl_program program, unsigned char **binary, size_t *size,
                                 rwkv6_error *error);

/* A built program that has all kernels named, or NULL with the reason in `error`: drivers may refuse any binary. */
cl_program rwkv6_cl_binary_load(const rwkv6_cl_device *device, const unsigned char *binary, size_t size, const char *options,
                                const char *const *names, int count, rwkv6_error *error);

#endif
