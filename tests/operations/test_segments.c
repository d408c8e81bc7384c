/* SPDX-License-Identifier: MIT */
/* Chunk mode where sequences are split into segments: segment lengths x chunk lengths. OpenCL devices only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "conform/selection.h"
#include "each.h"
#include "quirks.h"

static test_devices devices;

/* Enough for the automatic choice to split one sequence of one head. */
#define MANY_UNITS 64

static rwkv6_plan_info needs_of(const conform_subject *subject, const rwkv6_problem *problem, int64_t segment_length) {
  rwkv6_problem changed = *problem;
  changed.segment_length = segment_length;
  return test_plan_info(subject, &changed);
}

/*
 * Split, a plan has room for a state of each segment, and backward for a gradient of one too. That is more than it can spare,
 * however launches are cut: one carried state of each sequence, one checkpoint wherever two segments meet.
 *
 * A pass over the segments and a scan are launches besides those that compute. But where a launch is one quantum, the number
 * of all follows the longest unit, and short segments need fewer than the sequence did: there it is no sign.
 */
static bool is_split(const conform_subject *subject, rwkv6_plan_info with, rwkv6_plan_info without) {
  const bool more = rwkv6_quirk_with(&subject->device->info, RWKV6_QUIRK_ENDS_LOOPS) || with.launches > without.launches;
  return with.workspace > without.workspace && more;
}

static void check_split(const conform_subject *subject, const conform_case *test, bool split, const char *text) {
  conform_data data;
  conform_data_create(&data, test, subject->variant->operation, false);
  const rwkv6_problem *problem = &data.problem;
  const rwkv6_plan_info with = needs_of(subject, problem, test->segment_length);
  /* -1 beside itself would show nothing: one segment as long as the batch is no split either. */
  const rwkv6_plan_info without = needs_of(subject, problem, test->segment_length < 0 ? problem->tokens : -1);
  conform_data_destroy(&data);
  const bool same = with.workspace == without.workspace && with.launches == without.launches;
  if (split ? is_split(subject, with, without) : same) return;
  fail_msg("%s: %" PRIu64 " bytes of workspace and %" PRId64 " launches, without segments %" PRIu64 " and %" PRId64 ": %s",
           split ? "not split" : "split", with.workspace, with.launches, without.workspace, without.launches, text);
}

/* Both operations on every device: `split` says whether segments are to be expected. */
static void check(const conform_case *test, bool split) {
  for (size_t device = 0; device < devices.count; device++)
    for (int operation = 0; operation < 2; operation++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count =
          conform_variants(devices.device[device], test, (rwkv6_operation)operation, RWKV6_MODE_CHUNK, variants);
      if (!count) fail_msg("no variant takes chunk length %d", (int)test->chunk_length);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        conform_message message;
        char text[1024];
        conform_describe(&subject, test, text, sizeof text);
        check_split(&subject, test, split, text);
        if (!conform_check_case(&subject, test, CONFORM_CHECK_ALL, &message)) fail_msg("%s\n  %s", message.text, text);
      }
    }
}

/* 900 tokens: lengths of 1 and 300 are rounded up to 128 or 256 and to 384 or 512; with the first, a rest joins the last
 * segment. */
static void check_chunk_length(int64_t chunk_length) {
  static const int64_t segment_lengths[] = {1, 300, -1};
  for (size_t i = 0; i < sizeof segment_lengths / sizeof *segment_lengths; i++) {
    conform_case test = conform_case_make(900, 24, 20);
    test.heads = 2;
    test.chunk_length = chunk_length;
    test.segment_length = segment_lengths[i];
    check(&test, test.segment_length > 0);
    test.reverse = true;
    test.sequences = 5;
    test.ragged = true;
    test.distribution = CONFORM_RESETS;
    test.strides = CONFORM_PADDED;
    check(&test, test.segment_length > 0);
  }
}

static void test_automatic_chunks(void **state) {
  (void)state;
  check_chunk_length(0);
}

static void test_chunks_of_1(void **state) {
  (void)state;
  check_chunk_length(1);
}

static void test_chunks_of_7(void **state) {
  (void)state;
  check_chunk_length(7);
}

/* A memory as long as the sequence: what a segment hands to the next decides everything. */
static void test_weak_decay(void **state) {
  (void)state;
  conform_case test = conform_case_make(900, 24, 20);
  test.distribution = CONFORM_WEAK;
  test.segment_length = 1;
  check(&test, true);
  test.distribution = CONFORM_NONE;
  test.reverse = true;
  check(&test, true);
}

/*
 * Segments are joined 8 at a time: one more, two batches and one more, four and some. Those of forward are of 128 tokens, those
 * of backward of 256; with decays that differ by channel and leave something of a state until it gets there.
 */
static void test_many_segments(void **state) {
  (void)state;
  static const int64_t lengths[] = {1152, 2304, 4352};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    conform_case test = conform_case_make(lengths[i], 24, 20);
    test.distribution = CONFORM_SLOW;
    test.segment_length = 1;
    check(&test, true);
    test.reverse = true;
    test.optional = 0;
    check(&test, true);
    test.optional = CONFORM_ALL_OPTIONAL;
    test.sequences = 3;
    test.ragged = true;
    check(&test, true);
  }
}

/* Left to the library: one sequence on a device of many units is split, a batch that fills it is not. */
static void test_automatic_segments(void **state) {
  (void)state;
  conform_case test = conform_case_make(1100, 24, 20);
  test.segment_length = 0;
  for (size_t i = 0; i < devices.count; i++) devices.device[i]->info.compute_units = MANY_UNITS;
  check(&test, true);
  test.length = 100;
  check(&test, false);
  test.length = 520;
  test.sequences = 3;
  test.heads = 32;
  check(&test, false);
}

/* Chunk lengths that a selection asks for and every portable kernel refuses would be tested nowhere. */
static void test_selected_chunk_lengths(void **state) {
  (void)state;
  for (int extent = CONFORM_QUICK; extent <= CONFORM_FULL; extent++) {
    conform_selected *selected;
    const size_t count = conform_select_cases((conform_extent)extent, 1, 1e4, &selected);
    for (size_t i = 0; i < count; i++) {
      const conform_case test = selected[i].test;
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      for (int operation = 0; operation < (test.decay == RWKV6_DECAY_FACTOR ? 1 : 2) && test.chunk_length; operation++)
        if (!conform_variants(devices.device[0], &test, (rwkv6_operation)operation, RWKV6_MODE_CHUNK, variants))
          fail_msg("K = %d, V = %d: no variant takes chunk length %d", (int)test.key_dim, (int)test.value_dim,
                   (int)test.chunk_length);
    }
    free(selected);
  }
}

static int restore_units(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) devices.device[i]->info.compute_units = devices.info[i].compute_units;
  return 0;
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_selected_chunk_lengths),
      cmocka_unit_test(test_automatic_chunks),
      cmocka_unit_test(test_chunks_of_1),
      cmocka_unit_test(test_chunks_of_7),
      cmocka_unit_test(test_weak_decay),
      cmocka_unit_test(test_many_segments),
      cmocka_unit_test_teardown(test_automatic_segments, restore_units),
  };
  const int failed = cmocka_run_group_tests_name("segments", tests, NULL, NULL);
  conform_print_ratios();
  test_devices_close(&devices);
  return failed;
}
