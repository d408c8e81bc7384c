/* SPDX-License-Identifier: MIT */
/* The reader of case folders: wrong meta.json, missing and wrong tensors, offsets. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/case.h"
#include "cli/meta.h"
#include "files.h"

static const char good_meta[] =
    "{\"tokens\": 4, \"sequences\": 2, \"heads\": 1, \"key_dim\": 2, \"value_dim\": 3, \"scale\": 0.5, "
    "\"decay\": \"log\", \"dtype\": \"fp32\", \"w_dtype\": \"fp32\", \"reverse\": false}";

/* Replaces one field of good_meta: from the key to before the next comma or brace. NULL: takes it out. */
static const char *meta_with(const char *key, const char *field) {
  static char text[1024];
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *start = strstr(good_meta, quoted);
  assert_non_null(start);
  const char *end = start + strcspn(start, ",}");
  if (!field && *end == ',') end += 2;
  snprintf(text, sizeof text, "%.*s%s%s", (int)(start - good_meta), good_meta, field ? field : "", end);
  return text;
}

static void expect_bad_meta(const char *text, const char *problem) {
  const char *path = test_path("meta.json");
  cli_meta meta;
  rwkv6_error error = RWKV6_ERROR_INIT;
  test_write_text(path, text);
  assert_int_equal(cli_meta_read(path, &meta, &error), RWKV6_INVALID_ARGUMENT);
  if (!strstr(error.message, path) || !strstr(error.message, problem)) {
    fail_msg("message \"%s\" should name %s and say \"%s\"", error.message, path, problem);
  }
}

typedef struct bad_field {
  const char *key;
  const char *field; /* NULL: missing */
  const char *problem;
} bad_field;

static const bad_field bad_fields[] = {
    {"tokens", NULL, "\"tokens\" is missing"},
    {"sequences", NULL, "\"sequences\" is missing"},
    {"heads", NULL, "\"heads\" is missing"},
    {"key_dim", NULL, "\"key_dim\" is missing"},
    {"value_dim", NULL, "\"value_dim\" is missing"},
    {"scale", NULL, "\"scale\" is missing"},
    {"decay", NULL, "\"decay\" is missing"},
    {"dtype", NULL, "\"dtype\" is missing"},
    {"w_dtype", NULL, "\"w_dtype\" is missing"},
    {"tokens", "\"Tokens\": 4", "\"tokens\" is missing"},
    {"tokens", "\"tokens\": 4, \"tokens\": 5", "\"tokens\" is given twice"},
    {"tokens", "\"tokens\": -1", "\"tokens\" is -1; allowed are integers from 0"},
    {"tokens", "\"tokens\": 1.5", "\"tokens\" is 1.5; allowed are integers"},
    {"tokens", "\"tokens\": 1e300", "allowed are integers from 0 to 9007199254740992"},
    {"tokens", "\"tokens\": 1e999", "allowed are integers"},
    {"tokens", "\"tokens\": 9007199254740994", "allowed are integers"},
    {"tokens", "\"tokens\": \"4\"", "\"tokens\" is a string; it must be an integer"},
    {"tokens", "\"tokens\": null", "\"tokens\" is null"},
    {"tokens", "\"tokens\": [4]", "\"tokens\" is an array"},
    {"tokens", "\"tokens\": {}", "\"tokens\" is an object"},
    {"tokens", "\"tokens\": true", "\"tokens\" is true or false"},
    {"sequences", "\"sequences\": 0", "\"sequences\" is 0; allowed are integers from 1"},
    {"heads", "\"heads\": 0", "\"heads\" is 0"},
    {"key_dim", "\"key_dim\": 0", "\"key_dim\" is 0; allowed are integers from 1 to 256"},
    {"value_dim", "\"value_dim\": 257", "\"value_dim\" is 257; allowed are integers from 1 to 256"},
    {"scale", "\"scale\": 1e999", "\"scale\" is inf; it must be finite"},
    {"scale", "\"scale\": \"1\"", "\"scale\" is a string; it must be a number"},
    {"scale", "\"scale\": NaN", "not valid JSON"},
    {"decay", "\"decay\": \"exp\"", "\"decay\" is \"exp\"; allowed are log, raw and factor"},
    {"decay", "\"decay\": \"\\u001b[2J\"", "\"decay\" is \"\\x1b[2J\""},
    {"decay", "\"decay\": 1", "\"decay\" is a number; it must be a string"},
    {"dtype", "\"dtype\": \"float32\"", "\"dtype\" is \"float32\"; allowed are fp32, fp16 and bf16"},
    {"dtype", "\"dtype\": \"\"", "\"dtype\" is \"\""},
    {"w_dtype", "\"w_dtype\": \"fp64\"", "\"w_dtype\" is \"fp64\""},
    {"reverse", "\"reverse\": 0", "\"reverse\" is a number; it must be true or false"},
    {"reverse", "\"forward\": true", "\"reverse\" is missing"},
};

static void test_bad_meta(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_fields / sizeof bad_fields[0]; ++i) {
    expect_bad_meta(meta_with(bad_fields[i].key, bad_fields[i].field), bad_fields[i].problem);
  }
  expect_bad_meta("[1, 2]", "is an array; it must be an object");
  expect_bad_meta("4", "it must be an object");
  expect_bad_meta("", "not valid JSON");
  expect_bad_meta("{} {}", "not valid JSON");
  expect_bad_meta("{\n\"tokens\": 4,\n\"heads\": }", "not valid JSON in line 3");
}

static void test_meta_cut_at_every_byte(void **state) {
  (void)state;
  char text[sizeof good_meta];
  for (size_t cut = 0; cut < strlen(good_meta); ++cut) {
    memcpy(text, good_meta, cut);
    text[cut] = '\0';
    expect_bad_meta(text, "not valid JSON");
  }
}

/* More nesting than the parser allows, and more bytes than we do. */
static void test_meta_too_deep_or_long(void **state) {
  (void)state;
  const size_t length = (1 << 20) + 1;
  char *text = malloc(length + 1);
  assert_non_null(text);
  memset(text, '[', length);
  text[length] = '\0';
  expect_bad_meta(text, "at most 1048576 are allowed");
  text[100000] = '\0';
  expect_bad_meta(text, "not valid JSON");
  free(text);
  const char *path = test_path("meta.json");
  cli_meta meta;
  rwkv6_error error = RWKV6_ERROR_INIT;
  test_write(path, "{\"a\": 1}\0 more", 14);
  assert_int_equal(cli_meta_read(path, &meta, &error), RWKV6_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "not valid JSON"));
}

static void test_good_meta(void **state) {
  (void)state;
  const char *path = test_path("meta.json");
  cli_meta meta;
  test_write_text(path, meta_with("decay", "\"decay\": \"raw\", \"unknown\": {\"tokens\": 9}"));
  assert_int_equal(cli_meta_read(path, &meta, NULL), RWKV6_OK);
  assert_int_equal(meta.tokens, 4);
  assert_int_equal(meta.sequences, 2);
  assert_int_equal(meta.value_dim, 3);
  assert_int_equal(meta.decay, RWKV6_DECAY_RAW);
  assert_true(meta.scale == 0.5 && !meta.reverse);
}

/* -------------------------------------------------------------------------------------------------------------- folders */

static const char *case_path(const char *file) {
  char name[128];
  snprintf(name, sizeof name, "case/%s", file);
  return test_path(name);
}

static void write_tensor(const char *file, const char *shape, size_t count, float value) {
  char dictionary[256];
  float values[64];
  assert_true(count <= 64);
  for (size_t i = 0; i < count; ++i) values[i] = value;
  snprintf(dictionary, sizeof dictionary, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape);
  test_write_npy(case_path(file), dictionary, values, count * sizeof *values);
}

static void write_offsets(int64_t a, int64_t b, int64_t c) {
  const int64_t offsets[3] = {a, b, c};
  test_write_npy(case_path("cu_seqlens.npy"), "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", offsets,
                 sizeof offsets);
}

/* A whole case with everything but reference results. */
static int write_case(void **state) {
  (void)state;
  static const char *const keys[] = {"r.npy", "k.npy", "w.npy"};
  static const char *const states[] = {"initial_state.npy", "dfinal_state.npy"};
  mkdir(test_path("case"), 0777);
  test_write_text(case_path("meta.json"), good_meta);
  for (int i = 0; i < 3; ++i) write_tensor(keys[i], "(4, 1, 2)", 8, -0.5f);
  write_tensor("v.npy", "(4, 1, 3)", 12, 1.0f);
  write_tensor("do.npy", "(4, 1, 3)", 12, 1.0f);
  write_tensor("u.npy", "(1, 2)", 2, 0.25f);
  for (int i = 0; i < 2; ++i) write_tensor(states[i], "(2, 1, 2, 3)", 12, 2.0f);
  write_offsets(0, 1, 4);
  return 0;
}

static void expect_bad_case(const char *file, const char *problem) {
  cli_case loaded;
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(cli_case_load(test_path("case"), &loaded, &error), RWKV6_INVALID_ARGUMENT);
  const char *path = case_path(file);
  if (!strstr(error.message, path) || !strstr(error.message, problem)) {
    fail_msg("message \"%s\" should name %s and say \"%s\"", error.message, path, problem);
  }
  cli_case_free(&loaded);
}

static void test_good_case(void **state) {
  (void)state;
  cli_case loaded;
  assert_int_equal(cli_case_load(test_path("case"), &loaded, NULL), RWKV6_OK);
  assert_string_equal(loaded.name, "case");
  assert_true(loaded.backward);
  assert_int_equal(loaded.problem.tokens, 4);
  assert_int_equal(loaded.problem.cu_seqlens[1], 1);
  assert_int_equal(loaded.problem.optional,
                   RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE);
  assert_true(loaded.tensor[RWKV6_TENSOR_V][11] == 1.0f);
  assert_null(loaded.tensor[RWKV6_TENSOR_O]);
  cli_case_free(&loaded);
}

static void test_optional_files(void **state) {
  (void)state;
  static const char *const optional[] = {"do.npy", "initial_state.npy", "dfinal_state.npy", "cu_seqlens.npy"};
  for (int i = 0; i < 4; ++i) assert_int_equal(unlink(case_path(optional[i])), 0);
  cli_case loaded;
  assert_int_equal(cli_case_load(test_path("case"), &loaded, NULL), RWKV6_OK);
  assert_false(loaded.backward);
  assert_int_equal(loaded.problem.optional, RWKV6_FINAL_STATE);
  assert_null(loaded.problem.cu_seqlens);
  cli_case_free(&loaded);
  test_write_text(case_path("meta.json"), meta_with("sequences", "\"sequences\": 3"));
  expect_bad_case("cu_seqlens.npy", "is missing, and 4 tokens do not make 3 sequences");
}

static void test_missing_files(void **state) {
  (void)state;
  static const char *const required[] = {"r.npy", "k.npy", "v.npy", "w.npy", "u.npy"};
  for (int i = 0; i < 5; ++i) {
    assert_int_equal(unlink(case_path(required[i])), 0);
    expect_bad_case(required[i], "is missing");
    write_case(state);
  }
  assert_int_equal(unlink(case_path("meta.json")), 0);
  expect_bad_case("meta.json", "No such file");
}

static void test_wrong_shapes(void **state) {
  (void)state;
  write_tensor("v.npy", "(4, 1, 2)", 8, 1.0f);
  expect_bad_case("v.npy", "shape is (4, 1, 2); meta.json asks for (4, 1, 3)");
  write_case(state);
  write_tensor("final_state.npy", "(1, 1, 2, 3)", 6, 1.0f);
  expect_bad_case("final_state.npy", "meta.json asks for (2, 1, 2, 3)");
  assert_int_equal(unlink(case_path("final_state.npy")), 0);
  write_tensor("cu_seqlens.npy", "(3,)", 3, 0.0f);
  expect_bad_case("cu_seqlens.npy", "allowed is \"<i8\"");
}

static void test_wrong_offsets(void **state) {
  (void)state;
  write_offsets(1, 1, 4);
  expect_bad_case("cu_seqlens.npy", "must start at 0");
  write_offsets(0, 5, 4);
  expect_bad_case("cu_seqlens.npy", "less than the one before");
  write_offsets(0, INT64_MIN, 4);
  expect_bad_case("cu_seqlens.npy", "less than the one before");
  write_offsets(0, 2, 5);
  expect_bad_case("cu_seqlens.npy", "must end at the 4 tokens");
}

static void test_wrong_values(void **state) {
  (void)state;
  write_tensor("w.npy", "(4, 1, 2)", 8, 0.5f);
  expect_bad_case("w.npy", "element 0 is 0.5; allowed is at most 0 (log form)");
  test_write_text(case_path("meta.json"), meta_with("decay", "\"decay\": \"factor\""));
  write_tensor("w.npy", "(4, 1, 2)", 8, 1.5f);
  expect_bad_case("w.npy", "allowed is 0 to 1 (factor form)");
  write_case(state);
  const uint32_t nan_bits = 0x7fc00000u;
  float not_a_number;
  memcpy(&not_a_number, &nan_bits, sizeof not_a_number);
  write_tensor("k.npy", "(4, 1, 2)", 8, not_a_number);
  expect_bad_case("k.npy", "allowed is a number");
}

/* final_state would need more bytes than there are, though every file there is is small. */
static void test_impossible_sizes(void **state) {
  (void)state;
  static const char *const by_sequence[] = {"initial_state.npy", "dfinal_state.npy", "cu_seqlens.npy"};
  for (int i = 0; i < 3; ++i) assert_int_equal(unlink(case_path(by_sequence[i])), 0);
  static const char *const by_token[] = {"r.npy", "k.npy", "w.npy"};
  for (int i = 0; i < 3; ++i) write_tensor(by_token[i], "(0, 32, 2)", 0, 0.0f);
  write_tensor("v.npy", "(0, 32, 256)", 0, 0.0f);
  write_tensor("do.npy", "(0, 32, 256)", 0, 0.0f);
  write_tensor("u.npy", "(32, 2)", 64, 0.0f);
  test_write_text(case_path("meta.json"),
                  "{\"tokens\": 0, \"sequences\": 9007199254740992, \"heads\": 32, \"key_dim\": 2, \"value_dim\": 256, "
                  "\"scale\": 1, \"decay\": \"raw\", \"dtype\": \"bf16\", \"w_dtype\": \"bf16\", \"reverse\": true}");
  expect_bad_case("meta.json", "_state: its size in bytes exceeds");
}

static void test_dtype_rule(void **state) {
  (void)state;
  static const struct {
    rwkv6_dtype own_w, dtype, stored_w;
  } rules[] = {{RWKV6_FP32, RWKV6_FP32, RWKV6_FP32}, {RWKV6_FP32, RWKV6_BF16, RWKV6_FP32},
               {RWKV6_BF16, RWKV6_BF16, RWKV6_BF16}, {RWKV6_BF16, RWKV6_FP16, RWKV6_FP32},
               {RWKV6_BF16, RWKV6_FP32, RWKV6_FP32}, {RWKV6_FP16, RWKV6_FP16, RWKV6_FP16}};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; ++i) {
    cli_case loaded;
    memset(&loaded, 0, sizeof loaded);
    loaded.w_dtype = rules[i].own_w;
    cli_case_set_dtype(&loaded, rules[i].dtype);
    assert_int_equal(loaded.problem.dtype, rules[i].dtype);
    assert_int_equal(loaded.problem.w_dtype, rules[i].stored_w);
  }
}

static void expect_name(const char *folder, const char *name) {
  char *found = cli_case_name(folder, NULL);
  assert_non_null(found);
  assert_string_equal(found, name);
  free(found);
}

static void test_names(void **state) {
  (void)state;
  expect_name("a", "a");
  expect_name("a/b", "b");
  expect_name("/a/b//", "b");
  expect_name("./...", "...");
  expect_name(test_path("case/."), "case");
  expect_name(test_path("case/../case/"), "case");
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_null(cli_case_name("/", &error));
  assert_null(cli_case_name("", &error));
  assert_null(cli_case_name("/absent/..", &error));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_meta),
      cmocka_unit_test(test_meta_cut_at_every_byte),
      cmocka_unit_test(test_meta_too_deep_or_long),
      cmocka_unit_test(test_good_meta),
      cmocka_unit_test_setup(test_good_case, write_case),
      cmocka_unit_test_setup(test_optional_files, write_case),
      cmocka_unit_test_setup(test_missing_files, write_case),
      cmocka_unit_test_setup(test_wrong_shapes, write_case),
      cmocka_unit_test_setup(test_wrong_offsets, write_case),
      cmocka_unit_test_setup(test_wrong_values, write_case),
      cmocka_unit_test_setup(test_impossible_sizes, write_case),
      cmocka_unit_test(test_dtype_rule),
      cmocka_unit_test_setup(test_names, write_case),
  };
  return cmocka_run_group_tests_name("case", tests, test_folder_make, test_folder_remove);
}
