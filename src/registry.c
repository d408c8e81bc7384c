/* SPDX-License-Identifier: MIT */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "problem.h"
#include "quirks.h"

static const rwkv6_variant *const *variants_of(const rwkv6_device *device) {
  return device->cl ? rwkv6_cl_variants : rwkv6_cpu_variants;
}

/*
 * From this many tokens in the longest sequence on, chunk mode is the faster one on OpenCL devices (docs/performance.md,
 * "Recurrent or chunk"). On the CPU path the scalar chunk form does more arithmetic than the loop and gains nothing from it.
 */
#define CHUNK_TOKENS 8

rwkv6_mode rwkv6_preferred_mode(const rwkv6_device *device, const rwkv6_problem *problem) {
  return device->cl && rwkv6_problem_longest(problem) >= CHUNK_TOKENS ? RWKV6_MODE_CHUNK : RWKV6_MODE_RECURRENT;
}

bool rwkv6_rounds_A(const rwkv6_problem *resolved, rwkv6_arithmetic arithmetic) {
  return resolved->precision == RWKV6_PRECISION_RELAXED && arithmetic == RWKV6_ARITHMETIC_PAIRS &&
         resolved->dtype == RWKV6_BF16 && resolved->w_dtype == RWKV6_BF16;
}

static bool accepts(const rwkv6_variant *variant, const rwkv6_device *device, const rwkv6_problem *resolved, char *reason,
                    size_t size) {
  const rwkv6_quirk *quirk = rwkv6_quirk_with(&device->info, RWKV6_QUIRK_REFUSE);
  if (!quirk) return variant->supports(device, resolved, reason, size);
  snprintf(reason, size, "%s (%s)", quirk->reason, quirk->source);
  return false;
}

static size_t consider_mode(const rwkv6_device *device, const rwkv6_problem *resolved, rwkv6_operation operation,
                            rwkv6_mode mode, rwkv6_variant_info *infos, const rwkv6_variant **variants) {
  size_t count = 0;
  for (const rwkv6_variant *const *v = variants_of(device); *v; v++) {
    if ((*v)->operation != operation || (*v)->mode != mode) continue;
    rwkv6_variant_info *info = &infos[count];
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    info->name = (*v)->name;
    info->mode = mode;
    info->accepts = accepts(*v, device, resolved, info->reason, sizeof info->reason);
    if (info->accepts) info->reason[0] = '\0';
    variants[count++] = *v;
  }
  return count;
}

size_t rwkv6_variants_consider(const rwkv6_device *device, const rwkv6_problem *resolved, rwkv6_operation operation,
                               rwkv6_mode mode, rwkv6_variant_info *infos, const rwkv6_variant **variants) {
  if (mode != RWKV6_MODE_AUTO) return consider_mode(device, resolved, operation, mode, infos, variants);
  const rwkv6_mode first = rwkv6_preferred_mode(device, resolved);
  const rwkv6_mode second = first == RWKV6_MODE_RECURRENT ? RWKV6_MODE_CHUNK : RWKV6_MODE_RECURRENT;
  const size_t count = consider_mode(device, resolved, operation, first, infos, variants);
  return count + consider_mode(device, resolved, operation, second, infos + count, variants + count);
}

rwkv6_status rwkv6_variant_list(const rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation,
                                rwkv6_mode mode, rwkv6_variant_info *infos, size_t capacity, size_t *count,
                                rwkv6_error *error) {
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a handle from rwkv6_device_open");
  if (!count) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "count is NULL; allowed: the address of a size_t");
  if (!infos && capacity)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "infos is NULL with capacity %zu; allowed: NULL with capacity 0",
                      capacity);
  rwkv6_status status = rwkv6_mode_check(mode, error);
  rwkv6_problem resolved;
  if (!status) status = rwkv6_problem_resolve(problem, operation, &resolved, error);
  if (status) return status;

  rwkv6_variant_info all[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t found = rwkv6_variants_consider(device, &resolved, operation, mode, all, variants);
  for (size_t i = 0; i < capacity; i++)
    if (infos[i].size < sizeof(size_t))
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "infos[%zu].size is %zu; allowed: sizeof(rwkv6_variant_info)", i,
                        infos[i].size);
  for (size_t i = 0; i < found && i < capacity; i++) {
    const size_t size = infos[i].size;
    memcpy(&infos[i], &all[i], size < sizeof all[i] ? size : sizeof all[i]);
    infos[i].size = size;
  }
  *count = found;
  return RWKV6_OK;
}
