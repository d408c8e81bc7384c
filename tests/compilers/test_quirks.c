/* SPDX-License-Identifier: MIT */
/* The table of known trouble, and what it does: a driver that is refused computes nothing and is nobody's default. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "pretend.h"
#include "quirks.h"
#include "rwkv6/rwkv6.h"

/* The one device of the pretended library; tests give it other names. */
static pretend_device present = {"", "", "", "", "", 0x1002, 256, 65536, 8, 0};

static void pretend(const char *name, const char *platform) {
  present.device = name;
  present.platform = platform;
}

#define NONE (-1)

static int effect_of(const char *platform, const char *name, const char *driver) {
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  snprintf(info.platform, sizeof info.platform, "%s", platform);
  snprintf(info.name, sizeof info.name, "%s", name);
  snprintf(info.driver_version, sizeof info.driver_version, "%s", driver);
  const rwkv6_quirk *quirk = rwkv6_quirk_find(&info, NULL);
  return quirk ? (int)quirk->effect : NONE;
}

static void test_table(void **state) {
  (void)state;
  assert_int_equal(effect_of("Clover", "AMD RENOIR (LLVM 11.0.1)", "20.3.5"), RWKV6_QUIRK_REFUSE);
  assert_int_equal(effect_of("Intel Gen OCL Driver", "Intel(R) HD Graphics", "1.3"), RWKV6_QUIRK_REFUSE);
  assert_int_equal(effect_of("Oclgrind", "Oclgrind Simulator", "Oclgrind 21.10"), RWKV6_QUIRK_SIMULATOR);
  assert_int_equal(effect_of("Portable Computing Language", "pthread-skylake", "3.1+debian"), RWKV6_QUIRK_NOTE);
  assert_int_equal(effect_of("Portable Computing Language", "pthread-skylake", "5.0"), RWKV6_QUIRK_COMPILES_BY_SIZE);
  assert_int_equal(effect_of("NVIDIA CUDA", "NVIDIA H100", "550.54"), NONE);
  assert_int_equal(effect_of("Intel(R) OpenCL Graphics", "Intel(R) Arc(TM) A770", "23.35.27191"), NONE);
  assert_int_equal(effect_of("CLOVER", "x", "1"), RWKV6_QUIRK_REFUSE);
}

/* A device has every quirk that applies to it: rusticl's note, llvmpipe's slowness and loops. */
static void test_several(void **state) {
  (void)state;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  snprintf(info.platform, sizeof info.platform, "rusticl");
  snprintf(info.name, sizeof info.name, "llvmpipe (LLVM 15.0.6, 256 bits)");
  assert_non_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_NOTE));
  assert_non_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_SLOW));
  assert_non_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_ENDS_LOOPS));
  assert_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_REFUSE));
  snprintf(info.name, sizeof info.name, "AMD Radeon RX 6800");
  assert_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_SLOW));
  assert_null(rwkv6_quirk_with(&info, RWKV6_QUIRK_ENDS_LOOPS));
}

static void keep_message(void *user, rwkv6_log_level level, const char *message) {
  (void)level;
  snprintf(user, 1024, "%s", message);
}

static rwkv6_device_kind default_kind(char said[1024]) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  rwkv6_device *device = NULL;
  said[0] = '\0';
  options.log = keep_message;
  options.log_user = said;
  assert_int_equal(rwkv6_device_open(NULL, &options, &device, NULL), RWKV6_OK);
  assert_int_equal(rwkv6_device_get_info(device, &info, NULL), RWKV6_OK);
  rwkv6_device_close(&device);
  return info.kind;
}

static void test_default_device(void **state) {
  (void)state;
  char said[1024];
  pretend("AMD Radeon", "Clover");
  assert_int_equal(default_kind(said), RWKV6_KIND_CPU);
  assert_non_null(strstr(said, "use rusticl"));
  pretend("AMD Radeon", "rusticl");
  assert_int_equal(default_kind(said), RWKV6_KIND_OPENCL_GPU);
}

/* Whoever names the device gets it, and the reason for which nothing runs there. */
static void test_refusal(void **state) {
  (void)state;
  pretend("AMD Radeon", "Clover");
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  rwkv6_plan *plan = NULL;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 64, 1, 64, 64);
  assert_int_equal(rwkv6_device_open("opencl:0", NULL, &device, &error), RWKV6_OK);
  assert_int_equal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_AUTO, &plan, &error), RWKV6_UNSUPPORTED);
  assert_non_null(strstr(error.message, "use rusticl"));
  assert_null(plan);
  rwkv6_device_close(&device);
}

static int load(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (!rwkv6_opencl_load_symbols(pretend_lookup, &present, &error)) return 0;
  print_error("%s\n", error.message);
  return -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_several),
      cmocka_unit_test(test_default_device),
      cmocka_unit_test(test_refusal),
  };
  return cmocka_run_group_tests_name("known trouble", tests, load, NULL);
}
