/* SPDX-License-Identifier: MIT */
#include "opencl/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/chain.h"

/* A row of the table as the kernels read it, a long8; cl_long8 itself would need memory aligned to 64 bytes. */
typedef struct unit_row {
  cl_long s[8];
} unit_row;

const rwkv6_cl_segments rwkv6_cl_unsplit = {0, 0};

/* The state before step 0 is kept elsewhere, so a unit of up to `span` steps needs no checkpoint. */
static int64_t checkpoints_of(int64_t length, int64_t span) {
  return span && length ? (length - 1) / span : 0;
}

int64_t rwkv6_cl_units_of(int64_t length, rwkv6_cl_segments segments) {
  if (!segments.length || length <= segments.length) return 1;
  return length / segments.length + (length % segments.length >= segments.least);
}

int64_t rwkv6_cl_units_count(const rwkv6_problem *problem, rwkv6_cl_segments segments) {
  if (!problem->cu_seqlens) return problem->sequences * rwkv6_cl_units_of(problem->tokens / problem->sequences, segments);
  int64_t count = 0;
  for (int64_t n = 0; n < problem->sequences; n++)
    count += rwkv6_cl_units_of(rwkv6_problem_sequence(problem, n).length, segments);
  return count;
}

int64_t rwkv6_cl_longest_unit(const rwkv6_problem *problem, rwkv6_cl_segments segments) {
  const int64_t longest = rwkv6_problem_longest(problem), most = segments.length + segments.least - 1;
  return segments.length && most < longest ? most : longest;
}

/* Appends the rows of sequence n. Segments follow the recurrence: in reverse, the first holds the last tokens. */
static void add_sequence(const rwkv6_problem *problem, int64_t n, rwkv6_cl_segments segments, int64_t span,
                         int64_t window_steps, unit_row *rows, rwkv6_cl_units *units) {
  const rwkv6_sequence s = rwkv6_problem_sequence(problem, n);
  const int64_t count = rwkv6_cl_units_of(s.length, segments);
  rows[n].s[6] = units->count;
  rows[n].s[7] = units->count + count - 1;
  for (int64_t i = 0; i < count; i++) {
    unit_row *row = &rows[units->count++];
    const int64_t step = i * segments.length;
    const int64_t length = i < count - 1 ? segments.length : s.length - step;
    const int64_t begin = s.begin + (problem->reverse ? s.length - step - length : step);
    const int64_t ends = (i == 0 ? 1 : 0) + (i == count - 1 ? 2 : 0);
    const cl_long numbers[6] = {begin, length, n, ends, units->checkpoints, units->carries};
    memcpy(row->s, numbers, sizeof numbers);
    units->checkpoints += checkpoints_of(length, span);
    units->carries += length > window_steps;
    if (length > units->longest) units->longest = length;
  }
}

typedef struct turn {
  int64_t length, unit;
} turn;

/* Longest first, else in order. */
static int compare_turns(const void *a, const void *b) {
  const turn *x = a, *y = b;
  if (x->length != y->length) return x->length < y->length ? 1 : -1;
  return (x->unit > y->unit) - (x->unit < y->unit);
}

static rwkv6_status set_turns(unit_row *rows, size_t count, rwkv6_error *error) {
  turn *turns = rwkv6_alloc(count, sizeof *turns, "the turns of units", error);
  if (!turns) return RWKV6_OUT_OF_MEMORY;
  for (size_t i = 0; i < count; i++) {
    turns[i].length = rows[i].s[1];
    turns[i].unit = (int64_t)i;
  }
  qsort(turns, count, sizeof *turns, compare_turns);
  for (size_t i = 0; i < count; i++) rows[i].s[3] += 4 * turns[i].unit;
  free(turns);
  return RWKV6_OK;
}

static rwkv6_status make_table(const rwkv6_device *device, const rwkv6_problem *problem, rwkv6_cl_segments segments,
                               int64_t span, int64_t window_steps, rwkv6_cl_units *units, rwkv6_error *error) {
  const size_t count = (size_t)rwkv6_cl_units_count(problem, segments);
  unit_row *rows = rwkv6_alloc(count, sizeof *rows, "the table of units", error);
  if (!rows) return RWKV6_OUT_OF_MEMORY;
  for (int64_t n = 0; n < problem->sequences; n++) add_sequence(problem, n, segments, span, window_steps, rows, units);
  const rwkv6_status status = set_turns(rows, count, error);
  if (status) {
    free(rows);
    return status;
  }
  cl_int code;
  units->table = device->cl->cl->CreateBuffer(device->cl->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                              count * sizeof *rows, rows, &code);
  free(rows);
  if (code == CL_SUCCESS) return RWKV6_OK;
  units->table = NULL;
  char call[64];
  snprintf(call, sizeof call, "clCreateBuffer of %zu bytes for the table of units", count * sizeof *rows);
  return rwkv6_cl_fail(error, code, call);
}

/* Equal lengths need no table: the kernels work it out from a few numbers, so a new batch shape costs nothing on the device. */
static void describe_equal(const rwkv6_problem *problem, rwkv6_cl_segments segments, int64_t span, int64_t window_steps,
                           rwkv6_cl_units *units) {
  const int64_t length = problem->tokens / problem->sequences;
  const int64_t count = rwkv6_cl_units_of(length, segments);
  const int64_t full = count > 1 ? segments.length : length;
  const int64_t last = length - (count - 1) * full;
  const int64_t each_full = checkpoints_of(full, span);
  const int64_t each_sequence = (count - 1) * each_full + checkpoints_of(last, span);
  units->count = problem->sequences * count;
  units->longest = full > last ? full : last;
  units->checkpoints = problem->sequences * each_sequence;
  units->carries = units->longest > window_steps ? units->count : 0;
  units->batch[0] = length;
  units->batch[1] = full;
  units->batch[2] = count;
  units->batch[3] = each_full;
  units->batch[4] = each_sequence;
}

rwkv6_status rwkv6_cl_units_make(const rwkv6_device *device, const rwkv6_problem *problem, rwkv6_cl_segments segments,
                                 int64_t span, int64_t window_steps, rwkv6_cl_units *units, rwkv6_error *error) {
  const rwkv6_cl_units none = {0};
  *units = none;
  units->batch[5] = problem->heads;
  units->batch[6] = problem->reverse != 0;
  units->batch[7] = problem->pool_slots ? problem->pool_slots : 1;
  if (problem->cu_seqlens) return make_table(device, problem, segments, span, window_steps, units, error);
  describe_equal(problem, segments, span, window_steps, units);
  return RWKV6_OK;
}

void rwkv6_cl_units_release(const rwkv6_device *device, rwkv6_cl_units *units) {
  if (units->table) device->cl->cl->ReleaseMemObject(units->table);
  units->table = NULL;
}

/* In a rehearsal: as many units without tokens as a kernel asks for. */
static void set_empty_units(rwkv6_cl_arguments *arguments, const rwkv6_cl_units *units) {
  const int64_t *b = units->batch;
  const int64_t batch[8] = {0, 0, 1, 0, 0, b[5], b[6], b[7]};
  rwkv6_cl_arg_buffer(arguments, NULL);
  rwkv6_cl_arg_value(arguments, sizeof batch, batch);
}

void rwkv6_cl_arg_units(rwkv6_cl_arguments *arguments, const rwkv6_cl_call *call, const rwkv6_cl_units *units) {
  if (call->chain->rehearsal) {
    set_empty_units(arguments, units);
    return;
  }
  rwkv6_cl_arg_buffer(arguments, units->table);
  rwkv6_cl_arg_value(arguments, sizeof units->batch, units->batch);
}
