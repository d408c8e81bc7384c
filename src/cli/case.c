/* SPDX-License-Identifier: MIT */
#include "cli/case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "cli/meta.h"
#include "cli/text.h"
#include "error.h"
#include "problem.h"

cli_npy_shape cli_case_shape(const rwkv6_problem *problem, rwkv6_tensor_id id) {
  const int64_t keys = problem->key_dim, values = problem->value_dim;
  switch (rwkv6_tensor_table[id].shape) {
  case RWKV6_SHAPE_HEADS_KEY: return (cli_npy_shape){2, {problem->heads, keys}};
  case RWKV6_SHAPE_STATE: return (cli_npy_shape){4, {problem->sequences, problem->heads, keys, values}};
  case RWKV6_SHAPE_TOKENS_KEY: return (cli_npy_shape){3, {problem->tokens, problem->heads, keys}};
  case RWKV6_SHAPE_POOL:
  case RWKV6_SHAPE_SEQUENCES: /* cases have no pool of states */
  case RWKV6_SHAPE_TOKENS_VALUE: break;
  }
  return (cli_npy_shape){3, {problem->tokens, problem->heads, values}};
}

/* Length of the last part of a path without slashes at its end, and where it starts. */
static size_t last_part(const char *path, const char **start) {
  size_t end = strlen(path);
  while (end > 0 && cli_path_separator(path[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && !cli_path_separator(path[begin - 1])) --begin;
  *start = path + begin;
  return end - begin;
}

static bool needs_resolving(const char *part, size_t length) {
  return (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
}

char *cli_case_name(const char *folder, rwkv6_error *error) {
  const char *part;
  size_t length = last_part(folder, &part);
  char *resolved = NULL;
  if (needs_resolving(part, length)) {
    resolved = cli_path_resolve(folder);
    if (!resolved) {
      rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: %s", folder, strerror(errno));
      return NULL;
    }
    length = last_part(resolved, &part);
  }
  char *name = NULL;
  if (length) {
    name = cli_copy_text(part, length, error);
  } else {
    rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "case \"%s\": a folder with a name is needed", folder);
  }
  free(resolved);
  return name;
}

static rwkv6_status load_meta(const char *folder, cli_case *loaded, rwkv6_error *error) {
  char *path = cli_join_path(folder, "meta.json", error);
  if (!path) return RWKV6_OUT_OF_MEMORY;
  cli_meta meta;
  const rwkv6_status status = cli_meta_read(path, &meta, error);
  free(path);
  if (status) return status;
  rwkv6_problem *problem = &loaded->problem;
  rwkv6_problem_init(problem, sizeof *problem, meta.sequences, meta.tokens, meta.heads, meta.key_dim, meta.value_dim);
  problem->decay = meta.decay;
  problem->reverse = meta.reverse;
  problem->scale = meta.scale;
  problem->optional = RWKV6_FINAL_STATE;
  loaded->dtype = meta.dtype;
  loaded->w_dtype = meta.w_dtype;
  cli_case_set_dtype(loaded, meta.dtype);
  return RWKV6_OK;
}

static rwkv6_status check_offsets(const char *path, const rwkv6_problem *problem, const int64_t *offsets, rwkv6_error *error) {
  if (offsets[0] != 0) {
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: starts at %lld; it must start at 0", path, (long long)offsets[0]);
  }
  for (int64_t n = 0; n < problem->sequences; ++n) {
    if (offsets[n + 1] >= offsets[n]) continue;
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: offset %lld is %lld, less than the one before it, %lld", path,
                      (long long)n + 1, (long long)offsets[n + 1], (long long)offsets[n]);
  }
  if (offsets[problem->sequences] == problem->tokens) return RWKV6_OK;
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: ends at %lld; it must end at the %lld tokens of meta.json", path,
                    (long long)offsets[problem->sequences], (long long)problem->tokens);
}

static rwkv6_status check_equal_lengths(const char *path, const rwkv6_problem *problem, rwkv6_error *error) {
  if (problem->tokens % problem->sequences == 0) return RWKV6_OK;
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: is missing, and %lld tokens do not make %lld sequences of equal length",
                    path, (long long)problem->tokens, (long long)problem->sequences);
}

static rwkv6_status read_offsets(const char *path, cli_case *loaded, rwkv6_error *error) {
  const cli_npy_shape want = {1, {loaded->problem.sequences + 1}};
  cli_npy array;
  const rwkv6_status status = cli_npy_read(path, CLI_NPY_INT64, &want, &array, error);
  if (status) return status;
  loaded->cu_seqlens = array.data;
  loaded->problem.cu_seqlens = array.data;
  return check_offsets(path, &loaded->problem, loaded->cu_seqlens, error);
}

static rwkv6_status load_offsets(const char *folder, cli_case *loaded, rwkv6_error *error) {
  char *path = cli_join_path(folder, "cu_seqlens.npy", error);
  if (!path) return RWKV6_OUT_OF_MEMORY;
  const rwkv6_status status =
      cli_file_exists(path) ? read_offsets(path, loaded, error) : check_equal_lengths(path, &loaded->problem, error);
  free(path);
  return status;
}

static bool is_required(rwkv6_tensor_id id) {
  const rwkv6_tensor_traits *traits = &rwkv6_tensor_table[id];
  return traits->in_forward && !traits->output && !traits->optional;
}

/* What a value breaks, or NULL. */
static const char *forbidden(rwkv6_tensor_id id, rwkv6_decay decay, float value) {
  if (isnan(value)) return "a number";
  if (id != RWKV6_TENSOR_W) return NULL;
  if (decay == RWKV6_DECAY_LOG && value > 0.0f) return "at most 0 (log form)";
  if (decay == RWKV6_DECAY_FACTOR && !(value >= 0.0f && value <= 1.0f)) return "0 to 1 (factor form)";
  return NULL;
}

static rwkv6_status check_values(const char *path, rwkv6_tensor_id id, rwkv6_decay decay, const cli_npy *array,
                                 rwkv6_error *error) {
  const float *values = array->data;
  for (int64_t i = 0; i < array->elements; ++i) {
    const char *allowed = forbidden(id, decay, values[i]);
    if (!allowed) continue;
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: element %lld is %g; allowed is %s", path, (long long)i,
                      (double)values[i], allowed);
  }
  return RWKV6_OK;
}

static rwkv6_status read_tensor(const char *path, rwkv6_tensor_id id, cli_case *loaded, rwkv6_error *error) {
  if (!cli_file_exists(path)) {
    if (!is_required(id)) return RWKV6_OK;
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: is missing; a case needs r, k, v, w and u", path);
  }
  const cli_npy_shape want = cli_case_shape(&loaded->problem, id);
  cli_npy array;
  const rwkv6_status status = cli_npy_read(path, CLI_NPY_FLOAT32, &want, &array, error);
  if (status) return status;
  loaded->tensor[id] = array.data;
  return rwkv6_tensor_table[id].output ? RWKV6_OK : check_values(path, id, loaded->problem.decay, &array, error);
}

static rwkv6_status load_tensor(const char *folder, rwkv6_tensor_id id, cli_case *loaded, rwkv6_error *error) {
  if (rwkv6_tensor_table[id].optional == RWKV6_STATE_POOL) return RWKV6_OK; /* cases have no pool */
  char file[32] = "";
  strcat(strcat(file, rwkv6_tensor_table[id].name), ".npy");
  char *path = cli_join_path(folder, file, error);
  if (!path) return RWKV6_OUT_OF_MEMORY;
  const rwkv6_status status = read_tensor(path, id, loaded, error);
  free(path);
  return status;
}

static void set_optional(cli_case *loaded) {
  rwkv6_problem *problem = &loaded->problem;
  if (loaded->tensor[RWKV6_TENSOR_INITIAL_STATE]) problem->optional |= RWKV6_INITIAL_STATE | RWKV6_DINITIAL_STATE;
  if (loaded->tensor[RWKV6_TENSOR_DFINAL_STATE]) problem->optional |= RWKV6_DFINAL_STATE;
  loaded->backward = loaded->tensor[RWKV6_TENSOR_DO] && problem->decay != RWKV6_DECAY_FACTOR;
}

/* Sizes that files do not bear out, such as that of final_state, must be possible too. */
static rwkv6_status check_sizes(const char *folder, const rwkv6_problem *problem, rwkv6_error *error) {
  rwkv6_problem resolved;
  rwkv6_error failure = RWKV6_ERROR_INIT;
  const rwkv6_status status = rwkv6_problem_resolve(problem, RWKV6_FORWARD, &resolved, &failure);
  return status ? rwkv6_fail(error, status, "%s/meta.json: %s", folder, failure.message) : RWKV6_OK;
}

rwkv6_status cli_case_load(const char *folder, cli_case *loaded, rwkv6_error *error) {
  memset(loaded, 0, sizeof *loaded);
  loaded->name = cli_case_name(folder, error);
  if (!loaded->name) return RWKV6_INVALID_ARGUMENT;
  rwkv6_status status = load_meta(folder, loaded, error);
  if (!status) status = load_offsets(folder, loaded, error);
  for (int id = 0; id < RWKV6_TENSOR_COUNT && !status; ++id) status = load_tensor(folder, (rwkv6_tensor_id)id, loaded, error);
  set_optional(loaded);
  if (!status) status = check_sizes(folder, &loaded->problem, error);
  return status;
}

void cli_case_free(cli_case *loaded) {
  free(loaded->name);
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) free(loaded->tensor[id]);
  free(loaded->cu_seqlens);
  memset(loaded, 0, sizeof *loaded);
}

void cli_case_set_dtype(cli_case *loaded, rwkv6_dtype dtype) {
  loaded->problem.dtype = dtype;
  loaded->problem.w_dtype = loaded->w_dtype == dtype ? dtype : RWKV6_FP32;
}
