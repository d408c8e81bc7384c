/* SPDX-License-Identifier: MIT */
/*
 * A small OpenCL library: one platform, one GPU, programs that are only text, kernels that do nothing, buffers in host memory.
 * It counts its calls (faults.h), keeps account of its objects, and notes when something is done that no driver would forgive.
 */
#ifndef RWKV6_TESTS_FAULTS_FAKE_OPENCL_H
#define RWKV6_TESTS_FAULTS_FAKE_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "rwkv6/opencl.h"

/* For rwkv6_opencl_load_symbols. */
rwkv6_opencl_function fake_opencl_lookup(void *user, const char *name);

/* What a call that is made to fail returns; CL_DEVICE_NOT_AVAILABLE at first. */
void fake_opencl_set_code(cl_int code);

/* What programs are compiled to from here on; the caller's, to be kept until it is another. NULL: what it was at first.
 * Programs can be made from that binary only, or, while it is not the first, from any that does not end in "!". */
void fake_opencl_set_binary(const void *binary, size_t size);

/* Of the last program that was built, while it lives: its options, and the binary that it was made from (NULL: from source). */
const char *fake_opencl_built(const void **binary, size_t *size);

/* CL_KERNEL_WORK_GROUP_SIZE of kernels whose names begin so; others have 1024. */
void fake_opencl_set_work_group(const char *kernels, size_t work_items);

/* What the device says of itself: 10 * major + minor of an NVIDIA GPU; 0, as at first: it is none. */
void fake_opencl_set_compute_capability(int capability);

/* Builds with this among their options fail, as a compiler does that does not like the source; NULL, as at first: none does. */
void fake_opencl_refuse_builds(const char *option);

/* Objects of a caller, made and released without a call of OpenCL: none of it fails. The queue is out of order. Returns the
 * device. */
cl_device_id fake_opencl_objects(size_t bytes, cl_context *context, cl_command_queue *queue, cl_mem *memory, cl_mem *workspace,
                                 cl_event *event);
void fake_opencl_release_objects(cl_context context, cl_command_queue queue, cl_mem memory, cl_mem workspace, cl_event event);
void fake_opencl_release_event(cl_event event);

/* Around a call that is to enqueue and nothing else: in between, a function that makes, builds or waits for something, and
 * memory allocated on the host, are misuse. */
void fake_opencl_begin_enqueueing(void);
void fake_opencl_end_enqueueing(void);

/* Makes one text of the device or the platform another: FAKE_TEXTS of them, from 1 on; 0: all as they were. */
#define FAKE_TEXTS 8
void fake_opencl_set_text(int which);

/* Objects that have not been released. */
int fake_opencl_alive(void);

/* Objects, living and dead, are kept, so that misuse is seen. This forgets all of them. */
void fake_opencl_forget(void);

/* The first misuse: an object that is none, is released already, or is of another kind. NULL: there was none. */
const char *fake_opencl_misuse(void);

/* How often a function has been called in the life of the process; `name` is its name, NULL after the last. */
long fake_opencl_calls(size_t index, const char **name);

#endif
