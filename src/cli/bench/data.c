/* SPDX-License-Identifier: MIT */
#include "cli/bench/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/storage.h"
#include "conform/data.h"
#include "conform/random.h"
#include "error.h"
#include "problem.h"

#define PERIOD 1048573 /* the largest prime under 2^20 */

/* Log-uniform between 1 and the longest, both of which occur, until all tokens are used up. Returns the number of sequences. */
static int64_t draw_lengths(const bench_shape *shape, int64_t *cu_seqlens) {
  conform_random random = {2026};
  const int64_t tokens = shape->sequences * shape->length;
  const int64_t longest = 4 * shape->length < tokens ? 4 * shape->length : tokens;
  int64_t count = 0, used = 0;
  cu_seqlens[0] = 0;
  while (used < tokens) {
    int64_t length = (int64_t)exp(conform_random_uniform(&random) * log((double)longest + 1));
    if (count == 2) length = longest;
    if (count == 1 || length < 1) length = 1;
    if (length > tokens - used) length = tokens - used;
    used += length;
    cu_seqlens[++count] = used;
  }
  return count;
}

static rwkv6_status make_ragged(const bench_shape *shape, rwkv6_problem *problem, bench_data *data, rwkv6_error *error) {
  const int64_t most = shape->sequences * shape->length + 1;
  data->cu_seqlens = rwkv6_alloc((size_t)most, sizeof(int64_t), "cu_seqlens", error);
  if (!data->cu_seqlens) return RWKV6_OUT_OF_MEMORY;
  problem->sequences = draw_lengths(shape, data->cu_seqlens);
  problem->cu_seqlens = data->cu_seqlens;
  return RWKV6_OK;
}

rwkv6_status bench_data_problem(const bench_case *timed, bench_data *data, rwkv6_error *error) {
  const bench_shape *shape = &timed->shape;
  rwkv6_problem problem;
  memset(data, 0, sizeof *data);
  data->operation = timed->operation;
  rwkv6_problem_init(&problem, sizeof problem, shape->sequences, shape->sequences * shape->length, shape->heads, shape->key_dim,
                     shape->value_dim);
  problem.dtype = timed->dtype;
  problem.w_dtype = timed->w_dtype;
  problem.decay = timed->decay;
  problem.precision = timed->precision;
  problem.reverse = shape->reverse;
  if (shape->padded) conform_set_strides(&problem, CONFORM_PADDED);
  if (shape->states) problem.optional = CONFORM_ALL_OPTIONAL;
  rwkv6_status status = rwkv6_problem_resolve(&problem, timed->operation, &data->problem, error);
  if (status || !shape->ragged || problem.tokens == 0) return status;
  status = make_ragged(shape, &problem, data, error);
  return status ? status : rwkv6_problem_resolve(&problem, timed->operation, &data->problem, error);
}

/* Never 0, which would hide a term that is left out or taken twice. */
static float draw_normal(conform_random *random, rwkv6_dtype dtype, double size) {
  double value = 0;
  while (cli_storage_round(value, dtype) == 0) value = size * conform_random_normal(random);
  return (float)value;
}

static rwkv6_status draw_pool(const bench_case *timed, rwkv6_tensor_id id, bench_data *data, rwkv6_error *error) {
  const rwkv6_dtype dtype = rwkv6_tensor_dtype(&data->problem, id);
  const size_t period = (size_t)data->period[id];
  conform_random random = {7919u * (uint64_t)(id + 1)};
  float *values = rwkv6_alloc(period, sizeof *values, "random values", error);
  data->pool[id] = values ? rwkv6_alloc(period, rwkv6_dtype_size(dtype), "random values", error) : NULL;
  for (size_t i = 0; data->pool[id] && i < period; ++i) {
    if (id == RWKV6_TENSOR_W)
      values[i] = (float)conform_draw_w(&random, timed->distribution, timed->decay, (int64_t)i % timed->shape.key_dim);
    else
      values[i] = draw_normal(&random, dtype, id == RWKV6_TENSOR_U ? 0.5 : 1.0);
  }
  if (data->pool[id]) cli_storage_encode(values, data->period[id], dtype, data->pool[id]);
  free(values);
  return data->pool[id] ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

rwkv6_status bench_data_draw(const bench_case *timed, int64_t sets, bench_data *data, rwkv6_error *error) {
  rwkv6_status status = RWKV6_OK;
  for (int i = 0; i < RWKV6_TENSOR_COUNT && !status; ++i) {
    const rwkv6_tensor_id id = (rwkv6_tensor_id)i;
    if (!rwkv6_tensor_takes_part(&data->problem, data->operation, id) || rwkv6_tensor_table[id].output) continue;
    const int64_t extent = rwkv6_tensor_extent(&data->problem, id);
    data->period[id] = extent < PERIOD / sets ? extent * sets : PERIOD;
    status = draw_pool(timed, id, data, error);
  }
  return status;
}

void bench_data_free(bench_data *data) {
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) free(data->pool[id]);
  free(data->cu_seqlens);
  memset(data, 0, sizeof *data);
}

int64_t bench_data_piece(const bench_data *data, rwkv6_tensor_id id, int64_t set, int64_t index, int64_t *count) {
  const int64_t period = data->period[id];
  const int64_t place = (set * rwkv6_tensor_extent(&data->problem, id) + index) % period;
  if (*count > period - place) *count = period - place;
  return place;
}

void bench_data_copy(const bench_data *data, rwkv6_tensor_id id, int64_t set, int64_t index, int64_t count, void *to) {
  const size_t size = rwkv6_dtype_size(rwkv6_tensor_dtype(&data->problem, id));
  for (char *at = to; count > 0;) {
    int64_t piece = count;
    const int64_t place = bench_data_piece(data, id, set, index, &piece);
    memcpy(at, (const char *)data->pool[id] + (size_t)place * size, (size_t)piece * size);
    at += (size_t)piece * size;
    index += piece;
    count -= piece;
  }
}

int64_t bench_data_place(const bench_data *data, rwkv6_tensor_id id, int64_t row, int64_t head) {
  const rwkv6_problem *problem = &data->problem;
  const int64_t each = rwkv6_tensor_table[id].shape == RWKV6_SHAPE_STATE ? problem->key_dim : 1;
  return conform_row_offset(problem, id, (row * problem->heads + head) * each);
}

uint64_t bench_data_bytes(const bench_data *data, rwkv6_tensor_id id) {
  if (!rwkv6_tensor_takes_part(&data->problem, data->operation, id)) return 0;
  return (uint64_t)rwkv6_tensor_elements(&data->problem, id) * rwkv6_dtype_size(rwkv6_tensor_dtype(&data->problem, id));
}

uint64_t bench_data_all_bytes(const bench_data *data) {
  uint64_t bytes = 0;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) bytes += bench_data_bytes(data, (rwkv6_tensor_id)id);
  return bytes;
}
