/* SPDX-License-Identifier: MIT */
/* Running a case on a device, through the host-pointer API or with device buffers. */
#ifndef RWKV6_SRC_CONFORM_RUN_H
#define RWKV6_SRC_CONFORM_RUN_H

#include "conform/data.h"
#include "registry.h"

typedef struct conform_subject {
  rwkv6_device *device;
  const rwkv6_device_info *info;
  const rwkv6_variant *variant;
} conform_subject;

/* The variants of a device that take a case: writes up to RWKV6_MAX_VARIANTS, returns their number. */
size_t conform_variants(rwkv6_device *device, const conform_case *test, rwkv6_operation operation, rwkv6_mode mode,
                        const rwkv6_variant **variants);

/* A plan of exactly this variant, whatever the library would choose. */
rwkv6_status conform_plan_create(const conform_subject *subject, const rwkv6_problem *problem, rwkv6_plan **plan,
                                 rwkv6_error *error);

/* Into how many parts the subject's plan divides the batch, each with segments of its own (opencl/parts.h). */
int conform_parts_of(const conform_subject *subject, const rwkv6_problem *problem);

/* One run over the images: in buffers made from them, guards, gaps and offsets included, on an OpenCL device, unless the case
 * asks for host pointers. */
rwkv6_status conform_run(const conform_subject *subject, rwkv6_plan *plan, conform_data *data, const conform_call *call,
                         rwkv6_error *error);
rwkv6_status conform_run_buffers(rwkv6_plan *plan, conform_data *data, const conform_call *call, rwkv6_error *error);

#endif
