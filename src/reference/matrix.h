/* SPDX-License-Identifier: MIT */
/* The few products of rows and matrices that the operations are made of. Written for compilers that vectorize plain loops. */
#ifndef RWKV6_SRC_REFERENCE_MATRIX_H
#define RWKV6_SRC_REFERENCE_MATRIX_H

#include <stdint.h>

#include "reference/real.h"

/* Eight partial sums: a fixed order of summation that a compiler may vectorize, and a smaller error than one long sum. */
enum { LANES = 8 };

static inline real add_lanes(const real lane[LANES]) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* sum_c x[c] y[c] */
static inline real dot(const real *restrict x, const real *restrict y, int64_t n) {
  real lane[LANES] = {0};
  const int64_t whole = n - n % LANES;
  for (int64_t c = 0; c < whole; c += LANES) {
    for (int l = 0; l < LANES; ++l) lane[l] += x[c + l] * y[c + l];
  }
  for (int64_t c = whole; c < n; ++c) lane[c - whole] += x[c] * y[c];
  return add_lanes(lane);
}

/* sum_c x[c] y[c] z[c] */
static inline real dot3(const real *restrict x, const real *restrict y, const real *restrict z, int64_t n) {
  real lane[LANES] = {0};
  const int64_t whole = n - n % LANES;
  for (int64_t c = 0; c < whole; c += LANES) {
    for (int l = 0; l < LANES; ++l) lane[l] += x[c + l] * y[c + l] * z[c + l];
  }
  for (int64_t c = whole; c < n; ++c) lane[c - whole] += x[c] * y[c] * z[c];
  return add_lanes(lane);
}

/* out[c] = a x[c] */
static inline void scale_row(real *restrict out, real a, const real *restrict x, int64_t n) {
  for (int64_t c = 0; c < n; ++c) out[c] = a * x[c];
}

/* out[c] += a x[c] */
static inline void add_scaled_row(real *restrict out, real a, const real *restrict x, int64_t n) {
  for (int64_t c = 0; c < n; ++c) out[c] += a * x[c];
}

/* out[c] += sum_i x[i] matrix[i][c], four rows at a time so that out is loaded and stored once for the four. */
static inline void add_row_times_matrix(real *restrict out, const real *restrict x, const real *restrict matrix, int64_t rows,
                                        int64_t n) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const real x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
    const real *m0 = matrix + i * n, *m1 = m0 + n, *m2 = m1 + n, *m3 = m2 + n;
    for (int64_t c = 0; c < n; ++c) out[c] += (x0 * m0[c] + x1 * m1[c]) + (x2 * m2[c] + x3 * m3[c]);
  }
  for (; i < rows; ++i) add_scaled_row(out, x[i], matrix + i * n, n);
}

/* matrix[rows][n] with what has decayed away set to 0. */
static inline void flush_matrix(real *matrix, int64_t size) {
  for (int64_t i = 0; i < size; ++i) matrix[i] = flush(matrix[i]);
}

#endif
