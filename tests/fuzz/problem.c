/* SPDX-License-Identifier: MIT */
/*
 * The API as a caller with garbage in hand uses it: every field of a problem and every pointer of a call from the input.
 * Refused with a text that names the argument, outputs untouched, or computed inside the memory that was handed in. Runs on the
 * CPU path.
 */
#include <stdlib.h>
#include <string.h>

#include "conform/data.h"
#include "fuzz.h"
#include "plan.h"
#include "problem.h"

/* Larger problems are only planned. Elements of one tensor. */
#define MOST 4096

/* Small numbers mostly; sometimes the ends of ranges, and sometimes anything. */
static int64_t number(fuzz_input *input) {
  static const int64_t ends[] = {-1,        0,        1, 2, 255, 256, 257, 4095, 4096, 4097, INT32_MAX, (int64_t)1 << 31,
                                 INT64_MAX, INT64_MIN};
  const uint64_t choice = fuzz_take(input, 1);
  if (choice < 200) return (int64_t)choice % 24;
  if (choice < 240) return ends[choice % (sizeof ends / sizeof *ends)];
  return (int64_t)fuzz_take(input, 8);
}

static rwkv6_stride stride(fuzz_input *input) {
  rwkv6_stride made = {0, 0};
  if (fuzz_take(input, 1) % 4) return made;
  made.token = number(input);
  made.head = number(input);
  return made;
}

static void fill_problem(fuzz_input *input, rwkv6_problem *problem, const int64_t *cu_seqlens) {
  rwkv6_problem_init(problem, sizeof *problem, number(input), number(input), number(input), (int32_t)number(input),
                     (int32_t)number(input));
  if (fuzz_take(input, 1) % 16 == 0) problem->size = (size_t)number(input) % (sizeof *problem + 1);
  problem->dtype = (rwkv6_dtype)(fuzz_take(input, 1) % 4);
  problem->w_dtype = fuzz_take(input, 1) % 8 ? problem->dtype : (rwkv6_dtype)(fuzz_take(input, 1) % 4);
  problem->decay = (rwkv6_decay)(fuzz_take(input, 1) % 4);
  problem->reverse = (int32_t)(fuzz_take(input, 1) % 2);
  problem->optional = (uint32_t)fuzz_take(input, 1);
  problem->checks = (uint32_t)(fuzz_take(input, 1) % 5);
  if (problem->optional & RWKV6_STATE_POOL || fuzz_take(input, 1) % 16 == 0) problem->pool_slots = number(input);
  if (fuzz_take(input, 1) % 8 == 0) problem->chunk_length = number(input);
  if (fuzz_take(input, 1) % 8 == 0) problem->segment_length = number(input);
  const uint64_t bits = fuzz_take(input, 1) % 8 ? 0 : fuzz_take(input, 8);
  if (bits) memcpy(&problem->scale, &bits, sizeof bits);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    rwkv6_stride *place = (rwkv6_stride *)rwkv6_tensor_stride(problem, (rwkv6_tensor_id)id);
    if (place) *place = stride(input);
  }
  problem->precision = (rwkv6_precision)(fuzz_take(input, 1) % 3);
  problem->reserved = fuzz_take(input, 1) % 16 == 1;
  if (problem->sequences >= 1 && problem->sequences < 24 && fuzz_take(input, 1) % 2) problem->cu_seqlens = cu_seqlens;
}

/* Slots that are right, if there are enough: one after the other, some sequences left out. */
static void choose_slots(const rwkv6_problem *resolved, int32_t *slots, unsigned bits) {
  for (int64_t n = 0; n < resolved->sequences; n++)
    slots[n] = bits >> (n % 8) & 1 ? -1 : (int32_t)((n + bits) % resolved->pool_slots);
}

/* Memory of exactly what a tensor takes, filled with the input's bytes over and over. */
static void *memory_of(const rwkv6_problem *resolved, rwkv6_tensor_id id, const fuzz_input *input) {
  const size_t bytes = (size_t)rwkv6_tensor_extent(resolved, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(resolved, id));
  uint8_t *memory = malloc(bytes ? bytes : 1);
  FUZZ_REQUIRE(memory);
  for (size_t i = 0; i < bytes; i++) memory[i] = input->size ? input->data[(i * 7 + (size_t)id) % input->size] : 0x3c;
  if (id == RWKV6_TENSOR_SLOTS && resolved->pool_slots > 0 && bytes && memory[0] % 8)
    choose_slots(resolved, (int32_t *)(void *)memory, memory[0]);
  return memory;
}

typedef struct call {
  void *memory[RWKV6_TENSOR_COUNT]; /* owned */
  void *before[RWKV6_TENSOR_COUNT]; /* copies */
  size_t bytes[RWKV6_TENSOR_COUNT];
  rwkv6_tensors tensors;
} call;

static void make_call(const rwkv6_problem *resolved, rwkv6_operation operation, fuzz_input *input, call *made) {
  const rwkv6_tensors none = RWKV6_TENSORS_INIT;
  const uint64_t wrong = fuzz_take(input, 1); /* in some calls, one tensor is there that must not be, or missing, or shared */
  memset(made, 0, sizeof *made);
  made->tensors = none;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (rwkv6_tensor_takes_part(resolved, operation, id) == (wrong == (uint64_t)i)) continue;
    made->memory[i] = memory_of(resolved, id, input);
    made->bytes[i] = (size_t)rwkv6_tensor_extent(resolved, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(resolved, id));
    made->before[i] = malloc(made->bytes[i] ? made->bytes[i] : 1);
    FUZZ_REQUIRE(made->before[i]);
    memcpy(made->before[i], made->memory[i], made->bytes[i]);
    conform_tensors_set(&made->tensors, i, made->memory[i]);
  }
  /* Shared memory has to be large enough for both: that much a caller must get right. */
  const int to = (int)(wrong % RWKV6_TENSOR_COUNT), from = (int)((wrong + 1) % RWKV6_TENSOR_COUNT);
  if (wrong >= 32 && wrong < 64 && made->bytes[from] >= made->bytes[to])
    conform_tensors_set(&made->tensors, to, made->memory[from]);
}

static void free_call(call *made) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    free(made->memory[i]);
    free(made->before[i]);
  }
}

/* Inputs never change; outputs do not where the call was refused. */
static void check_memory(const call *made, bool refused) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (made->memory[i] && (refused || !rwkv6_tensor_table[i].output))
      FUZZ_REQUIRE(!memcmp(made->memory[i], made->before[i], made->bytes[i]));
}

static void run(rwkv6_plan *plan, fuzz_input *input) {
  call made;
  rwkv6_error error = RWKV6_ERROR_INIT;
  make_call(&plan->problem, plan->operation, input, &made);
  const rwkv6_status status = rwkv6_run(plan, &made.tensors, &error);
  FUZZ_REQUIRE(!status || (error.message[0] && error.status == status));
  check_memory(&made, status != RWKV6_OK);
  free_call(&made);
}

static bool is_small(const rwkv6_problem *resolved) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (rwkv6_tensor_extent(resolved, (rwkv6_tensor_id)id) > MOST) return false;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rwkv6_device *device;
  if (!device) FUZZ_REQUIRE(!rwkv6_device_open("cpu", NULL, &device, NULL));
  fuzz_input input = {data, size};
  rwkv6_problem problem, resolved;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  int64_t cu_seqlens[25];
  for (int i = 0; i < 25; i++) cu_seqlens[i] = i ? cu_seqlens[i - 1] + (int64_t)(fuzz_take(&input, 1) % 5) : 0;
  if (fuzz_take(&input, 1) % 16 == 0) cu_seqlens[fuzz_below(&input, 25)] = number(&input);
  fill_problem(&input, &problem, cu_seqlens);
  if (problem.cu_seqlens && fuzz_take(&input, 1) % 8) problem.tokens = cu_seqlens[problem.sequences];
  const rwkv6_operation operation = (rwkv6_operation)(fuzz_take(&input, 1) % 3);
  const rwkv6_mode mode = (rwkv6_mode)(fuzz_take(&input, 1) % 4);
  const rwkv6_status resolving = rwkv6_problem_resolve(&problem, operation, &resolved, &error);
  if (!resolving && !is_small(&resolved)) return 0;
  const rwkv6_status status = rwkv6_plan_create(device, &problem, operation, mode, &plan, &error);
  FUZZ_REQUIRE(!resolving || status == resolving);
  FUZZ_REQUIRE((status == RWKV6_OK) == (plan != NULL));
  if (status)
    FUZZ_REQUIRE(error.status == status && error.message[0]);
  else
    run(plan, &input);
  rwkv6_plan_destroy(&plan);
  return 0;
}
