/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700
#include "cli/bench/start.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench/backend.h"
#include "cli/cli.h"
#include "plan.h"
#include "registry.h"

#define FOLDER_SIZE 512
#define LONGEST_RUN 128 /* tokens */

/* How each driver is told not to keep programs; others ignore it. */
static const char *const caches_off[][2] = {{"CUDA_CACHE_DISABLE", "1"},        {"POCL_KERNEL_CACHE", "0"},
                                            {"MESA_SHADER_CACHE_DISABLE", "1"}, {"MESA_GLSL_CACHE_DISABLE", "1"},
                                            {"NEO_CACHE_PERSISTENT", "0"},      {"AMD_COMGR_CACHE", "0"}};
/* Where each keeps them otherwise: in a folder of ours, whatever the user has. */
static const char *const caches_on[][2] = {{"CUDA_CACHE_DISABLE", "0"},        {"POCL_KERNEL_CACHE", "1"},
                                           {"MESA_SHADER_CACHE_DISABLE", "0"}, {"MESA_GLSL_CACHE_DISABLE", "0"},
                                           {"NEO_CACHE_PERSISTENT", "1"},      {"AMD_COMGR_CACHE", "1"}};
static const char *const cache_folders[] = {"CUDA_CACHE_PATH", "POCL_CACHE_DIR", "MESA_SHADER_CACHE_DIR", "NEO_CACHE_DIR",
                                            "AMD_COMGR_CACHE_DIR"};

static void set_all(const char *const pairs[][2], size_t count) {
  for (size_t i = 0; i < count; ++i) setenv(pairs[i][0], pairs[i][1], 1);
}

/* Before the first call of OpenCL, as drivers read these when they start. */
static void set_environment(const char *folder, bool driver_cache) {
  char path[FOLDER_SIZE + 16];
  if (driver_cache)
    set_all(caches_on, sizeof caches_on / sizeof *caches_on);
  else
    set_all(caches_off, sizeof caches_off / sizeof *caches_off);
  snprintf(path, sizeof path, "%s/%s", folder, driver_cache ? "driver" : "off");
  mkdir(path, 0700);
  for (size_t i = 0; i < sizeof cache_folders / sizeof *cache_folders; ++i) setenv(cache_folders[i], path, 1);
  snprintf(path, sizeof path, "%s/library", folder);
  setenv("RWKV6_CACHE_DIR", path, 1);
}

/* ------------------------------------------------------------------------------------------------------- in the new process */

/* A short sequence of one head: the first run tells whether the driver goes on compiling, not how long the work takes. */
static bench_case shortened(const bench_case *of, const rwkv6_variant *variant) {
  bench_case brief = *of;
  brief.mode = variant->mode;
  brief.variant = variant->name;
  brief.shape.sequences = brief.shape.heads = 1;
  brief.shape.ragged = false;
  if (brief.shape.length > LONGEST_RUN) brief.shape.length = LONGEST_RUN;
  return brief;
}

static rwkv6_status run_first(rwkv6_device *device, const bench_case *brief, double *seconds, rwkv6_error *error) {
  bench_data data;
  bench_run run = {.device = device, .data = &data, .sets = 1};
  rwkv6_status status = bench_data_problem(brief, &data, error);
  if (!status) status = bench_data_draw(brief, 1, &data, error);
  if (!status)
    status = rwkv6_plan_create_variant(device, &data.problem, brief->operation, brief->mode, brief->variant, &run.plan, error);
  if (!status) status = bench_backend_cpu.prepare(&run, error);
  if (!status) status = bench_host_run(&run, 0, seconds, error);
  bench_backend_cpu.release(&run);
  rwkv6_plan_destroy(&run.plan);
  bench_data_free(&data);
  return status;
}

/* The plan is that of the case itself, as others may lack a program: that of states where sequences are split. It stays until
 * the first run is over, which finds its programs there. */
static rwkv6_status plan_and_run(rwkv6_device *device, const bench_case *of, bench_start_times *times, rwkv6_error *error) {
  bench_data data;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = bench_data_problem(of, &data, error);
  if (!status) {
    const double start = bench_now();
    status = rwkv6_plan_create_variant(device, &data.problem, of->operation, of->mode, of->variant, &plan, error);
    times->plan = bench_now() - start;
  }
  if (!status) {
    const bench_case brief = shortened(of, plan->variant);
    snprintf(times->variant, sizeof times->variant, "%s", plan->variant->name);
    status = run_first(device, &brief, &times->first, error);
  }
  rwkv6_plan_destroy(&plan);
  bench_data_free(&data);
  return status;
}

static bench_start_times measure_here(const char *name, const bench_case *of) {
  bench_start_times times;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  memset(&times, 0, sizeof times);
  if (of->variant) snprintf(times.variant, sizeof times.variant, "%s", of->variant);
  const double start = bench_now();
  times.status = rwkv6_device_open(name, NULL, &device, &error);
  times.open = bench_now() - start;
  times.opencl = device && device->info.kind != RWKV6_KIND_CPU;
  if (times.opencl) times.status = plan_and_run(device, of, &times, &error);
  /* Each variant's reasons are on the lines after the first; the case itself tells them. */
  if (times.status) snprintf(times.message, sizeof times.message, "%.*s", (int)strcspn(error.message, "\n"), error.message);
  rwkv6_device_close(&device);
  return times;
}

/* Drivers may write to stdout when they start or end; that is not our output. */
static void child(const char *name, const bench_case *of, const char *folder, bool driver_cache, int pipe_end) {
  set_environment(folder, driver_cache);
  const bench_start_times times = measure_here(name, of);
  const bool written = write(pipe_end, &times, sizeof times) == (ssize_t)sizeof times;
  _exit(written ? 0 : 1);
}

/* --------------------------------------------------------------------------------------------------------- in this process */

static bool read_times(int pipe_end, bench_start_times *times) {
  size_t got = 0;
  while (got < sizeof *times) {
    const ssize_t piece = read(pipe_end, (char *)times + got, sizeof *times - got);
    if (piece < 0 && errno == EINTR) continue;
    if (piece <= 0) return false;
    got += (size_t)piece;
  }
  return true;
}

static bool complain(const char *what) {
  char message[256];
  snprintf(message, sizeof message, "bench: no times for starting: %.120s: %.80s", what, strerror(errno));
  cli_complain(message);
  return false;
}

static bool measure_apart(const char *name, const bench_case *of, const char *folder, bool driver_cache,
                          bench_start_times *times) {
  int ends[2], status = 0;
  if (pipe(ends) != 0) return complain("a pipe");
  fflush(NULL);
  const pid_t process = fork();
  if (process < 0) {
    close(ends[0]);
    close(ends[1]);
    return complain("a process");
  }
  if (process == 0) child(name, of, folder, driver_cache, ends[1]);
  close(ends[1]);
  memset(times, 0, sizeof *times);
  const bool whole = read_times(ends[0], times);
  close(ends[0]);
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  times->measured = true;
  if (whole) return true;
  times->status = RWKV6_DEVICE_ERROR;
  snprintf(times->message, sizeof times->message, "the process that measured it ended without a word (status %d)", status);
  return true;
}

static int remove_entry(const char *path, const struct stat *what, int kind, struct FTW *where) {
  (void)what, (void)kind, (void)where;
  return remove(path);
}

/* The measurement before the last fills the driver's cache. */
bool bench_start_measure(const char *device, const bench_case *of, bench_start *start) {
  const char *base = getenv("TMPDIR");
  char folder[FOLDER_SIZE];
  start->of = *of;
  snprintf(folder, sizeof folder, "%.480s/rwkv6-bench-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(folder)) return complain(folder);
  bench_start_times *const times = start->times;
  bool measured = measure_apart(device, &start->of, folder, false, &times[BENCH_START_COLD]);
  if (measured && times[BENCH_START_COLD].opencl && !times[BENCH_START_COLD].status) {
    measured = measure_apart(device, &start->of, folder, false, &times[BENCH_START_WARM]) &&
               measure_apart(device, &start->of, folder, true, &times[BENCH_START_WARM_DRIVER]) &&
               measure_apart(device, &start->of, folder, true, &times[BENCH_START_WARM_DRIVER]);
  }
  nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  return measured;
}
