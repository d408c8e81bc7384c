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

/* A head has `side` sub-groups that make tiles and as many that use them. */
typedef struct layout {
  int side, heads, sub_chunks;
} layout;

/* Blocks of 32 key channels: with a sub-chunk each is a task. */
static int blocks_of(const rwkv6_problem *problem) {
  return (problem->key_dim + 31) / 32;
}

/* As cl/chunk_matrix_tiles.h lays out local memory. */
static int local_bytes(const rwkv6_problem *problem, const layout *l, bool emulated) {
  const int blocks = blocks_of(problem), row = 32 * blocks, splits = splits_operands(problem), ahead = 2;
  const int tasks = l->sub_chunks * blocks, chunk = SUB_CHUNK * l->sub_chunks;
  const int element = splits ? 4 : 2, w_element = problem->w_dtype == RWKV6_FP32 ? 4 : 2;
  const int state_floats = tasks * 32 * 20 + (1 + splits) * l->sub_chunks * row;
  const int output_floats = chunk * (row + 4) + tasks * SUB_CHUNK * 24;
  const int floats = 2 * (state_floats + output_floats) + tasks * SUB_CHUNK * 36 + row;
  const int raw = (2 * element + w_element) * chunk * row + (2 * (element == 2) + (w_element == 2)) * chunk / 8 * 64;
  const int values = element * chunk * (16 * l->side + (splits ? 4 : 8));
  const int head = 4 * floats + ahead * raw + (ahead + 1) * values;
  return l->heads * (head + 4 * 64 * l->side * (emulated ? 6 : 1)) + 128;
}

/* Sub-groups of a side: one for every 16 value channels, and for every task, up to 8. */
static int wanted_side(const rwkv6_problem *problem) {
  const int columns = rwkv6_power_of_2(problem->value_dim / 16), tasks = rwkv6_power_of_2(2 * blocks_of(problem));
  return smaller(8, larger(columns, tasks));
}

static bool choose_layout(const rwkv6_problem *problem, int work_group, int limit, bool emulated, layout *l) {
  l->side = smaller(wanted_side(problem), work_group / 64);
  l->heads = l->side ? work_group / 64 / l->side : 0;
  if (l->heads < 1 || l->heads > larger(1, (int)smaller(16, (int)problem->heads))) return false;
  for (l->sub_chunks = 2; l->sub_chunks > 0; l->sub_chunks--)
    if (local_bytes(problem, l, emulated) <= limit) return true;
  return false;
}

static bool choose_geometry(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g) {
  layout l;
  if (!choose_layout(problem, work_group, g->local_limit, emulated, &l)) return false;
  const int dim = larger(64, larger(problem->key_dim, problem->value_dim));
  g->work_group = work_group;
  g->heads = l.heads;
  g->lanes = 4 * l.side; /* 16 value channels of a sub-group are 4 quads */
  g->chunk = SUB_CHUNK * l.sub_chunks;
  g->round = l.sub_chunks;
  g->span = (dim + 63) / 64 * 64;
  g->tiles = (problem->value_dim + 16 * l.side - 1) / (16 * l.side);
  g->state_groups = (problem->key_dim * problem->value_dim + work_group - 1) / work_group;
  return true;
}

static bool write_options(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g, char *text,
                          size_t size) {
  if (!choose_geometry(problem, work_group, emulated, g)) return false;
  snprintf(text, size, " -DSIDE=%d -DHEADS=%d -DSUB_CHUNKS=%d -DSPAN=%d -DSPLIT=%d%s", g->lanes / 4, g->heads, g->round,
           (int)g->span, splits_operands(problem), emulated ? "" : " -DENGINE_NVIDIA");
  return true;
}

static bool nvidia_options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  return write_options(problem, work_group, false, geometry, text, size);
}

static bool emulated_options(const rwkv6_problem *problem, int work_group, void *geometry, char *text, size_t size) {
  return write_options(problem, work_group, true, geometry, text, size);
}

#define NVIDIA_VENDOR_ID 0x10de
#define CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV 0x4001

/* 10 major + minor; 0: not an NVIDIA GPU. */
static int compute_capability(const rwkv6_device *device) {
  const rwkv6_cl_device *d = device->cl;
  cl_uint major = 0, minor = 0;
  if (device->info.vendor_id != NVIDIA_VENDOR_ID) return 0;
  d->cl->GetDeviceInfo(d->device, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL);
  d->cl->GetDeviceInfo(d->device, CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV, sizeof minor, &minor, NULL);
  return (int)(10 * major + minor);
}

/*
 * The driver says 48 KiB and takes as much as the GPU has for one work-group (CUDA C++ programming guide, "Compute
 * Capabilities"): 163 KiB for 8.0, 227 KiB for later ones with the minor number 0, 99 KiB elsewhere.
 */
static int nvidia_local_limit(const rwkv6_device *device) {
  const int capability = compute_capability(device);
  return capability == 80 ? 162 * 1024 : capability % 10 == 0 ? 226 * 1024 : 99 * 1024;
}

static int emulated_local_limit(const rwkv6_device *device) {
  const uint64_t most = 226 * 1024, there = device->info.local_memory;
  return (int)(there < most ? there : most);
}

/* Work-groups of 512 leave the compiler 128 registers a work-item, and so two sub-groups to each of NVIDIA's schedulers for a
 * head. */
static int preferred_work_group(const rwkv6_problem *problem) {
  return 512;
}

static bool takes(const rwkv6_problem *problem, char *reason, size_t size) {
  if (problem->key_dim % 16 || problem->value_dim % 16 || problem->key_dim > 128) {
    snprintf(reason, size, "takes key_dim and value_dim that are multiples of 16, key_dim up to 128, not %d and %d",
             problem->key_dim, problem->value_dim);
    return false;
  }
  if (problem->chunk_length && problem->chunk_length != SUB_CHUNK) {
    snprintf(reason, size, "takes chunk_length %d or 0 (automatic), not %" PRId64, SUB_CHUNK, problem->chunk_length);
    return false;
  }
  return true;
}

static bool nvidia_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (compute_capability(device) >= 80) return takes(problem, reason, size);
  snprintf(reason, size, "needs an NVIDIA GPU of compute capability 8.0 or more");
  return false;
}

static bool emulated_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  if (!device->emulates_engines) {
    snprintf(reason, size, "emulates matrix units, for tests only");
    return false;
  }
  rwkv6_cl_chunk geometry = {.local_limit = emulated_local_limit(device)};
  const layout least = {1, 1, 1};
  if (choose_geometry(problem, 64, true, &geometry)) return takes(problem, reason, size);
  snprintf(reason, size, "needs %d bytes of local memory, the device has %" PRIu64, local_bytes(problem, &least, true),
           device->info.local_memory);
  return false;
}

const rwkv6_cl_chunk_family rwkv6_cl_chunk_nvidia = {"chunk_forward_matrix.cl", nvidia_local_limit, preferred_work_group,
                                                     nvidia_options, nvidia_supports};
const rwkv6_cl_chunk_family rwkv6_cl_chunk_emulated = {"chunk_forward_matrix.cl", emulated_local_limit, preferred_work_group,
                                                       emulated_options, emulated_supports};

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
