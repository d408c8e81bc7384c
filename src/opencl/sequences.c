/* SPDX-License-Identifier: MIT */
#include "opencl/sequences.h"

#include <stdlib.h>

/* The state before step 0 is the initial state, so a sequence of up to `span` tokens needs none. */
static int64_t checkpoints_of(int64_t length, int64_t span) {
  return span && length ? (length - 1) / span : 0;
}

static void fill(const rwkv6_problem *problem, int64_t span, int64_t window_steps, cl_long4 *rows,
                 rwkv6_cl_sequences *sequences) {
  for (int64_t n = 0; n < problem->sequences; n++) {
    const rwkv6_sequence s = rwkv6_problem_sequence(problem, n);
    const cl_long4 row = {{s.begin, s.length, sequences->checkpoints, sequences->carries}};
    rows[n] = row;
    sequences->checkpoints += checkpoints_of(s.length, span);
    sequences->carries += s.length > window_steps;
  }
}

static rwkv6_status make_table(const rwkv6_device *device, const rwkv6_problem *problem, int64_t span, int64_t window_steps,
                               rwkv6_cl_sequences *sequences, rwkv6_error *error) {
  const size_t bytes = (size_t)problem->sequences * sizeof(cl_long4);
  cl_long4 *rows = rwkv6_alloc((size_t)problem->sequences, sizeof *rows, "the table of sequences", error);
  if (!rows) return RWKV6_OUT_OF_MEMORY;
  fill(problem, span, window_steps, rows, sequences);
  cl_int code;
  sequences->table =
      device->cl->cl->CreateBuffer(device->cl->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes, rows, &code);
  free(rows);
  if (code == CL_SUCCESS) return RWKV6_OK;
  sequences->table = NULL;
  return rwkv6_cl_fail(error, code, "clCreateBuffer for the table of sequences");
}

rwkv6_status rwkv6_cl_sequences_make(const rwkv6_device *device, const rwkv6_problem *problem, int64_t span, int64_t window_steps,
                                     rwkv6_cl_sequences *sequences, rwkv6_error *error) {
  const rwkv6_cl_sequences none = {0};
  *sequences = none;
  sequences->longest = rwkv6_problem_longest(problem);
  if (problem->cu_seqlens) return make_table(device, problem, span, window_steps, sequences, error);
  sequences->length = sequences->longest;
  sequences->checkpoints_each = checkpoints_of(sequences->length, span);
  sequences->checkpoints = problem->sequences * sequences->checkpoints_each;
  sequences->carries = sequences->length > window_steps ? problem->sequences : 0;
  return RWKV6_OK;
}

void rwkv6_cl_sequences_release(const rwkv6_device *device, rwkv6_cl_sequences *sequences) {
  if (sequences->table) device->cl->cl->ReleaseMemObject(sequences->table);
  sequences->table = NULL;
}
