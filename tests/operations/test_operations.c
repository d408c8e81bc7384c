/* SPDX-License-Identifier: MIT */
/*
 * Every variant of every operation that a device has, against the double reference.
 *
 *     test_operations [--full] [--every N] [--cases N] [--work N]
 *     test_operations --recurrent|--chunk --forward|--backward [--variant NAME] [--buffers] --case "t=65 k=33 ..."
 *
 * --every N takes each N-th specialization only. The second form runs one case: it is what a failure prints. RWKV6_TEST_DEVICE
 * chooses the devices (support/devices.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "conform/run.h"
#include "conform/selection.h"
#include "devices.h"

typedef struct options {
  const char *program;
  bool full, buffers;
  size_t every; /* takes each so many-th specialization */
  long cases;   /* of each specialization */
  double work;  /* tokens * heads * K * V of a case, at most */
  rwkv6_mode mode;
  rwkv6_operation operation;
  const char *variant, *text; /* one case */
} options;

static options chosen = {.every = 1, .cases = 8, .work = 4e6, .mode = RWKV6_MODE_RECURRENT};

typedef struct work_item {
  rwkv6_device *device;
  const rwkv6_device_info *info;
  conform_specialization specialization;
  char name[192];
} work_item;

static void check(const conform_subject *subject, const conform_case *test) {
  conform_message message;
  if (conform_check_case(subject, test, &message)) return;
  char text[1024];
  conform_describe(subject, test, chosen.program, text, sizeof text);
  fail_msg("%s\n  %s", message.text, text);
}

/* On an OpenCL device three of four cases use device buffers, with guards and gaps on the device; the rest host pointers. */
static bool wants_buffers(const rwkv6_device_info *info, int64_t index) {
  return info->kind != RWKV6_KIND_CPU && index % 4 != 3;
}

/* llvmpipe, a software renderer, is about 15 times slower than C: smaller cases, as many of them. */
static double work_for(const rwkv6_device_info *info) {
  return test_contains_ignoring_case(info->name, "llvmpipe") ? chosen.work / 8 : chosen.work;
}

/* Returns how many variants took the case. */
static size_t check_variants(const work_item *item, const conform_case *test, rwkv6_operation operation, rwkv6_mode mode,
                             int64_t index) {
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t count = conform_variants(item->device, test, operation, mode, variants);
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = {item->device, item->info, variants[i], wants_buffers(item->info, index), false};
    check(&subject, test);
  }
  return count;
}

static void test_one_specialization(void **state) {
  const work_item *item = *state;
  for (int64_t index = 0; index < chosen.cases; index++) {
    const conform_case test = conform_select_case(&item->specialization, index, work_for(item->info));
    for (int operation = 0; operation < 2; operation++) {
      if (operation == RWKV6_BACKWARD && test.decay == RWKV6_DECAY_FACTOR) continue;
      for (int mode = RWKV6_MODE_RECURRENT; mode <= RWKV6_MODE_CHUNK; mode++) /* each device has a portable variant of both */
        if (!check_variants(item, &test, (rwkv6_operation)operation, (rwkv6_mode)mode, index))
          fail_msg("%s mode: no variant takes %s, chunk length %d", rwkv6_mode_name((rwkv6_mode)mode), item->name,
                   (int)test.chunk_length);
    }
  }
}

static int run_all(test_devices *devices) {
  static conform_specialization specializations[CONFORM_ALL_SPECIALIZATIONS];
  const size_t count = conform_select_specializations(chosen.full, specializations);
  work_item *items = calloc(count * devices->count, sizeof *items);
  struct CMUnitTest *tests = calloc(count * devices->count, sizeof *tests);
  if (!items || !tests) return 1;
  size_t n = 0;
  for (size_t d = 0; d < devices->count; d++)
    for (size_t i = 0; i < count; i += chosen.every, n++) {
      char text[96];
      items[n].device = devices->device[d];
      items[n].info = &devices->info[d];
      items[n].specialization = specializations[i];
      snprintf(items[n].name, sizeof items[n].name, "%s (%.60s) %s", devices->info[d].id, devices->info[d].platform,
               conform_specialization_name(&specializations[i], text));
      const struct CMUnitTest test = {items[n].name, test_one_specialization, NULL, NULL, &items[n]};
      tests[n] = test;
    }
  const int failed = _cmocka_run_group_tests("operations", tests, n, NULL, NULL);
  free(tests);
  free(items);
  return failed != 0;
}

static int run_one(test_devices *devices) {
  conform_case test = conform_case_make(1, 1, 1);
  char wrong[64];
  if (!conform_case_parse(chosen.text, &test, wrong)) {
    printf("--case: \"%s\" is not understood\n", wrong);
    return 2;
  }
  int failed = 0;
  for (size_t d = 0; d < devices->count; d++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices->device[d], &test, chosen.operation, chosen.mode, variants);
    for (size_t i = 0; i < count; i++) {
      if (chosen.variant && strcmp(chosen.variant, variants[i]->name)) continue;
      const conform_subject subject = {devices->device[d], &devices->info[d], variants[i],
                                       chosen.buffers && devices->info[d].kind != RWKV6_KIND_CPU, false};
      conform_message message;
      const bool right = conform_check_case(&subject, &test, &message);
      printf("%s, variant %s: %s\n", devices->info[d].id, variants[i]->name, right ? "passed" : message.text);
      failed |= !right;
    }
  }
  return failed;
}

static bool parse(int count, char **arguments) {
  chosen.program = arguments[0];
  for (int i = 1; i < count; i++) {
    const char *word = arguments[i];
    const char *value = i + 1 < count ? arguments[i + 1] : "";
    if (!strcmp(word, "--full"))
      chosen.full = true;
    else if (!strcmp(word, "--buffers"))
      chosen.buffers = true;
    else if (!strcmp(word, "--forward"))
      chosen.operation = RWKV6_FORWARD;
    else if (!strcmp(word, "--backward"))
      chosen.operation = RWKV6_BACKWARD;
    else if (!strcmp(word, "--recurrent"))
      chosen.mode = RWKV6_MODE_RECURRENT;
    else if (!strcmp(word, "--chunk"))
      chosen.mode = RWKV6_MODE_CHUNK;
    else if (!strcmp(word, "--cases"))
      chosen.cases = strtol(value, NULL, 10), i++;
    else if (!strcmp(word, "--every"))
      chosen.every = strtoul(value, NULL, 10), i++;
    else if (!strcmp(word, "--work"))
      chosen.work = strtod(value, NULL), i++;
    else if (!strcmp(word, "--variant"))
      chosen.variant = value, i++;
    else if (!strcmp(word, "--case"))
      chosen.text = value, i++;
    else
      return false;
  }
  return chosen.every > 0 && chosen.cases > 0 && chosen.work > 0;
}

int main(int count, char **arguments) {
  if (!parse(count, arguments)) {
    printf("%s: unknown argument; see the top of tests/operations/test_operations.c\n", arguments[0]);
    return 2;
  }
  test_devices devices;
  int status = test_devices_open(&devices);
  if (status) return status;
  status = chosen.text ? run_one(&devices) : run_all(&devices);
  conform_print_ratios();
  test_devices_close(&devices);
  return status;
}
