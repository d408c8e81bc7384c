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

/* Tokens of a chunk. */
#define CHUNK 32

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static int larger(int a, int b) {
  return a > b ? a : b;
}

static bool splits_operands(const rwkv6_problem *problem) {
  return problem->dtype == RWKV6_FP32;
}

/* Sub-groups of a work-group: those that make tiles and those that use them, each for `wide` times 16 value channels. */
typedef struct layout {
  int makers, users, wide;
} layout;

static int block_of(const rwkv6_problem *problem) {
  return problem->key_dim > 64 ? 32 : 16;
}

/* A maker for every block of key channels, and users for as many value channels as there is room for in the work-group. */
static bool choose_layout(const rwkv6_problem *problem, int work_group, layout *l) {
  const int room = work_group / 32;
  l->wide = problem->value_dim > 16 && problem->key_dim <= 64 ? 2 : 1;
  l->makers = smaller(rwkv6_power_of_2((problem->key_dim + block_of(problem) - 1) / block_of(problem)), larger(1, room / 2));
  l->users = smaller(rwkv6_power_of_2((problem->value_dim + 16 * l->wide - 1) / (16 * l->wide)), room - l->makers);
  return l->users > 0;
}

/* As cl/chunk_matrix_tiles.h lays out local memory. */
static int local_bytes(const rwkv6_problem *problem, const layout *l, bool emulated) {
  const int splits = splits_operands(problem), block = block_of(problem), ahead = 2;
  const int blocks = (problem->key_dim + block - 1) / block, row = block * blocks, columns = 16 * l->wide * l->users;
  const int element = splits ? 4 : 2, w_element = problem->w_dtype == RWKV6_FP32 ? 4 : 2;
  const int state = 4 * (2 * row * 20 + (1 + splits) * row) + (4 * blocks + 15) / 16 * 16;
  const int triangle = 4 * 6 * 128, output = 4 * CHUNK * row + triangle;
  const int width = rwkv6_power_of_2(row);
  const int raw = CHUNK * (2 * element * (width + (element == 4 ? 8 : 0)) + w_element * (width + (w_element == 4 ? 8 : 0)));
  const int values = element * CHUNK * (columns + (splits ? 4 : 0));
  return 2 * (state + output) + ahead * raw + (ahead + 1) * values + blocks * triangle + 4 * row +
         128 * (l->makers + l->users) * (emulated ? 6 : 1) + 128;
}

static bool choose_geometry(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g, layout *l) {
  const int dim = larger(64, larger(problem->key_dim, problem->value_dim));
  if (!choose_layout(problem, work_group, l) || local_bytes(problem, l, emulated) > g->local_limit) return false;
  g->work_group = 32 * (l->makers + l->users);
  g->lanes = 4 * l->wide * l->users; /* 16 value channels are 4 quads */
  g->span = (dim + 63) / 64 * 64;
  g->tiles = (problem->value_dim + 4 * g->lanes - 1) / (4 * g->lanes);
  g->state_groups = (problem->key_dim * problem->value_dim + g->work_group - 1) / g->work_group;
  return true;
}

static bool write_options(const rwkv6_problem *problem, int work_group, bool emulated, rwkv6_cl_chunk *g, char *text,
                          size_t size) {
  layout l;
  if (!choose_geometry(problem, work_group, emulated, g, &l)) return false;
  snprintf(text, size, " -DMAKERS=%d -DUSERS=%d -DWIDE=%d -DSPAN=%d -DSPLIT=%d%s", l.makers, l.users, l.wide, (int)g->span,
           splits_operands(problem), emulated ? "" : " -DENGINE_NVIDIA");
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

static int preferred_work_group(const rwkv6_problem *problem) {
  layout l;
  choose_layout(problem, 512, &l);
  return rwkv6_power_of_2(32 * (l.makers + l.users));
}

static bool takes(const rwkv6_problem *problem, char *reason, size_t size) {
  if (problem->key_dim % 16 || problem->value_dim % 16 || problem->key_dim > 128) {
    snprintf(reason, size, "takes key_dim and value_dim that are multiples of 16, key_dim up to 128, not %d and %d",
             problem->key_dim, problem->value_dim);
    return false;
  }
  if (problem->chunk_length && problem->chunk_length != CHUNK) {
    snprintf(reason, size, "takes chunk_length %d or 0 (automatic), not %" PRId64, CHUNK, problem->chunk_length);
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
  layout l;
  if (choose_geometry(problem, 64, true, &geometry, &l)) return takes(problem, reason, size);
  snprintf(reason, size, "needs %d bytes of local memory, the device has %" PRIu64, local_bytes(problem, &l, true),
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
