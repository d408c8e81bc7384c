/* SPDX-License-Identifier: MIT */
/* Legal problems, chosen by the input: every variant is right, by the rules of `rwkv6 conform`. On the CPU path, or
 * RWKV6_TEST_DEVICE. */
#include <stdio.h>
#include <stdlib.h>

#include "conform/check.h"
#include "fuzz.h"

static conform_case choose(fuzz_input *input) {
  static const int32_t dims[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40};
  conform_case test = conform_case_make(fuzz_below(input, 40), dims[fuzz_below(input, 16)], dims[fuzz_below(input, 16)]);
  test.sequences = 1 + fuzz_below(input, 3);
  test.ragged = fuzz_below(input, 2) == 1;
  test.heads = 1 + fuzz_below(input, 2);
  test.dtype = (rwkv6_dtype)fuzz_below(input, 3);
  test.w_dtype = fuzz_below(input, 2) ? RWKV6_FP32 : test.dtype;
  test.decay = (rwkv6_decay)fuzz_below(input, 3);
  test.distribution = (conform_distribution)fuzz_below(input, CONFORM_DISTRIBUTIONS);
  test.strides = (conform_strides)fuzz_below(input, CONFORM_STRIDES);
  test.reverse = fuzz_below(input, 2) == 1;
  test.optional = (uint32_t)fuzz_below(input, CONFORM_ALL_OPTIONAL + 1);
  test.chunk_length = fuzz_below(input, 20);
  test.segment_length = fuzz_below(input, 3) - 1;
  test.precision = (rwkv6_precision)fuzz_below(input, 2);
  test.seed = fuzz_take(input, 8);
  return test;
}

static void check(const conform_subject *subject, const conform_case *test) {
  conform_message message;
  char text[2048];
  if (conform_check_case(subject, test, conform_checks_of(subject->info, test), &message)) return;
  conform_describe(subject, test, text, sizeof text);
  fprintf(stderr, "%s\n%s\n", message.text, text);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rwkv6_device *device;
  static rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  const char *id = getenv("RWKV6_TEST_DEVICE");
  if (!device) {
    FUZZ_REQUIRE(!rwkv6_device_open(id && *id ? id : "cpu", NULL, &device, NULL));
    FUZZ_REQUIRE(!rwkv6_device_get_info(device, &info, NULL));
  }
  fuzz_input input = {data, size};
  const conform_case test = choose(&input);
  const rwkv6_operation operation = test.decay == RWKV6_DECAY_FACTOR ? RWKV6_FORWARD : (rwkv6_operation)fuzz_below(&input, 2);
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t count = conform_variants(device, &test, operation, RWKV6_MODE_AUTO, variants);
  FUZZ_REQUIRE(count > 0);
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = {device, &info, variants[i]};
    check(&subject, &test);
  }
  return 0;
}
