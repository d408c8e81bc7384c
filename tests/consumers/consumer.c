/* SPDX-License-Identifier: MIT */
/* What a user of the installed library writes, in words that are C and C++ alike: one token whose answer is known by hand. */
#include <rwkv6/rwkv6.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const float r[] = {2}, k[] = {3}, v[] = {5}, w[] = {0}, u[] = {7}, s[] = {11};
  float o[] = {0}, final_state[] = {0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  rwkv6_plan *plan = NULL;
  rwkv6_problem problem;
  char version[32];
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, 1, 1, 1);
  problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = u, tensors.initial_state = s;
  tensors.o = o, tensors.final_state = final_state;
  if (rwkv6_device_open("cpu", NULL, &device, &error) ||
      rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error) || rwkv6_run(plan, &tensors, &error))
    printf("%s\n", error.message);
  rwkv6_plan_destroy(&plan);
  rwkv6_device_close(&device);
  snprintf(version, sizeof version, "%d.%d.%d", RWKV6_VERSION_MAJOR, RWKV6_VERSION_MINOR, RWKV6_VERSION_PATCH);
  printf("%s: o %g, final state %g\n", rwkv6_version(), (double)o[0], (double)final_state[0]);
  /* o = r (s + u k v), s' = s + k v */
  return strcmp(version, rwkv6_version()) != 0 || o[0] != 232.0f || final_state[0] != 26.0f;
}
