/* SPDX-License-Identifier: MIT */
/* The tensors of the operator, described once: every check, copy and test walks this table. */
#ifndef RWKV6_SRC_TENSOR_H
#define RWKV6_SRC_TENSOR_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

typedef enum rwkv6_tensor_id {
  RWKV6_TENSOR_R,
  RWKV6_TENSOR_K,
  RWKV6_TENSOR_V,
  RWKV6_TENSOR_W,
  RWKV6_TENSOR_U,
  RWKV6_TENSOR_INITIAL_STATE,
  RWKV6_TENSOR_O,
  RWKV6_TENSOR_FINAL_STATE,
  RWKV6_TENSOR_DO,
  RWKV6_TENSOR_DFINAL_STATE,
  RWKV6_TENSOR_DR,
  RWKV6_TENSOR_DK,
  RWKV6_TENSOR_DV,
  RWKV6_TENSOR_DW,
  RWKV6_TENSOR_DU,
  RWKV6_TENSOR_DINITIAL_STATE,
  RWKV6_TENSOR_POOL,
  RWKV6_TENSOR_SLOTS,
  RWKV6_TENSOR_COUNT
} rwkv6_tensor_id;

typedef enum rwkv6_tensor_shape {
  RWKV6_SHAPE_TOKENS_KEY,   /* [tokens, heads, key_dim], strided */
  RWKV6_SHAPE_TOKENS_VALUE, /* [tokens, heads, value_dim], strided */
  RWKV6_SHAPE_HEADS_KEY,    /* [heads, key_dim] */
  RWKV6_SHAPE_STATE,        /* [sequences, heads, key_dim, value_dim] */
  RWKV6_SHAPE_POOL,         /* [pool_slots, heads, key_dim, value_dim] */
  RWKV6_SHAPE_SEQUENCES     /* [sequences] */
} rwkv6_tensor_shape;

typedef enum rwkv6_tensor_type { RWKV6_TYPE_DTYPE, RWKV6_TYPE_W_DTYPE, RWKV6_TYPE_FP32, RWKV6_TYPE_INT32 } rwkv6_tensor_type;

typedef struct rwkv6_tensor_traits {
  const char *name; /* as in the public struct and in the files of a case */
  rwkv6_tensor_shape shape;
  rwkv6_tensor_type type;
  bool in_forward, in_backward; /* takes part in the operation, provided that `optional` allows */
  bool output;                  /* written; the pool is read as well */
  uint32_t optional;            /* bit of rwkv6_problem.optional that switches it on; 0: always there */
} rwkv6_tensor_traits;

extern const rwkv6_tensor_traits rwkv6_tensor_table[RWKV6_TENSOR_COUNT];

/* The pointer that the caller gave. */
const void *rwkv6_tensor_pointer(const rwkv6_tensors *tensors, rwkv6_tensor_id id);

/* Types that no problem names: storage of the double reference, and slots. */
#define RWKV6_FP64 ((rwkv6_dtype)3)
#define RWKV6_INT32 ((rwkv6_dtype)4)

/* Bytes of one element: 4, 2, 2, 8, 4. */
size_t rwkv6_dtype_size(rwkv6_dtype dtype);
const char *rwkv6_dtype_name(rwkv6_dtype dtype); /* "fp32", "fp16", "bf16", "fp64", "int32" */

/* All below take a checked problem with its strides filled in (problem.h). */
bool rwkv6_tensor_takes_part(const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_tensor_id id);
/* Whether the operation reads it: everything but outputs, and the pool. */
bool rwkv6_tensor_is_read(rwkv6_tensor_id id);
rwkv6_dtype rwkv6_tensor_dtype(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Channels of a row: key_dim or value_dim (value_dim for a state, 1 for slots). */
int64_t rwkv6_tensor_channels(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Where the stride of a strided tensor lies in the problem; NULL for all others. */
const rwkv6_stride *rwkv6_tensor_stride(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Elements from the first to one past the last, gaps of strides included. The problem check has made sure that it fits. */
int64_t rwkv6_tensor_extent(const rwkv6_problem *problem, rwkv6_tensor_id id);
/* Elements without gaps. */
int64_t rwkv6_tensor_elements(const rwkv6_problem *problem, rwkv6_tensor_id id);

#endif
