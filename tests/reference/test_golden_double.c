/* SPDX-License-Identifier: MIT */
/* The double reference, both modes, against values that an independent program computed from the definition. */
#include <stdio.h>

#include "cmocka_all.h"
#include "conform/golden.h"

static const char *folder;

static void check_operation(const char *name, rwkv6_operation operation, rwkv6_mode mode, int64_t chunk_length) {
  conform_golden golden;
  conform_values values;
  conform_message message;
  assert_int_equal(conform_golden_create(&golden, folder, name, operation, true, NULL), RWKV6_OK);
  golden.data.resolved.chunk_length = chunk_length;
  conform_reference(&golden.data, mode, true, &values);
  if (!conform_golden_compare(&golden, &values, CONFORM_GOLDEN_STORED_ERROR, &message))
    fail_msg("mode %d, chunk length %d: %s", (int)mode, (int)chunk_length, message.text);
  conform_values_destroy(&values);
  conform_golden_destroy(&golden);
}

static void test_case_folder(void **state) {
  const char *name = *state;
  for (int operation = 0; operation < 2; operation++) {
    conform_golden golden;
    assert_int_equal(conform_golden_create(&golden, folder, name, RWKV6_FORWARD, true, NULL), RWKV6_OK);
    const bool backward = golden.loaded.backward;
    conform_golden_destroy(&golden);
    if (operation == RWKV6_BACKWARD && !backward) continue;
    check_operation(name, (rwkv6_operation)operation, RWKV6_MODE_RECURRENT, 0);
    check_operation(name, (rwkv6_operation)operation, RWKV6_MODE_CHUNK, 0);
    check_operation(name, (rwkv6_operation)operation, RWKV6_MODE_CHUNK, 7);
  }
}

int main(int count, char **arguments) {
  static char names[CONFORM_MAX_GOLDEN][64];
  static struct CMUnitTest tests[CONFORM_MAX_GOLDEN];
  if (count != 2) {
    printf("usage: %s FOLDER-OF-GOLDEN-CASES\n", arguments[0]);
    return 2;
  }
  folder = arguments[1];
  const size_t found = conform_golden_names(folder, names, CONFORM_MAX_GOLDEN);
  if (!found) {
    printf("no golden data in %s\n", folder);
    return 1;
  }
  for (size_t i = 0; i < found; i++) {
    const struct CMUnitTest test = {names[i], test_case_folder, NULL, NULL, names[i]};
    tests[i] = test;
  }
  return _cmocka_run_group_tests("golden data in double", tests, found, NULL, NULL);
}
