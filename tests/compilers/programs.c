/* SPDX-License-Identifier: MIT */
/*
 * programs TARGET FOLDER: the programs that the launchers would build for a GPU that is not here, written to FOLDER/NUMBER.cl;
 * for each a line on stdout with tabs between
 *
 *     NUMBER  VARIANT  SPECIALIZATION  WORK-GROUP  KERNEL[,KERNEL...]  OPTIONS
 *
 * programs --targets: the names of the targets. tests/compilers/run.sh compiles what this writes.
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "pretend.h"
#include "problem.h"
#include "registry.h"

#define INTEL "Intel(R) Corporation", "Intel(R) OpenCL Graphics"
#define INTEL_EXTENSIONS                                                                                                       \
  "cl_khr_fp16 cl_khr_subgroups cl_intel_subgroups cl_intel_required_subgroup_size cl_intel_subgroups_short "
#define AMD                                                                                                                    \
  "Advanced Micro Devices, Inc.", "AMD Accelerated Parallel Processing", "cl_khr_fp16 cl_khr_fp64 cl_khr_subgroups", 0x1002
#define NVIDIA "NVIDIA Corporation", "NVIDIA CUDA", "cl_khr_fp64 cl_nv_device_attribute_query cl_nv_compiler_options", 0x10de

/* Limits as the vendors' drivers report them: work-group, local memory, compute units. */
static const pretend_device targets[] = {
    {"skl", "Intel(R) HD Graphics 530", INTEL, INTEL_EXTENSIONS, 0x8086, 256, 65536, 24, 0},
    {"tgllp", "Intel(R) Iris(R) Xe Graphics", INTEL, INTEL_EXTENSIONS, 0x8086, 512, 65536, 96, 0},
    {"dg2", "Intel(R) Arc(TM) A770 Graphics", INTEL, INTEL_EXTENSIONS "cl_intel_subgroup_matrix_multiply_accumulate", 0x8086,
     1024, 65536, 512, 0},
    {"pvc", "Intel(R) Data Center GPU Max 1550", INTEL,
     INTEL_EXTENSIONS "cl_khr_fp64 cl_intel_subgroup_matrix_multiply_accumulate", 0x8086, 1024, 131072, 1024, 0},
    {"gfx90a", "gfx90a:sramecc+:xnack-", AMD, 256, 65536, 104, 0},
    {"gfx942", "gfx942:sramecc+:xnack-", AMD, 256, 65536, 304, 0},
    {"gfx1030", "gfx1030", AMD, 256, 65536, 36, 0},
    {"gfx1100", "gfx1100", AMD, 256, 65536, 48, 0},
    {"sm_80", "NVIDIA A100-SXM4-80GB", NVIDIA, 1024, 49152, 108, 80},
    {"sm_90", "NVIDIA H100 80GB HBM3", NVIDIA, 1024, 49152, 132, 90},
};

/* What users hit, and one odd shape; every storage type and two decay forms are among them. */
static const struct specialization {
  int32_t key_dim, value_dim;
  rwkv6_dtype dtype, w_dtype;
  rwkv6_decay decay;
  rwkv6_precision precision;
} specializations[] = {
    {64, 64, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_LOG, RWKV6_PRECISION_FULL},
    {64, 64, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_RAW, RWKV6_PRECISION_FULL},
    {64, 128, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_LOG, RWKV6_PRECISION_FULL},
    {64, 64, RWKV6_BF16, RWKV6_FP32, RWKV6_DECAY_LOG, RWKV6_PRECISION_FULL},
    {64, 64, RWKV6_FP32, RWKV6_FP32, RWKV6_DECAY_LOG, RWKV6_PRECISION_FULL},
    {128, 128, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_LOG, RWKV6_PRECISION_FULL},
    {33, 100, RWKV6_FP16, RWKV6_FP32, RWKV6_DECAY_RAW, RWKV6_PRECISION_FULL},
    /* after the same with full precision, whose programs most variants take */
    {64, 64, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_LOG, RWKV6_PRECISION_RELAXED},
    {128, 128, RWKV6_BF16, RWKV6_BF16, RWKV6_DECAY_LOG, RWKV6_PRECISION_RELAXED},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool write_source(const char *folder, size_t number, const char *text) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%03zu.cl", folder, number);
  FILE *file = fopen(path, "wb");
  if (!file) return false;
  const bool written = fputs(text, file) >= 0;
  return fclose(file) == 0 && written;
}

/* Programs from `begin` on are what the last plan brought. */
static bool write_new(const char *folder, size_t begin, const rwkv6_variant *variant, const struct specialization *s) {
  static const char *const forms[] = {"log", "raw", "factor"};
  pretend_program *const *programs;
  const size_t end = pretend_programs(&programs);
  for (size_t i = begin; i < end; i++) {
    if (!write_source(folder, i, programs[i]->source)) return false;
    printf("%03zu\t%s\t%dx%d-%s-%s-%s%s\t", i, variant->name, s->key_dim, s->value_dim, rwkv6_dtype_name(s->dtype),
           rwkv6_dtype_name(s->w_dtype), forms[s->decay], s->precision == RWKV6_PRECISION_FULL ? "" : "-relaxed");
    for (int kernel = 0; kernel < programs[i]->count; kernel++) printf("%s%s", kernel ? "," : "", programs[i]->kernels[kernel]);
    printf("\t%s\n", programs[i]->options);
  }
  return true;
}

static bool make_plan(rwkv6_device *device, const rwkv6_problem *problem, const rwkv6_variant *variant, rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  const rwkv6_status status =
      rwkv6_plan_create_variant(device, problem, variant->operation, variant->mode, variant->name, &plan, error);
  rwkv6_plan_destroy(&plan);
  if (status) fprintf(stderr, "%s: %s\n", variant->name, error->message);
  return !status;
}

/* Every variant that accepts, each operation and mode. */
static bool list_operation(rwkv6_device *device, const char *folder, rwkv6_operation operation,
                           const struct specialization *s) {
  rwkv6_problem problem, resolved;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_problem_init(&problem, sizeof problem, 1, 4096, 32, s->key_dim, s->value_dim);
  problem.dtype = s->dtype;
  problem.w_dtype = s->w_dtype;
  problem.decay = s->decay;
  problem.precision = s->precision;
  problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE;
  if (rwkv6_problem_resolve(&problem, operation, &resolved, &error)) return false;
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t found = rwkv6_variants_consider(device, &resolved, operation, RWKV6_MODE_AUTO, infos, variants);
  for (size_t i = 0; i < found; i++) {
    pretend_program *const *programs;
    const size_t begin = pretend_programs(&programs);
    if (!infos[i].accepts) continue;
    if (!make_plan(device, &problem, variants[i], &error) || !write_new(folder, begin, variants[i], s)) return false;
  }
  return true;
}

static int list_programs(const pretend_device *target, const char *folder) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device *device = NULL;
  options.cache_dir = "off"; /* every program is built */
  if (rwkv6_opencl_load_symbols(pretend_lookup, (void *)target, &error) ||
      rwkv6_device_open("opencl:0", &options, &device, &error)) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  bool good = true;
  for (size_t i = 0; i < COUNT(specializations) && good; i++)
    good = list_operation(device, folder, RWKV6_FORWARD, &specializations[i]) &&
           list_operation(device, folder, RWKV6_BACKWARD, &specializations[i]);
  rwkv6_device_close(&device);
  return good ? 0 : 1;
}

int main(int count, char **arguments) {
  for (size_t i = 0; i < COUNT(targets); i++) {
    if (count == 2 && !strcmp(arguments[1], "--targets")) printf("%s\n", targets[i].name);
    if (count == 3 && !strcmp(arguments[1], targets[i].name)) return list_programs(&targets[i], arguments[2]);
  }
  if (count == 2 && !strcmp(arguments[1], "--targets")) return 0;
  fprintf(stderr, "usage: %s TARGET FOLDER, or %s --targets\n", arguments[0], arguments[0]);
  return 2;
}
