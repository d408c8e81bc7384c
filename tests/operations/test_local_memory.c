/* SPDX-License-Identifier: MIT */
/*
 * What plans think that kernels take of the local memory, against what the driver says of the kernels: a device that accepts a
 * problem has room for it, and the variant that says what it needs needs about that. Kernels of matrix units are emulated.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "each.h"
#include "opencl/context.h"
#include "opencl/variants.h"
#include "plan.h"
#include "registry.h"

#define MORE 1024 /* bytes that a variant may say on top, for what a driver aligns */

static test_devices devices;

typedef struct shape {
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype;
} shape;

/* The first three are for products of 128 work-items too. */
static const shape shapes[] = {
    {64, 64, RWKV6_BF16}, {64, 128, RWKV6_FP32}, {128, 128, RWKV6_BF16}, {100, 33, RWKV6_FP16}, {256, 256, RWKV6_BF16}};

/* A device of its own, so that its programs are those of one plan. */
static rwkv6_device *open_device(const rwkv6_device_info *info, uint64_t local_memory) {
  rwkv6_device *device;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_error error = RWKV6_ERROR_INIT;
  options.cache_dir = "off";
  if (rwkv6_device_open(info->id, &options, &device, &error)) fail_msg("%s", error.message);
  rwkv6_device_emulate_engines(device, true);
  device->info.local_memory = local_memory;
  return device;
}

static uint64_t local_bytes(const rwkv6_cl_device *d, const rwkv6_cl_program *program, const char *name) {
  cl_int code;
  cl_ulong bytes = 0;
  cl_kernel kernel = d->cl->CreateKernel(program->program, name, &code);
  assert_int_equal(code, CL_SUCCESS);
  code = d->cl->GetKernelWorkGroupInfo(kernel, d->device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
  assert_int_equal(code, CL_SUCCESS);
  d->cl->ReleaseKernel(kernel);
  return bytes;
}

/* Of the kernel that takes the most. */
static uint64_t most_bytes(rwkv6_device *device) {
  uint64_t most = 0;
  for (rwkv6_cl_program *program = NULL; (program = rwkv6_cl_program_next(device->cl, program));)
    for (int i = 0; i < program->kernel_count; i++) {
      const uint64_t bytes = local_bytes(device->cl, program, program->kernels[i]);
      if (bytes > most) most = bytes;
    }
  return most;
}

static rwkv6_problem make_problem(const shape *s) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 600, 1, s->key_dim, s->value_dim);
  problem.dtype = problem.w_dtype = s->dtype;
  problem.segment_length = 1; /* with the kernels for segments */
  return problem;
}

/* What the plan's kernels take; 0: the variant refuses, and says why in `error`. */
static uint64_t taken(const rwkv6_device_info *info, uint64_t local_memory, const rwkv6_variant *variant, const shape *s,
                      rwkv6_error *error) {
  rwkv6_device *device = open_device(info, local_memory);
  const rwkv6_problem problem = make_problem(s);
  rwkv6_plan *plan = NULL;
  const rwkv6_status status =
      rwkv6_plan_create_variant(device, &problem, variant->operation, variant->mode, variant->name, &plan, error);
  const uint64_t bytes = status ? 0 : most_bytes(device);
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&device);
  if (status && status != RWKV6_UNSUPPORTED) fail_msg("%s", error->message);
  return bytes;
}

static void check_variant(const rwkv6_device_info *info, const rwkv6_variant *variant, const shape *s) {
  static const uint64_t sizes[] = {32 * 1024, 48 * 1024, 112 * 1024};
  const size_t first = strcmp(variant->name, "portable") ? 1 : 0; /* portable kernels take no more than 48 KiB anyway */
  for (size_t i = first; i < first + 2 && sizes[i] <= info->local_memory; i++) {
    rwkv6_error error = RWKV6_ERROR_INIT;
    const uint64_t bytes = taken(info, sizes[i], variant, s, &error);
    if (bytes > sizes[i])
      fail_msg("%s, K = %d, V = %d, %s: %" PRIu64 " bytes of local memory where there are %" PRIu64, variant->name,
               (int)s->key_dim, (int)s->value_dim, rwkv6_dtype_name(s->dtype), bytes, sizes[i]);
  }
}

/* A GPU's own matrix units come with more local memory than its driver says, and their variants count on that. */
static bool counts_on_info(const rwkv6_variant *variant) {
  return !strcmp(variant->name, "portable") || !strncmp(variant->name, "emulated", strlen("emulated"));
}

/* Variants of every operation and mode. */
static void check_device(const rwkv6_device_info *info, const shape *s) {
  for (int which = 0; which < 4; which++) {
    rwkv6_device *device = open_device(info, info->local_memory);
    const rwkv6_problem problem = make_problem(s);
    rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const rwkv6_operation operation = which < 2 ? RWKV6_FORWARD : RWKV6_BACKWARD;
    const rwkv6_mode mode = which % 2 ? RWKV6_MODE_CHUNK : RWKV6_MODE_RECURRENT;
    const size_t count = rwkv6_variants_consider(device, &problem, operation, mode, infos, variants);
    for (size_t i = 0; i < count; i++)
      if (infos[i].accepts && counts_on_info(variants[i])) check_variant(info, variants[i], s);
    rwkv6_device_close(&device);
  }
}

/* A driver that tells of none would pass whatever kernels take. */
static bool tells(const rwkv6_device_info *info) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (taken(info, info->local_memory, &rwkv6_cl_recurrent_forward, &shapes[0], &error)) return true;
  print_message("%s does not say what kernels take of the local memory\n", info->id);
  return false;
}

/* Every shape, or `count` of them, on each device that tells. */
static void each_shape(size_t count, void (*check)(const rwkv6_device_info *info, const shape *s)) {
  for (size_t i = 0; i < devices.count; i++) {
    if (!tells(&devices.info[i])) continue;
    for (size_t s = 0; s < count; s++) check(&devices.info[i], &shapes[s]);
  }
}

static void test_accepted(void **state) {
  (void)state;
  each_shape(sizeof shapes / sizeof *shapes, check_device);
}

/* The variant with one geometry says how much it needs: no less than its kernels take, and hardly more. */
static void check_said(const rwkv6_device_info *info, const shape *s) {
  const rwkv6_variant *variant = &rwkv6_cl_chunk_forward_emulated_hopper;
  static const char words[] = "chunk_forward emulated_hopper: needs ";
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(taken(info, 4096, variant, s, &error), 0);
  const char *said = strstr(error.message, words);
  assert_non_null(said);
  const uint64_t needed = strtoull(said + strlen(words), NULL, 10);
  if (needed > info->local_memory) return;
  const uint64_t bytes = taken(info, needed, variant, s, &error);
  if (bytes == 0 || bytes > needed || needed > bytes + MORE)
    fail_msg("K = %d, V = %d, %s: needs %" PRIu64 " bytes of local memory, takes %" PRIu64, (int)s->key_dim, (int)s->value_dim,
             rwkv6_dtype_name(s->dtype), needed, bytes);
}

static void test_said(void **state) {
  (void)state;
  each_shape(3, check_said);
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepted), cmocka_unit_test(test_said)};
  const int failed = cmocka_run_group_tests_name("local memory", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
