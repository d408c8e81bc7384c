/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/bench/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/storage.h"
#include "conform/random.h"
#include "plan.h"
#include "platform.h"
#include "problem.h"
#include "reference/reference.h"

#define MOST_HEADS 3
#define MOST_TOKENS 200000 /* over all heads, unless one head alone has more */
#define MOST_THREADS 64

typedef struct check {
  const bench_backend *backend;
  const bench_run *run;
  int64_t set;
  int64_t head[MOST_HEADS];
  rwkv6_problem problem;                 /* the case with only these heads, packed */
  void *input[RWKV6_TENSOR_COUNT];       /* in storage; owned */
  float *output[RWKV6_TENSOR_COUNT];     /* widened; owned */
  double *reference[RWKV6_TENSOR_COUNT]; /* owned */
  rwkv6_mutex lock;                      /* guards what follows, and reference[du] */
  int64_t next;                          /* sequence x head to compute next */
  bool failed;                           /* a thread had no memory */
} check;

static void choose_heads(check *c, const rwkv6_problem *problem) {
  conform_random random = {(uint64_t)problem->heads * 31 + (uint64_t)problem->tokens};
  int64_t count = MOST_TOKENS / problem->tokens;
  if (count < 1) count = 1;
  if (count > MOST_HEADS) count = MOST_HEADS;
  if (count > problem->heads) count = problem->heads;
  for (int64_t i = 0; i < count; ++i) /* one in each part of the heads, so no two are the same */
    c->head[i] = problem->heads * i / count +
                 conform_random_below(&random, problem->heads * (i + 1) / count - problem->heads * i / count);
  c->problem = *problem;
  c->problem.heads = count;
}

/* Only strides change, to smaller ones, so this cannot fail. */
static void pack(check *c) {
  rwkv6_problem packed = c->problem;
  const rwkv6_stride none = {0, 0};
  packed.r = packed.k = packed.v = packed.w = packed.o = none;
  packed.do_ = packed.dr = packed.dk = packed.dv = packed.dw = none;
  rwkv6_problem_resolve(&packed, c->run->data->operation, &c->problem, NULL);
}

/* How a tensor lies around its heads: `rows` times all heads, a head being `length` elements. */
static void head_layout(const rwkv6_problem *problem, rwkv6_tensor_id id, int64_t *rows, int64_t *length) {
  const rwkv6_tensor_shape shape = rwkv6_tensor_table[id].shape;
  *rows = shape == RWKV6_SHAPE_HEADS_KEY ? 1 : shape == RWKV6_SHAPE_STATE ? problem->sequences : problem->tokens;
  *length = rwkv6_tensor_channels(problem, id) * (shape == RWKV6_SHAPE_STATE ? problem->key_dim : 1);
}

/* ----------------------------------------------------------------------------------------------------------------- inputs */

static rwkv6_status gather_input(check *c, rwkv6_tensor_id id, rwkv6_error *error) {
  const bench_data *data = c->run->data;
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(&c->problem, id));
  int64_t rows, length;
  head_layout(&c->problem, id, &rows, &length);
  char *to = rwkv6_alloc((size_t)(rows * length * c->problem.heads), size, rwkv6_tensor_table[id].name, error);
  c->input[id] = to;
  if (!to) return RWKV6_OUT_OF_MEMORY;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < c->problem.heads; ++i, to += (size_t)length * size)
      bench_data_copy(data, id, c->set, bench_data_place(data, id, row, c->head[i]), length, to);
  }
  return RWKV6_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- outputs */

/* One head from the device into the packed array of the heads that are checked. */
static rwkv6_status gather_head(check *c, rwkv6_tensor_id id, int64_t i, void *stored, float *widened, rwkv6_error *error) {
  const bench_data *data = c->run->data;
  int64_t rows, length;
  head_layout(&c->problem, id, &rows, &length);
  const bench_rows place = {bench_data_place(data, id, 0, c->head[i]), rows, length, bench_data_place(data, id, 1, 0)};
  const rwkv6_status status = c->backend->read(c->run, id, c->set, &place, stored, error);
  if (status) return status;
  cli_storage_decode(stored, rows * length, rwkv6_tensor_dtype(&c->problem, id), widened);
  for (int64_t row = 0; row < rows; ++row)
    memcpy(c->output[id] + (row * c->problem.heads + i) * length, widened + row * length, (size_t)length * sizeof(float));
  return RWKV6_OK;
}

static rwkv6_status gather_output(check *c, rwkv6_tensor_id id, rwkv6_error *error) {
  const size_t elements = (size_t)rwkv6_tensor_elements(&c->problem, id), head = elements / (size_t)c->problem.heads;
  const char *name = rwkv6_tensor_table[id].name;
  c->output[id] = rwkv6_alloc(elements, sizeof(float), name, error);
  c->reference[id] = c->output[id] ? rwkv6_alloc(elements, sizeof(double), name, error) : NULL;
  void *stored = c->reference[id] ? rwkv6_alloc(head, sizeof(float), name, error) : NULL;
  float *widened = stored ? rwkv6_alloc(head, sizeof(float), name, error) : NULL;
  rwkv6_status status = widened ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
  for (int64_t i = 0; i < c->problem.heads && !status; ++i) status = gather_head(c, id, i, stored, widened, error);
  free(stored);
  free(widened);
  if (!status) memset(c->reference[id], 0, elements * sizeof(double));
  return status;
}

static rwkv6_status gather(check *c, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&c->problem, c->run->data->operation, id)) continue;
    status = rwkv6_tensor_table[id].output ? gather_output(c, id, error) : gather_input(c, id, error);
  }
  return status;
}

/* -------------------------------------------------------------------------------------------------------------- reference */

/* Where sequence n of the i-th head begins in a packed tensor. */
static int64_t begin_of(const check *c, rwkv6_tensor_id id, int64_t n, int64_t i) {
  int64_t rows, length;
  head_layout(&c->problem, id, &rows, &length);
  const rwkv6_tensor_shape shape = rwkv6_tensor_table[id].shape;
  const int64_t row = shape == RWKV6_SHAPE_HEADS_KEY ? 0
                      : shape == RWKV6_SHAPE_STATE   ? n
                                                     : rwkv6_problem_sequence(&c->problem, n).begin;
  return (row * c->problem.heads + i) * length;
}

static rwkv6_view view_of(const check *c, rwkv6_tensor_id id, int64_t n, int64_t i, double *du) {
  const rwkv6_stride *stride = rwkv6_tensor_stride(&c->problem, id);
  const bool output = rwkv6_tensor_table[id].output;
  const rwkv6_dtype dtype = output ? RWKV6_FP64 : rwkv6_tensor_dtype(&c->problem, id);
  char *data = output ? (char *)c->reference[id] : c->input[id];
  rwkv6_view view = {data + (size_t)begin_of(c, id, n, i) * rwkv6_dtype_size(dtype), dtype, stride ? stride->token : 0,
                     stride ? stride->head : 0};
  if (id == RWKV6_TENSOR_DU) view.data = du; /* summed over sequences afterwards */
  return view;
}

static rwkv6_problem alone(const check *c, int64_t n) {
  rwkv6_problem problem = c->problem;
  problem.sequences = problem.heads = 1;
  problem.tokens = rwkv6_problem_sequence(&c->problem, n).length;
  problem.cu_seqlens = NULL;
  return problem;
}

static void compute(const rwkv6_reference_call *call, rwkv6_operation operation) {
  if (operation == RWKV6_FORWARD)
    rwkv6_recurrent_forward_double(call);
  else
    rwkv6_recurrent_backward_double(call);
}

/* Sequence n of the i-th head; false without memory. */
static bool compute_unit(check *c, int64_t n, int64_t i) {
  const rwkv6_operation operation = c->run->data->operation;
  const rwkv6_problem problem = alone(c, n);
  double du[RWKV6_MAX_DIM] = {0};
  rwkv6_reference_call call = {.problem = &problem};
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id)
    if (rwkv6_tensor_takes_part(&c->problem, operation, (rwkv6_tensor_id)id))
      call.view[id] = view_of(c, (rwkv6_tensor_id)id, n, i, du);
  const size_t bytes = operation == RWKV6_FORWARD ? rwkv6_recurrent_forward_workspace_double(&problem)
                                                  : rwkv6_recurrent_backward_workspace_double(&problem);
  call.workspace = rwkv6_aligned_alloc(bytes);
  if (!call.workspace) return false;
  compute(&call, operation);
  rwkv6_aligned_free(call.workspace);
  if (operation == RWKV6_FORWARD) return true;
  rwkv6_mutex_lock(&c->lock);
  for (int ch = 0; ch < problem.key_dim; ++ch) c->reference[RWKV6_TENSOR_DU][i * problem.key_dim + ch] += du[ch];
  rwkv6_mutex_unlock(&c->lock);
  return true;
}

static bool take_unit(check *c, int64_t *unit) {
  rwkv6_mutex_lock(&c->lock);
  *unit = c->next++;
  const bool go_on = !c->failed && *unit < c->problem.sequences * c->problem.heads;
  rwkv6_mutex_unlock(&c->lock);
  return go_on;
}

static void *work(void *argument) {
  check *c = argument;
  for (int64_t unit; take_unit(c, &unit);) {
    if (compute_unit(c, unit / c->problem.heads, unit % c->problem.heads)) continue;
    rwkv6_mutex_lock(&c->lock);
    c->failed = true;
    rwkv6_mutex_unlock(&c->lock);
  }
  return NULL;
}

static int count_cores(void) {
#ifdef _WIN32
  const long cores = pthread_num_processors_np();
#else
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
#endif
  return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : (int)cores;
}

/* This thread works too, so one that cannot be started is no failure. */
static rwkv6_status compute_all(check *c, rwkv6_error *error) {
  pthread_t thread[MOST_THREADS];
  const int64_t units = c->problem.sequences * c->problem.heads;
  int wanted = count_cores(), started = 0;
  if (wanted > units) wanted = (int)units;
  while (started < wanted - 1 && pthread_create(&thread[started], NULL, work, c) == 0) ++started;
  work(c);
  for (int i = 0; i < started; ++i) pthread_join(thread[i], NULL);
  return c->failed ? rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory for the double reference") : RWKV6_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- compare */

static void compare(const check *c, bench_result *result) {
  result->heads_checked = c->problem.heads;
  for (int i = 0; i < RWKV6_TENSOR_COUNT; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!c->output[id]) continue;
    const cli_reference reference = {.computed = c->reference[id]};
    result->checked[id] = true;
    result->comparison[id] = cli_compare(&c->problem, id, c->run->plan->variant->arithmetic, c->output[id], reference);
    if (!result->comparison[id].pass) result->outcome = BENCH_WRONG;
  }
}

rwkv6_status bench_check(const bench_backend *backend, const bench_run *run, int64_t set, bench_result *result,
                         rwkv6_error *error) {
  check c;
  memset(&c, 0, sizeof c);
  c.backend = backend;
  c.run = run;
  c.set = set;
  choose_heads(&c, &run->data->problem);
  pack(&c);
  if (!rwkv6_mutex_init(&c.lock)) return rwkv6_fail(error, RWKV6_OUT_OF_MEMORY, "out of host memory for a lock");
  rwkv6_status status = gather(&c, error);
  if (!status) status = compute_all(&c, error);
  if (!status) compare(&c, result);
  rwkv6_mutex_destroy(&c.lock);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    free(c.input[id]);
    free(c.output[id]);
    free(c.reference[id]);
  }
  return status;
}
