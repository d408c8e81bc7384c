/* SPDX-License-Identifier: MIT */
/*
 * Offsets past 2^31 elements: two tokens that far apart, all tensors interleaved in one mapping (or one device buffer) of which
 * only a few pages are ever touched. The results have the bits of the same case packed.
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
#endif

#define CHANNELS 16
#define APART (((int64_t)1 << 31) + 4096) /* elements between the tokens */
#define SLOT 64                           /* elements between the tensors of a token */
#define SLOTS 8
#define TOKENS 2
#define ELEMENTS (APART + SLOTS * SLOT)
#define BYTES ((size_t)ELEMENTS * sizeof(uint16_t))

static test_devices devices;
static const rwkv6_tensor_id far_tensors[] = {RWKV6_TENSOR_R, RWKV6_TENSOR_K, RWKV6_TENSOR_V, RWKV6_TENSOR_W, RWKV6_TENSOR_O};
#define FAR_TENSORS (sizeof far_tensors / sizeof *far_tensors)

static conform_case far_case(void) {
  conform_case test = conform_case_make(TOKENS, CHANNELS, CHANNELS);
  test.dtype = test.w_dtype = RWKV6_BF16;
  test.optional = 0;
  return test;
}

static rwkv6_problem far_problem(const conform_data *data) {
  rwkv6_problem problem = data->problem;
  const rwkv6_stride apart = {APART, CHANNELS};
  problem.r = problem.k = problem.v = problem.w = problem.o = apart;
  return problem;
}

/* Where row `token` of far tensor i lies, in elements. */
static int64_t place(size_t i, int64_t token) {
  return token * APART + (int64_t)i * SLOT;
}

static void run_packed(const conform_subject *subject, conform_data *data) {
  const conform_call call = conform_call_all(data);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &data->problem, &plan, &error);
  if (!status) status = conform_run(subject, plan, data, &call, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
}

static void compare(const conform_data *data, const uint16_t *o, int64_t token, const conform_subject *subject) {
  if (memcmp(o, conform_image_pointer(&data->image[RWKV6_TENSOR_O], token * CHANNELS), CHANNELS * sizeof *o))
    fail_msg("%s, variant %s: token %d past 2^31 elements differs", subject->info->id, subject->variant->name, (int)token);
}

static void check_host(const conform_subject *subject, conform_data *data) {
  uint16_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    printf("no mapping of %zu bytes: host pointers left out\n", BYTES);
    return;
  }
  const rwkv6_problem problem = far_problem(data);
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.u = conform_image_pointer(&data->image[RWKV6_TENSOR_U], 0);
  for (size_t i = 0; i < FAR_TENSORS; i++) {
    conform_tensors_set(&tensors, (int)far_tensors[i], memory + place(i, 0));
    for (int64_t token = 0; token < TOKENS; token++)
      memcpy(memory + place(i, token), conform_image_pointer(&data->image[far_tensors[i]], token * CHANNELS),
             CHANNELS * sizeof *memory);
  }
  memset(memory + place(4, 0), 0, CHANNELS * sizeof *memory);
  memset(memory + place(4, 1), 0, CHANNELS * sizeof *memory);
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, &problem, &plan, &error);
  if (!status) status = rwkv6_run(plan, &tensors, &error);
  rwkv6_plan_destroy(&plan);
  if (status) fail_msg("%s", error.message);
  for (int64_t token = 0; token < TOKENS; token++) compare(data, memory + place(4, token), token, subject);
  munmap(memory, BYTES);
}

#if RWKV6_HAVE_OPENCL

typedef struct far_buffer {
  const rwkv6_cl_functions *cl;
  cl_command_queue queue;
  cl_mem far, u;
} far_buffer;

static cl_int fill(const far_buffer *b, const conform_data *data) {
  cl_int code = CL_SUCCESS;
  for (size_t i = 0; i < FAR_TENSORS && !code; i++)
    for (int64_t token = 0; token < TOKENS && !code; token++)
      code = b->cl->EnqueueWriteBuffer(b->queue, b->far, CL_TRUE, (size_t)place(i, token) * sizeof(uint16_t),
                                       CHANNELS * sizeof(uint16_t),
                                       conform_image_pointer(&data->image[far_tensors[i]], token * CHANNELS), 0, NULL, NULL);
  return code ? code
              : b->cl->EnqueueWriteBuffer(b->queue, b->u, CL_TRUE, 0, CHANNELS * sizeof(float),
                                          conform_image_pointer(&data->image[RWKV6_TENSOR_U], 0), 0, NULL, NULL);
}

static rwkv6_status enqueue(const far_buffer *b, const conform_subject *subject, const rwkv6_problem *problem,
                            rwkv6_error *error) {
  rwkv6_plan *plan = NULL;
  rwkv6_status status = conform_plan_create(subject, problem, &plan, error);
  rwkv6_cl_call call = {.queue = b->queue, .problem = problem};
  for (size_t i = 0; i < FAR_TENSORS; i++) {
    call.tensor[far_tensors[i]].buffer = b->far;
    call.tensor[far_tensors[i]].offset = place(i, 0);
  }
  call.tensor[RWKV6_TENSOR_U].buffer = b->u;
  if (!status) status = rwkv6_cl_enqueue(plan, &call, error);
  if (!status && b->cl->Finish(b->queue)) status = RWKV6_DEVICE_ERROR;
  rwkv6_plan_destroy(&plan);
  return status;
}

static void check_buffer(const conform_subject *subject, conform_data *data) {
  if (subject->info->max_allocation < BYTES) {
    printf("%s takes buffers of up to %llu bytes: device buffers left out\n", subject->info->id,
           (unsigned long long)subject->info->max_allocation);
    return;
  }
  cl_int code = CL_SUCCESS;
  far_buffer b = {.cl = rwkv6_cl_functions_get(NULL)};
  const cl_context context = rwkv6_cl_context(subject->device);
  b.queue = b.cl->CreateCommandQueue(context, rwkv6_cl_device_id(subject->device), 0, &code);
  assert_int_equal(code, CL_SUCCESS);
  b.u = b.cl->CreateBuffer(context, CL_MEM_READ_WRITE, CHANNELS * sizeof(float), NULL, &code);
  assert_int_equal(code, CL_SUCCESS);
  b.far = b.cl->CreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
  if (!code) {
    const rwkv6_problem problem = far_problem(data);
    rwkv6_error error = RWKV6_ERROR_INIT;
    code = fill(&b, data);
    if (!code && enqueue(&b, subject, &problem, &error)) fail_msg("%s", error.message);
    for (int64_t token = 0; token < TOKENS && !code; token++) {
      uint16_t o[CHANNELS];
      code = b.cl->EnqueueReadBuffer(b.queue, b.far, CL_TRUE, (size_t)place(4, token) * sizeof *o, sizeof o, o, 0, NULL, NULL);
      compare(data, o, token, subject);
    }
    b.cl->ReleaseMemObject(b.far);
  }
  if (code) printf("%s: OpenCL error %d: device buffers left out\n", subject->info->id, (int)code);
  b.cl->ReleaseMemObject(b.u);
  b.cl->ReleaseCommandQueue(b.queue);
}

#else

static void check_buffer(const conform_subject *subject, conform_data *data) {
  (void)subject, (void)data;
}

#endif

static void test_far_apart(void **state) {
  (void)state;
  const conform_case test = far_case();
  for (size_t device = 0; device < devices.count; device++) {
    const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
    const size_t count = conform_variants(devices.device[device], &test, RWKV6_FORWARD, RWKV6_MODE_AUTO, variants);
    for (size_t i = 0; i < count; i++) {
      conform_subject subject = test_subject_of(&devices, device, variants[i]);
      conform_data data;
      conform_data_create(&data, &test, RWKV6_FORWARD, false);
      run_packed(&subject, &data);
      check_host(&subject, &data);
      if (subject.info->kind != RWKV6_KIND_CPU) check_buffer(&subject, &data);
      conform_data_destroy(&data);
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
