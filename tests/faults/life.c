/* SPDX-License-Identifier: MIT */
#include "life.h"

#include "error.h"
#include "fake_opencl.h"

enum { DIM = 8, HEADS = 2, TOKENS = 640, ROW = HEADS * DIM };

/* Tensors of the largest problem, r with gaps between its tokens. */
static float r[TOKENS * (ROW + 4)], k[TOKENS * ROW], v[TOKENS * ROW], w[TOKENS * ROW], u[ROW], given[TOKENS * ROW];
static float o[TOKENS * ROW], dr[TOKENS * ROW], dk[TOKENS * ROW], dv[TOKENS * ROW], dw[TOKENS * ROW], du[ROW];
static float state[2 * ROW * DIM], final_state[2 * ROW * DIM], dstate[2 * ROW * DIM], dinitial_state[2 * ROW * DIM];
static unsigned char blob[1 << 20];

static void ignore(void *user, rwkv6_log_level level, const char *message) {
  (void)user, (void)level, (void)message;
}

static rwkv6_status open_device(const char *cache_dir, rwkv6_device **device, rwkv6_error *error) {
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.log = ignore;
  options.cache_dir = cache_dir;
  return rwkv6_device_open("opencl:0", &options, device, error);
}

static rwkv6_tensors tensors_of(rwkv6_operation operation) {
  rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
  tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = u;
  tensors.initial_state = state;
  if (operation == RWKV6_FORWARD) {
    tensors.o = o, tensors.final_state = final_state;
  } else {
    tensors.do_ = given, tensors.dfinal_state = dstate, tensors.dinitial_state = dinitial_state;
    tensors.dr = dr, tensors.dk = dk, tensors.dv = dv, tensors.dw = dw, tensors.du = du;
  }
  return tensors;
}

static rwkv6_status run_plan(rwkv6_device *device, const rwkv6_problem *problem, rwkv6_operation operation, rwkv6_mode mode,
                             rwkv6_error *error) {
  const rwkv6_tensors tensors = tensors_of(operation);
  rwkv6_plan *plan = NULL;
  rwkv6_status status = rwkv6_plan_create(device, problem, operation, mode, &plan, error);
  if (!status) status = rwkv6_run(plan, &tensors, error);
  if (!status && problem->tokens < 40)
    status = rwkv6_run(plan, &tensors, error); /* again, with queue and buffers of the first */
  rwkv6_plan_destroy(&plan);
  return status;
}

static rwkv6_problem problem_of(int64_t sequences, int64_t tokens) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, sequences, tokens, HEADS, DIM, DIM);
  problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE | RWKV6_DFINAL_STATE | RWKV6_DINITIAL_STATE;
  problem.r.token = ROW + 4;
  return problem;
}

/* Both operations and modes; ragged, and chunk mode also of equal lengths, with sequences split and not. */
static rwkv6_status run_all(rwkv6_device *device, rwkv6_error *error) {
  static const int64_t cu_seqlens[] = {0, 7, TOKENS};
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < 4 && !status; i++) {
    const rwkv6_operation operation = i % 2 ? RWKV6_BACKWARD : RWKV6_FORWARD;
    const rwkv6_mode mode = i / 2 ? RWKV6_MODE_CHUNK : RWKV6_MODE_RECURRENT;
    rwkv6_problem problem = problem_of(2, TOKENS);
    problem.cu_seqlens = cu_seqlens;
    problem.segment_length = 1;
    status = run_plan(device, &problem, operation, mode, error);
    problem = problem_of(1, 40);
    if (!status && mode == RWKV6_MODE_CHUNK) status = run_plan(device, &problem, operation, mode, error);
  }
  return status;
}

/* ---- as a guest: on objects that the caller made, and owns, whatever fails */

typedef struct guest {
  cl_context context;
  cl_command_queue queue;
  cl_mem memory, workspace;
  cl_event before;
} guest;

#define GUEST_FLOATS 131072

static rwkv6_opencl_tensor part(const guest *g, int64_t *used, int64_t elements) {
  const rwkv6_opencl_tensor tensor = {g->memory, *used};
  *used += elements;
  return tensor;
}

/* All tensors one after the other in one buffer. */
static rwkv6_opencl_tensors guest_tensors(const guest *g, const rwkv6_problem *problem, rwkv6_operation operation) {
  const int64_t rows = problem->tokens * (ROW + 4), states = problem->sequences * HEADS * DIM * DIM;
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  int64_t used = 0;
  t.r = part(g, &used, rows), t.k = part(g, &used, rows), t.v = part(g, &used, rows), t.w = part(g, &used, rows);
  t.u = part(g, &used, ROW);
  t.workspace = g->workspace;
  if (problem->optional & RWKV6_STATE_POOL) {
    t.pool = part(g, &used, problem->pool_slots * HEADS * DIM * DIM);
    t.slots = part(g, &used, problem->sequences);
  } else {
    t.initial_state = part(g, &used, states);
  }
  if (operation == RWKV6_FORWARD) {
    t.o = part(g, &used, rows);
    if (t.initial_state.buffer) t.final_state = t.initial_state;
  } else {
    t.do_ = part(g, &used, rows), t.dfinal_state = part(g, &used, states), t.dinitial_state = part(g, &used, states);
    t.dr = part(g, &used, rows), t.dk = part(g, &used, rows), t.dv = part(g, &used, rows), t.dw = part(g, &used, rows);
    t.du = part(g, &used, ROW);
  }
  return t;
}

static rwkv6_status guest_enqueue(rwkv6_device *device, const guest *g, const rwkv6_problem *problem, rwkv6_operation operation,
                                  rwkv6_error *error) {
  const rwkv6_opencl_tensors tensors = guest_tensors(g, problem, operation);
  rwkv6_plan *plan = NULL;
  cl_event done = NULL;
  rwkv6_status status = rwkv6_plan_create(device, problem, operation, RWKV6_MODE_CHUNK, &plan, error);
  if (!problem->checks) fake_opencl_begin_enqueueing();
  if (!status) status = rwkv6_opencl_enqueue(plan, g->queue, &tensors, 1, &g->before, &done, error);
  if (!problem->checks) fake_opencl_end_enqueueing();
  rwkv6_plan_destroy(&plan);
  if (!status) fake_opencl_release_event(done);
  return status;
}

/* Everything that a server asks of the states of its users. */
static rwkv6_status guest_states(rwkv6_device *device, const guest *g, const rwkv6_problem *problem, rwkv6_error *error) {
  const rwkv6_opencl_tensor pool = {g->memory, 8};
  static float saved[HEADS * DIM * DIM];
  rwkv6_status status = rwkv6_opencl_state_zero(device, problem, g->queue, pool, 0, 0, NULL, NULL, error);
  if (!status) status = rwkv6_opencl_state_fork(device, problem, g->queue, pool, 0, 1, 0, NULL, NULL, error);
  if (!status) status = rwkv6_opencl_state_save(device, problem, g->queue, pool, 1, saved, 1, &g->before, NULL, error);
  if (!status) status = rwkv6_opencl_state_load(device, problem, g->queue, pool, 2, saved, 0, NULL, NULL, error);
  return status;
}

/* Segments on an out-of-order queue, so that there are events between launches; then a pool, with its slots looked at. */
static rwkv6_status guest_work(rwkv6_device *device, const guest *g, rwkv6_error *error) {
  rwkv6_problem problem = problem_of(2, TOKENS);
  problem.segment_length = 1;
  rwkv6_status status = guest_enqueue(device, g, &problem, RWKV6_FORWARD, error);
  if (!status) status = guest_enqueue(device, g, &problem, RWKV6_BACKWARD, error);
  problem.optional = RWKV6_STATE_POOL;
  problem.sequences = 1; /* the fake library's memory is zeros: every slot is 0 */
  problem.pool_slots = 3;
  problem.checks = RWKV6_CHECK_SLOTS | RWKV6_CHECK_VALUES;
  if (!status) status = guest_enqueue(device, g, &problem, RWKV6_FORWARD, error);
  if (status) return status;
  fake_opencl_begin_enqueueing();
  status = guest_states(device, g, &problem, error);
  fake_opencl_end_enqueueing();
  return status;
}

static rwkv6_status be_a_guest(const char *cache_dir, rwkv6_error *error) {
  guest g;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.cache_dir = cache_dir;
  rwkv6_device *device = NULL;
  cl_device_id id = fake_opencl_objects(GUEST_FLOATS * sizeof(float), &g.context, &g.queue, &g.memory, &g.workspace, &g.before);
  rwkv6_status status = rwkv6_opencl_device_wrap(g.context, id, &options, &device, error);
  if (!status) status = guest_work(device, &g, error);
  rwkv6_device_close(&device);
  fake_opencl_release_objects(g.context, g.queue, g.memory, g.workspace, g.before);
  return status;
}

/* Programs of one device given to another that keeps none on disk. */
static rwkv6_status hand_over(rwkv6_device *device, rwkv6_error *error) {
  const rwkv6_problem problem = problem_of(1, 5);
  rwkv6_device *second = NULL;
  size_t size = 0, taken = 0;
  rwkv6_status status = rwkv6_device_save_programs(device, blob, sizeof blob, &size, error);
  if (!status) status = open_device("off", &second, error);
  if (!status) status = rwkv6_device_load_programs(second, blob, size, &taken, error);
  if (!status) status = run_plan(second, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, error);
  rwkv6_device_close(&second);
  return status;
}

static rwkv6_status look_around(rwkv6_error *error) {
  rwkv6_device_info infos[2] = {RWKV6_DEVICE_INFO_INIT, RWKV6_DEVICE_INFO_INIT};
  size_t count = 0;
  rwkv6_status status = rwkv6_opencl_available(error);
  if (!status) status = rwkv6_device_list(infos, 2, &count, error);
  if (!status && count != 2) status = rwkv6_fail(error, RWKV6_NO_DEVICE, "the list is short: clGetPlatformIDs, clGetDeviceIDs");
  return status;
}

rwkv6_status life(const char *cache_dir, rwkv6_error *error) {
  rwkv6_device *device = NULL;
  rwkv6_status status = look_around(error);
  if (!status) status = open_device(cache_dir, &device, error);
  if (!status) status = run_all(device, error);
  if (!status) status = hand_over(device, error);
  if (!status) status = be_a_guest(cache_dir, error);
  rwkv6_device_close(&device);
  return status;
}
