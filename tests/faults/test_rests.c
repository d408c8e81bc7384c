/* SPDX-License-Identifier: MIT */
/* `rwkv6 bench` on a fake library whose events carry no times: a GPU rests between bursts of runs, other devices do not. */
#include "cli/bench/backend.h"
#include "cli/bench/peaks.h"
#include "cmocka_all.h"
#include "fake_opencl.h"

static size_t rests;

/* The linker puts it in the place of bench_rest. */
void __wrap_bench_rest(double seconds);
void __wrap_bench_rest(double seconds) {
  assert_true(seconds > 0);
  rests++;
}

/* Named by the backend, but not called here. */
rwkv6_status bench_opencl_peaks(rwkv6_device *device, bench_peaks *peaks, rwkv6_error *error) {
  (void)device, (void)peaks, (void)error;
  return RWKV6_UNSUPPORTED;
}

static bench_result time_case(bench_run *run, bench_data *data, rwkv6_error *error) {
  const bench_case timed = {.shape = {.sequences = 1, .length = 16, .heads = 1, .key_dim = 8, .value_dim = 8},
                            .operation = RWKV6_FORWARD,
                            .mode = RWKV6_MODE_RECURRENT};
  const bench_backend *backend = &bench_backend_opencl;
  bench_result result = {0};
  uint64_t extra;
  int64_t last;
  rwkv6_status status = bench_data_problem(&timed, data, error);
  if (!status) status = bench_data_draw(&timed, 1, data, error);
  if (!status) status = backend->plan(run->device, &timed, data, &run->plan, &extra, error);
  if (!status) status = backend->prepare(run, error);
  if (!status) status = backend->time(run, &result, &last, error);
  if (status) fail_msg("%s", error->message);
  backend->release(run);
  return result;
}

/* Runs that were timed on a device of this kind. */
static size_t count_runs(rwkv6_device_kind kind) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  bench_data data;
  bench_run run = {.data = &data, .sets = 1, .host_clock = true};
  options.cache_dir = "off";
  rests = 0;
  if (rwkv6_device_open("opencl:0", &options, &run.device, &error)) fail_msg("%s", error.message);
  run.device->info.kind = kind;
  const size_t runs = time_case(&run, &data, &error).device.runs;
  rwkv6_plan_destroy(&run.plan);
  rwkv6_device_close(&run.device);
  bench_data_free(&data);
  if (fake_opencl_misuse()) fail_msg("%s", fake_opencl_misuse());
  return runs;
}

static void test_gpu(void **state) {
  (void)state;
  const size_t runs = count_runs(RWKV6_KIND_OPENCL_GPU);
  assert_in_range(rests, runs < 50 ? 1 : runs / 50, runs);
}

static void test_cpu(void **state) {
  (void)state;
  assert_true(count_runs(RWKV6_KIND_OPENCL_CPU) >= 3);
  assert_int_equal(rests, 0);
}

static int load(void **state) {
  (void)state;
  return rwkv6_opencl_load_symbols(fake_opencl_lookup, NULL, NULL) ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpu), cmocka_unit_test(test_cpu)};
  return cmocka_run_group_tests_name("rests of a GPU without a clock", tests, load, NULL);
}
