/* SPDX-License-Identifier: MIT */
/*
 * What plans choose on a large GPU, which is not there, so that a thousand plans cost nothing: the mode, segments, and a
 * workspace of three tensors at most (a tensor: tokens x heads x max(K, V) in the dtype of r), though its many compute units
 * lead to many segments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "conform/random.h"
#include "opencl/segments.h"
#include "plan.h"
#include "pretend.h"
#include "problem.h"
#include "registry.h"

#define MOST_SEQUENCES 20

static const pretend_device target = {"sm_90",
                                      "NVIDIA H100 80GB HBM3",
                                      "NVIDIA Corporation",
                                      "NVIDIA CUDA",
                                      "cl_nv_device_attribute_query",
                                      0x10de,
                                      1024,
                                      49152,
                                      132,
                                      90};

static rwkv6_device *device;

static void print_problem(const rwkv6_problem *problem, char *text, size_t size) {
  snprintf(text, size,
           "%" PRId64 " sequences%s, %" PRId64 " tokens, %" PRId64 " heads, K = %d, V = %d, %s, segments of %" PRId64,
           problem->sequences, problem->cu_seqlens ? " of different lengths" : "", problem->tokens, problem->heads,
           (int)problem->key_dim, (int)problem->value_dim, rwkv6_dtype_name(problem->dtype), problem->segment_length);
}

static uint64_t workspace_of(const rwkv6_problem *problem, const rwkv6_variant *variant) {
  rwkv6_plan *plan = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  if (rwkv6_plan_create_variant(device, problem, variant->operation, variant->mode, variant->name, &plan, &error))
    fail_msg("%s", error.message);
  const uint64_t workspace = plan->workspace;
  rwkv6_plan_destroy(&plan);
  return workspace;
}

/* Sums of du count in a tensor's dtype, whatever the length of a unit, and parts begin at round addresses: `room` is for these.
 */
static void check_problem(const rwkv6_problem *problem, rwkv6_operation operation) {
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const int64_t dim = problem->key_dim > problem->value_dim ? problem->key_dim : problem->value_dim;
  const uint64_t tensor = (uint64_t)(problem->tokens * problem->heads * dim) * rwkv6_dtype_size(problem->dtype);
  const uint64_t room = 8 * 256 + sizeof(float) * (uint64_t)(problem->sequences * problem->heads * problem->key_dim);
  size_t accepted = 0;
  rwkv6_problem resolved;
  assert_int_equal(rwkv6_problem_resolve(problem, operation, &resolved, NULL), RWKV6_OK);
  for (int mode = RWKV6_MODE_RECURRENT; mode <= RWKV6_MODE_CHUNK; mode++) {
    const size_t count = rwkv6_variants_consider(device, &resolved, operation, (rwkv6_mode)mode, infos, variants);
    for (size_t i = 0; i < count; i++) {
      if (!infos[i].accepts) continue;
      accepted++;
      const uint64_t workspace = workspace_of(problem, variants[i]);
      char text[256];
      print_problem(problem, text, sizeof text);
      if (workspace > 3 * tensor + room)
        fail_msg("%s %s: %s: workspace %" PRIu64 ", 3 tensors are %" PRIu64, operation ? "backward" : "forward",
                 variants[i]->name, text, workspace, 3 * tensor);
    }
  }
  assert_true(accepted >= 2);
}

static void make_problem(conform_random *random, bool ragged, int64_t segment_length, int64_t *cu_seqlens,
                         rwkv6_problem *problem) {
  static const struct {
    int32_t key_dim, value_dim;
    rwkv6_dtype dtype;
  } kinds[] = {{64, 64, RWKV6_BF16},   {64, 64, RWKV6_FP32},  {128, 128, RWKV6_FP16}, {256, 256, RWKV6_BF16},
               {16, 128, RWKV6_BF16},  {100, 33, RWKV6_FP16}, {8, 8, RWKV6_FP32},     {192, 80, RWKV6_BF16},
               {128, 128, RWKV6_BF16}, {128, 256, RWKV6_BF16}};
  const int64_t sequences = conform_random_within(random, 1, MOST_SEQUENCES),
                most = conform_random_within(random, 0, 1) ? 6000 : 400;
  const int64_t length = conform_random_within(random, 1, most), kind = conform_random_within(random, 0, 9);
  cu_seqlens[0] = 0;
  for (int64_t n = 0; n < sequences; n++)
    cu_seqlens[n + 1] = cu_seqlens[n] + (ragged ? conform_random_within(random, 0, length) : length);
  rwkv6_problem_init(problem, sizeof *problem, sequences, cu_seqlens[sequences], conform_random_within(random, 1, 40),
                     kinds[kind].key_dim, kinds[kind].value_dim);
  problem->dtype = problem->w_dtype = kinds[kind].dtype;
  problem->cu_seqlens = ragged ? cu_seqlens : NULL;
  problem->segment_length = segment_length;
  problem->optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
}

static int64_t launches_of(const rwkv6_problem *problem) {
  rwkv6_plan *plan = NULL;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  if (rwkv6_plan_create(device, problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, &error)) fail_msg("%s", error.message);
  rwkv6_plan_get_info(plan, &info, NULL);
  rwkv6_plan_destroy(&plan);
  return info.launches;
}

/* Launches more than without segments. */
static int64_t launches_for_segments(rwkv6_problem problem) {
  const int64_t launches = launches_of(&problem);
  problem.segment_length = -1;
  return launches - launches_of(&problem);
}

static void check_many(bool ragged, int64_t segment_length) {
  conform_random random = {7};
  int64_t cu_seqlens[MOST_SEQUENCES + 1];
  rwkv6_problem problem;
  for (int i = 0; i < 300; i++) {
    make_problem(&random, ragged, segment_length, cu_seqlens, &problem);
    check_problem(&problem, RWKV6_FORWARD);
    check_problem(&problem, RWKV6_BACKWARD);
  }
}

static void test_unsplit(void **state) {
  (void)state;
  check_many(false, -1);
  check_many(true, -1);
}

static void test_automatic_segments(void **state) {
  (void)state;
  check_many(false, 0);
  check_many(true, 0);
}

/* A length that is fixed splits the long sequences of a ragged batch whatever the others cost: docs/algorithm.md, "Segments".
 */
static void test_shortest_segments(void **state) {
  (void)state;
  check_many(false, 1);
  check_many(false, 300);
}

/* Lengths at which a rest is just enough for a segment of its own, beside sequences with hardly a token. */
static void test_edges(void **state) {
  (void)state;
  static const int64_t lengths[] = {257, 513, 514, 577, 769, 1025}, others[] = {0, 1, 257, 513, 514};
  for (int64_t heads = 1; heads <= 40; heads += 3)
    for (int i = 0; i < 30; i++) {
      const int64_t cu_seqlens[] = {0, lengths[i / 5], lengths[i / 5] + others[i % 5]};
      rwkv6_problem problem;
      rwkv6_problem_init(&problem, sizeof problem, 2, cu_seqlens[2], heads, 64, 64);
      problem.dtype = problem.w_dtype = RWKV6_BF16;
      problem.cu_seqlens = cu_seqlens;
      problem.optional = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE;
      check_problem(&problem, RWKV6_FORWARD);
      check_problem(&problem, RWKV6_BACKWARD);
    }
}

static rwkv6_problem problem_of(int64_t tokens) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, tokens, 32, 64, 64);
  return problem;
}

/* Tokens of the longest segment of one sequence. */
static int64_t longest_of(const rwkv6_problem *problem, rwkv6_cl_segments segments) {
  const int64_t last = problem->tokens - (rwkv6_cl_units_count(problem, segments) - 1) * segments.length;
  return last > segments.length ? last : segments.length;
}

/* A token more or less is not to cost much: on a GPU of many units the longest segment hardly changes, nor does their number.
 */
static void test_odd_lengths(void **state) {
  (void)state;
  static const int64_t lengths[] = {1024, 2048, 4096, 8192, 16384, 32768};
  static const rwkv6_cl_splitting how = {1, 4, 128, 512};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (int64_t more = -5; more <= 5; more++) {
      const rwkv6_problem even = problem_of(lengths[i]), odd = problem_of(lengths[i] + more);
      const rwkv6_cl_segments at = rwkv6_cl_choose_segments(device, &even, &how);
      const rwkv6_cl_segments beside = rwkv6_cl_choose_segments(device, &odd, &how);
      const int64_t count = rwkv6_cl_units_count(&even, at), other = rwkv6_cl_units_count(&odd, beside);
      if (count < 2 || other != count || longest_of(&odd, beside) > longest_of(&even, at) + 5)
        fail_msg("%d tokens in %d segments, %d in %d", (int)even.tokens, (int)count, (int)odd.tokens, (int)other);
    }
}

/* docs/performance.md, "Recurrent or chunk". */
static void test_automatic_mode(void **state) {
  (void)state;
  for (int64_t length = 7; length <= 8; length++)
    for (int operation = 0; operation < 2; operation++) {
      const int64_t cu_seqlens[] = {0, 1, 1 + length};
      rwkv6_problem problem;
      rwkv6_plan *plan = NULL;
      rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
      rwkv6_problem_init(&problem, sizeof problem, 2, 1 + length, 4, 64, 64);
      problem.cu_seqlens = cu_seqlens; /* the longest sequence counts */
      assert_int_equal(rwkv6_plan_create(device, &problem, (rwkv6_operation)operation, RWKV6_MODE_AUTO, &plan, NULL), RWKV6_OK);
      rwkv6_plan_get_info(plan, &info, NULL);
      assert_int_equal(info.mode, length < 8 ? RWKV6_MODE_RECURRENT : RWKV6_MODE_CHUNK);
      rwkv6_plan_destroy(&plan);
    }
}

/*
 * Batches in parts: rounds are of 264 work-groups with 64 key channels, one for each sequence and head, of 132 with 128. In
 * parts the rest has launches of its own, two where outputs join its segments, three where these are many. Not in parts: where
 * the rest is large, the sequence short, or whole rounds many; where it would be heads whose states are apart, and sequences
 * are too large.
 */
static void test_parts(void **state) {
  (void)state;
  enum { POOL = RWKV6_STATE_POOL, FINAL = RWKV6_FINAL_STATE, BOTH = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE };
  static const struct {
    int64_t sequences, length, heads, more; /* launches */
    int32_t dim;
    uint32_t optional;
  } cases[] = {
      {1, 4096, 264, 0, 64, 0},    {1, 4096, 265, 3, 64, 0},    {1, 4096, 265, 3, 64, BOTH}, {1, 4096, 320, 2, 64, 0},
      {1, 4096, 384, 0, 64, 0},    {1, 1024, 265, 0, 64, 0},    {1, 4096, 529, 3, 64, 0},    {1, 4096, 2641, 0, 64, 0},
      {8, 4096, 32, 0, 64, 0},     {9, 4096, 32, 2, 64, FINAL}, {3, 4096, 96, 2, 64, 0},     {3, 4096, 96, 0, 64, FINAL},
      {96, 4096, 3, 2, 64, 0},     {1, 4096, 136, 2, 128, 0},   {4, 4096, 64, 0, 128, 0},    {9, 4096, 32, 3, 64, POOL},
      {1, 4096, 320, 0, 64, POOL}, {1, 4096, 400, 0, 64, 0},    {1, 16384, 384, 0, 64, 0},   {1, 4096, 180, 0, 128, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rwkv6_problem problem;
    rwkv6_problem_init(&problem, sizeof problem, cases[i].sequences, cases[i].sequences * cases[i].length, cases[i].heads,
                       cases[i].dim, cases[i].dim);
    problem.dtype = problem.w_dtype = RWKV6_BF16;
    problem.optional = cases[i].optional;
    problem.pool_slots = cases[i].optional & RWKV6_STATE_POOL ? cases[i].sequences : 0;
    const int64_t more = launches_for_segments(problem);
    if (more != cases[i].more) fail_msg("case %d: %d launches more", (int)i, (int)more);
  }
}

/* A batch with offsets of its sequences has no parts, even if all are as long. */
static void test_no_parts(void **state) {
  (void)state;
  int64_t cu_seqlens[10] = {0};
  for (int n = 0; n < 9; n++) cu_seqlens[n + 1] = cu_seqlens[n] + 4096;
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 9, cu_seqlens[9], 32, 64, 64);
  problem.dtype = problem.w_dtype = RWKV6_BF16;
  problem.cu_seqlens = cu_seqlens;
  assert_int_equal(launches_for_segments(problem), 0);
}

/*
 * Units in pieces, where few of them have states that outputs wait for: batches of docs/performance-notes.md ("Pieces of
 * units"), of twelve, seven and twelve units, in as many pieces as were fastest. In one where a scan joins units, where their
 * length is fixed, and where most of a round makes states anyway.
 */
static void test_pieces(void **state) {
  (void)state;
  enum { BOTH = RWKV6_INITIAL_STATE | RWKV6_FINAL_STATE };
  static const int64_t seven[] = {0, 4124, 4125, 20509, 20550, 22718, 23869, 32768}, three[] = {0, 4124, 4125, 16384},
                       longer[] = {0, 7474, 7475, 32768}, two[] = {0, 8192, 16384}, one[] = {0, 32768};
  static const struct {
    const int64_t *cu_seqlens;
    int64_t sequences, tokens, heads, segment_length, sums;
    uint32_t optional;
  } cases[] = {
      {seven, 7, 32768, 32, 0, 3 * 12, 0},    {three, 3, 16384, 32, 0, 2 * 7, 0}, {longer, 3, 32768, 16, 0, 3 * 12, 0},
      {seven, 7, 32768, 32, 0, 1 * 12, BOTH}, {seven, 7, 32768, 32, 4096, 12, 0}, {two, 2, 16384, 32, 0, 1 * 8, 0},
      {one, 1, 32768, 32, 0, 1 * 8, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rwkv6_problem problem;
    rwkv6_plan *plan = NULL;
    rwkv6_problem_init(&problem, sizeof problem, cases[i].sequences, cases[i].tokens, cases[i].heads, 64, 64);
    problem.dtype = problem.w_dtype = RWKV6_BF16;
    problem.cu_seqlens = cases[i].cu_seqlens;
    problem.segment_length = cases[i].segment_length;
    problem.optional = cases[i].optional;
    assert_int_equal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, NULL), RWKV6_OK);
    const uint64_t sum = (uint64_t)cases[i].heads * (64 * 64 + 64) * sizeof(float);
    if (plan->workspace != (uint64_t)cases[i].sums * sum) fail_msg("case %d: %d sums", (int)i, (int)(plan->workspace / sum));
    rwkv6_plan_destroy(&plan);
  }
}

/* Products of 128 work-items are for 64 or 128 key channels, and value channels in tiles of as many. */
static void test_dims(void **state) {
  (void)state;
  static const struct {
    int32_t key_dim, value_dim;
    bool taken;
  } dims[] = {{64, 64, true},   {64, 192, true},   {64, 80, false},   {128, 128, true}, {128, 256, true},
              {128, 64, false}, {128, 192, false}, {192, 192, false}, {256, 256, false}};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    rwkv6_problem problem;
    rwkv6_plan *plan = NULL;
    rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
    rwkv6_problem_init(&problem, sizeof problem, 1, 100, 4, dims[i].key_dim, dims[i].value_dim);
    problem.dtype = problem.w_dtype = RWKV6_BF16;
    assert_int_equal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, NULL), RWKV6_OK);
    rwkv6_plan_get_info(plan, &info, NULL);
    assert_int_equal(!strcmp(info.variant, "hopper"), dims[i].taken);
    rwkv6_plan_destroy(&plan);
  }
}

/* A plan of chunk forward has that variant and, if not NULL, `explained` in its explanation and `source` in what is built. */
static void check_taken(const rwkv6_problem *problem, const char *variant, const char *explained, const char *source) {
  pretend_program *const *programs;
  rwkv6_plan *plan = NULL;
  rwkv6_plan_info info = RWKV6_PLAN_INFO_INIT;
  const size_t built = pretend_programs(&programs);
  assert_int_equal(rwkv6_plan_create(device, problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, NULL), RWKV6_OK);
  rwkv6_plan_get_info(plan, &info, NULL);
  assert_string_equal(info.variant, variant);
  if (explained && !strstr(info.explanation, explained)) fail_msg("no \"%s\" in: %s", explained, info.explanation);
  const size_t count = pretend_programs(&programs);
  if (source) assert_true(count > built);
  for (size_t i = built; source && i < count; i++) assert_non_null(strstr(programs[i]->source, source));
  rwkv6_plan_destroy(&plan);
}

static rwkv6_problem stored_as(rwkv6_dtype dtype, rwkv6_dtype w_dtype, int32_t key_dim, int32_t value_dim) {
  rwkv6_problem problem;
  rwkv6_problem_init(&problem, sizeof problem, 1, 8192, 4, key_dim, value_dim); /* in segments: two programs */
  problem.dtype = dtype;
  problem.w_dtype = w_dtype;
  return problem;
}

/* Where not all is bf16, operands are sums of two numbers: other programs, and for 64 key channels only. V of no other test, so
 * that they are built here. */
static void test_storage(void **state) {
  (void)state;
  static const rwkv6_dtype mixed[][2] = {
      {RWKV6_FP32, RWKV6_FP32}, {RWKV6_FP16, RWKV6_FP16}, {RWKV6_FP16, RWKV6_FP32}, {RWKV6_BF16, RWKV6_FP32}};
  static const char refused[] = "chunk_forward hopper: takes key_dim 64 where not all is bf16, not 128\n";
  for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
    const rwkv6_problem pairs = stored_as(mixed[i][0], mixed[i][1], 64, 256);
    const rwkv6_problem wide = stored_as(mixed[i][0], mixed[i][1], 128, 128);
    check_taken(&pairs, "hopper", "chunk_forward hopper: chosen\n", "#define CHUNK_PAIRS_STATE_H");
    check_taken(&wide, "nvidia", refused, NULL);
  }
  const rwkv6_problem all = stored_as(RWKV6_BF16, RWKV6_BF16, 64, 256);
  check_taken(&all, "hopper", "chunk_forward hopper: chosen\n", "#define CHUNK_GROUP_STATE_H");
}

/* As far apart as tokens may be, in elements, and the next that keeps rows aligned. */
static void check_stride(rwkv6_dtype dtype, rwkv6_dtype w_dtype, bool of_w, int64_t longest) {
  static const char refused[] = "chunk_forward hopper: takes strides of up to 16777216 bytes from token to token\n";
  for (int more = 0; more < 2; more++) {
    rwkv6_problem problem = stored_as(dtype, w_dtype, 64, 64);
    (of_w ? &problem.w : &problem.v)->token = longest + 8 * more;
    check_taken(&problem, more ? "nvidia" : "hopper", more ? refused : NULL, NULL);
  }
}

static void test_strides(void **state) {
  (void)state;
  check_stride(RWKV6_FP32, RWKV6_FP32, false, 1 << 22);
  check_stride(RWKV6_FP16, RWKV6_FP16, false, 1 << 23);
  check_stride(RWKV6_BF16, RWKV6_BF16, false, 1 << 23);
  check_stride(RWKV6_BF16, RWKV6_FP32, false, 1 << 23);
  check_stride(RWKV6_BF16, RWKV6_BF16, true, 1 << 23);
  check_stride(RWKV6_BF16, RWKV6_FP32, true, 1 << 22);
}

/* Rows of whole 16 bytes, and those that the other variant is faster with: of one tensor, in elements further apart than
 * packed. */
static void test_alignment(void **state) {
  (void)state;
  static const char refused[] = "chunk_forward hopper: takes rows of r, k, v, w and o that are multiples of 16 bytes apart\n";
  for (int further = 1; further <= 8; further++) {
    rwkv6_problem halves = stored_as(RWKV6_BF16, RWKV6_BF16, 64, 64), mixed = stored_as(RWKV6_BF16, RWKV6_FP32, 64, 64);
    halves.o.head = 64 + further;
    halves.o.token = 4 * halves.o.head;
    mixed.w.token = 4 * 64 + further;
    check_taken(&halves, further % 8 ? "nvidia" : "hopper", further % 8 ? refused : NULL, NULL);
    check_taken(&mixed, further % 4 ? "nvidia" : "hopper", further % 4 ? refused : NULL, NULL);
  }
}

/* Of raw decays, which no other test has. Programs that a plan of chunk forward brings; all or none of them are for relaxed
 * precision. */
static size_t programs_for(rwkv6_problem problem, rwkv6_precision precision, bool *relaxed) {
  pretend_program *const *programs;
  rwkv6_plan *plan = NULL;
  const size_t built = pretend_programs(&programs);
  problem.precision = precision;
  problem.decay = RWKV6_DECAY_RAW;
  assert_int_equal(rwkv6_plan_create(device, &problem, RWKV6_FORWARD, RWKV6_MODE_CHUNK, &plan, NULL), RWKV6_OK);
  rwkv6_plan_destroy(&plan);
  const size_t count = pretend_programs(&programs);
  for (size_t i = built; i < count; i++) {
    const bool has = strstr(programs[i]->options, " -DRELAXED") != NULL;
    assert_true(i == built || has == *relaxed);
    *relaxed = has;
  }
  return count - built;
}

/* Outputs of their own for relaxed precision, but only of the variant and for the types that make use of it. */
static void test_precision(void **state) {
  (void)state;
  bool relaxed = true;
  const rwkv6_problem halves = stored_as(RWKV6_BF16, RWKV6_BF16, 64, 192);
  const rwkv6_problem others[] = {stored_as(RWKV6_BF16, RWKV6_FP32, 64, 192), stored_as(RWKV6_FP32, RWKV6_FP32, 64, 192),
                                  stored_as(RWKV6_BF16, RWKV6_BF16, 96, 192)};
  assert_true(programs_for(halves, RWKV6_PRECISION_FULL, &relaxed) == 2 && !relaxed);
  assert_true(programs_for(halves, RWKV6_PRECISION_RELAXED, &relaxed) == 1 && relaxed);
  assert_int_equal(programs_for(halves, RWKV6_PRECISION_FULL, &relaxed), 0);
  assert_int_equal(programs_for(halves, RWKV6_PRECISION_RELAXED, &relaxed), 0);
  rwkv6_problem asked = halves;
  asked.precision = RWKV6_PRECISION_RELAXED;
  check_taken(&asked, "hopper", "chunk_forward hopper: chosen, with relaxed precision\n", NULL);
  asked.w_dtype = RWKV6_FP32;
  check_taken(&asked, "hopper", "chunk_forward hopper: chosen; it makes no use of relaxed precision\n", NULL);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    assert_true(programs_for(others[i], RWKV6_PRECISION_RELAXED, &relaxed) == 2 && !relaxed);
    assert_int_equal(programs_for(others[i], RWKV6_PRECISION_FULL, &relaxed), 0);
  }
}

static int open_device(void **state) {
  (void)state;
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_device_options options = RWKV6_DEVICE_OPTIONS_INIT;
  options.cache_dir = "off";
  if (rwkv6_opencl_load_symbols(pretend_lookup, (void *)&target, &error) ||
      rwkv6_device_open("opencl:0", &options, &device, &error)) {
    print_error("%s\n", error.message);
    return -1;
  }
  return 0;
}

static int close_device(void **state) {
  (void)state;
  rwkv6_device_close(&device);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unsplit),
      cmocka_unit_test(test_automatic_segments),
      cmocka_unit_test(test_shortest_segments),
      cmocka_unit_test(test_edges),
      cmocka_unit_test(test_odd_lengths),
      cmocka_unit_test(test_automatic_mode),
      cmocka_unit_test(test_parts),
      cmocka_unit_test(test_no_parts),
      cmocka_unit_test(test_pieces),
      cmocka_unit_test(test_dims),
      cmocka_unit_test(test_storage),
      cmocka_unit_test(test_strides),
      cmocka_unit_test(test_alignment),
      cmocka_unit_test(test_precision),
  };
  return cmocka_run_group_tests_name("plans", tests, open_device, close_device);
}
