/* SPDX-License-Identifier: MIT */
/* The public header needs nothing before it; also compiled as C++ (header_alone.cpp). */
#include "rwkv6/rwkv6.h"

int main(void) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_plan_info plan_info = RWKV6_PLAN_INFO_INIT;
  rwkv6_problem problem;
  rwkv6_device *device = NULL;
  rwkv6_plan *plan = NULL;
  rwkv6_problem_init(&problem, sizeof problem, 1, 0, 1, 8, 8);
  if (rwkv6_device_open("cpu", &options, &device, &error)) return 1;
  if (rwkv6_device_get_info(device, &info, &error)) return 2;
  if (rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error)) return 3;
  if (rwkv6_plan_get_info(plan, &plan_info, &error)) return 4;
  static const float u[8] = {0};
  tensors.u = u;
  if (rwkv6_run(plan, &tensors, &error)) return 5;
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&device);
  return 0;
}
