/* SPDX-License-Identifier: MIT */
/* The reader of .npy files against files that are cut off, wrong or meant to do harm, and the writer against the reader. */
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

#include "cli/npy.h"
#include "files.h"

static const unsigned char six_floats[24] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x80, 0x7f};

/* Refused, with the path and `problem` in the message, and nothing left to free. */
static void expect_refused(const char *path, cli_npy_type type, const cli_npy_shape *want, const char *problem) {
  cli_npy array;
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(cli_npy_read(path, type, want, &array, &error), RWKV6_INVALID_ARGUMENT);
  assert_int_equal(error.status, RWKV6_INVALID_ARGUMENT);
  if (!strstr(error.message, path) || !strstr(error.message, problem)) {
    fail_msg("message \"%s\" should name %s and say \"%s\"", error.message, path, problem);
  }
  assert_null(array.data);
  for (const char *c = error.message; *c; ++c) assert_true(*c >= ' ' && *c < 0x7f);
}

static void test_good_files(void **state) {
  (void)state;
  static const char *const dictionaries[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
      "{\"shape\":(2,3,),\"fortran_order\":False,\"descr\":\"<f4\"}",
  };
  for (size_t i = 0; i < sizeof dictionaries / sizeof dictionaries[0]; ++i) {
    const char *path = test_path("good.npy");
    test_write_npy(path, dictionaries[i], six_floats, sizeof six_floats);
    cli_npy array;
    assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, NULL, &array, NULL), RWKV6_OK);
    const float *values = array.data;
    assert_int_equal(array.shape.rank, 2);
    assert_int_equal(array.shape.size[0], 2);
    assert_int_equal(array.shape.size[1], 3);
    assert_int_equal(array.elements, 6);
    assert_true(values[0] == 1.0f && values[1] == -2.0f && values[2] == 0.0f && values[3] > 3e38f);
    cli_npy_free(&array);
    assert_null(array.data);
  }
}

static void test_int64_and_ranks(void **state) {
  (void)state;
  static const unsigned char two[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const char *path = test_path("int.npy");
  cli_npy array;
  test_write_npy(path, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", two, sizeof two);
  assert_int_equal(cli_npy_read(path, CLI_NPY_INT64, NULL, &array, NULL), RWKV6_OK);
  assert_int_equal(((int64_t *)array.data)[0], 1);
  assert_true(((int64_t *)array.data)[1] == -2);
  cli_npy_free(&array);
  test_write_npy(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", six_floats, 4);
  assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, NULL, &array, NULL), RWKV6_OK);
  assert_int_equal(array.elements, 1);
  cli_npy_free(&array);
  test_write_npy(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 8), }", NULL, 0);
  assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, NULL, &array, NULL), RWKV6_OK);
  assert_int_equal(array.elements, 0);
  cli_npy_free(&array);
}

/* Versions 2.0 and 3.0 have four bytes for the length of the header. */
static void test_versions(void **state) {
  (void)state;
  static const char dictionary[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
  for (unsigned char version = 0; version < 5; ++version) {
    unsigned char file[256] = {0x93, 'N', 'U', 'M', 'P', 'Y', version, 0, sizeof dictionary - 1, 0, 0, 0};
    memcpy(file + 12, dictionary, sizeof dictionary - 1);
    const char *path = test_path("version.npy");
    test_write(path, file, 12 + sizeof dictionary - 1 + 4);
    cli_npy array;
    if (version == 2 || version == 3) {
      assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, NULL, &array, NULL), RWKV6_OK);
      cli_npy_free(&array);
    } else if (version != 1) {
      expect_refused(path, CLI_NPY_FLOAT32, NULL, "allowed are 1.0, 2.0 and 3.0");
    }
  }
}

static void test_truncation_at_every_byte(void **state) {
  (void)state;
  size_t length = 0;
  const char *path = test_path("cut.npy");
  test_write_npy(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six_floats, sizeof six_floats);
  char *bytes = test_read(path, &length);
  for (size_t cut = 0; cut < length; ++cut) {
    test_write(path, bytes, cut);
    expect_refused(path, CLI_NPY_FLOAT32, NULL, "truncated");
  }
  bytes[length] = 0;
  test_write(path, bytes, length + 1);
  expect_refused(path, CLI_NPY_FLOAT32, NULL, "trailing bytes");
  free(bytes);
}

/* No byte of a header may be changed to anything that crashes the reader; most changes are refused. */
static void test_every_byte_changed(void **state) {
  (void)state;
  size_t length = 0;
  const char *path = test_path("changed.npy");
  test_write_npy(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six_floats, sizeof six_floats);
  char *bytes = test_read(path, &length);
  static const unsigned char values[] = {0x00, 0x01, 0x0a, 0x1b, '\'', '(', '9', '}', 0x7f, 0xff};
  for (size_t at = 0; at < length - sizeof six_floats; ++at) {
    const char original = bytes[at];
    for (size_t i = 0; i < sizeof values; ++i) {
      bytes[at] = (char)values[i];
      test_write(path, bytes, length);
      cli_npy array;
      rwkv6_error error = RWKV6_ERROR_INIT;
      if (cli_npy_read(path, CLI_NPY_FLOAT32, NULL, &array, &error)) assert_non_null(strstr(error.message, path));
      cli_npy_free(&array);
    }
    bytes[at] = original;
  }
  free(bytes);
}

typedef struct bad_header {
  const char *dictionary;
  const char *problem;
} bad_header;

static const bad_header bad_headers[] = {
    {"", "must be a dictionary"},
    {"[1, 2]", "must be a dictionary"},
    {"{", "a key must be a string"},
    {"{}", "descr is missing"},
    {"{'descr': '<f4', 'fortran_order': False}", "shape is missing"},
    {"{'descr': '<f4', 'shape': (6,)}", "fortran_order is missing"},
    {"{'fortran_order': False, 'shape': (6,)}", "descr is missing"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'extra': 1}", "unknown key"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", "twice"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", "element type is \"<f8\"; allowed is \"<f4\""},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", "element type is \">f4\""},
    {"{'descr': '=f4', 'fortran_order': False, 'shape': (6,)}", "element type is \"=f4\""},
    {"{'descr': 'f4', 'fortran_order': False, 'shape': (6,)}", "element type is \"f4\""},
    {"{'descr': '|f4', 'fortran_order': False, 'shape': (6,)}", "element type is \"|f4\""},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", "element type is \"<i8\""},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", "element type is \"|O\""},
    {"{'descr': '\x1b[2J', 'fortran_order': False, 'shape': (3,)}", "\\x1b[2J"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", "descr must be a string"},
    {"{'descr': '<f4, 'fortran_order': False, 'shape': (6,)}", "element type"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}", "fortran_order is True"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}", "True or False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': [6]}", "must be a tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "must be a tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}", "not negative"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6.0,)}", "separated by commas"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "not negative"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6", "separated by commas"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", "separated by commas"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6)}", "more than 8 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "does not fit 64 bits"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999999,)}", "does not fit 64 bits"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "more than 64 bits"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387910,)}", "truncated"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2305843009213693952, 3)}", "truncated"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)}", "truncated"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", "trailing bytes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "trailing bytes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "trailing bytes"},
    {"{'descr': '<f4' 'fortran_order': False, 'shape': (6,)}", "separated by commas"},
    {"{'descr' '<f4', 'fortran_order': False, 'shape': (6,)}", "colon"},
    {"{descr: '<f4', 'fortran_order': False, 'shape': (6,)}", "a key must be a string"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)} # more", "only blanks"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", "separated by commas"},
};

static void test_bad_headers(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; ++i) {
    const char *path = test_path("bad.npy");
    test_write_npy(path, bad_headers[i].dictionary, six_floats, sizeof six_floats);
    expect_refused(path, CLI_NPY_FLOAT32, NULL, bad_headers[i].problem);
  }
}

static void test_not_npy(void **state) {
  (void)state;
  const char *path = test_path("other.npy");
  test_write_text(path, "PK\x03\x04 this is another format altogether");
  expect_refused(path, CLI_NPY_FLOAT32, NULL, "not an .npy file");
  test_write(path, "\x93NUMPY\x01\x00\xff\xff{'descr'", 18);
  expect_refused(path, CLI_NPY_FLOAT32, NULL, "truncated");
  test_write(path, "\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'", 20);
  expect_refused(path, CLI_NPY_FLOAT32, NULL, "at most 65535");
  test_write(path, "\x93NUMPY\x01\x00\x00\x00", 10);
  expect_refused(path, CLI_NPY_FLOAT32, NULL, "must be a dictionary");
}

/* A folder, a FIFO that nobody writes to (must not wait), a device, a name that is not there. */
static void test_not_a_regular_file(void **state) {
  (void)state;
  const char *fifo = test_path("fifo.npy");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  expect_refused(fifo, CLI_NPY_FLOAT32, NULL, "not a regular file");
  expect_refused(test_folder, CLI_NPY_FLOAT32, NULL, "is a folder");
  expect_refused("/dev/zero", CLI_NPY_FLOAT32, NULL, "not a regular file");
  expect_refused(test_path("absent.npy"), CLI_NPY_FLOAT32, NULL, "No such file");
}

static void test_expected_shape(void **state) {
  (void)state;
  const char *path = test_path("shape.npy");
  const cli_npy_shape wrong_rank = {1, {6}}, wrong_size = {2, {3, 2}}, right = {2, {2, 3}};
  test_write_npy(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six_floats, sizeof six_floats);
  expect_refused(path, CLI_NPY_FLOAT32, &wrong_rank, "shape is (2, 3); meta.json asks for (6,)");
  expect_refused(path, CLI_NPY_FLOAT32, &wrong_size, "shape is (2, 3); meta.json asks for (3, 2)");
  expect_refused(path, CLI_NPY_INT64, NULL, "allowed is \"<i8\"");
  cli_npy array;
  assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, &right, &array, NULL), RWKV6_OK);
  cli_npy_free(&array);
}

static void test_written_and_read_again(void **state) {
  (void)state;
  static const cli_npy_shape shapes[] = {
      {0, {0}}, {1, {0}}, {1, {3001}}, {3, {5, 7, 11}}, {8, {1, 2, 1, 2, 1, 2, 1, 2}}, {4, {1, 0, 9223372036854775807, 1}}};
  float values[3001];
  for (int i = 0; i < 3001; ++i) values[i] = (float)i * 0.37f - 100.0f;
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
    const char *path = test_path("written.npy");
    cli_npy array;
    assert_int_equal(cli_npy_write(path, &shapes[i], values, NULL), RWKV6_OK);
    assert_int_equal(cli_npy_read(path, CLI_NPY_FLOAT32, &shapes[i], &array, NULL), RWKV6_OK);
    assert_memory_equal(array.data, values, (size_t)array.elements * sizeof(float));
    cli_npy_free(&array);
  }
}

static void test_write_failures(void **state) {
  (void)state;
  const cli_npy_shape shape = {1, {6}};
  const float values[6] = {0};
  rwkv6_error error = RWKV6_ERROR_INIT;
  assert_int_equal(cli_npy_write("/dev/null/x.npy", &shape, values, &error), RWKV6_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "/dev/null/x.npy"));
  const cli_npy_shape huge = {2, {INT64_MAX, 2}};
  assert_int_equal(cli_npy_write(test_path("huge.npy"), &huge, values, &error), RWKV6_INVALID_ARGUMENT);
  assert_int_not_equal(access(test_path("huge.npy"), F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good_files),
      cmocka_unit_test(test_int64_and_ranks),
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_truncation_at_every_byte),
      cmocka_unit_test(test_every_byte_changed),
      cmocka_unit_test(test_bad_headers),
      cmocka_unit_test(test_not_npy),
      cmocka_unit_test(test_not_a_regular_file),
      cmocka_unit_test(test_expected_shape),
      cmocka_unit_test(test_written_and_read_again),
      cmocka_unit_test(test_write_failures),
  };
  return cmocka_run_group_tests_name("npy", tests, test_folder_make, test_folder_remove);
}
