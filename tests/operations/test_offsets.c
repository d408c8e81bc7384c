/* SPDX-License-Identifier: MIT */
/*
 * Offsets past 2^31 elements: two tokens that far apart, all tensors by token interleaved in one mapping (or one device buffer)
 * of which only a few pages are ever touched. The results have the bits of the same case packed.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "conform/repeated.h"
#include "each.h"

#if RWKV6_HAVE_OPENCL
#include "opencl/call.h"
#include "opencl/context.h"
#include "plan.h"
#endif

#define CHANNELS 16
#define ROW_BYTES (CHANNELS * sizeof(uint16_t))
#define APART (((int64_t)1 << 31) + 4096) /* elements between the tokens */
#define SLOT 64                           /* elements between the tensors of a token */
#define TOKENS 2
#define ELEMENTS (APART + RWKV6_TENSOR_COUNT * SLOT)
#define BYTES ((size_t)ELEMENTS * sizeof(uint16_t))

static test_devices devices;

static conform_case far_case(void) {
  conform_case test = conform_case_make(TOKENS, CHANNELS, CHANNELS);
  test.dtype = test.w_dtype = RWKV6_BF16;
  test.optional = 0;
  return test;
}

/* Tensors by token; u and du stay where they are. */
static bool is_far(const conform_data *data, int id) {
  return data->image[id].memory && rwkv6_tensor_stride(&data->resolved, (rwkv6_tensor_id)id);
}

static rwkv6_problem far_problem(const conform_data *data) {
  rwkv6_problem problem = data->problem;
  const rwkv6_stride apart = {APART, CHANNELS};
  problem.r = problem.k = problem.v = problem.w = problem.o = apart;
  problem.do_ = problem.dr = problem.dk = problem.dv = problem.dw = apart;
  return problem;
}

/* Where row `token` of a far tensor lies, in elements. */
static int64_t place(int id, int64_t token) {
  return token * APART + (int64_t)id * SLOT;
}

static const void *packed_row(const conform_data *data, int id, int64_t token) {
  return conform_image_pointer(&data->image[id], token * CHANNELS);
}

static void run_packed(const conform_subject *subject, conform_data *data) {
  conform_message message;
  if (!conform_run_all(subject, data, &message)) fail_msg("%s", message.text);
}

static void compare(const conform_data *data, int id, int64_t token, const void *row, const conform_subject *subject) {
  if (memcmp(row, packed_row(data, id, token), ROW_BYTES))
    fail_msg("%s, variant %s of mode %d: token %d of %s past 2^31 elements differs", subject->info->id, subject->variant->name,
             (int)subject->variant->mode, (int)token, rwkv6_tensor_table[id].name);
}

/* du lies packed in either run, so the second one writes it again. */
static void check_du(const conform_data *data, const conform_values *before) {
  conform_values now;
  if (!data->image[RWKV6_TENSOR_DU].memory) return;
  conform_values_read(data, &now);
  if (memcmp(now.of[RWKV6_TENSOR_DU], before->of[RWKV6_TENSOR_DU], CHANNELS * sizeof(double))) fail_msg("du differs");
  conform_values_destroy(&now);
}

static void check_host(const conform_subject *subject, conform_data *data) {
  uint16_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    printf("no mapping of %zu bytes: host pointers left out\n", BYTES);
    return;
  }
  const rwkv6_problem problem = far_problem(data);
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    const bool far = is_far(data, id), input = far && !rwkv6_tensor_table[id].output;
    if (data->image[id].memory)
      conform_tensors_set(&tensors, id, far ? (void *)(memory + place(id, 0)) : conform_image_pointer(&data->image[id], 0));
    for (int64_t token = 0; token < TOKENS && input; token++)
      memcpy(memory + place(id, token), packed_row(data, id, token), ROW_BYTES);
  }
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &problem, &plan, &error);
  if (!status) status = rwkv6_run(plan, &tensors, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    for (int64_t token = 0; token < TOKENS && is_far(data, id); token++)
      compare(data, id, token, memory + place(id, token), subject);
  munmap(memory, BYTES);
}

#if RWKV6_HAVE_OPENCL

typedef struct far_buffer {
  const rwkv6_cl_functions *cl;
  cl_context context;
  cl_command_queue queue;
  cl_mem far, workspace, near[RWKV6_TENSOR_COUNT]; /* near: u and du */
} far_buffer;

static cl_int fill(far_buffer *b, const conform_data *data) {
  cl_int code = CL_SUCCESS;
  for (int id = 0; id < RWKV6_TENSOR_COUNT && !code; id++) {
    if (data->image[id].memory && !is_far(data, id))
      b->near[id] = b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, CHANNELS * sizeof(float),
                                        conform_image_pointer(&data->image[id], 0), &code);
    for (int64_t token = 0; token < TOKENS && !code && is_far(data, id) && !rwkv6_tensor_table[id].output; token++)
      code = b->cl->EnqueueWriteBuffer(b->queue, b->far, CL_TRUE, (size_t)place(id, token) * sizeof(uint16_t), ROW_BYTES,
                                       packed_row(data, id, token), 0, NULL, NULL);
  }
  return code;
}

static rwkv6_status enqueue(far_buffer *b, const conform_subject *subject, const conform_data *data, rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  const rwkv6_problem problem = far_problem(data);
  rwkv6_status status = conform_plan_create(subject, &problem, &plan, error);
  if (status) return status;
  cl_int code = CL_SUCCESS;
  rwkv6_cl_call call = {.queue = b->queue, .problem = &problem};
  if (plan->workspace) b->workspace = b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE, (size_t)plan->workspace, NULL, &code);
  call.workspace = b->workspace;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++) {
    call.tensor[id].buffer = is_far(data, id) ? b->far : b->near[id];
    call.tensor[id].offset = is_far(data, id) ? place(id, 0) : 0;
  }
  if (!code) status = rwkv6_cl_enqueue(plan, &call, error);
  if (!status && (code || b->cl->Finish(b->queue))) status = RWKV6_DEVICE_ERROR;
  rwkv6_plan_destroy(&plan);
  return status;
}

static void compare_buffer(const far_buffer *b, const conform_subject *subject, const conform_data *data) {
  uint16_t row[CHANNELS];
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    for (int64_t token = 0; token < TOKENS && is_far(data, id); token++) {
      const size_t at = (size_t)place(id, token) * sizeof *row;
      assert_int_equal(b->cl->EnqueueReadBuffer(b->queue, b->far, CL_TRUE, at, ROW_BYTES, row, 0, NULL, NULL), CL_SUCCESS);
      compare(data, id, token, row, subject);
    }
}

static void release(far_buffer *b) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; id++)
    if (b->near[id]) b->cl->ReleaseMemObject(b->near[id]);
  if (b->workspace) b->cl->ReleaseMemObject(b->workspace);
  if (b->far) b->cl->ReleaseMemObject(b->far);
  b->cl->ReleaseCommandQueue(b->queue);
}

static void check_buffer(const conform_subject *subject, conform_data *data) {
  if (subject->info->max_allocation < BYTES) {
    printf("%s takes buffers of up to %llu bytes: device buffers left out\n", subject->info->id,
           (unsigned long long)subject->info->max_allocation);
    return;
  }
  cl_int code = CL_SUCCESS;
  far_buffer b = {.cl = rwkv6_cl_functions_get(NULL), .context = rwkv6_cl_context(subject->device)};
  b.queue = b.cl->CreateCommandQueue(b.context, rwkv6_cl_device_id(subject->device), 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  b.far = b.cl->CreateBuffer(b.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
  if (!code) code = fill(&b, data);
  if (code) {
    printf("%s: OpenCL error %d: device buffers left out\n", subject->info->id, (int)code);
  } else {
    rwkv6_error error = RWKV6_ERROR_INIT;
    if (enqueue(&b, subject, data, &error)) fail_msg("%s", error.message);
    compare_buffer(&b, subject, data);
  }
  release(&b);
}

#else

static void check_buffer(const conform_subject *subject, conform_data *data) {
  (void)subject, (void)data;
}

#endif

static void check_far(const conform_subject *subject, const conform_case *test) {
  conform_data data;
  conform_values before;
  conform_data_create(&data, test, subject->variant->operation, false);
  run_packed(subject, &data);
  conform_values_read(&data, &before);
  check_host(subject, &data);
  check_du(&data, &before);
  if (subject->info->kind != RWKV6_KIND_CPU) check_buffer(subject, &data);
  conform_values_destroy(&before);
  conform_data_destroy(&data);
}

static void test_far_apart(void **state) {
  (void)state;
  const conform_case test = far_case();
  for (size_t device = 0; device < devices.count; device++)
    for (int operation = 0; operation < 2; operation++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count =
          conform_variants(devices.device[device], &test, (rwkv6_operation)operation, RWKV6_MODE_AUTO, variants);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        check_far(&subject, &test);
      }
    }
}

/* What `rwkv6 conform --huge` does, with few sequences. */
static void test_repeated_sequences(void **state) {
  (void)state;
  conform_case test = conform_case_make(65, CHANNELS, CHANNELS);
  test.sequences = 3;
  test.heads = 2;
  test.dtype = test.w_dtype = RWKV6_BF16;
  for (size_t device = 0; device < devices.count; device++)
    for (int operation = 0; operation < 2 && devices.info[device].kind != RWKV6_KIND_CPU; operation++) {
      const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
      const size_t count =
          conform_variants(devices.device[device], &test, (rwkv6_operation)operation, RWKV6_MODE_AUTO, variants);
      for (size_t i = 0; i < count; i++) {
        const conform_subject subject = test_subject_of(&devices, device, variants[i]);
        conform_trial trial;
        conform_message message;
        conform_trial_create(&trial, &test, (rwkv6_operation)operation);
        if (!conform_check_repeated(&subject, &trial, 9, &message)) fail_msg("%s: %s", subject.info->id, message.text);
        conform_trial_destroy(&trial);
      }
    }
}

int main(void) {
  const int status = test_devices_open(&devices);
  if (status) return status;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_far_apart), cmocka_unit_test(test_repeated_sequences)};
  const int failed = cmocka_run_group_tests_name("offsets past 2^31 elements", tests, NULL, NULL);
  test_devices_close(&devices);
  return failed;
}
