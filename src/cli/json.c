/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/devices.h"

void cli_json_init(cli_json *json) {
  json->root = cJSON_CreateObject();
  json->failed = !json->root;
}

void cli_json_free(cli_json *json) {
  cJSON_Delete(json->root);
  json->root = NULL;
}

bool cli_json_print(const cli_json *json) {
  char *text = json->failed ? NULL : cJSON_Print(json->root);
  if (!text) {
    cli_complain("out of memory for the JSON output");
    return false;
  }
  puts(text);
  cJSON_free(text);
  return true;
}

/* cJSON takes a NULL parent and returns NULL then. */
static cJSON *note(cli_json *json, cJSON *added) {
  if (!added) json->failed = true;
  return added;
}

void cli_json_string(cli_json *json, cJSON *parent, const char *key, const char *text) {
  note(json, text ? cJSON_AddStringToObject(parent, key, text) : cJSON_AddNullToObject(parent, key));
}

void cli_json_number(cli_json *json, cJSON *parent, const char *key, double number) {
  note(json, cJSON_AddNumberToObject(parent, key, number));
}

void cli_json_bool(cli_json *json, cJSON *parent, const char *key, bool value) {
  note(json, cJSON_AddBoolToObject(parent, key, value));
}

cJSON *cli_json_object(cli_json *json, cJSON *parent, const char *key) {
  return note(json, cJSON_AddObjectToObject(parent, key));
}

cJSON *cli_json_array(cli_json *json, cJSON *parent, const char *key) {
  return note(json, cJSON_AddArrayToObject(parent, key));
}

cJSON *cli_json_append(cli_json *json, cJSON *array) {
  cJSON *object = note(json, cJSON_CreateObject());
  if (object && cJSON_AddItemToArray(array, object)) return object;
  cJSON_Delete(object);
  return note(json, NULL);
}

void cli_json_item(cli_json *json, cJSON *array, double number) {
  cJSON *item = note(json, cJSON_CreateNumber(number));
  if (!item || cJSON_AddItemToArray(array, item)) return;
  cJSON_Delete(item);
  note(json, NULL);
}

void cli_json_device(cli_json *json, cJSON *parent, const rwkv6_device_info *info) {
  cli_json_string(json, parent, "id", info->id);
  cli_json_string(json, parent, "kind", cli_kind_name(info->kind));
  cli_json_string(json, parent, "name", info->name);
  cli_json_string(json, parent, "vendor", info->vendor);
  cli_json_number(json, parent, "vendor_id", info->vendor_id);
  cli_json_string(json, parent, "platform", info->platform);
  cli_json_number(json, parent, "opencl_version", info->opencl_version);
  cli_json_string(json, parent, "device_version", info->device_version);
  cli_json_string(json, parent, "driver_version", info->driver_version);
  cli_json_number(json, parent, "compute_units", info->compute_units);
  cli_json_number(json, parent, "clock_mhz", info->clock_mhz);
  cli_json_number(json, parent, "global_memory", (double)info->global_memory);
  cli_json_number(json, parent, "max_allocation", (double)info->max_allocation);
  cli_json_number(json, parent, "local_memory", (double)info->local_memory);
  cli_json_number(json, parent, "max_work_group", (double)info->max_work_group);
  cli_json_bool(json, parent, "fp16", info->has_fp16);
  cli_json_bool(json, parent, "fp64", info->has_fp64);
  cli_json_bool(json, parent, "subgroups", info->has_subgroups);
  cli_json_bool(json, parent, "fp32_denormals", info->has_fp32_denormals);
  cli_json_bool(json, parent, "little_endian", info->little_endian);
}
