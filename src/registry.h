/* SPDX-License-Identifier: MIT */
/* Kernel variants: ordered lists, the first that accepts a problem runs. */
#ifndef RWKV6_SRC_REGISTRY_H
#define RWKV6_SRC_REGISTRY_H

#include "device.h"
#include "plan.h"

/* How a variant multiplies and adds, which decides how far its results may be off (docs/numerics.md, "Matrix units"). */
typedef enum rwkv6_arithmetic {
  RWKV6_ARITHMETIC_FP32, /* products and sums in fp32 */
  RWKV6_ARITHMETIC_TF32, /* operands of matrix units with 11 bits of mantissa, two of them each for fp32 storage; sums in fp32
                          */
  RWKV6_ARITHMETIC_PAIRS /* the same for 16-bit storage, but for A of o where rwkv6_rounds_A; for fp32 storage all operands, v
                            too, are two numbers in bf16 each */
} rwkv6_arithmetic;

typedef struct rwkv6_variant {
  const char *name;
  rwkv6_operation operation;
  rwkv6_mode mode; /* recurrent or chunk */
  /* Whether it takes a resolved problem; if not, `reason` says why. The only place that may look at a vendor. */
  bool (*supports)(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size);
  /* Fills plan->workspace, plan->launches and plan->state. On failure everything made is released again. */
  rwkv6_status (*create)(rwkv6_plan *plan, rwkv6_error *error);
  void (*destroy)(rwkv6_plan *plan);
  rwkv6_status (*run)(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error);
  rwkv6_arithmetic arithmetic;
} rwkv6_variant;

/* Whether such a variant makes use of relaxed precision in forward: A of o is one number in bf16. */
bool rwkv6_rounds_A(const rwkv6_problem *resolved, rwkv6_arithmetic arithmetic);

/* NULL-terminated, in the order of preference within a mode. */
extern const rwkv6_variant *const rwkv6_cpu_variants[];
extern const rwkv6_variant *const rwkv6_cl_variants[];

/* The mode that auto considers first, for a resolved problem. */
rwkv6_mode rwkv6_preferred_mode(const rwkv6_device *device, const rwkv6_problem *problem);

/* Fills infos (room for RWKV6_MAX_VARIANTS) and variants with what rwkv6_variant_list describes; returns their number. */
#define RWKV6_MAX_VARIANTS 16
size_t rwkv6_variants_consider(const rwkv6_device *device, const rwkv6_problem *resolved, rwkv6_operation operation,
                               rwkv6_mode mode, rwkv6_variant_info *infos, const rwkv6_variant **variants);

#endif
