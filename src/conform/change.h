/* SPDX-License-Identifier: MIT */
/*
 * Data made from other data, so that what the operator gives for it is known from what it gave before: sequences or heads in
 * another order, time flipped, the first or the last steps of each sequence, inputs multiplied by a number.
 */
#ifndef RWKV6_SRC_CONFORM_CHANGE_H
#define RWKV6_SRC_CONFORM_CHANGE_H

#include "conform/data.h"

typedef enum conform_part {
  CONFORM_WHOLE,
  CONFORM_FIRST_STEPS, /* of each sequence in the order of the recurrence, conform_cut of them */
  CONFORM_LAST_STEPS
} conform_part;

typedef struct conform_change {
  int64_t sequences, heads; /* sequence n is sequence n + `sequences` of before, head h is h + `heads`; both wrap around */
  bool flip;                /* the same steps, from the last token to the first instead, or the other way round */
  conform_part part;
  rwkv6_operation operation;         /* forward data may be made from backward data */
  uint32_t drop_optional;            /* tensors that no longer take part */
  uint32_t add_optional;             /* tensors that take part in addition; inputs among them are left for the caller to fill */
  double factor[RWKV6_TENSOR_COUNT]; /* inputs are multiplied by it: 0, 1 or 2 */
} conform_change;

/* Changes nothing. */
conform_change conform_change_make(const conform_data *data);

/* Fills `to`; the inputs that `from` has come from there. Destroy with conform_data_destroy. */
void conform_data_change(conform_data *to, const conform_data *from, const conform_change *change);

/* Steps of sequence n that CONFORM_FIRST_STEPS takes: any number from 0 to all, by the seed. */
int64_t conform_cut(const conform_data *data, int64_t n);

/* Row of tensor `id` of the original that row `row` of changed data is. */
int64_t conform_original_row(const conform_data *from, const conform_data *to, const conform_change *change, rwkv6_tensor_id id,
                             int64_t row);

#endif
