/* SPDX-License-Identifier: MIT */
/* The examples that NIST publishes with FIPS 180-4, and their message in pieces of every size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "sha256.h"

static void expect(const rwkv6_sha256 *sha, const char *digest) {
  rwkv6_sha256 copy = *sha;
  unsigned char got[RWKV6_SHA256_BYTES];
  char text[2 * RWKV6_SHA256_BYTES + 1];
  rwkv6_sha256_end(&copy, got);
  for (size_t i = 0; i < sizeof got; i++) snprintf(text + 2 * i, 3, "%02x", got[i]);
  assert_string_equal(text, digest);
}

typedef struct example {
  const char *message, *digest;
} example;

static const example examples[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void test_examples(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
    for (size_t piece = 1; piece <= strlen(examples[i].message) + 1; piece++) {
      rwkv6_sha256 sha;
      rwkv6_sha256_begin(&sha);
      for (size_t at = 0, left = strlen(examples[i].message); left;) {
        const size_t size = left < piece ? left : piece;
        rwkv6_sha256_add(&sha, examples[i].message + at, size);
        at += size;
        left -= size;
      }
      expect(&sha, examples[i].digest);
    }
}

static void test_million(void **state) {
  (void)state;
  char text[1000];
  rwkv6_sha256 sha;
  memset(text, 'a', sizeof text);
  rwkv6_sha256_begin(&sha);
  for (int i = 0; i < 1000; i++) rwkv6_sha256_add(&sha, text, sizeof text);
  expect(&sha, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Texts do not run into each other. */
static void test_texts(void **state) {
  (void)state;
  rwkv6_sha256 a, b;
  unsigned char x[RWKV6_SHA256_BYTES], y[RWKV6_SHA256_BYTES];
  rwkv6_sha256_begin(&a);
  rwkv6_sha256_add_text(&a, "ab");
  rwkv6_sha256_add_text(&a, "c");
  rwkv6_sha256_end(&a, x);
  rwkv6_sha256_begin(&b);
  rwkv6_sha256_add_text(&b, "a");
  rwkv6_sha256_add_text(&b, "bc");
  rwkv6_sha256_end(&b, y);
  assert_memory_not_equal(x, y, sizeof x);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_million),
                                     cmocka_unit_test(test_texts)};
  return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
