/* SPDX-License-Identifier: MIT */
/*
 * A server with continuous batching. Users come with a prompt, generate a number of tokens, and leave; their states live in a
 * pool on the device. A step takes everyone who is there: one token of those who generate, the whole prompt of those who just
 * came, in one call. Everyone's conversation begins with the same system prompt, which is computed once and forked.
 *
 *     decode_server [DEVICE]     opencl, opencl:N or a part of a name; default: RWKV6_DEVICE, else opencl
 *
 * In the place of a model, the next token's r, k, v and w follow from the user, the position and the output before. At the end
 * some users are computed again alone, on the CPU path: their last output must be the same.
 */
#define CL_TARGET_OPENCL_VERSION 120
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rwkv6/opencl.h>

enum { USERS = 300, SEATS = 96, SYSTEM = SEATS, SLOTS = SEATS + 1, SYSTEM_LENGTH = 24 };
enum { HEADS = 4, DIM = 32, ROW = HEADS * DIM, LONGEST_PROMPT = 20, LONGEST_ANSWER = 40 };
enum { BATCH = SEATS * LONGEST_PROMPT, LONGEST = SYSTEM_LENGTH + LONGEST_PROMPT + LONGEST_ANSWER };

typedef struct user {
  int prompt, answer; /* tokens */
  int seen;           /* tokens so far, system prompt included */
  float last[ROW];    /* the output after the last of them */
} user;

static user users[USERS];
static int seat[SEATS]; /* who sits there; -1: nobody. Seat i has slot i of the pool */
static float r[BATCH * ROW], k[BATCH * ROW], v[BATCH * ROW], w[BATCH * ROW], o[BATCH * ROW], u[ROW];
static rwkv6_error error = RWKV6_ERROR_INIT;

/* The device side: everything is made once. */
static rwkv6_device *device;
static cl_context context;
static cl_command_queue queue;
static cl_mem rows[5], bonus, pool, slots, workspace; /* rows: r, k, v, w, o */
static uint64_t workspace_bytes;

static void check(rwkv6_status status) {
  if (status == RWKV6_OK) return;
  fprintf(stderr, "%s: %s\n", rwkv6_status_name(status), error.message);
  exit(1);
}

static void check_cl(cl_int code) {
  if (code == CL_SUCCESS) return;
  fprintf(stderr, "OpenCL error %d\n", (int)code);
  exit(1);
}

static cl_mem make_buffer(size_t bytes) {
  cl_int code;
  cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &code);
  check_cl(code);
  return buffer;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* In [-1, 1). */
static float noise(unsigned a, unsigned b) {
  unsigned x = a * 2654435761u ^ (b + 0x9e3779b9u) * 2246822519u;
  x = (x ^ x >> 15) * 2654435761u;
  return (float)(x >> 8) / 8388608.0f - 1.0f;
}

/* The "model": inputs of a user's token number `position`, which depend on the output before it, into row `at`. */
static void embed(int who, int position, const float *last, int at) {
  const unsigned person = position < SYSTEM_LENGTH ? 0 : (unsigned)who + 1;
  for (int c = 0; c < ROW; c++) {
    const unsigned place = (unsigned)(position * ROW + c);
    r[at * ROW + c] = noise(person, 4 * place) + 0.1f * last[c];
    k[at * ROW + c] = noise(person, 4 * place + 1);
    v[at * ROW + c] = noise(person, 4 * place + 2) + 0.1f * last[c];
    w[at * ROW + c] = -0.6f + 0.5f * noise(person, 4 * place + 3); /* the logarithm of the decay */
  }
}

static rwkv6_problem batch_of(int64_t sequences, const int64_t *cu_seqlens, int64_t tokens) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, sequences, tokens, HEADS, DIM, DIM);
  problem.cu_seqlens = cu_seqlens;
  problem.optional = RWKV6_STATE_POOL;
  problem.pool_slots = SLOTS;
  return problem;
}

static rwkv6_plan *make_plan(const rwkv6_problem *problem) {
  rwkv6_plan *plan;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  check(rwkv6_plan_create(device, problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &plan, &error));
  check(rwkv6_plan_get_info(plan, &info, &error));
  if (info.workspace > workspace_bytes) {
    if (workspace) clReleaseMemObject(workspace);
    workspace_bytes = info.workspace;
    workspace = make_buffer((size_t)workspace_bytes);
  }
  return plan;
}

/* Inputs to the device, one call, outputs back. Everything is in the order of the queue. */
static void step(rwkv6_plan *plan, int tokens, const int32_t *slot, int sequences) {
  const float *const inputs[] = {r, k, v, w};
  const size_t bytes = (size_t)tokens * ROW * sizeof(float);
  for (int i = 0; i < 4; i++) check_cl(clEnqueueWriteBuffer(queue, rows[i], CL_FALSE, 0, bytes, inputs[i], 0, NULL, NULL));
  check_cl(clEnqueueWriteBuffer(queue, slots, CL_FALSE, 0, (size_t)sequences * sizeof *slot, slot, 0, NULL, NULL));
  rwkv6_opencl_tensors t = RWKV6_OPENCL_TENSORS_INIT;
  t.r.buffer = rows[0], t.k.buffer = rows[1], t.v.buffer = rows[2], t.w.buffer = rows[3], t.o.buffer = rows[4];
  t.u.buffer = bonus, t.pool.buffer = pool, t.slots.buffer = slots, t.workspace = workspace;
  check(rwkv6_opencl_enqueue(plan, queue, &t, 0, NULL, NULL, &error));
  check_cl(clEnqueueReadBuffer(queue, rows[4], CL_TRUE, 0, bytes, o, 0, NULL, NULL));
}

/* The system prompt into its slot; where there is no output yet, it counts as 0. */
static void compute_system_prompt(float *last) {
  const float nothing[ROW] = {0};
  const int32_t slot = SYSTEM;
  const rwkv6_problem problem = batch_of(1, NULL, SYSTEM_LENGTH);
  const rwkv6_opencl_tensor states = {pool, 0};
  for (int t = 0; t < SYSTEM_LENGTH; t++) embed(0, t, nothing, t);
  check(rwkv6_opencl_state_zero(device, &problem, queue, states, SYSTEM, 0, NULL, NULL, &error));
  rwkv6_plan *plan = make_plan(&problem);
  step(plan, SYSTEM_LENGTH, &slot, 1);
  rwkv6_plan_destroy(&plan);
  memcpy(last, o + (SYSTEM_LENGTH - 1) * ROW, ROW * sizeof(float));
}

/* Newcomers take free seats; their states begin as a copy of the system prompt's. Returns whether anybody came. */
static int let_in(int *next, const float *system) {
  const rwkv6_problem problem = batch_of(1, NULL, 1);
  const rwkv6_opencl_tensor states = {pool, 0};
  int came = 0;
  for (int i = 0; i < SEATS && came < 12 && *next < USERS; i++) {
    if (seat[i] >= 0) continue;
    seat[i] = (*next)++;
    users[seat[i]].seen = SYSTEM_LENGTH;
    memcpy(users[seat[i]].last, system, ROW * sizeof(float));
    check(rwkv6_opencl_state_fork(device, &problem, queue, states, SYSTEM, i, 0, NULL, NULL, &error));
    came++;
  }
  return came;
}

/* One token of everybody: one plan for every such step, as empty seats take part with slot -1. Returns the tokens computed. */
static int generate(rwkv6_plan *plan) {
  int32_t slot[SEATS];
  int tokens = 0;
  for (int i = 0; i < SEATS; i++) {
    slot[i] = seat[i] < 0 ? -1 : i;
    if (seat[i] >= 0) embed(seat[i], users[seat[i]].seen, users[seat[i]].last, i), tokens++;
  }
  step(plan, SEATS, slot, SEATS);
  for (int i = 0; i < SEATS; i++)
    if (seat[i] >= 0) memcpy(users[seat[i]].last, o + i * ROW, sizeof users[seat[i]].last), users[seat[i]].seen++;
  return tokens;
}

/* The whole prompt of who has just come, beside one token of all others. A plan for this very batch costs microseconds. */
static int generate_and_prefill(void) {
  int32_t slot[SEATS];
  int64_t cu_seqlens[SEATS + 1] = {0};
  int sequences = 0, tokens = 0;
  for (int i = 0; i < SEATS; i++) {
    if (seat[i] < 0) continue;
    user *who = &users[seat[i]];
    const int count = who->seen == SYSTEM_LENGTH ? who->prompt : 1;
    for (int t = 0; t < count; t++) embed(seat[i], who->seen + t, who->last, tokens + t);
    slot[sequences] = i;
    tokens += count;
    cu_seqlens[++sequences] = tokens;
  }
  const rwkv6_problem problem = batch_of(sequences, cu_seqlens, tokens);
  rwkv6_plan *plan = make_plan(&problem);
  step(plan, tokens, slot, sequences);
  rwkv6_plan_destroy(&plan);
  for (int n = 0; n < sequences; n++) {
    user *who = &users[seat[slot[n]]];
    memcpy(who->last, o + (cu_seqlens[n + 1] - 1) * ROW, sizeof who->last);
    who->seen += (int)(cu_seqlens[n + 1] - cu_seqlens[n]);
  }
  return tokens;
}

/* Who has got all tokens leaves; returns how many stay. */
static int let_out(void) {
  int left = 0;
  for (int i = 0; i < SEATS; i++) {
    if (seat[i] < 0) continue;
    const user *who = &users[seat[i]];
    if (who->seen == SYSTEM_LENGTH + who->prompt + who->answer)
      seat[i] = -1;
    else
      left++;
  }
  return left;
}

/* One user alone on the CPU path, token by token, from nothing: the distance of the last output. */
static double difference(rwkv6_plan *alone, int who) {
  static float state[HEADS * DIM * DIM];
  float last[ROW] = {0};
  const float nothing[ROW] = {0};
  double distance = 0, norm = 0;
  memset(state, 0, sizeof state);
  for (int t = 0; t < users[who].seen; t++) {
    const int generated = t >= SYSTEM_LENGTH + users[who].prompt; /* a prompt does not depend on outputs inside it */
    static float before[ROW];
    if (t == 0) memcpy(before, nothing, sizeof before);
    if (t == SYSTEM_LENGTH || generated) memcpy(before, last, sizeof before);
    embed(who, t, before, 0);
    rwkv6_tensors tensors = RWKV6_TENSORS_INIT;
    tensors.r = r, tensors.k = k, tensors.v = v, tensors.w = w, tensors.u = u, tensors.o = last;
    tensors.initial_state = tensors.final_state = state;
    check(rwkv6_run(alone, &tensors, &error));
  }
  for (int c = 0; c < ROW; c++) distance += pow((double)last[c] - users[who].last[c], 2), norm += pow(last[c], 2);
  return sqrt(distance / norm);
}

static double worst_difference(void) {
  rwkv6_device *cpu;
  rwkv6_plan *alone;
  rwkv6_problem problem;
  double worst = 0;
  rwkv6_problem_init(&problem, sizeof problem, 1, 1, HEADS, DIM, DIM);
  problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
  check(rwkv6_device_open("cpu", NULL, &cpu, &error));
  check(rwkv6_plan_create(cpu, &problem, RWKV6_FORWARD, RWKV6_MODE_RECURRENT, &alone, &error));
  for (int who = 0; who < USERS; who += 37) {
    const double found = difference(alone, who);
    if (!(found <= worst)) worst = found;
  }
  rwkv6_plan_destroy(&alone);
  rwkv6_device_close(&cpu);
  return worst;
}

static void open_all(const char *id) {
  rwkv6_device_info info = RWKV6_DEVICE_INFO_INIT;
  cl_device_id device_id;
  cl_int code;
  check(rwkv6_device_open(id, NULL, &device, &error));
  check(rwkv6_device_get_info(device, &info, &error));
  printf("device %s: %s\n", info.id, info.name);
  check(rwkv6_opencl_device_objects(device, &context, &device_id, &error));
  queue = clCreateCommandQueue(context, device_id, 0, &code);
  check_cl(code);
  for (int i = 0; i < 5; i++) rows[i] = make_buffer(sizeof r);
  bonus = make_buffer(sizeof u);
  pool = make_buffer(sizeof(float) * SLOTS * HEADS * DIM * DIM);
  slots = make_buffer(sizeof(int32_t) * SEATS);
  check_cl(clEnqueueWriteBuffer(queue, bonus, CL_TRUE, 0, sizeof u, u, 0, NULL, NULL));
}

static void close_all(void) {
  const cl_mem others[] = {bonus, pool, slots};
  for (int i = 0; i < 5; i++) clReleaseMemObject(rows[i]);
  for (int i = 0; i < 3; i++) clReleaseMemObject(others[i]);
  if (workspace) clReleaseMemObject(workspace);
  clReleaseCommandQueue(queue);
  rwkv6_device_close(&device);
}

int main(int argc, char **argv) {
  float system[ROW];
  for (int c = 0; c < ROW; c++) u[c] = noise(7, (unsigned)c);
  for (int i = 0; i < SEATS; i++) seat[i] = -1;
  for (int i = 0; i < USERS; i++)
    users[i].prompt = 1 + rand() % LONGEST_PROMPT, users[i].answer = 5 + rand() % (LONGEST_ANSWER - 4);

  open_all(argc > 1 ? argv[1] : getenv("RWKV6_DEVICE") ? NULL : "opencl");
  compute_system_prompt(system);
  const rwkv6_problem problem = batch_of(SEATS, NULL, SEATS);
  rwkv6_plan *decode = make_plan(&problem);
  int next = 0, left = 0, steps = 0, tokens = 0;
  const double begun = now();
  do {
    const int came = let_in(&next, system);
    tokens += came ? generate_and_prefill() : generate(decode);
    left = let_out();
    if (++steps % 20 == 0) printf("step %3d: %2d users, %d waiting, %d tokens\n", steps, left, USERS - next, tokens);
  } while (left || next < USERS);
  const double seconds = now() - begun;
  rwkv6_plan_destroy(&decode);
  close_all();

  const double worst = worst_difference();
  printf("%d users, %d steps, %d tokens in %.2f s: %.0f tokens/s\n", USERS, steps, tokens, seconds, tokens / seconds);
  printf("alone on the CPU path: last outputs differ by %.1e: %s\n", worst, worst < 1e-4 ? "ok" : "WRONG");
  return worst < 1e-4 ? 0 : 1;
}
