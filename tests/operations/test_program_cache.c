/* SPDX-License-Identifier: MIT */
/*
 * The program cache with real drivers: what was compiled once is found again and computes the same bits; what is damaged, in
 * the way, or not to the driver's liking is compiled.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "device.h"
#include "devices.h"
#include "folder.h"
#include "opencl/cache_entry.h"
#include "quirks.h"

enum { TOKENS = 5, DIM = 8, THREADS = 4 };

static test_devices devices;
static int programs[TEST_MAX_DEVICES]; /* that a life needs: more than one where the driver takes only small work-groups */
static char folder[300];

static int set_up(void **state) {
  if (test_folder_make(state)) return -1;
  snprintf(folder, sizeof folder, "%s/programs", test_folder);
  return 0;
}

/* What a device said of its programs. */
typedef struct story {
  pthread_mutex_t lock;
  int compiled, loaded;
  char trouble[2048]; /* what was logged above debug level */
} story;

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static void listen(void *user, rwkv6_log_level level, const char *message) {
  story *told = user;
  pthread_mutex_lock(&told->lock);
  told->compiled += begins(message, "compiled ");
  told->loaded += begins(message, "from the cache: ");
  if (level != RWKV6_LOG_DEBUG) strncat(told->trouble, message, sizeof told->trouble - strlen(told->trouble) - 1);
  pthread_mutex_unlock(&told->lock);
}

static rwkv6_device *open_device(size_t i, const char *cache_dir, story *told) {
  const story begin = {.lock = PTHREAD_MUTEX_INITIALIZER};
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  *told = begin;
  options.log = listen;
  options.log_user = told;
  options.cache_dir = cache_dir;
  if (rwkv6_device_open(devices.info[i].id, &options, &device, &error)) fail_msg("%s", error.message);
  assert_string_equal(rwkv6_device_cache_dir(device), strcmp(cache_dir, "off") == 0 ? "" : cache_dir);
  return device;
}

/* One plan and one run; `heads` is no part of a program. */
static void run(rwkv6_device *device, int64_t heads, float *o) {
  float in[TOKENS * 4 * DIM], u[4 * DIM];
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, TOKENS, heads, DIM, DIM);
  for (int i = 0; i < TOKENS * 4 * DIM; i++) in[i] = -0.01f * (float)(i % 37);
  for (int i = 0; i < 4 * DIM; i++) u[i] = 0.1f * (float)i;
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = tensors.k = tensors.v = tensors.w = in;
  tensors.u = u;
  tensors.o = o;
  if (rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error) ||
      rwkv6_run(plan, &tensors, &error))
    fail_msg("%s", error.message);
  rwkv6_plan_destroy(&plan);
}

/* Opens the device, runs, closes it. */
static story life(size_t i, const char *cache_dir, float o[TOKENS * DIM]) {
  story told;
  rwkv6_device *device = open_device(i, cache_dir, &told);
  run(device, 1, o);
  rwkv6_device_close(&device);
  return told;
}

static void expect(const story *told, int compiled, int loaded, const char *trouble) {
  if (told->compiled != compiled || told->loaded != loaded || (trouble ? !strstr(told->trouble, trouble) : told->trouble[0]))
    fail_msg("%d compiled, %d from the cache, expected %d and %d; \"%s\", expected \"%s\"", told->compiled, told->loaded,
             compiled, loaded, told->trouble, trouble ? trouble : "");
}

/* One of the files in the folder; fails unless there are `expected`, all of them programs. */
static void find_file(int expected, char *path, size_t size) {
  int count = 0;
  DIR *list = opendir(folder);
  assert_non_null(list);
  for (const struct dirent *entry; (entry = readdir(list));) {
    if (entry->d_name[0] == '.') continue;
    count++;
    snprintf(path, size, "%s/%.100s", folder, entry->d_name);
    assert_string_equal(path + strlen(path) - 8, ".program");
  }
  closedir(list);
  assert_int_equal(count, expected);
}

static void empty_folder(void) {
  char command[400];
  snprintf(command, sizeof command, "rm -f %s/*", folder);
  assert_int_equal(system(command), 0);
}

static unsigned char *read_file(const char *path, size_t *size) {
  struct stat s;
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fstat(fileno(file), &s), 0);
  *size = (size_t)s.st_size;
  unsigned char *bytes = malloc(*size);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, *size, file), *size);
  fclose(file);
  return bytes;
}

static void write_file(const char *path, const unsigned char *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static void test_found_again(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    float first[TOKENS * DIM], again[TOKENS * DIM], without[TOKENS * DIM];
    char path[512];
    struct stat s;
    story told = life(i, folder, first);
    expect(&told, programs[i], 0, NULL);
    find_file(programs[i], path, sizeof path);
    assert_int_equal(stat(folder, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    told = life(i, folder, again);
    expect(&told, 0, programs[i], NULL);
    told = life(i, "off", without);
    expect(&told, programs[i], 0, NULL);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_equal(first, without, sizeof first);
    empty_folder();
  }
}

/* The file is put right as well: the next device finds it. */
static void check_mended(size_t i, const char *path, const char *trouble) {
  float o[TOKENS * DIM];
  struct stat s;
  story told = life(i, folder, o);
  expect(&told, 1, programs[i] - 1, trouble);
  assert_int_equal(lstat(path, &s), 0);
  assert_true(S_ISREG(s.st_mode));
  told = life(i, folder, o);
  expect(&told, 0, programs[i], NULL);
}

static void test_damaged_files(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    float o[TOKENS * DIM];
    char path[512];
    size_t size;
    life(i, folder, o);
    find_file(programs[i], path, sizeof path);
    unsigned char *bytes = read_file(path, &size);
    write_file(path, bytes, size / 2);
    check_mended(i, path, "cut short");
    write_file(path, bytes, 0);
    check_mended(i, path, "no file of 1 to");
    bytes[size - 100] ^= 4;
    write_file(path, bytes, size);
    check_mended(i, path, "damaged");
    bytes[size - 100] ^= 4;
    bytes[8]++;
    write_file(path, bytes, size);
    check_mended(i, path, "another version");
    free(bytes);
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    check_mended(i, path, "cannot open");
    empty_folder();
  }
}

/* Mesa 22.3's rusticl ends the process with such a binary, which is why nothing but a right checksum gets to a driver. */
static void check_unloadable(size_t i, const char *path, rwkv6_cl_entry *entry) {
  size_t size;
  if (rwkv6_contains(devices.info[i].platform, "rusticl")) return;
  entry->binary = (const unsigned char *)"no binary of any driver";
  entry->binary_size = 23;
  unsigned char *forged = rwkv6_cl_entry_write(entry, &size, NULL);
  write_file(path, forged, size);
  free(forged);
  check_mended(i, path, "cannot be used");
}

/* A whole file with a right checksum, in which there is not what its name says, or a binary that the driver does not take. */
static void test_wrong_programs(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    float o[TOKENS * DIM];
    char path[512];
    size_t size, forged_size;
    rwkv6_cl_entry entry;
    const char *why;
    life(i, folder, o);
    find_file(programs[i], path, sizeof path);
    unsigned char *bytes = read_file(path, &size);
    assert_int_equal(rwkv6_cl_entry_read(bytes, size, &entry, &why), size);
    entry.key.program[0] ^= 1;
    unsigned char *forged = rwkv6_cl_entry_write(&entry, &forged_size, NULL);
    write_file(path, forged, forged_size);
    free(forged);
    check_mended(i, path, "another program");
    entry.key.program[0] ^= 1;
    check_unloadable(i, path, &entry);
    free(bytes);
    empty_folder();
  }
}

/* A folder that cannot be used: nothing is kept, nothing fails. */
static void test_unusable_folders(void **state) {
  (void)state;
  float o[TOKENS * DIM];
  story told = life(0, "/proc/nothing/here", o);
  expect(&told, programs[0], 0, "cannot make");
  assert_int_equal(mkdir(folder, 0700), 0);
  assert_int_equal(chmod(folder, 0777), 0);
  told = life(0, folder, o);
  expect(&told, programs[0], 0, "written to by other users");
  assert_int_equal(rmdir(folder), 0); /* still empty */
  told = life(0, "/dev/full", o);
  expect(&told, programs[0], 0, "cannot open the folder");
}

/* A disk that is full: a file system of the memory with room for less than a program, where the system lets us have one. */
static void test_full_disk(void **state) {
  (void)state;
  float o[TOKENS * DIM];
  char command[400];
  assert_int_equal(mkdir(folder, 0700), 0);
  snprintf(command, sizeof command, "mount -t tmpfs -o size=4k,mode=0700 none %s 2>/dev/null", folder);
  if (geteuid() != 0 || system(command) != 0) skip();
  const story told = life(0, folder, o);
  DIR *list = opendir(folder);
  int files = -2;
  while (readdir(list)) files++;
  closedir(list);
  snprintf(command, sizeof command, "umount %s", folder);
  assert_int_equal(system(command), 0);
  expect(&told, programs[0], 0, "No space left on device");
  assert_int_equal(files, 0);
}

static void write_old_file(const char *name, size_t size) {
  char path[512];
  const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  unsigned char *bytes = calloc(size, 1);
  assert_non_null(bytes);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  write_file(path, bytes, size);
  free(bytes);
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static story life_within(uint64_t limit) {
  float o[TOKENS * DIM];
  story told;
  rwkv6_device *device = open_device(0, folder, &told);
  rwkv6_device_set_cache_limit(device, limit);
  run(device, 1, o);
  rwkv6_device_close(&device);
  return told;
}

/* What is stored pushes out what is oldest. */
static void test_size_limit(void **state) {
  (void)state;
  char path[512];
  enum { LIMIT = 16 << 20 };
  assert_int_equal(mkdir(folder, 0700), 0);
  write_old_file("old.program", LIMIT - 1);
  write_old_file("other", 10);
  const story told = life_within(LIMIT);
  expect(&told, programs[0], 0, NULL);
  snprintf(path, sizeof path, "%s/other", folder);
  assert_int_equal(unlink(path), 0);
  find_file(programs[0], path, sizeof path);
  assert_null(strstr(path, "old.program"));
}

/* A program that would take more than a quarter of the cache is not kept, and the log says so. */
static void test_large_programs(void **state) {
  (void)state;
  const story told = life_within(400);
  expect(&told, programs[0], 0, "allowed: a quarter of the cache, 100");
  assert_int_equal(rmdir(folder) == 0 || access(folder, F_OK) != 0, 1);
}

static void test_blob(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    float first[TOKENS * DIM], again[TOKENS * DIM];
    story told;
    size_t size = 1, written = 0, taken = 0;
    rwkv6_error error = RWKV6_ERROR_INIT;
    rwkv6_device *device = open_device(i, "off", &told);
    assert_int_equal(rwkv6_device_save_programs(device, NULL, 0, &size, NULL), RWKV6_OK);
    assert_int_equal(size, 0);
    run(device, 1, first);
    assert_int_equal(rwkv6_device_save_programs(device, NULL, 0, &size, NULL), RWKV6_OK);
    unsigned char *blob = malloc(size);
    assert_non_null(blob);
    assert_int_equal(rwkv6_device_save_programs(device, blob, size - 1, &written, &error), RWKV6_INVALID_ARGUMENT);
    assert_int_equal(written, size);
    assert_non_null(strstr(error.message, "capacity"));
    assert_int_equal(rwkv6_device_save_programs(device, blob, size, &written, NULL), RWKV6_OK);
    assert_int_equal(written, size);
    rwkv6_device_close(&device);

    device = open_device(i, "off", &told);
    assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, NULL), RWKV6_OK);
    assert_int_equal(taken, programs[i]);
    run(device, 1, again);
    expect(&told, 0, programs[i], NULL);
    assert_memory_equal(first, again, sizeof first);
    rwkv6_device_close(&device);

    device = open_device(i, "off", &told);
    assert_int_equal(rwkv6_device_load_programs(device, blob, size - 1, &taken, &error), RWKV6_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "cut short"));
    assert_int_equal(taken, 0);
    blob[size - 1] ^= 1;
    assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, &error), RWKV6_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "damaged"));
    blob[8]++; /* the version of the layout */
    taken = 1;
    assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, &error), RWKV6_OK);
    assert_int_equal(taken, 0);
    run(device, 1, again);
    expect(&told, programs[i], 0, NULL);
    rwkv6_device_close(&device);
    free(blob);
  }
}

/* Programs of one device are passed over on another. */
static void test_foreign_blob(void **state) {
  (void)state;
  if (devices.count < 2) skip();
  float o[TOKENS * DIM];
  story told;
  size_t size, taken = 1;
  rwkv6_device *device = open_device(0, "off", &told);
  run(device, 1, o);
  assert_int_equal(rwkv6_device_save_programs(device, NULL, 0, &size, NULL), RWKV6_OK);
  unsigned char *blob = malloc(size);
  assert_non_null(blob);
  assert_int_equal(rwkv6_device_save_programs(device, blob, size, &size, NULL), RWKV6_OK);
  rwkv6_device_close(&device);
  device = open_device(1, "off", &told);
  assert_int_equal(rwkv6_device_load_programs(device, blob, size, &taken, NULL), RWKV6_OK);
  assert_int_equal(taken, 0);
  run(device, 1, o);
  expect(&told, programs[1], 0, NULL);
  rwkv6_device_close(&device);
  free(blob);
}

static void *run_in_thread(void *device) {
  float o[TOKENS * 4 * DIM];
  for (int64_t heads = 1; heads <= 4; heads++) run(device, heads, o);
  return NULL;
}

/* Threads of one device want the same program at once: one compiles or loads it, one keeps it. */
static void test_threads(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++)
    for (int round = 0; round < 2; round++) {
      pthread_t threads[THREADS];
      char path[512];
      story told;
      rwkv6_device *device = open_device(i, folder, &told);
      for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_create(&threads[t], NULL, run_in_thread, device), 0);
      for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
      rwkv6_device_close(&device);
      expect(&told, round ? 0 : programs[i], round ? programs[i] : 0, NULL);
      find_file(programs[i], path, sizeof path);
      if (round) empty_folder();
    }
}

static int count_programs(void **state) {
  (void)state;
  for (size_t i = 0; i < devices.count; i++) {
    float o[TOKENS * DIM];
    const story told = life(i, "off", o);
    expect(&told, told.compiled, 0, NULL);
    programs[i] = told.compiled;
    if (programs[i] < 1) return -1;
  }
  return 0;
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, test_folder_remove)
  const struct CMUnitTest tests[] = {
      IN_FOLDER(test_found_again),      IN_FOLDER(test_damaged_files), IN_FOLDER(test_wrong_programs),
      IN_FOLDER(test_unusable_folders), IN_FOLDER(test_full_disk),     IN_FOLDER(test_blob),
      IN_FOLDER(test_foreign_blob),     IN_FOLDER(test_threads),       IN_FOLDER(test_size_limit),
      IN_FOLDER(test_large_programs),
  };
  const int failed = cmocka_run_group_tests_name("program cache with drivers", tests, count_programs, NULL);
  test_devices_close(&devices);
  return failed;
}
