/* SPDX-License-Identifier: MIT */
/* A folder that a test writes into. */
#ifndef RWKV6_TESTS_SUPPORT_FOLDER_H
#define RWKV6_TESTS_SUPPORT_FOLDER_H

/* Makes an empty folder under TMPDIR, and removes it with all that is in it; cmocka setup and teardown. The path is in
 * `test_folder`. */
extern char test_folder[256];
int test_folder_make(void **state);
int test_folder_remove(void **state);

/* "test_folder/name"; static, valid until the next call but one. */
const char *test_path(const char *name);

#endif
