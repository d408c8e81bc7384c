/* SPDX-License-Identifier: MIT */
#ifndef RWKV6_SRC_PLAN_H
#define RWKV6_SRC_PLAN_H

#include "tensor.h"

struct rwkv6_variant;

struct rwkv6_plan {
  rwkv6_device *device;  /* held */
  rwkv6_problem problem; /* resolved; cu_seqlens points to `cu_seqlens` below or is NULL */
  int64_t *cu_seqlens;   /* owned */
  rwkv6_operation operation;
  const struct rwkv6_variant *variant;
  char *explanation;  /* owned */
  uint64_t workspace; /* bytes */
  int64_t launches;
  int parts;             /* of the batch, computed one after the other (opencl/parts.h); 0: the variant knows none */
  void *state;           /* the variant's own */
  const char *build_log; /* owned by the variant's state; NULL: nothing was built */
};

/*
 * rwkv6_plan_create with the variant of this name ("portable", ...) and no other; NULL: the first that accepts. UNSUPPORTED
 * with every variant's reason if that one refuses or there is none of the name.
 */
rwkv6_status rwkv6_plan_create_variant(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation,
                                       rwkv6_mode mode, const char *variant, rwkv6_plan **plan, rwkv6_error *error);

rwkv6_status rwkv6_mode_check(rwkv6_mode mode, rwkv6_error *error);
const char *rwkv6_mode_name(rwkv6_mode mode);                /* "auto", "recurrent", "chunk" */
const char *rwkv6_operation_name(rwkv6_operation operation); /* "forward", "backward" */

#endif
