/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quirks.h"

static bool open_one(test_devices *devices, const char *id) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  const size_t i = devices->count;
  if (i == TEST_MAX_DEVICES) return true;
  const rwkv6_device_info empty = RWKV6_DEVICE_INFO_INIT;
  devices->info[i] = empty;
  if (rwkv6_device_open(id, NULL, &devices->device[i], &error) ||
      rwkv6_device_get_info(devices->device[i], &devices->info[i], &error)) {
    printf("cannot open device %s: %s\n", id, error.message);
    return false;
  }
  devices->count++;
  return true;
}

static bool open_all(test_devices *devices) {
  rwkv6_device_info list[TEST_MAX_DEVICES];
  for (size_t i = 0; i < TEST_MAX_DEVICES; i++) list[i].size = sizeof list[i];
  size_t count = 0;
  if (rwkv6_device_list(list, TEST_MAX_DEVICES, &count, NULL)) return false;
  bool right = true;
  for (size_t i = 1; i < count && i < TEST_MAX_DEVICES; i++) right = open_one(devices, list[i].id) && right;
  return right;
}

static bool has_platform(const test_devices *devices, const char *part) {
  if (!strcmp(part, "pocl")) part = "portable computing language";
  for (size_t i = 0; i < devices->count; i++)
    if (rwkv6_contains(devices->info[i].platform, part)) return true;
  return false;
}

/* Names every required platform that is absent. */
static bool has_required(const test_devices *devices) {
  const char *required = getenv("RWKV6_TEST_REQUIRE");
  bool right = true;
  while (required && *required) {
    char part[64];
    const size_t length = strcspn(required, ",");
    snprintf(part, sizeof part, "%.*s", (int)(length < 63 ? length : 63), required);
    required += length + (required[length] == ',');
    if (!*part || has_platform(devices, part)) continue;
    printf("RWKV6_TEST_REQUIRE: no device of platform \"%s\"\n", part);
    right = false;
  }
  return right;
}

int test_devices_open(test_devices *devices) {
  const char *wanted = getenv("RWKV6_TEST_DEVICE");
  const bool all = !wanted || !*wanted || !strcmp(wanted, "all");
  devices->count = 0;
  if (wanted && !strcmp(wanted, "cpu")) return open_one(devices, "cpu") ? 0 : 1;
  rwkv6_error error = RWKV6_ERROR_INIT;
  const rwkv6_status available = rwkv6_opencl_available(&error);
  /* A device that is there and does not open, or was asked for by name, is a failure; none at all is a skip. */
  if (!available && !(all ? open_all(devices) : open_one(devices, wanted))) return 1;
  if (!has_required(devices)) return 1;
  if (devices->count) return 0;
  printf("skipped: %s\n", available ? error.message : "no OpenCL device");
  return TEST_EXIT_SKIP;
}

void test_devices_close(test_devices *devices) {
  for (size_t i = 0; i < devices->count; i++) rwkv6_device_close(&devices->device[i]);
  devices->count = 0;
}
