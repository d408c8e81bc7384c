/* SPDX-License-Identifier: MIT */
/*
 * A case: a folder with meta.json and .npy files that describe one problem, its inputs and, where they are known, its results.
 *
 *     r k w dr dk dw                                           [tokens, heads, key_dim]
 *     v do o dv                                                [tokens, heads, value_dim]
 *     u du                                                     [heads, key_dim]
 *     initial_state final_state dfinal_state dinitial_state    [sequences, heads, key_dim, value_dim]
 *     cu_seqlens                                               int64 [sequences + 1]; absent: equal lengths
 */
#ifndef RWKV6_SRC_CLI_CASE_H
#define RWKV6_SRC_CLI_CASE_H

#include "cli/npy.h"
#include "tensor.h"

typedef struct cli_case {
  char *name;                        /* last part of the folder's path */
  rwkv6_problem problem;             /* packed; its cu_seqlens points into this struct's array. final_state always takes part */
  rwkv6_dtype dtype;                 /* of the case itself; problem.dtype may have been changed since */
  rwkv6_dtype w_dtype;               /* what the values of w are exact in */
  bool backward;                     /* there is a `do`, and the decay is not in factor form */
  float *tensor[RWKV6_TENSOR_COUNT]; /* packed, as in the files; NULL: not there. Outputs are the case's reference results */
  int64_t *cu_seqlens;               /* [sequences + 1] or NULL */
} cli_case;

/*
 * Loads a folder. Shapes are checked against meta.json, inputs against what is legal (no NaN, w in the range of its form).
 * Free it with cli_case_free also after a failure. Errors: INVALID_ARGUMENT with a text that starts with the path of the file,
 * OUT_OF_MEMORY.
 */
rwkv6_status cli_case_load(const char *folder, cli_case *loaded, rwkv6_error *error);

void cli_case_free(cli_case *loaded);

/* Storage type of r, k, v, o and their gradients. w keeps its values: it is stored in its own type if that goes with `dtype`,
 * else in fp32, in which every value of a case is exact. */
void cli_case_set_dtype(cli_case *loaded, rwkv6_dtype dtype);

/* Last part of a path, "." and ".." resolved: the name of a case. Owned by the caller. */
char *cli_case_name(const char *folder, rwkv6_error *error);

/* Shape of a tensor's file. */
cli_npy_shape cli_case_shape(const rwkv6_problem *problem, rwkv6_tensor_id id);

#endif
