/* SPDX-License-Identifier: MIT */
/*
 * Batches in parts (src/opencl/parts.h) and units in pieces (src/opencl/pieces.h), on the emulation of the variant that
 * has them, as on a GPU of few compute units: with two, a round is four work-groups, here one for each sequence and head, and
 * the sequence of the rest is split.
 */
#include <inttypes.h>
#include <string.h>

#include "each.h"

/* Long enough that a rest of one head is worth a part. */
#define LENGTH 3008

static test_devices devices;

static int pretend(int32_t compute_units) {
  for (size_t i = 0; i < devices.count; i++) {
    devices.device[i]->info.kind = RWKV6_KIND_OPENCL_GPU;
    devices.device[i]->info.compute_units = compute_units;
    rwkv6_device_emulate_engines(devices.device[i], true);
  }
  return 0;
}

static int pretend_two(void **state) {
  (void)state;
  return pretend(2);
}

static int pretend_three(void **state) {
  (void)state;
  return pretend(3);
}

static int restore(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    devices.device[i]->info.kind = devices.info[i].kind;
    devices.device[i]->info.compute_units = devices.info[i].compute_units;
    rwkv6_device_emulate_engines(devices.device[i], false);
  }
  return 0;
}

static conform_case make_case(int64_t sequences, int64_t heads) {
  conform_case test = conform_case_make(LENGTH, 64, 64);
  test.sequences = sequences;
  test.heads = heads;
  test.dtype = test.w_dtype = RWKV6_BF16;
  test.distribution = CONFORM_SLOW;
  test.segment_length = 0;
  return test;
}

static rwkv6_plan_info info_of(const conform_subject *subject, const conform_case *test) {
  conform_data data;
  conform_data_create(&data, test, subject->variant->operation, false);
  const rwkv6_plan_info info = test_plan_info(subject, &data.problem);
  conform_data_destroy(&data);
  return info;
}

/* Bytes for the sum and the decays of one piece of a unit. */
#define PIECE ((64 * 64 + 64) * sizeof(float))

enum { JOINED = 3, SCANNED = 4 }; /* launches: outputs, and states and outputs of the rest; and a scan */

static void check(const conform_case *test, int64_t launches, uint64_t workspace, unsigned checks) {
  size_t checked = 0;
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], test, RWKV6_FORWARD, RWKV6_MODE_CHUNK, variants);
    for (size_t i = 0; i < count; i++) {
      if (strcmp(variants[i]->name, "emulated_hopper")) continue;
      const conform_subject subject = test_subject_of(&devices, device, variants[i]);
      const rwkv6_plan_info info = info_of(&subject, test);
      assert_int_equal(info.launches, launches);
      assert_int_equal(info.workspace, workspace);
      test_check(&subject, test, checks, "in parts");
      checked++;
    }
  }
  if (checked) return;
  print_message("no device has the local memory that this emulation needs\n");
  skip();
}

/* The last head of one sequence. */
static void test_heads(void **state) {
  (void)state;
  conform_case test = make_case(1, 5);
  test.strides = CONFORM_HEADS_FIRST;
  test.optional = RWKV6_FINAL_STATE;
  check(&test, JOINED, 4 * PIECE, CONFORM_CHECK_LAUNCHES);
}

/* The last sequence, of one head; both states, and both in a pool. */
static void test_sequences(void **state) {
  (void)state;
  conform_case test = make_case(5, 1);
  test.strides = CONFORM_PADDED;
  test.reverse = true;
  test.seed = 2; /* the last sequence has a slot */
  check(&test, SCANNED, 4 * PIECE, CONFORM_CHECK_POOL);
}

/* Sequences of 3100, fewer and no tokens. Two units that others follow, of 1024 tokens, in three pieces of 384, 384 and 256;
 * where the second sequence has two as well, three in two pieces. */
static void test_pieces(void **state) {
  (void)state;
  conform_case test = make_case(3, 1);
  test.length = 3100;
  test.ragged = true;
  test.optional = RWKV6_INITIAL_STATE;
  check(&test, 2, 2 * 6 * PIECE, CONFORM_CHECK_LAUNCHES);
  test.reverse = true;
  test.seed = 3;
  check(&test, 2, 3 * 5 * PIECE, 0);
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_heads, pretend_two, restore),
      cmocka_unit_test_setup_teardown(test_sequences, pretend_two, restore),
      cmocka_unit_test_setup_teardown(test_pieces, pretend_three, restore),
  };
  const int failed = cmocka_run_group_tests_name("parts", tests, NULL, NULL);
  conform_print_ratios();
  test_devices_close(&devices);
  return failed;
}
