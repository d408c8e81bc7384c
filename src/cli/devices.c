/* SPDX-License-Identifier: MIT */
#include "cli/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/progress.h"
#include "error.h"

static const rwkv6_device_info no_info = RWKV6_DEVICE_INFO_INIT;
static const rwkv6_error no_error = RWKV6_ERROR_INIT;

const rwkv6_variant_info *cli_chosen_variant(const cli_variant_list *list) {
  for (size_t i = 0; i < list->count; ++i) {
    if (list->variant[i].accepts) return &list->variant[i];
  }
  return NULL;
}

const char *cli_kind_name(rwkv6_device_kind kind) {
  switch (kind) {
  case RWKV6_KIND_CPU: return "cpu";
  case RWKV6_KIND_OPENCL_GPU: return "opencl-gpu";
  case RWKV6_KIND_OPENCL_CPU: return "opencl-cpu";
  case RWKV6_KIND_OPENCL_ACCELERATOR: return "opencl-accelerator";
  }
  return "unknown";
}

/* The library counts all variants and fills as many as there is room for. */
static rwkv6_status list_variants(const rwkv6_device *device, cli_variant_list *list, rwkv6_error *error) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1024, 32, 64, 64);
  problem.optional = RWKV6_FINAL_STATE;
  for (size_t i = 0; i < CLI_MAX_VARIANTS; ++i) list->variant[i].size = sizeof list->variant[i];
  size_t count = 0;
  const rwkv6_status status =
      rwkv6_variant_list(device, &problem, list->operation, list->mode, list->variant, CLI_MAX_VARIANTS, &count, error);
  list->count = status ? 0 : count < CLI_MAX_VARIANTS ? count : CLI_MAX_VARIANTS;
  return status;
}

static void inspect(cli_device_entry *entry) {
  static const rwkv6_operation operations[] = {RWKV6_FORWARD, RWKV6_FORWARD, RWKV6_BACKWARD, RWKV6_BACKWARD};
  static const rwkv6_mode modes[] = {RWKV6_MODE_RECURRENT, RWKV6_MODE_CHUNK, RWKV6_MODE_RECURRENT, RWKV6_MODE_CHUNK};
  rwkv6_device *device = NULL;
  cli_progress("opening %s", entry->info.id);
  entry->error = no_error;
  entry->error.status = rwkv6_device_open(entry->info.id, NULL, &device, &entry->error);
  snprintf(entry->cache_dir, sizeof entry->cache_dir, "%s", rwkv6_device_cache_dir(device));
  for (int i = 0; i < 4 && !entry->error.status; ++i) {
    entry->list[i].operation = operations[i];
    entry->list[i].mode = modes[i];
    entry->error.status = list_variants(device, &entry->list[i], &entry->error);
  }
  rwkv6_device_close(&device);
}

static void find_default(cli_inventory *inventory) {
  rwkv6_device *device = NULL;
  rwkv6_device_info info = no_info;
  inventory->default_error = no_error;
  rwkv6_status status = rwkv6_device_open(NULL, NULL, &device, &inventory->default_error);
  if (!status) status = rwkv6_device_get_info(device, &info, &inventory->default_error);
  if (!status) memcpy(inventory->chosen, info.id, sizeof inventory->chosen);
  rwkv6_device_close(&device);
}

/* The list can only be as long as it was when it was counted. */
static rwkv6_status list_devices(cli_inventory *inventory, rwkv6_error *error) {
  size_t capacity = 0, count = 0;
  rwkv6_status status = rwkv6_device_list(NULL, 0, &capacity, error);
  if (status) return status;
  rwkv6_device_info *infos = rwkv6_alloc(capacity, sizeof *infos, "the list of devices", error);
  inventory->device = rwkv6_alloc(capacity, sizeof *inventory->device, "the list of devices", error);
  status = infos && inventory->device ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
  for (size_t i = 0; i < capacity && !status; ++i) infos[i] = no_info;
  if (!status) status = rwkv6_device_list(infos, capacity, &count, error);
  inventory->count = status ? 0 : count < capacity ? count : capacity;
  for (size_t i = 0; i < inventory->count; ++i) inventory->device[i].info = infos[i];
  free(infos);
  return status;
}

static rwkv6_status take_inventory(cli_inventory *inventory, rwkv6_error *error) {
  cli_progress("looking for devices");
  inventory->opencl = no_error;
  inventory->opencl.status = rwkv6_opencl_available(&inventory->opencl);
  const rwkv6_status status = list_devices(inventory, error);
  if (status) return status;
  find_default(inventory);
  for (size_t i = 0; i < inventory->count; ++i) inspect(&inventory->device[i]);
  return RWKV6_OK;
}

static cli_exit print_json(const cli_inventory *inventory) {
  cli_json json;
  cli_json_init(&json);
  cli_devices_json(inventory, &json);
  const bool printed = cli_json_print(&json);
  cli_json_free(&json);
  return printed ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static cli_exit list_all(bool as_json) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cli_inventory inventory;
  memset(&inventory, 0, sizeof inventory);
  const rwkv6_status status = take_inventory(&inventory, &error);
  cli_exit result = cli_exit_of(status);
  cli_progress_clear();
  if (status) {
    cli_complain(error.message);
  } else if (as_json) {
    result = print_json(&inventory);
  } else {
    cli_devices_print(&inventory);
  }
  free(inventory.device);
  return result;
}

cli_exit cli_devices(int argc, char **argv) {
  cli_options options;
  cli_exit result = cli_options_parse(CLI_COMMAND_DEVICES, argc, argv, &options);
  if (!result && options.help) {
    fputs(cli_help_devices, stdout);
  } else if (!result) {
    result = list_all(options.json);
  }
  cli_options_free(&options);
  return result;
}
