/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "registry.h"
#include "sized.h"

const char *rwkv6_mode_name(rwkv6_mode mode) {
  if (mode == RWKV6_MODE_RECURRENT) return "recurrent";
  return mode == RWKV6_MODE_CHUNK ? "chunk" : "auto";
}

const char *rwkv6_operation_name(rwkv6_operation operation) {
  return operation == RWKV6_FORWARD ? "forward" : "backward";
}

rwkv6_status rwkv6_mode_check(rwkv6_mode mode, rwkv6_error *error) {
  if ((int)mode >= RWKV6_MODE_AUTO && (int)mode <= RWKV6_MODE_CHUNK) return RWKV6_OK;
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                    "mode is %d; allowed: RWKV6_MODE_AUTO (0), RWKV6_MODE_RECURRENT (1), RWKV6_MODE_CHUNK (2)", (int)mode);
}

static rwkv6_status own_cu_seqlens(rwkv6_plan *plan, rwkv6_error *error) {
  if (!plan->problem.cu_seqlens) return RWKV6_OK;
  const size_t count = (size_t)plan->problem.sequences + 1;
  plan->cu_seqlens = rwkv6_alloc(count, sizeof(int64_t), "cu_seqlens", error);
  if (!plan->cu_seqlens) return RWKV6_OUT_OF_MEMORY;
  memcpy(plan->cu_seqlens, plan->problem.cu_seqlens, count * sizeof(int64_t));
  plan->problem.cu_seqlens = plan->cu_seqlens;
  return RWKV6_OK;
}

/* What becomes of relaxed precision, where that is asked for. */
static const char *chosen_as(const rwkv6_plan *plan, const rwkv6_variant *variant) {
  if (plan->problem.precision == RWKV6_PRECISION_FULL) return "chosen";
  return plan->operation == RWKV6_FORWARD && rwkv6_rounds_A(&plan->problem, variant->arithmetic)
             ? "chosen, with relaxed precision"
             : "chosen; it makes no use of relaxed precision";
}

/* One line a variant: what was chosen, what was passed over and why. `name`: the variant asked for, or NULL. */
static rwkv6_status explain(rwkv6_plan *plan, const rwkv6_variant_info *infos, const rwkv6_variant *const *variants,
                            size_t count, size_t chosen, const char *name, rwkv6_error *error) {
  const size_t line = sizeof infos[0].reason + 128;
  free(plan->explanation);
  plan->explanation = rwkv6_alloc(count + 1, line, "the explanation of a plan", error);
  if (!plan->explanation) return RWKV6_OUT_OF_MEMORY;
  char *text = plan->explanation;
  for (size_t i = 0; i < count; i++) {
    const char *passed_over = name ? "would do, but another was asked for" : "would do, but comes later";
    const char *verdict = i == chosen ? chosen_as(plan, variants[i]) : infos[i].accepts ? passed_over : infos[i].reason;
    text += snprintf(text, line, "%s_%s %s: %s\n", rwkv6_mode_name(infos[i].mode), rwkv6_operation_name(plan->operation),
                     infos[i].name, verdict);
  }
  return RWKV6_OK;
}

/* The place of the first variant that accepts and, if one was asked for, has that name; `count` if there is none. */
static size_t first_accepting(const rwkv6_variant_info *infos, size_t count, const char *name) {
  size_t i = 0;
  while (i < count && !(infos[i].accepts && (!name || strcmp(infos[i].name, name) == 0))) i++;
  return i;
}

static rwkv6_status no_variant(const rwkv6_plan *plan, rwkv6_mode mode, const char *name, rwkv6_error *error) {
  return rwkv6_fail(error, RWKV6_UNSUPPORTED, "device %s (%s) has no kernel%s%s for %s in %s mode:\n%s", plan->device->info.id,
                    plan->device->info.name, name ? " named " : "", name ? name : "", rwkv6_operation_name(plan->operation),
                    rwkv6_mode_name(mode), plan->explanation);
}

/*
 * The first variant that accepts. One whose kernels do not compile (a new driver may know better) is passed over, with a
 * warning, unless it was asked for by name.
 */
static rwkv6_status create_variant(rwkv6_plan *plan, rwkv6_mode mode, const char *name, rwkv6_error *error) {
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t count = rwkv6_variants_consider(plan->device, &plan->problem, plan->operation, mode, infos, variants);
  rwkv6_error failure = RWKV6_ERROR_INIT; /* the last; the caller's error is untouched where another variant does */
  for (;;) {
    const size_t chosen = first_accepting(infos, count, name);
    if (chosen == count && failure.status) return rwkv6_fail_as(error, &failure);
    rwkv6_status status = explain(plan, infos, variants, count, chosen, name, error);
    if (status) return status;
    if (chosen == count) return no_variant(plan, mode, name, error);
    plan->variant = variants[chosen];
    status = plan->variant->create(plan, &failure);
    if (!status) return RWKV6_OK;
    plan->variant = NULL; /* it has cleaned up after itself */
    if (status != RWKV6_BUILD_FAILED || name) {
      rwkv6_fail_as(error, &failure);
      return status;
    }
    rwkv6_device_log(plan->device, RWKV6_LOG_WARNING, "variant %s does not compile here and is passed over",
                     infos[chosen].name);
    infos[chosen].accepts = false;
    snprintf(infos[chosen].reason, sizeof infos[chosen].reason, "does not compile here");
  }
}

rwkv6_status rwkv6_plan_create(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_mode mode,
                               rwkv6_plan **plan, rwkv6_error *error) {
  return rwkv6_plan_create_variant(device, problem, operation, mode, NULL, plan, error);
}

rwkv6_status rwkv6_plan_create_variant(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation,
                                       rwkv6_mode mode, const char *variant, rwkv6_plan **plan, rwkv6_error *error) {
  if (!plan) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "plan is NULL; allowed: the address of a handle");
  *plan = NULL;
  if (!device) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "device is NULL; allowed: a handle from rwkv6_device_open");
  rwkv6_problem resolved;
  rwkv6_status status = rwkv6_mode_check(mode, error);
  if (!status) status = rwkv6_problem_resolve(problem, operation, &resolved, error);
  if (status) return status;

  rwkv6_plan *made = rwkv6_alloc(1, sizeof *made, "a plan", error);
  if (!made) return RWKV6_OUT_OF_MEMORY;
  made->device = device;
  rwkv6_device_hold(device);
  made->problem = resolved;
  made->operation = operation;
  status = own_cu_seqlens(made, error);
  if (!status) status = create_variant(made, mode, variant, error);
  if (!status && device->cl) status = rwkv6_cl_rehearse(made, error);
  if (status) {
    rwkv6_plan_destroy(&made);
    return status;
  }
  *plan = made;
  return RWKV6_OK;
}

void rwkv6_plan_destroy(rwkv6_plan **plan) {
  if (!plan || !*plan) return;
  rwkv6_plan *dying = *plan;
  *plan = NULL;
  if (dying->variant) dying->variant->destroy(dying);
  rwkv6_device_close(&dying->device);
  free(dying->cu_seqlens);
  free(dying->explanation);
  free(dying);
}

rwkv6_status rwkv6_plan_get_info(const rwkv6_plan *plan, rwkv6_plan_info *info, rwkv6_error *error) {
  if (!plan) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "plan is NULL; allowed: a handle from rwkv6_plan_create");
  if (!info) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "info is NULL; allowed: the address of a struct");
  if (info->size < sizeof(size_t))
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "info.size is %zu; allowed: sizeof(rwkv6_plan_info)", info->size);
  const rwkv6_plan_info full = {.size = info->size,
                                .operation = plan->operation,
                                .mode = plan->variant->mode,
                                .variant = plan->variant->name,
                                .explanation = plan->explanation,
                                .workspace = plan->workspace,
                                .launches = plan->launches};
  memcpy(info, &full, info->size < sizeof full ? info->size : sizeof full);
  return RWKV6_OK;
}

const char *rwkv6_plan_build_log(const rwkv6_plan *plan) {
  return plan && plan->build_log ? plan->build_log : "";
}

rwkv6_status rwkv6_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error) {
  if (!plan) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "plan is NULL; allowed: a handle from rwkv6_plan_create");
  if (!tensors) return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "tensors is NULL; allowed: a struct from RWKV6_TENSORS_INIT");
  rwkv6_tensors full;
  const size_t least = offsetof(rwkv6_tensors, pool); /* the first version of the struct */
  rwkv6_status status = rwkv6_copy_sized(tensors, &full, sizeof full, least, "tensors", error);
  if (!status) status = rwkv6_tensors_check(&plan->problem, plan->operation, &full, error);
  return status ? status : plan->variant->run(plan, &full, error);
}
