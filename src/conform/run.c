/* SPDX-License-Identifier: MIT */
#include "conform/run.h"

#include "plan.h"

size_t conform_variants(rwkv6_device *device, const conform_case *test, rwkv6_operation operation, rwkv6_mode mode,
                        const rwkv6_variant **variants) {
  conform_data data;
  conform_data_prepare(&data, test, operation);
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *all[RWKV6_MAX_VARIANTS];
  const size_t found = rwkv6_variants_consider(device, &data.resolved, operation, mode, infos, all);
  size_t count = 0;
  for (size_t i = 0; i < found; i++)
    if (infos[i].accepts) variants[count++] = all[i];
  return count;
}

rwkv6_status conform_plan_create(const conform_subject *subject, const rwkv6_problem *problem, rwkv6_plan **plan,
                                 rwkv6_error *error) {
  const rwkv6_variant *variant = subject->variant;
  return rwkv6_plan_create_variant(subject->device, problem, variant->operation, variant->mode, variant->name, plan, error);
}

int conform_parts_of(const conform_subject *subject, const rwkv6_problem *problem) {
  rwkv6_plan *plan = NULL;
  if (problem->segment_length != 0 || conform_plan_create(subject, problem, &plan, NULL)) return 1;
  const int parts = plan->parts;
  rwkv6_plan_destroy(&plan);
  return parts;
}

rwkv6_status conform_run(const conform_subject *subject, rwkv6_plan *plan, conform_data *data, const conform_call *call,
                         rwkv6_error *error) {
  if (subject->info->kind != RWKV6_KIND_CPU && !data->test.host) return conform_run_buffers(plan, data, call, error);
  const rwkv6_tensors tensors = conform_tensors(data, call);
  return rwkv6_run(plan, &tensors, error);
}
