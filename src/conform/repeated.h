/* SPDX-License-Identifier: MIT */
/* Batches too large for host memory: many sequences, all alike but the first and the last, in device buffers. */
#ifndef RWKV6_SRC_CONFORM_REPEATED_H
#define RWKV6_SRC_CONFORM_REPEATED_H

#include "conform/check.h"

/*
 * The operation on a batch of `sequences` >= 3 sequences: the first of the trial's three, then the second as often as it takes,
 * then the third. The trial's case has three sequences of equal length, packed. Outputs of the first, second and last sequence,
 * and du, are within tolerance; each copy of the second has its bits.
 */
bool conform_check_repeated(const conform_subject *subject, conform_trial *trial, int64_t sequences, conform_message *message);

/* Bytes of the largest buffer, and of all but the workspace. */
void conform_repeated_bytes(const conform_trial *trial, int64_t sequences, uint64_t *largest, uint64_t *all);

#endif
