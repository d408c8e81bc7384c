/* SPDX-License-Identifier: MIT */
/* Running a case on a device, through the host-pointer API or with device buffers, and everything that must hold of it. */
#ifndef RWKV6_SRC_CONFORM_RUN_H
#define RWKV6_SRC_CONFORM_RUN_H

#include "conform/compare.h"
#include "conform/data.h"
#include "registry.h"

typedef struct conform_subject {
  rwkv6_device *device;
  const rwkv6_device_info *info;
  const rwkv6_variant *variant;
  bool buffers; /* device buffers made from the images, guards, gaps and offsets included; else host pointers */
  bool once;    /* one run, no comparison with further ones: for devices that are very slow */
} conform_subject;

/* The variants of a device that take a case: writes up to RWKV6_MAX_VARIANTS, returns their number. */
size_t conform_variants(rwkv6_device *device, const conform_case *test, rwkv6_operation operation, rwkv6_mode mode,
                        const rwkv6_variant **variants);

/* A plan of exactly this variant, whatever the library would choose. */
rwkv6_status conform_plan_create(const conform_subject *subject, const rwkv6_problem *problem, rwkv6_plan **plan,
                                 rwkv6_error *error);

/* One run over the images. */
rwkv6_status conform_run(const conform_subject *subject, rwkv6_plan *plan, conform_data *data, const conform_call *call,
                         rwkv6_error *error);
rwkv6_status conform_run_buffers(rwkv6_plan *plan, conform_data *data, const conform_call *call, rwkv6_error *error);

/* The operation of subject->variant on a case: tolerance, guards, gaps, unwritten elements, inputs unchanged, the same bits in
 * a second run, alone and in place. */
bool conform_check_case(const conform_subject *subject, const conform_case *test, conform_message *message);

/* "recurrent_forward portable on opencl:0 (...)" and the case, for a failure; `program` is argv[0]. */
void conform_describe(const conform_subject *subject, const conform_case *test, const char *program, char *text, size_t size);

#endif
