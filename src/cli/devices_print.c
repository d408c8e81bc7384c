/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/devices.h"
#include "cli/text.h"
#include "quirks.h"

#define LABEL "  %-16s"

static void print_bytes(uint64_t bytes) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = (double)bytes;
  int unit = 0;
  for (; value >= 1024.0 && unit < 4; ++unit) value /= 1024.0;
  printf(value < 10.0 && unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void print_text(const char *label, const char *text) {
  if (text[0]) printf(LABEL "%s\n", label, text);
}

static const char *kind_text(rwkv6_device_kind kind) {
  switch (kind) {
  case RWKV6_KIND_CPU: return "the C code of this library; needs no OpenCL";
  case RWKV6_KIND_OPENCL_GPU: return "GPU";
  case RWKV6_KIND_OPENCL_CPU: return "OpenCL on the CPU; used only when asked for";
  case RWKV6_KIND_OPENCL_ACCELERATOR: return "accelerator";
  }
  return "unknown";
}

static void print_memory(const rwkv6_device_info *info) {
  if (!info->global_memory) return;
  printf(LABEL, "memory");
  print_bytes(info->global_memory);
  printf(", largest buffer ");
  print_bytes(info->max_allocation);
  printf(", local ");
  print_bytes(info->local_memory);
  printf("\n");
}

static const char *yes_no(int32_t value) {
  return value ? "yes" : "no";
}

static void print_opencl(const rwkv6_device_info *info) {
  printf(LABEL "%s, OpenCL %d.%d\n", "platform", info->platform, (int)info->opencl_version / 100,
         (int)info->opencl_version / 10 % 10);
  print_text("vendor", info->vendor);
  print_text("device version", info->device_version);
  print_text("driver version", info->driver_version);
  printf(LABEL "%d", "compute units", (int)info->compute_units);
  if (info->clock_mhz) printf(" at %d MHz", (int)info->clock_mhz);
  printf("\n");
  print_memory(info);
  printf(LABEL "at most %llu work-items\n", "work-group", (unsigned long long)info->max_work_group);
  printf(LABEL "fp16 %s, fp64 %s, subgroups %s, fp32 denormals %s\n", "arithmetic", yes_no(info->has_fp16),
         yes_no(info->has_fp64), yes_no(info->has_subgroups), yes_no(info->has_fp32_denormals));
  if (!info->little_endian) print_text("byte order", "big-endian");
}

/* "forward recurrent  portable (tiled refuses: needs subgroups)" */
static void print_variants(const cli_variant_list *list) {
  const rwkv6_variant_info *chosen = cli_chosen_variant(list);
  char label[32];
  snprintf(label, sizeof label, "%s %s", cli_operation_name(list->operation), cli_mode_name(list->mode));
  printf("    %-20s%s\n", label, chosen ? chosen->name : list->count ? "none" : "none: no variant exists yet");
  for (size_t i = 0; i < list->count; ++i) {
    const rwkv6_variant_info *variant = &list->variant[i];
    if (variant == chosen) continue;
    printf("    %-20s%s: %s\n", "", variant->name, variant->accepts ? "would do, but comes later" : variant->reason);
  }
}

static void print_quirks(const rwkv6_device_info *info) {
  for (const rwkv6_quirk *quirk = rwkv6_quirk_find(info, NULL); quirk; quirk = rwkv6_quirk_find(info, quirk))
    printf(LABEL "%s (%s)\n", "known trouble", quirk->reason, quirk->source);
}

void cli_devices_print_info(const rwkv6_device_info *info) {
  printf("%s: %s\n", info->id, info->name);
  printf(LABEL "%s\n", "kind", kind_text(info->kind));
  if (info->kind != RWKV6_KIND_CPU) print_opencl(info);
  print_quirks(info);
}

static void print_device(const cli_device_entry *entry) {
  printf("\n");
  cli_devices_print_info(&entry->info);
  if (entry->error.status) {
    printf(LABEL "%s\n", "cannot be used", entry->error.message);
    return;
  }
  if (entry->info.kind != RWKV6_KIND_CPU) print_text("program cache", entry->cache_dir[0] ? entry->cache_dir : "off");
  printf("  variants for key_dim = value_dim = 64, fp32, log decay\n");
  for (int i = 0; i < 4; ++i) print_variants(&entry->list[i]);
}

void cli_devices_print(const cli_inventory *inventory) {
  if (inventory->opencl.status) {
    printf("OpenCL is not available: %s\n", inventory->opencl.message);
  } else {
    printf("OpenCL is available.\n");
  }
  if (inventory->default_error.status) {
    printf("Without --device: none: %s\n", inventory->default_error.message);
  } else {
    printf("Without --device: %s\n", inventory->chosen);
  }
  for (size_t i = 0; i < inventory->count; ++i) print_device(&inventory->device[i]);
}

static void add_variants(cli_json *json, cJSON *operations, const cli_variant_list *list) {
  const rwkv6_variant_info *chosen = cli_chosen_variant(list);
  cJSON *object = cli_json_append(json, operations);
  cli_json_string(json, object, "operation", cli_operation_name(list->operation));
  cli_json_string(json, object, "mode", cli_mode_name(list->mode));
  cli_json_string(json, object, "variant", chosen ? chosen->name : NULL);
  cJSON *considered = cli_json_array(json, object, "considered");
  for (size_t i = 0; i < list->count; ++i) {
    cJSON *variant = cli_json_append(json, considered);
    cli_json_string(json, variant, "name", list->variant[i].name);
    cli_json_bool(json, variant, "accepts", list->variant[i].accepts);
    cli_json_string(json, variant, "reason", list->variant[i].accepts ? NULL : list->variant[i].reason);
  }
}

static void add_device(cli_json *json, cJSON *devices, const cli_device_entry *entry) {
  cJSON *object = cli_json_append(json, devices);
  cli_json_device(json, object, &entry->info);
  cli_json_string(json, object, "cache_dir", entry->cache_dir[0] ? entry->cache_dir : NULL);
  cli_json_string(json, object, "error", entry->error.status ? entry->error.message : NULL);
  cJSON *operations = cli_json_array(json, object, "operations");
  for (int i = 0; i < 4 && !entry->error.status; ++i) add_variants(json, operations, &entry->list[i]);
}

void cli_devices_json(const cli_inventory *inventory, cli_json *json) {
  cli_json_string(json, json->root, "version", rwkv6_version());
  cJSON *opencl = cli_json_object(json, json->root, "opencl");
  cli_json_bool(json, opencl, "available", !inventory->opencl.status);
  cli_json_string(json, opencl, "reason", inventory->opencl.status ? inventory->opencl.message : NULL);
  const bool has_default = !inventory->default_error.status;
  cli_json_string(json, json->root, "default", has_default ? inventory->chosen : NULL);
  cli_json_string(json, json->root, "default_error", has_default ? NULL : inventory->default_error.message);
  cJSON *devices = cli_json_array(json, json->root, "devices");
  for (size_t i = 0; i < inventory->count; ++i) add_device(json, devices, &inventory->device[i]);
}
