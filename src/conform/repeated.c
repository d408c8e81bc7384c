/* SPDX-License-Identifier: MIT */
#include "conform/repeated.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conform/memory.h"

static bool by_sequence(rwkv6_tensor_id id) {
  return rwkv6_tensor_table[id].shape != RWKV6_SHAPE_HEADS_KEY;
}

/* Bytes of one sequence, or of all of u and du. */
static size_t part_bytes(const conform_trial *trial, rwkv6_tensor_id id) {
  const int64_t elements = rwkv6_tensor_elements(&trial->data.resolved, id) / (by_sequence(id) ? 3 : 1);
  return (size_t)elements * rwkv6_dtype_size(trial->data.image[id].dtype);
}

void conform_repeated_bytes(const conform_trial *trial, int64_t sequences, uint64_t *largest, uint64_t *all) {
  *largest = *all = 0;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!trial->data.image[i].memory) continue;
    const uint64_t bytes = part_bytes(trial, id) * (uint64_t)(by_sequence(id) ? sequences : 1);
    if (bytes > *largest) *largest = bytes;
    *all += bytes;
  }
}

/* du of the whole batch: that of the three sequences, and of the second as often as it comes again. */
static void repeat_du(conform_trial *trial, int64_t sequences) {
  double *du = trial->expected.of[RWKV6_TENSOR_DU];
  if (!du) return;
  conform_data second = trial->data; /* shares the images, each read from where its second sequence begins */
  conform_values values;
  second.resolved.sequences = 1;
  second.resolved.tokens /= 3;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (by_sequence(id) && second.image[i].memory)
      second.image[i].origin += (size_t)rwkv6_tensor_elements(&trial->data.resolved, id) / 3;
  }
  conform_reference(&second, RWKV6_MODE_RECURRENT, true, &values);
  const int64_t elements = rwkv6_tensor_elements(&trial->data.resolved, RWKV6_TENSOR_DU);
  for (int64_t i = 0; i < elements; i++) du[i] += (double)(sequences - 3) * values.of[RWKV6_TENSOR_DU][i];
  conform_values_destroy(&values);
}

#if RWKV6_HAVE_OPENCL

#include "opencl/call.h"
#include "opencl/context.h"
#include "plan.h"

#define BLOCK_BYTES ((size_t)32 << 20) /* of copies of a sequence that are written or read at once */

typedef struct batch {
  const rwkv6_cl_functions *cl;
  cl_context context;
  cl_command_queue queue;
  conform_trial *trial;
  int64_t sequences;
  cl_mem tensor[RWKV6_TENSOR_COUNT], workspace;
} batch;

static unsigned char *part_of(const batch *b, rwkv6_tensor_id id, int64_t part) {
  return (unsigned char *)conform_image_pointer(&b->trial->data.image[id], 0) + (size_t)part * part_bytes(b->trial, id);
}

static cl_int write_at(const batch *b, rwkv6_tensor_id id, int64_t sequence, const void *from, size_t bytes) {
  const size_t at = (size_t)sequence * part_bytes(b->trial, id);
  return bytes ? b->cl->EnqueueWriteBuffer(b->queue, b->tensor[id], CL_TRUE, at, bytes, from, 0, NULL, NULL) : CL_SUCCESS;
}

static cl_int read_at(const batch *b, rwkv6_tensor_id id, int64_t sequence, void *to, size_t bytes) {
  const size_t at = (size_t)sequence * part_bytes(b->trial, id);
  return bytes ? b->cl->EnqueueReadBuffer(b->queue, b->tensor[id], CL_TRUE, at, bytes, to, 0, NULL, NULL) : CL_SUCCESS;
}

/* As many copies of the second sequence as a block holds. */
static unsigned char *make_block(const batch *b, rwkv6_tensor_id id, int64_t *copies) {
  const size_t bytes = part_bytes(b->trial, id);
  *copies = bytes && bytes < BLOCK_BYTES ? (int64_t)(BLOCK_BYTES / bytes) : 1;
  unsigned char *block = conform_allocate((size_t)*copies, bytes);
  for (int64_t i = 0; i < *copies; i++) memcpy(block + (size_t)i * bytes, part_of(b, id, 1), bytes);
  return block;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Inputs, and the poison of outputs. */
static cl_int fill(const batch *b, rwkv6_tensor_id id) {
  const size_t bytes = part_bytes(b->trial, id);
  cl_int code = write_at(b, id, 0, part_of(b, id, 0), bytes);
  if (code || !by_sequence(id)) return code;
  int64_t copies;
  unsigned char *block = make_block(b, id, &copies);
  for (int64_t n = 1; n < b->sequences - 1 && !code; n += copies)
    code = write_at(b, id, n, block, bytes * (size_t)least(copies, b->sequences - 1 - n));
  free(block);
  return code ? code : write_at(b, id, b->sequences - 1, part_of(b, id, 2), bytes);
}

static cl_int create(batch *b, uint64_t workspace) {
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !code; i++) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!b->trial->data.image[i].memory) continue;
    const size_t bytes = part_bytes(b->trial, id) * (size_t)(by_sequence(id) ? b->sequences : 1);
    b->tensor[i] = b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (!code) code = fill(b, id);
  }
  if (!code && workspace) b->workspace = b->cl->CreateBuffer(b->context, CL_MEM_READ_WRITE, (size_t)workspace, NULL, &code);
  return code;
}

static void release(batch *b) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (b->tensor[i]) b->cl->ReleaseMemObject(b->tensor[i]);
  if (b->workspace) b->cl->ReleaseMemObject(b->workspace);
  if (b->queue) b->cl->ReleaseCommandQueue(b->queue);
}

/* The first, the second and the last sequence go to the trial's images; every other one has the bits of the second. */
static cl_int read_tensor(const batch *b, rwkv6_tensor_id id, bool *same, conform_message *message) {
  const size_t bytes = part_bytes(b->trial, id);
  cl_int code = read_at(b, id, 0, part_of(b, id, 0), bytes);
  if (code || !by_sequence(id)) return code;
  code = read_at(b, id, 1, part_of(b, id, 1), bytes);
  if (!code) code = read_at(b, id, b->sequences - 1, part_of(b, id, 2), bytes);
  int64_t copies;
  unsigned char *block = make_block(b, id, &copies);
  for (int64_t n = 2; n < b->sequences - 1 && !code && *same; n += copies) {
    const int64_t count = least(copies, b->sequences - 1 - n);
    code = read_at(b, id, n, block, bytes * (size_t)count);
    for (int64_t i = 0; i < count && !code && *same; i++)
      *same = !memcmp(block + (size_t)i * bytes, part_of(b, id, 1), bytes) ||
              conform_fail(message, "%s: sequence %" PRId64 " of %" PRId64 " differs from its copy, the second",
                           rwkv6_tensor_table[id].name, n + i, b->sequences);
  }
  free(block);
  return code;
}

static rwkv6_problem whole_problem(const batch *b) {
  rwkv6_problem problem = b->trial->data.problem;
  problem.tokens = problem.tokens / 3 * b->sequences;
  problem.sequences = b->sequences;
  return problem;
}

static rwkv6_status enqueue(const batch *b, rwkv6_plan *plan, rwkv6_error *error) {
  rwkv6_cl_call call = {.queue = b->queue, .problem = &plan->problem, .workspace = b->workspace};
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++) call.tensor[i].buffer = b->tensor[i];
  return rwkv6_cl_enqueue(plan, &call, error);
}

static bool run(batch *b, rwkv6_plan *plan, conform_message *message) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  cl_int code = create(b, plan->workspace);
  if (!code && enqueue(b, plan, &error)) return conform_fail(message, "%.1500s", error.message);
  if (!code) code = b->cl->Finish(b->queue);
  bool same = true;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !code && same; i++)
    if (b->tensor[i]) code = read_tensor(b, (rwkv6_tensor_id)i, &same, message);
  return code ? conform_fail(message, "OpenCL error %d with buffers for %" PRId64 " sequences", (int)code, b->sequences) : same;
}

static bool run_batch(const conform_subject *subject, conform_trial *trial, int64_t sequences, conform_message *message) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan *plan = NULL;
  cl_int code = CL_SUCCESS;
  batch b = {.cl = rwkv6_cl_functions_get(NULL), .trial = trial, .sequences = sequences};
  const rwkv6_problem problem = whole_problem(&b);
  if (conform_plan_create(subject, &problem, &plan, &error)) return conform_fail(message, "%.1500s", error.message);
  b.context = rwkv6_cl_context(subject->device);
  b.queue = b.cl->CreateCommandQueue(b.context, rwkv6_cl_device_id(subject->device), 0, &code);
  conform_data_poison(&trial->data);
  const bool right = code ? conform_fail(message, "OpenCL error %d for a queue", (int)code) : run(&b, plan, message);
  release(&b);
  rwkv6_plan_destroy(&plan);
  return right;
}

#else

static bool run_batch(const conform_subject *subject, conform_trial *trial, int64_t sequences, conform_message *message) {
  (void)subject, (void)trial, (void)sequences;
  return conform_fail(message, "built without OpenCL");
}

#endif

bool conform_check_repeated(const conform_subject *subject, conform_trial *trial, int64_t sequences, conform_message *message) {
  trial->terms.arithmetic = subject->variant->arithmetic;
  repeat_du(trial, sequences);
  return run_batch(subject, trial, sequences, message) && conform_check_images(&trial->data, -1, message) &&
         conform_check_values(&trial->data, &trial->terms, &trial->expected, message);
}
