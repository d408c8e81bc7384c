/* SPDX-License-Identifier: MIT */
/*
 * Chunk forward on matrix units (cl/chunk_forward_matrix.cl): a family of kernels beside the portable one, and its variants,
 * one an engine. Everything but geometry and build options is chunk_forward.c's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "opencl/chunk_forward.h"
#include "opencl/host_run.h"
#include "opencl/nvidia.h"
#include "opencl/variants.h"
#include "plan.h"

/* Tokens of a sub-chunk: all that the length of a chunk has to do with the bits of a result. */
#define SUB_CHUNK 16

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static int larger(int a, int b) {
  return a > b ? a : b;
}

static bool splits_operands(const rwkv6_problem *problem) {
  return problem->dtype == RWKV6_FP32;
}

/* As cl/chunk_forward_matrix.cl lays out its local memory. */
static int local_bytes(const rwkv6_problem *problem, int work_group, int sub_chunks, bool emulated) {
  const int blocks = (problem->key_dim + 63) / 64, sub_groups = work_group / 32, splits = splits_operands(problem);
  const int real_tasks = sub_chunks * blocks, each = (real_tasks + sub_groups - 1) / sub_groups;
  const int tasks = emulated ? sub_groups * each : real_tasks, subs = (tasks + blocks - 1) / blocks;
  const int task_floats = 64 * 20 + SUB_CHUNK * 68 + SUB_CHUNK * 24;
  const int sub_floats = SUB_CHUNK * (64 * blocks + 4) + (1 + splits) * 64 * blocks;
  const int columns = work_group / 2, element = splits ? 4 : 2;
  const int token_bytes =
      64 * blocks * (2 * element + (problem->w_dtype == RWKV6_FP32 ? 4 : 2)) + 2 * element * (columns + (splits ? 4 : 8));
  return 4 * (tasks * task_floats + subs * sub_floats + work_group * (emulated ? 6 : 1)) + sub_chunks * SUB_CHUNK * token_bytes;
}

/* One sub-chunk and block of 64 key channels for each sub-group, where that fits: 4, 2 or 1 sub-chunks. */
static int choose_sub_chunks(const rwkv6_problem *problem, int work_group, int limit, bool emulated) {
  const int blocks = (problem->key_dim + 63) / 64;
  int sub_chunks = 4;
  while (sub_chunks > larger(1, work_group / 32 / blocks)) sub_chunks /= 2;
  while (sub_chunks > 0 && local_bytes(problem, work_group, sub_chunks, emulated) > limit) sub_chunks /= 2;
  return sub_chunks;
}

/* A row of more than 128 keys in fp32 is 16 bytes for each of 64 work-items; and Intel's compiler for CPUs crashes on the
 * emulation where a sub-group has two of four blocks. */
static int least_work_group(const rwkv6_problem *problem) {
  return problem->key_dim > 128 ? 128 : RWKV6_MIN_WORK_GROUP;
}

static bool choose_geometry(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g) {
  if (work_group < least_work_group(problem)) return false;
  const int sub_chunks = choose_sub_chunks(problem, work_group, g->local_limit, emulated);
  const int dim = larger(64, larger(problem->key_dim, problem->value_dim));
  if (!sub_chunks) return false;
  g->work_group = work_group;
  g->each = 4;
  g->splits_from = 4;
  g->lanes = work_group / 8; /* 16 value channels of a sub-group are 4 quads */
  g->sub_chunks = sub_chunks;
  g->span = (dim + 63) / 64 * 64;
  g->tiles = (problem->value_dim + work_group / 2 - 1) / (work_group / 2);
  g->state_groups = (problem->key_dim * problem->value_dim + work_group - 1) / work_group;
  return true;
}

static bool write_options(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g, char *text,
                          size_t size) {
  if (!choose_geometry(problem, work_group, emulated, g)) return false;
  snprintf(text, size, " -DWORK_GROUP=%d -DSUB_CHUNKS=%d -DSPAN=%d -DSPLIT=%d%s", g->work_group, g->sub_chunks, (int)g->span,
           splits_operands(problem), emulated ? "" : " -DENGINE_NVIDIA");
  return true;
}

static bool nvidia_options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  return write_options(problem, work_group, false, geometry, text, size);
}

static bool emulated_options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  return write_options(problem, work_group, true, geometry, text, size);
}

/*
 * The driver says 48 KiB and takes as much as the GPU has for one work-group: 163 KiB and more where the minor number is 0, of
 * which two work-groups are to share what the compute unit has; 99 KiB elsewhere (CUDA C++ programming guide, "Compute
 * Capabilities").
 */
static int nvidia_local_limit(const rwkv6_device *device) {
  const int capability = rwkv6_cl_compute_capability(device);
  return capability == 80 ? 80 * 1024 : capability % 10 == 0 ? 112 * 1024 : 96 * 1024;
}

static int emulated_local_limit(const rwkv6_device *device) {
  const uint64_t most = 112 * 1024, there = device->info.local_memory;
  return (int)(there < most ? there : most);
}

/* 16 value channels a sub-group of 32. */
static int largest_work_group(const rwkv6_device *device, const rwkv6_problem *problem) {
  const int columns = 2 * rwkv6_power_of_2(larger(16, problem->value_dim));
  return larger(least_work_group(problem), rwkv6_cl_largest_work_group(device, smaller(256, columns)));
}

static bool takes(const rwkv6_problem *problem, char *reason, size_t size) {
  if (problem->key_dim % 16 || problem->value_dim % 16 || problem->key_dim > 256) {
    snprintf(reason, size, "takes key_dim and value_dim that are multiples of 16, key_dim up to 256, not %d and %d",
             problem->key_dim, problem->value_dim);
    return false;
  }
  if (problem->chunk_length && problem->chunk_length != SUB_CHUNK) {
    snprintf(reason, size, "takes chunk_length %d or 0 (automatic), not %" PRId64, SUB_CHUNK, problem->chunk_length);
    return false;
  }
  return true;
}

/* Whether there is room for one sub-chunk at least. */
static bool fits(const rwkv6_device *device, const rwkv6_problem *problem, int limit, bool emulated, char *reason,
                 size_t size) {
  const int least = least_work_group(problem);
  rwkv6_cl_chunk geometry = {.local_limit = limit};
  if (device->info.max_work_group >= (uint64_t)least && choose_geometry(problem, least, emulated, &geometry)) return true;
  snprintf(reason, size, "needs work-groups of %d with %d bytes of local memory, the device has %" PRIu64 " with %d", least,
           local_bytes(problem, least, 1, emulated), device->info.max_work_group, limit);
  return false;
}

static bool nvidia_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (rwkv6_cl_compute_capability(device) >= 80)
    return takes(problem, reason, size) && fits(device, problem, nvidia_local_limit(device), false, reason, size);
  snprintf(reason, size, "needs an NVIDIA GPU of compute capability 8.0 or more");
  return false;
}

static bool emulated_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (!device->emulates_engines) {
    snprintf(reason, size, "emulates matrix units, for tests only");
    return false;
  }
  return takes(problem, reason, size) && fits(device, problem, emulated_local_limit(device), true, reason, size);
}

const rwkv6_cl_chunk_family rwkv6_cl_chunk_nvidia = {"chunk_forward_matrix.cl", "chunk_states_matrix.cl", nvidia_local_limit,
                                                     largest_work_group,        nvidia_options,           nvidia_supports};
const rwkv6_cl_chunk_family rwkv6_cl_chunk_emulated = {"chunk_forward_matrix.cl", "chunk_states_matrix.cl",
                                                       emulated_local_limit,      largest_work_group,
                                                       emulated_options,          emulated_supports};

static rwkv6_status create_nvidia(rwkv6_plan *plan, rwkv6_error *error) {
  return rwkv6_cl_chunk_forward_create(plan, &rwkv6_cl_chunk_nvidia, error);
}

static rwkv6_status create_emulated(rwkv6_plan *plan, rwkv6_error *error) {
  return rwkv6_cl_chunk_forward_create(plan, &rwkv6_cl_chunk_emulated, error);
}

const rwkv6_variant rwkv6_cl_chunk_forward_nvidia = {"nvidia",          RWKV6_FORWARD,        RWKV6_MODE_CHUNK,
                                                     nvidia_supports,   create_nvidia,        rwkv6_cl_chunk_forward_destroy,
                                                     rwkv6_cl_host_run, RWKV6_ARITHMETIC_TF32};
const rwkv6_variant rwkv6_cl_chunk_forward_emulated = {"emulated",        RWKV6_FORWARD,        RWKV6_MODE_CHUNK,
                                                       emulated_supports, create_emulated,      rwkv6_cl_chunk_forward_destroy,
                                                       rwkv6_cl_host_run, RWKV6_ARITHMETIC_TF32};
