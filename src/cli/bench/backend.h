/* SPDX-License-Identifier: MIT */
/* Where a case runs: sets of tensors in the memory of the device, runs over them in turns, and a clock. */
#ifndef RWKV6_SRC_CLI_BENCH_BACKEND_H
#define RWKV6_SRC_CLI_BENCH_BACKEND_H

#include "cli/bench/data.h"
#include "device.h"

/* Rows of an output: `rows` of `length` elements, the first at `first`, each `pitch` elements after the one before. */
typedef struct bench_rows {
  int64_t first, rows, length, pitch;
} bench_rows;

typedef struct bench_run {
  rwkv6_device *device;
  rwkv6_plan *plan;       /* owned */
  const bench_data *data; /* pools drawn */
  int64_t sets;
  bool host_clock; /* the device's events carry no times to speak of */
  void *state;     /* the backend's own */
} bench_run;

/* What one device can measure beside the cases. 0: not measured. */
typedef struct bench_peaks {
  double copy;             /* bytes read and written a second by a kernel that copies */
  double fma;              /* fp32 multiply-adds as two operations each, a second */
  double matrix;           /* the same in matrix units */
  const char *matrix_kind; /* "bf16, mma.sync m16n8k16"; NULL if `matrix` is 0 */
  bool host_clock;         /* all times are the host's: the device has no clock, or one that stands still */
} bench_peaks;

typedef struct bench_backend {
  /* Bytes that the sets of a case should have together, so that none is in a cache when its turn comes. */
  uint64_t (*footprint)(const rwkv6_device *device);
  /* Bytes that all sets may have together, and one buffer with all sets of a tensor. */
  uint64_t (*memory)(const rwkv6_device *device);
  uint64_t (*allocation)(const rwkv6_device *device);
  /* A plan, and in `extra` the bytes of the buffers that it has made for itself. */
  rwkv6_status (*plan)(rwkv6_device *device, const bench_case *timed, const bench_data *data, rwkv6_plan **plan,
                       uint64_t *extra, rwkv6_error *error);
  /* Memory for all sets, inputs filled, outputs poisoned. */
  rwkv6_status (*prepare)(bench_run *run, rwkv6_error *error);
  /* Fills the times of `result`; `last` receives a set that was computed. */
  rwkv6_status (*time)(bench_run *run, bench_result *result, int64_t *last, rwkv6_error *error);
  /* Reads an output of a set, packed. */
  rwkv6_status (*read)(const bench_run *run, rwkv6_tensor_id id, int64_t set, const bench_rows *rows, void *to,
                       rwkv6_error *error);
  void (*release)(bench_run *run);
  rwkv6_status (*peaks)(rwkv6_device *device, bench_peaks *peaks, rwkv6_error *error);
} bench_backend;

extern const bench_backend bench_backend_cpu;
/* One rwkv6_run over a set in host memory, whatever the plan's device, after bench_backend_cpu.prepare. */
rwkv6_status bench_host_run(bench_run *run, int64_t set, double *seconds, rwkv6_error *error);
#if RWKV6_HAVE_OPENCL
extern const bench_backend bench_backend_opencl;
#endif

/* Elements from one set of a tensor to the next: rows of 256 bytes, which any kernel may want of a buffer. */
int64_t bench_set_stride(const rwkv6_problem *problem, rwkv6_tensor_id id);

/* Runs to take, where one takes `seconds`: about half a second of them. */
size_t bench_runs_for(double seconds);
#define BENCH_MOST_RUNS 400

#endif
