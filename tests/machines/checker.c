/* SPDX-License-Identifier: MIT */
/*
 * checker [DEVICE [FOLDER]]: golden data on machines that have neither cmocka nor cJSON. Everything it needs is compiled in:
 *   - conversion to and from fp16 against Python's;
 *   - the double reference, both modes, against the stored results;
 *   - every variant of DEVICE ("cpu" unless given) against the stored results, within the bars of the project;
 *   - FOLDER/CASE/TENSOR.npy, as the tool's reader sees them, against the arrays compiled in.
 * Prints a line for each failure and, last, a digest of all results and "N passed, N failed"; exit status 0 if nothing failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/golden.h"
#include "conform/run.h"
#include "golden_arrays.h"
#include "half.h"

static int passed, failed;
static uint64_t digest = UINT64_C(0xcbf29ce484222325);

static void verdict(bool right, const char *name, const char *about, const char *message) {
  if (right) {
    passed++;
    return;
  }
  failed++;
  printf("%s: %s: %s\n", name, about, message);
}

static void mix(uint64_t *into, uint64_t word) {
  *into = (*into ^ word) * UINT64_C(0x100000001b3);
}

/* ------------------------------------------------------------------------------------------------------ half precision */

static void check_halves(void) {
  uint64_t widened = UINT64_C(0xcbf29ce484222325), rounded = widened;
  for (uint32_t half = 0; half < 1u << 16; half++)
    if ((half & 0x7fffu) <= 0x7c00u) mix(&widened, rwkv6_float_bits(rwkv6_fp16_to_float((uint16_t)half)));
  for (uint32_t i = 0; i < 1u << 17; i++) {
    const uint32_t bits = i * UINT32_C(2654435761);
    if ((bits & 0x7fffffffu) <= 0x7f800000u) mix(&rounded, rwkv6_float_to_fp16(rwkv6_bits_float(bits)));
  }
  verdict(widened == golden_widened_halves, "fp16", "to fp32", "not what Python's struct module says");
  verdict(rounded == golden_rounded_floats, "fp32", "to fp16", "not what Python's struct module says");
}

/* -------------------------------------------------------------------------------------------------------- golden cases */

/* As cli_case_load fills it in. */
static void describe(const golden_arrays *arrays, cli_case *loaded) {
  rwkv6_problem *problem = &loaded->problem;
  rwkv6_problem_init(problem, sizeof *problem, arrays->sequences, arrays->tokens, arrays->heads, arrays->key_dim,
                     arrays->value_dim);
  problem->scale = arrays->scale;
  problem->decay = arrays->decay;
  problem->reverse = arrays->reverse;
  problem->dtype = arrays->dtype;
  problem->w_dtype = arrays->w_dtype == arrays->dtype ? arrays->dtype : RWKV6_FP32;
  problem->optional = RWKV6_FINAL_STATE;
  if (arrays->bits[RWKV6_TENSOR_INITIAL_STATE]) problem->optional |= RWKV6_INITIAL_STATE | RWKV6_DINITIAL_STATE;
  if (arrays->bits[RWKV6_TENSOR_DFINAL_STATE]) problem->optional |= RWKV6_DFINAL_STATE;
}

static void load(const golden_arrays *arrays, cli_case *loaded) {
  memset(loaded, 0, sizeof *loaded);
  describe(arrays, loaded);
  loaded->name = (char *)arrays->name; /* only read, and not freed here */
  loaded->cu_seqlens = (int64_t *)arrays->cu_seqlens;
  loaded->problem.cu_seqlens = arrays->cu_seqlens;
  loaded->backward = arrays->bits[RWKV6_TENSOR_DO] && arrays->decay != RWKV6_DECAY_FACTOR;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    if (!arrays->bits[id]) continue;
    loaded->tensor[id] = malloc((size_t)arrays->elements[id] * sizeof(float));
    if (!loaded->tensor[id]) exit(1);
    for (int64_t i = 0; i < arrays->elements[id]; i++) loaded->tensor[id][i] = rwkv6_bits_float(arrays->bits[id][i]);
  }
}

static void unload(cli_case *loaded) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) free(loaded->tensor[id]);
}

static void check_reference(const cli_case *loaded, rwkv6_operation operation, rwkv6_mode mode, int64_t chunk_length) {
  conform_golden golden = {.loaded = *loaded};
  conform_values values;
  conform_message message = {"cannot be made"};
  bool right = !conform_golden_fill(&golden, operation, true, NULL);
  if (right) {
    golden.data.resolved.chunk_length = chunk_length;
    conform_reference(&golden.data, mode, true, &values);
    right = conform_golden_compare(&golden, &values, CONFORM_GOLDEN_STORED_ERROR, &message);
    conform_values_destroy(&values);
  }
  verdict(right, loaded->name, mode == RWKV6_MODE_CHUNK ? "double reference, chunk" : "double reference, recurrent",
          message.text);
  conform_golden_empty(&golden);
}

static void mix_outputs(const conform_data *data) {
  conform_values got;
  conform_values_read(data, &got);
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    if (!got.of[i]) continue;
    const int64_t elements = rwkv6_tensor_elements(&data->resolved, (rwkv6_tensor_id)i);
    for (int64_t at = 0; at < elements; at++) mix(&digest, rwkv6_float_bits((float)got.of[i][at]));
  }
  conform_values_destroy(&got);
}

static void check_variant(conform_golden *golden, const conform_subject *subject, bool host) {
  conform_message message = {""};
  char about[128];
  snprintf(about, sizeof about, "%s, variant %s of mode %d", subject->info->id, subject->variant->name,
           (int)subject->variant->mode);
  verdict(conform_golden_check(subject, golden, host, &message), golden->loaded.name, about, message.text);
  mix_outputs(&golden->data);
}

static void check_operation(const cli_case *loaded, rwkv6_operation operation, rwkv6_device *device) {
  check_reference(loaded, operation, RWKV6_MODE_RECURRENT, 0);
  check_reference(loaded, operation, RWKV6_MODE_CHUNK, 0);
  check_reference(loaded, operation, RWKV6_MODE_CHUNK, 7);
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  conform_golden golden = {.loaded = *loaded};
  if (conform_golden_fill(&golden, operation, false, NULL) || rwkv6_device_get_info(device, &info, NULL)) exit(1);
  const size_t count = conform_variants(device, &golden.data.test, operation, RWKV6_MODE_AUTO, variants);
  verdict(count > 0, loaded->name, info.id, "no variant takes it");
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = {device, &info, variants[i]};
    check_variant(&golden, &subject, true);
    if (info.kind != RWKV6_KIND_CPU) check_variant(&golden, &subject, false);
  }
  conform_golden_empty(&golden);
}

/* --------------------------------------------------------------------------------------------------------------- files */

static void check_file(const char *folder, const golden_arrays *arrays, const char *tensor, cli_npy_type type,
                       const void *values, int64_t elements) {
  char path[1024];
  rwkv6_error error = RWKV6_ERROR_INIT;
  cli_npy array;
  snprintf(path, sizeof path, "%s/%s/%s.npy", folder, arrays->name, tensor);
  const size_t size = type == CLI_NPY_INT64 ? sizeof(int64_t) : sizeof(float);
  if (cli_npy_read(path, type, NULL, &array, &error)) {
    verdict(false, arrays->name, "its file", error.message);
    return;
  }
  verdict(array.elements == elements && !memcmp(array.data, values, (size_t)elements * size), path, "the .npy reader",
          "other numbers than the array compiled in");
  cli_npy_free(&array);
}

static void check_files(const char *folder, const golden_arrays *arrays) {
  if (arrays->cu_seqlens) check_file(folder, arrays, "cu_seqlens", CLI_NPY_INT64, arrays->cu_seqlens, arrays->sequences + 1);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (arrays->bits[id])
      check_file(folder, arrays, rwkv6_tensor_table[id].name, CLI_NPY_FLOAT32, arrays->bits[id], arrays->elements[id]);
}

int main(int count, char **arguments) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device *device = NULL;
  if (rwkv6_device_open(count > 1 ? arguments[1] : "cpu", NULL, &device, &error)) {
    printf("%s\n", error.message);
    return 1;
  }
  check_halves();
  for (const golden_arrays *arrays = golden_arrays_table; arrays->name; arrays++) {
    cli_case loaded;
    load(arrays, &loaded);
    check_operation(&loaded, RWKV6_FORWARD, device);
    if (loaded.backward) check_operation(&loaded, RWKV6_BACKWARD, device);
    if (count > 2) check_files(arguments[2], arrays);
    unload(&loaded);
  }
  rwkv6_device_close(&device);
  printf("pointers of %zu bits, digest of the results %016" PRIx64 "\n", 8 * sizeof(void *), digest);
  conform_print_ratios();
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
