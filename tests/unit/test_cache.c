/* SPDX-License-Identifier: MIT */
/* Files of the program cache: what is refused, what is written, what is removed. No OpenCL is used. */
#define _GNU_SOURCE /* seteuid, utimensat */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "device.h"
#include "folder.h"
#include "opencl/cache_entry.h"
#include "opencl/cache_folder.h"

static char folder_path[300];
static char reason[RWKV6_REASON_SIZE];

static int set_up(void **state) {
  if (test_folder_make(state)) return -1;
  snprintf(folder_path, sizeof folder_path, "%s/a/b", test_folder);
  return 0;
}

static rwkv6_cache_folder open_folder(void) {
  rwkv6_cache_folder folder;
  if (!rwkv6_cache_folder_open(folder_path, true, &folder, reason)) fail_msg("%s", reason);
  return folder;
}

static void expect_refusal(bool create, const char *part) {
  rwkv6_cache_folder folder;
  assert_false(rwkv6_cache_folder_open(folder_path, create, &folder, reason));
  if (!strstr(reason, part)) fail_msg("\"%s\" without \"%s\"", reason, part);
}

/* Number of files, "." and ".." left out. */
static int count_files(void) {
  int count = -2;
  DIR *list = opendir(folder_path);
  assert_non_null(list);
  while (readdir(list)) count++;
  closedir(list);
  return count;
}

static void write_file(const rwkv6_cache_folder *folder, const char *name, const char *text) {
  if (!rwkv6_cache_folder_write(folder, name, (const unsigned char *)text, strlen(text), reason)) fail_msg("%s", reason);
}

static void expect_file(const rwkv6_cache_folder *folder, const char *name, const char *text) {
  size_t size = 0;
  unsigned char *bytes = rwkv6_cache_folder_read(folder, name, 1000, &size, reason);
  if (!bytes) fail_msg("%s: %s", name, reason);
  assert_int_equal(size, strlen(text));
  assert_memory_equal(bytes, text, size);
  free(bytes);
}

static void expect_no_file(const rwkv6_cache_folder *folder, const char *name, const char *part) {
  size_t size = 0;
  assert_null(rwkv6_cache_folder_read(folder, name, 1000, &size, reason));
  if (part ? !strstr(reason, part) : reason[0]) fail_msg("\"%s\" without \"%s\"", reason, part ? part : "");
}

static void test_made_private(void **state) {
  (void)state;
  struct stat s;
  expect_refusal(false, "");
  assert_string_equal(reason, "");
  const mode_t old = umask(0);
  rwkv6_cache_folder folder = open_folder();
  write_file(&folder, "x", "text");
  umask(old);
  assert_int_equal(stat(folder_path, &s), 0);
  assert_int_equal(s.st_mode & 0777, 0700);
  assert_int_equal(fstatat(folder.handle, "x", &s, 0), 0);
  assert_int_equal(s.st_mode & 0777, 0600);
  rwkv6_cache_folder_close(&folder);
}

static void test_read_and_write(void **state) {
  (void)state;
  rwkv6_cache_folder folder = open_folder();
  expect_no_file(&folder, "x", NULL);
  write_file(&folder, "x", "one");
  expect_file(&folder, "x", "one");
  write_file(&folder, "x", "another");
  expect_file(&folder, "x", "another");
  assert_int_equal(count_files(), 1);
  rwkv6_cache_folder_close(&folder);
}

/* What is not an ordinary file of our own is not read, and a pipe does not hold us up. */
static void test_strange_files(void **state) {
  (void)state;
  rwkv6_cache_folder folder = open_folder();
  write_file(&folder, "x", "text");
  assert_int_equal(symlinkat("x", folder.handle, "link"), 0);
  expect_no_file(&folder, "link", "link");
  assert_int_equal(mkdirat(folder.handle, "folder", 0700), 0);
  expect_no_file(&folder, "folder", "no file");
  assert_int_equal(mkfifoat(folder.handle, "pipe", 0600), 0);
  expect_no_file(&folder, "pipe", "no file");
  close(openat(folder.handle, "empty", O_CREAT | O_WRONLY, 0600));
  expect_no_file(&folder, "empty", "1 to 1000 bytes");
  char large[1002];
  memset(large, 'a', sizeof large - 1);
  large[1001] = '\0';
  write_file(&folder, "large", large);
  expect_no_file(&folder, "large", "1 to 1000 bytes");
  assert_int_equal(fchmodat(folder.handle, "x", 0666, 0), 0);
  expect_no_file(&folder, "x", "written to by other users");
  rwkv6_cache_folder_close(&folder);
}

static void test_strange_folders(void **state) {
  (void)state;
  const char *other = test_path("other");
  rwkv6_cache_folder folder = open_folder();
  rwkv6_cache_folder_close(&folder);
  assert_int_equal(chmod(folder_path, 0777), 0);
  expect_refusal(true, "written to by other users");
  assert_int_equal(chmod(folder_path, 0700), 0);
  assert_int_equal(rename(folder_path, other), 0);
  assert_int_equal(symlink(other, folder_path), 0);
  expect_refusal(true, "cannot open the folder");
  assert_int_equal(unlink(folder_path), 0);
  close(open(folder_path, O_CREAT | O_WRONLY, 0600));
  expect_refusal(true, "cannot open the folder");
  snprintf(folder_path, sizeof folder_path, "%s/x/y/z/too/deep", test_folder);
  expect_refusal(true, "cannot make");
  snprintf(folder_path, sizeof folder_path, "/proc/no/such");
  expect_refusal(true, "cannot make");
}

/* Only root can play another user. */
static void test_other_user(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  rwkv6_cache_folder folder = open_folder();
  write_file(&folder, "x", "text");
  assert_int_equal(fchownat(folder.handle, "x", 12345, 12345, 0), 0);
  expect_no_file(&folder, "x", "another user");
  rwkv6_cache_folder_close(&folder);
  assert_int_equal(chown(folder_path, 12345, 12345), 0);
  expect_refusal(true, "another user");
  /* Root makes nothing in another user's folder, and another user cannot write into root's. */
  snprintf(folder_path, sizeof folder_path, "%s/theirs/x", test_folder);
  const char *theirs = test_path("theirs");
  assert_int_equal(mkdir(theirs, 0755) | chown(theirs, 12345, 12345), 0);
  expect_refusal(true, "which is another user's");
  snprintf(folder_path, sizeof folder_path, "%s/mine", test_folder);
  assert_int_equal(mkdir(folder_path, 0755) | chmod(test_folder, 0755), 0);
  assert_int_equal(seteuid(12345), 0);
  expect_refusal(true, "another user");
  strcat(folder_path, "/x");
  expect_refusal(true, "Permission denied");
  assert_int_equal(seteuid(0), 0);
}

/* A limit on the size of files would end the process with SIGXFSZ. */
static void test_file_limit(void **state) {
  (void)state;
  struct rlimit old, small;
  rwkv6_cache_folder folder = open_folder();
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = old;
  small.rlim_cur = 100;
  unsigned char bytes[200] = {1};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const bool large = rwkv6_cache_folder_write(&folder, "x", bytes, 200, reason);
  const bool fits = rwkv6_cache_folder_write(&folder, "y", bytes, 100, reason);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_false(large);
  assert_true(fits);
  assert_int_equal(count_files(), 1);
  rwkv6_cache_folder_close(&folder);
}

static void set_age(const rwkv6_cache_folder *folder, const char *name, time_t seconds) {
  struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
  assert_int_equal(utimensat(folder->handle, name, times, 0), 0);
}

static void test_trim(void **state) {
  (void)state;
  rwkv6_cache_folder folder = open_folder();
  const char *const names[] = {"1.program", "2.program", "3.program", "4.program"};
  for (int i = 0; i < 4; i++) {
    write_file(&folder, names[i], "0123456789");
    set_age(&folder, names[i], 1000 - 100 * i);
  }
  write_file(&folder, "other", "another's file, which is never touched");
  set_age(&folder, "other", 100000);
  expect_file(&folder, "1.program", "0123456789"); /* the oldest is used, so the second is the oldest now */
  assert_true(rwkv6_cache_folder_trim(&folder, ".program", 40, reason));
  assert_int_equal(count_files(), 5);
  assert_true(rwkv6_cache_folder_trim(&folder, ".program", 39, reason));
  expect_no_file(&folder, "2.program", NULL);
  assert_int_equal(count_files(), 4);
  assert_true(rwkv6_cache_folder_trim(&folder, ".program", 10, reason));
  expect_no_file(&folder, "3.program", NULL);
  expect_no_file(&folder, "4.program", NULL);
  expect_file(&folder, "1.program", "0123456789");
  assert_int_equal(count_files(), 2);
  rwkv6_cache_folder_close(&folder);
}

/* What a killed writer has left goes after an hour; what is being written stays. */
static void test_leftovers(void **state) {
  (void)state;
  rwkv6_cache_folder folder = open_folder();
  close(openat(folder.handle, "writing-1-0-1", O_CREAT | O_WRONLY, 0600));
  close(openat(folder.handle, "writing-2-0-1", O_CREAT | O_WRONLY, 0600));
  set_age(&folder, "writing-1-0-1", 4000);
  assert_true(rwkv6_cache_folder_trim(&folder, ".program", 1000, reason));
  assert_int_equal(faccessat(folder.handle, "writing-1-0-1", F_OK, 0), -1);
  assert_int_equal(faccessat(folder.handle, "writing-2-0-1", F_OK, 0), 0);
  rwkv6_cache_folder_close(&folder);
}

static void expect_place(const char *wanted, const char *expected) {
  char *path = NULL;
  assert_int_equal(rwkv6_cl_cache_choose(wanted, &path, NULL), RWKV6_OK);
  if (expected)
    assert_string_equal(path ? path : "none", expected);
  else
    assert_null(path);
  free(path);
}

static void test_place(void **state) {
  (void)state;
  unsetenv("RWKV6_CACHE_DIR");
  setenv("HOME", "/home/someone", 1);
  unsetenv("XDG_CACHE_HOME");
  expect_place(NULL, "/home/someone/.cache/rwkv6cl");
  setenv("XDG_CACHE_HOME", "relative", 1);
  expect_place(NULL, "/home/someone/.cache/rwkv6cl");
  setenv("XDG_CACHE_HOME", "/caches", 1);
  expect_place(NULL, "/caches/rwkv6cl");
  setenv("RWKV6_CACHE_DIR", "/elsewhere", 1);
  expect_place(NULL, "/elsewhere");
  expect_place("here", "here");
  expect_place("", NULL);
  expect_place("off", NULL);
  setenv("RWKV6_CACHE_DIR", "off", 1);
  expect_place(NULL, NULL);
  expect_place("here", "here");
  setenv("RWKV6_CACHE_DIR", "", 1);
  expect_place(NULL, NULL);
  unsetenv("RWKV6_CACHE_DIR");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  expect_place(NULL, NULL);
}

static unsigned char *make_entry(size_t *size) {
  rwkv6_cl_entry entry = {.log = "a log", .binary = (const unsigned char *)"binary", .binary_size = 6};
  memset(&entry.key, 7, sizeof entry.key);
  unsigned char *bytes = rwkv6_cl_entry_write(&entry, size, NULL);
  assert_non_null(bytes);
  return bytes;
}

static void test_entry(void **state) {
  (void)state;
  rwkv6_cl_entry entry;
  const char *why;
  size_t size;
  unsigned char *bytes = make_entry(&size);
  assert_int_equal(rwkv6_cl_entry_read(bytes, size, &entry, &why), size);
  assert_string_equal(entry.log, "a log");
  assert_int_equal(entry.binary_size, 6);
  assert_memory_equal(entry.binary, "binary", 6);
  assert_int_equal(entry.key.device[0], 7);
  for (size_t cut = 0; cut < size; cut++) { /* in memory of that size, so that a sanitizer sees a read beyond it */
    unsigned char *part = malloc(cut + !cut);
    assert_non_null(part);
    memcpy(part, bytes, cut);
    if (rwkv6_cl_entry_read(part, cut, &entry, &why)) fail_msg("cut to %zu bytes it is taken", cut);
    free(part);
  }
  for (size_t bit = 0; bit < 8 * size; bit++) {
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    if (rwkv6_cl_entry_read(bytes, size, &entry, &why)) fail_msg("with bit %zu flipped it is taken", bit);
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  free(bytes);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, test_folder_remove)
  const struct CMUnitTest tests[] = {
      IN_FOLDER(test_made_private),  IN_FOLDER(test_read_and_write),
      IN_FOLDER(test_strange_files), IN_FOLDER(test_strange_folders),
      IN_FOLDER(test_other_user),    IN_FOLDER(test_file_limit),
      IN_FOLDER(test_trim),          IN_FOLDER(test_leftovers),
      cmocka_unit_test(test_place),  cmocka_unit_test(test_entry),
  };
  return cmocka_run_group_tests_name("program cache", tests, NULL, NULL);
}
