/* SPDX-License-Identifier: MIT */
/*
 * Which tensors play the parts of the recurrence o_t = out_scale (r_t^T S_{t-1} + ...), S_t = d_t S_{t-1} + in_scale k_t v_t^T.
 * Forward plays it as it is written. dv and dinitial_state are the same recurrence against the order of the problem with r and
 * k exchanged and do in the place of v (docs/algorithm.md, "Recurrent mode, backward": Duality).
 */
#ifndef RWKV6_SRC_OPENCL_ROLES_H
#define RWKV6_SRC_OPENCL_ROLES_H

#include <stdbool.h>

#include "tensor.h"

typedef struct rwkv6_cl_roles {
  rwkv6_tensor_id r, k, v, initial_state, o, final_state;
  double out_scale, in_scale;
  bool dual; /* against the order of the problem */
} rwkv6_cl_roles;

/* With a pool, both states of a sequence are its slot. */
static inline rwkv6_cl_roles rwkv6_cl_forward_roles(const rwkv6_problem *problem) {
  const bool pool = (problem->optional & RWKV6_STATE_POOL) != 0;
  const rwkv6_tensor_id initial = pool ? RWKV6_TENSOR_POOL : RWKV6_TENSOR_INITIAL_STATE;
  const rwkv6_tensor_id final = pool ? RWKV6_TENSOR_POOL : RWKV6_TENSOR_FINAL_STATE;
  const rwkv6_cl_roles roles = {
      RWKV6_TENSOR_R, RWKV6_TENSOR_K, RWKV6_TENSOR_V, initial, RWKV6_TENSOR_O, final, problem->scale, 1.0, false};
  return roles;
}

static inline rwkv6_cl_roles rwkv6_cl_dual_roles(const rwkv6_problem *problem) {
  const rwkv6_cl_roles roles = {RWKV6_TENSOR_K,
                                RWKV6_TENSOR_R,
                                RWKV6_TENSOR_DO,
                                RWKV6_TENSOR_DFINAL_STATE,
                                RWKV6_TENSOR_DV,
                                RWKV6_TENSOR_DINITIAL_STATE,
                                1.0,
                                problem->scale,
                                true};
  return roles;
}

#endif
