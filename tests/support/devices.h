/* SPDX-License-Identifier: MIT */
/*
 * Which devices a test program runs on. RWKV6_TEST_DEVICE: "all" (the default: every OpenCL device found), or a device id as
 * rwkv6_device_open takes it ("cpu" for the CPU path). RWKV6_TEST_REQUIRE: comma-separated parts of platform names ("pocl" and
 * "rusticl" are known short names) that have to be there: without it an absent device is a skip, with it a failure.
 */
#ifndef RWKV6_TESTS_SUPPORT_DEVICES_H
#define RWKV6_TESTS_SUPPORT_DEVICES_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

#define TEST_MAX_DEVICES 16
#define TEST_EXIT_SKIP 77

typedef struct test_devices {
  rwkv6_device *device[TEST_MAX_DEVICES];
  rwkv6_device_info info[TEST_MAX_DEVICES];
  size_t count;
} test_devices;

/* Returns 0, or the exit status of the program after printing why: 77 or 1. */
int test_devices_open(test_devices *devices);
void test_devices_close(test_devices *devices);

#endif
