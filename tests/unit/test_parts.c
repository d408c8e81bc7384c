/* SPDX-License-Identifier: MIT */
/* A part of a batch (src/opencl/parts.h) has the elements of its sequences and heads, in every tensor. */
#include <string.h>

#include "cmocka_all.h"
#include "conform/random.h"
#include "opencl/parts.h"
#include "problem.h"

/* Where the element of sequence n, head h lies: the first of a row, the token that is the sequence's last, or of its state. */
static int64_t place_of(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t n, int64_t h) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(problem, id);
  const rwkv6_sequence sequence = rwkv6_problem_sequence(problem, n);
  const int64_t state = (int64_t)problem->key_dim * problem->value_dim;
  if (stride) return (sequence.begin + sequence.length - 1) * stride->token + h * stride->head;
  if (id == RWKV6_TENSOR_U) return h * problem->key_dim;
  if (id == RWKV6_TENSOR_SLOTS) return n;
  return (n * problem->heads + h) * state;
}

static rwkv6_problem draw_problem(conform_random *random) {
  static const int64_t padding[] = {0, 8, 24};
  rwkv6_problem problem, resolved;
  const int64_t sequences = conform_random_within(random, 1, 6);
  rwkv6_problem_init(&problem, sizeof problem, sequences, sequences * conform_random_within(random, 1, 50),
                     conform_random_within(random, 1, 6), 16, 24);
  problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  rwkv6_stride *const strides[] = {&problem.r, &problem.k, &problem.v, &problem.w, &problem.o};
  for (size_t i = 0; i < sizeof strides / sizeof *strides; i++) {
    strides[i]->head = 24 + padding[conform_random_within(random, 0, 2)];
    strides[i]->token = problem.heads * strides[i]->head + padding[conform_random_within(random, 0, 2)];
  }
  assert_int_equal(rwkv6_problem_resolve(&problem, RWKV6_FORWARD, &resolved, NULL), RWKV6_OK);
  return resolved;
}

static void check_part(const rwkv6_problem *whole, rwkv6_cl_part part, rwkv6_tensor_id id) {
  rwkv6_cl_call call = {.problem = whole};
  rwkv6_problem problem;
  call.tensor[id].buffer = (cl_mem)&call;
  call.tensor[id].offset = 1000;
  const rwkv6_cl_call of_part = rwkv6_cl_part_call(&call, &part, &problem);
  assert_ptr_equal(of_part.problem, &problem);
  for (int64_t n = 0; n < part.sequences; n++)
    for (int64_t h = 0; h < part.heads; h++)
      assert_int_equal(of_part.tensor[id].offset + place_of(&problem, id, n, h),
                       1000 + place_of(whole, id, part.first_sequence + n, part.first_head + h));
}

static void check_all(const rwkv6_problem *whole, rwkv6_cl_part part, bool with_states) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const bool state = id == RWKV6_TENSOR_INITIAL_STATE || id == RWKV6_TENSOR_FINAL_STATE;
    const bool other = id != RWKV6_TENSOR_SLOTS && !rwkv6_tensor_takes_part(whole, RWKV6_FORWARD, (rwkv6_tensor_id)id);
    if (!other && (with_states || !state)) check_part(whole, part, (rwkv6_tensor_id)id);
  }
}

/* The first and the last sequences. */
static void test_sequences(void **state) {
  (void)state;
  conform_random random = {11};
  for (int i = 0; i < 200; i++) {
    const rwkv6_problem whole = draw_problem(&random);
    const int64_t first = conform_random_within(&random, 0, whole.sequences - 1);
    const rwkv6_cl_part begin = {0, first + 1, 0, whole.heads}, end = {first, whole.sequences - first, 0, whole.heads};
    check_all(&whole, begin, true);
    check_all(&whole, end, true);
  }
}

/* The first and the last heads: states only where one sequence has them side by side. */
static void test_heads(void **state) {
  (void)state;
  conform_random random = {12};
  for (int i = 0; i < 200; i++) {
    const rwkv6_problem whole = draw_problem(&random);
    const int64_t first = conform_random_within(&random, 0, whole.heads - 1);
    const rwkv6_cl_part begin = {0, whole.sequences, 0, first + 1}, end = {0, whole.sequences, first, whole.heads - first};
    check_all(&whole, begin, whole.sequences == 1);
    check_all(&whole, end, whole.sequences == 1);
  }
}

/* A pool is the same for all parts: the slots say where a sequence's state is. */
static void test_pool(void **state) {
  (void)state;
  conform_random random = {13};
  const rwkv6_problem whole = draw_problem(&random);
  rwkv6_cl_call call = {.problem = &whole};
  rwkv6_problem problem;
  const rwkv6_cl_part last = {whole.sequences - 1, 1, 0, whole.heads};
  call.tensor[RWKV6_TENSOR_POOL].buffer = (cl_mem)&call;
  call.tensor[RWKV6_TENSOR_POOL].offset = 77;
  assert_int_equal(rwkv6_cl_part_call(&call, &last, &problem).tensor[RWKV6_TENSOR_POOL].offset, 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences), cmocka_unit_test(test_heads),
                                     cmocka_unit_test(test_pool)};
  return cmocka_run_group_tests_name("parts of a batch", tests, NULL, NULL);
}
