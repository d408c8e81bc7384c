/* SPDX-License-Identifier: MIT */
#include "tensor.h"

const rwkv6_tensor_traits rwkv6_tensor_table[RWKV6_TENSOR_COUNT] = {
    [RWKV6_TENSOR_R] = {"r", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_DTYPE, true, true, false, 0},
    [RWKV6_TENSOR_K] = {"k", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_DTYPE, true, true, false, 0},
    [RWKV6_TENSOR_V] = {"v", RWKV6_SHAPE_TOKENS_VALUE, RWKV6_TYPE_DTYPE, true, true, false, 0},
    [RWKV6_TENSOR_W] = {"w", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_W_DTYPE, true, true, false, 0},
    [RWKV6_TENSOR_U] = {"u", RWKV6_SHAPE_HEADS_KEY, RWKV6_TYPE_FP32, true, true, false, 0},
    [RWKV6_TENSOR_INITIAL_STATE] = {"initial_state", RWKV6_SHAPE_STATE, RWKV6_TYPE_FP32, true, true, false,
                                    RWKV6_INITIAL_STATE},
    [RWKV6_TENSOR_O] = {"o", RWKV6_SHAPE_TOKENS_VALUE, RWKV6_TYPE_DTYPE, true, false, true, 0},
    [RWKV6_TENSOR_FINAL_STATE] = {"final_state", RWKV6_SHAPE_STATE, RWKV6_TYPE_FP32, true, false, true, RWKV6_FINAL_STATE},
    [RWKV6_TENSOR_DO] = {"do", RWKV6_SHAPE_TOKENS_VALUE, RWKV6_TYPE_DTYPE, false, true, false, 0},
    [RWKV6_TENSOR_DFINAL_STATE] = {"dfinal_state", RWKV6_SHAPE_STATE, RWKV6_TYPE_FP32, false, true, false, RWKV6_DFINAL_STATE},
    [RWKV6_TENSOR_DR] = {"dr", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_DTYPE, false, true, true, 0},
    [RWKV6_TENSOR_DK] = {"dk", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_DTYPE, false, true, true, 0},
    [RWKV6_TENSOR_DV] = {"dv", RWKV6_SHAPE_TOKENS_VALUE, RWKV6_TYPE_DTYPE, false, true, true, 0},
    [RWKV6_TENSOR_DW] = {"dw", RWKV6_SHAPE_TOKENS_KEY, RWKV6_TYPE_W_DTYPE, false, true, true, 0},
    [RWKV6_TENSOR_DU] = {"du", RWKV6_SHAPE_HEADS_KEY, RWKV6_TYPE_FP32, false, true, true, 0},
    [RWKV6_TENSOR_DINITIAL_STATE] = {"dinitial_state", RWKV6_SHAPE_STATE, RWKV6_TYPE_FP32, false, true, true,
                                     RWKV6_DINITIAL_STATE},
    [RWKV6_TENSOR_POOL] = {"pool", RWKV6_SHAPE_POOL, RWKV6_TYPE_FP32, true, false, true, RWKV6_STATE_POOL},
    [RWKV6_TENSOR_SLOTS] = {"slots", RWKV6_SHAPE_SEQUENCES, RWKV6_TYPE_INT32, true, false, false, RWKV6_STATE_POOL},
};

const void *rwkv6_tensor_pointer(const rwkv6_tensors *tensors, rwkv6_tensor_id id) {
  switch (id) {
  case RWKV6_TENSOR_R: return tensors->r;
  case RWKV6_TENSOR_K: return tensors->k;
  case RWKV6_TENSOR_V: return tensors->v;
  case RWKV6_TENSOR_W: return tensors->w;
  case RWKV6_TENSOR_U: return tensors->u;
  case RWKV6_TENSOR_INITIAL_STATE: return tensors->initial_state;
  case RWKV6_TENSOR_O: return tensors->o;
  case RWKV6_TENSOR_FINAL_STATE: return tensors->final_state;
  case RWKV6_TENSOR_DO: return tensors->do_;
  case RWKV6_TENSOR_DFINAL_STATE: return tensors->dfinal_state;
  case RWKV6_TENSOR_DR: return tensors->dr;
  case RWKV6_TENSOR_DK: return tensors->dk;
  case RWKV6_TENSOR_DV: return tensors->dv;
  case RWKV6_TENSOR_DW: return tensors->dw;
  case RWKV6_TENSOR_DU: return tensors->du;
  case RWKV6_TENSOR_DINITIAL_STATE: return tensors->dinitial_state;
  case RWKV6_TENSOR_POOL: return tensors->pool;
  case RWKV6_TENSOR_SLOTS: return tensors->slots;
  case RWKV6_TENSOR_COUNT: break;
  }
  return NULL;
}

size_t rwkv6_dtype_size(rwkv6_dtype dtype) {
  if (dtype == RWKV6_FP64) return 8;
  return dtype == RWKV6_FP32 || dtype == RWKV6_INT32 ? 4 : 2;
}

const char *rwkv6_dtype_name(rwkv6_dtype dtype) {
  static const char *const names[] = {"fp32", "fp16", "bf16", "fp64", "int32"};
  return (unsigned)dtype < sizeof names / sizeof *names ? names[(unsigned)dtype] : "unknown dtype";
}

bool rwkv6_tensor_takes_part(const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_tensor_id id) {
  const rwkv6_tensor_traits *traits = &rwkv6_tensor_table[id];
  const bool in_operation = operation == RWKV6_FORWARD ? traits->in_forward : traits->in_backward;
  return in_operation && (!traits->optional || (problem->optional & traits->optional));
}

bool rwkv6_tensor_is_read(rwkv6_tensor_id id) {
  return !rwkv6_tensor_table[id].output || id == RWKV6_TENSOR_POOL;
}

rwkv6_dtype rwkv6_tensor_dtype(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  switch (rwkv6_tensor_table[id].type) {
  case RWKV6_TYPE_DTYPE: return problem->dtype;
  case RWKV6_TYPE_W_DTYPE: return problem->w_dtype;
  case RWKV6_TYPE_INT32: return RWKV6_INT32;
  case RWKV6_TYPE_FP32: break;
  }
  return RWKV6_FP32;
}

int64_t rwkv6_tensor_channels(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_TOKENS_VALUE:
  case RWKV6_SHAPE_STATE:
  case RWKV6_SHAPE_POOL: return problem->value_dim;
  case RWKV6_SHAPE_SEQUENCES: return 1;
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_HEADS_KEY: break;
  }
  return problem->key_dim;
}

const rwkv6_stride *rwkv6_tensor_stride(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  switch (id) {
  case RWKV6_TENSOR_R: return &problem->r;
  case RWKV6_TENSOR_K: return &problem->k;
  case RWKV6_TENSOR_V: return &problem->v;
  case RWKV6_TENSOR_W: return &problem->w;
  case RWKV6_TENSOR_O: return &problem->o;
  case RWKV6_TENSOR_DO: return &problem->do_;
  case RWKV6_TENSOR_DR: return &problem->dr;
  case RWKV6_TENSOR_DK: return &problem->dk;
  case RWKV6_TENSOR_DV: return &problem->dv;
  case RWKV6_TENSOR_DW: return &problem->dw;
  default: return NULL;
  }
}

int64_t rwkv6_tensor_elements(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_HEADS_KEY: return problem->heads * problem->key_dim;
  case RWKV6_SHAPE_STATE: return problem->sequences * problem->heads * problem->key_dim * problem->value_dim;
  case RWKV6_SHAPE_POOL: return problem->pool_slots * problem->heads * problem->key_dim * problem->value_dim;
  case RWKV6_SHAPE_SEQUENCES: return problem->sequences;
  case RWKV6_SHAPE_TOKENS_KEY:
  case RWKV6_SHAPE_TOKENS_VALUE: break;
  }
  return problem->tokens * problem->heads * rwkv6_tensor_channels(problem, id);
}

int64_t rwkv6_tensor_extent(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  if (!stride) return rwkv6_tensor_elements(problem, id);
  if (problem->tokens == 0) return 0;
  return (problem->tokens - 1) * stride->token + (problem->heads - 1) * stride->head + rwkv6_tensor_channels(problem, id);
}
