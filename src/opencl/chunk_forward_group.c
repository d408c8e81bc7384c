/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward by products of 128 work-items: two families of kernels, and their variants, one an engine. Where all is bf16:
 * cl/chunk_forward_group.cl. Else: cl/chunk_forward_pairs.cl. Everything but geometry and build options is chunk_forward.c's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "opencl/chunk_forward.h"
#include "opencl/host_run.h"
#include "opencl/nvidia.h"
#include "opencl/variants.h"
#include "plan.h"

#define CHUNK 64
#define GROUP 128
#define JOINS 16 /* as long as reading so many states is faster than a launch */

/* Bytes from token to token: those between the first and the last of a chunk have to fit 31 bits. */
#define LONGEST_STRIDE ((int64_t)1 << 24)

static bool is_bf16(const rwkv6_problem *problem) {
  return problem->dtype == RWKV6_BF16 && problem->w_dtype == RWKV6_BF16;
}

/* A group for 64 key channels. */
static int groups(const rwkv6_problem *problem) {
  return problem->key_dim / 64;
}

/* As cl/chunk_group_tiles.h and cl/chunk_pairs_tiles.h lay out local memory: tiles (o of two groups goes where keys were, that
 * of one has a tile), and in the former sums, u and ones for each group; the emulated engine aligns them and exchanges 6 words.
 */
static uint64_t emulated_local_bytes(const rwkv6_problem *problem) {
  const int tiles = !is_bf16(problem) ? 14 : groups(problem) == 1 ? 12 : 13, more = is_bf16(problem) ? 3072 : 0;
  return (uint64_t)(groups(problem) * (tiles * 8192 + more + GROUP * 6 * 4)) + 1024;
}

/* There is no other, so it is not asked what the device prefers or what tests have set. */
static int work_group(const rwkv6_device *device, const rwkv6_problem *problem) {
  (void)device;
  return GROUP * groups(problem);
}

static bool write_options(const rwkv6_problem *problem, int work_items, const char *engine, rwkv6_cl_chunk *g, char *text,
                          size_t size) {
  if (work_items != GROUP * groups(problem)) return false;
  g->work_group = work_items;
  g->lanes = work_items / 8;
  g->span = problem->value_dim; /* no less than key_dim */
  g->tiles = problem->value_dim / problem->key_dim;
  g->each = 2 / groups(problem);
  g->splits_from = groups(problem) == 1 ? 6 : 4;
  g->divides = true;
  g->joins = JOINS;
  g->state_groups = problem->key_dim * problem->value_dim / work_items;
  snprintf(text, size, " -DWORK_GROUP=%d%s%s", work_items, engine,
           rwkv6_rounds_A(problem, RWKV6_ARITHMETIC_PAIRS) ? " -DRELAXED" : "");
  return true;
}

static bool hopper_options(const rwkv6_problem *problem, int work_items, void *geometry, char *text, size_t size) {
  return write_options(problem, work_items, " -DENGINE_NVIDIA", geometry, text, size);
}

static bool emulated_options(const rwkv6_problem *problem, int work_items, void *geometry, char *text, size_t size) {
  return write_options(problem, work_items, "", geometry, text, size);
}

static int64_t longest_stride(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  return LONGEST_STRIDE / (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(problem, id));
}

#define ROWS 5
static const rwkv6_tensor_id rows[ROWS] = {RWKV6_TENSOR_R, RWKV6_TENSOR_K, RWKV6_TENSOR_V, RWKV6_TENSOR_W, RWKV6_TENSOR_O};

static bool takes_strides(const rwkv6_problem *problem) {
  for (int i = 0; i < ROWS; i++) {
    const int64_t stride = rwkv6_tensor_stride(problem, rows[i])->token, longest = longest_stride(problem, rows[i]);
    if (stride > longest || stride < -longest) return false;
  }
  return true;
}

/* Other rows than those of whole 16 bytes go to local memory number by number: right, and the reason why tensors may begin
 * anywhere, but three times as slow as variant nvidia. */
static bool keeps_alignment(const rwkv6_problem *problem) {
  for (int i = 0; i < ROWS; i++) {
    const rwkv6_stride *stride = rwkv6_tensor_stride(problem, rows[i]);
    const int64_t numbers = 16 / (int64_t)rwkv6_dtype_size(rwkv6_tensor_dtype(problem, rows[i]));
    if (stride->token % numbers || stride->head % numbers) return false;
  }
  return true;
}

static bool takes(const rwkv6_problem *problem, char *reason, size_t size) {
  if ((problem->key_dim != 64 && problem->key_dim != 128) || problem->value_dim % problem->key_dim)
    snprintf(reason, size, "takes key_dim 64 or 128 and value_dim that is a multiple of it, not %d and %d", problem->key_dim,
             problem->value_dim);
  else if (problem->key_dim != 64 && !is_bf16(problem))
    snprintf(reason, size, "takes key_dim 64 where not all is bf16, not %d", problem->key_dim);
  else if (problem->chunk_length && problem->chunk_length != CHUNK)
    snprintf(reason, size, "takes chunk_length %d or 0 (automatic), not %" PRId64, CHUNK, problem->chunk_length);
  else if (!takes_strides(problem))
    snprintf(reason, size, "takes strides of up to %" PRId64 " bytes from token to token", LONGEST_STRIDE);
  else
    return true;
  return false;
}

static bool hopper_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (rwkv6_cl_compute_capability(device) != 90)
    snprintf(reason, size, "needs an NVIDIA GPU of compute capability 9.0");
  else if (!keeps_alignment(problem))
    snprintf(reason, size, "takes rows of r, k, v, w and o that are multiples of 16 bytes apart");
  else
    return takes(problem, reason, size);
  return false;
}

static bool emulated_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (!device->emulates_engines) {
    snprintf(reason, size, "emulates matrix units, for tests only");
    return false;
  }
  if (!takes(problem, reason, size)) return false;
  const uint64_t bytes = emulated_local_bytes(problem), items = (uint64_t)work_group(device, problem);
  if (device->info.local_memory >= bytes && device->info.max_work_group >= items) return true;
  snprintf(reason, size,
           "needs %" PRIu64 " bytes of local memory and work-groups of %" PRIu64 ", the device has %" PRIu64 " and %" PRIu64,
           bytes, items, device->info.local_memory, device->info.max_work_group);
  return false;
}

static const rwkv6_cl_chunk_family hopper[2] = {
    {"chunk_forward_pairs.cl", "chunk_states_pairs.cl", NULL, work_group, hopper_options, hopper_supports},
    {"chunk_forward_group.cl", "chunk_states_group.cl", NULL, work_group, hopper_options, hopper_supports},
};

static const rwkv6_cl_chunk_family emulated[2] = {
    {"chunk_forward_pairs.cl", "chunk_states_pairs.cl", NULL, work_group, emulated_options, emulated_supports},
    {"chunk_forward_group.cl", "chunk_states_group.cl", NULL, work_group, emulated_options, emulated_supports},
};

static rwkv6_status create_hopper(rwkv6_plan *plan, rwkv6_error *error) {
  return rwkv6_cl_chunk_forward_create(plan, &hopper[is_bf16(&plan->problem)], error);
}

static rwkv6_status create_emulated(rwkv6_plan *plan, rwkv6_error *error) {
  return rwkv6_cl_chunk_forward_create(plan, &emulated[is_bf16(&plan->problem)], error);
}

const rwkv6_variant rwkv6_cl_chunk_forward_hopper = {"hopper",          RWKV6_FORWARD,         RWKV6_MODE_CHUNK,
                                                     hopper_supports,   create_hopper,         rwkv6_cl_chunk_forward_destroy,
                                                     rwkv6_cl_host_run, RWKV6_ARITHMETIC_PAIRS};
const rwkv6_variant rwkv6_cl_chunk_forward_emulated_hopper = {"emulated_hopper", RWKV6_FORWARD,
                                                              RWKV6_MODE_CHUNK,  emulated_supports,
                                                              create_emulated,   rwkv6_cl_chunk_forward_destroy,
                                                              rwkv6_cl_host_run, RWKV6_ARITHMETIC_PAIRS};
