/* SPDX-License-Identifier: MIT */
/*
 * Gradients chunk by chunk, for any device: OpenCL C 1.2, no extension. Key channel `row` of S and of its gradient G needs
 * nothing of other rows for dr, dk, dw and du, so a work-group owns TILE_ROWS rows of one head of one unit, all value channels,
 * and goes once from the last chunk of the unit to the first. (dv and dinitial_state: chunk_forward.cl with the parts
 * exchanged.)
 *
 * In a chunk of steps b to c - 1, with M_ij = v_j . do_i and scale folded into do:
 *
 *     x_i  = prod(b..i-1) (S_b do_i)                 y_j = prod(j+1..c-1) (G_c v_j)
 *     dr_i = x_i + sum_{j<i} M_ij k_j prod(j+1..i-1) + u k_i M_ii
 *     dk_j = y_j + sum_{i>j} M_ij r_i prod(j+1..i-1) + u r_j M_jj
 *     du  += sum_i r_i k_i M_ii
 *     G_b  = diag(prod(b..c-1)) G_c + sum_i r_i prod(b..i-1) do_i^T
 *
 * and dw, the sum of four parts of which each holds the factor of its token once (no subtraction, docs/algorithm.md):
 *
 *     dw_t = prod(b..c-1) <S_b, G_c> + sum_{i>t} r_i x_i + sum_{j<t} k_j y_j + sum_{j<t<i} r_i k_j prod(j+1..i-1) M_ij
 *
 * G runs backward, so S_b is needed backward: it is rebuilt span by span from the checkpoints that chunk_states wrote.
 */
#include "decay.h"
#include "storage.h"
#include "sum_du.h"
#include "unit.h"

#ifndef KEY_DIM
#define KEY_DIM 64
#endif
#ifndef VALUE_DIM
#define VALUE_DIM 64
#endif
#ifndef WORK_GROUP /* work-items; a power of 2 */
#define WORK_GROUP 64
#endif
#ifndef LANES /* work-items side by side along the value channels; a power of 2 that divides WORK_GROUP */
#define LANES 4
#endif
#ifndef ROWS /* key channels of a work-item */
#define ROWS 2
#endif
#ifndef CHUNK /* tokens */
#define CHUNK 16
#endif
#ifndef SPAN /* steps between checkpoints; a multiple of CHUNK */
#define SPAN 64
#endif
#ifndef ROUND /* tokens whose partial sums are in local memory at once; divides CHUNK or is followed by a shorter round */
#define ROUND 4
#endif

#define TILE_ROWS (WORK_GROUP / LANES * ROWS)
#define TILES ((KEY_DIM + TILE_ROWS - 1) / TILE_ROWS)
#define QUADS ((VALUE_DIM + 4 * LANES - 1) / (4 * LANES)) /* of value channels in a work-item */
#define PADDED_VALUE (4 * LANES * QUADS)
#define VALUE_STRIDE (PADDED_VALUE + 4)
#define CHUNKS (SPAN / CHUNK)

/* The triangle of M, shared out as that of A in chunk_forward.cl. */
#define PAIRS ((CHUNK + 1) / 2)
#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define SHARES_WANTED LESSER(LESSER(WORK_GROUP / PAIRS, 8), PADDED_VALUE / 4)
#define SHARES (POWER_OF_2(SHARES_WANTED + 1) / 2)
#define SHARE_QUADS ((PADDED_VALUE / 4 + SHARES - 1) / SHARES)
#define TRIANGLE (CHUNK * (CHUNK + 1) / 2)
#define ENTRY(i, j) ((i) * ((i) + 1) / 2 + (j))

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define SHARE_STRIDE (TRIANGLE + 1) /* odd for CHUNK = 16, so that shares fall into different banks */
#define SCRATCH LARGER(SHARE_STRIDE *SHARES, 2 * ROUND * LANES * TILE_ROWS)

typedef struct inputs_t {
  global const dtype_t *r, *k, *v, *dout;
  global const w_dtype_t *w;
  layout_t r_at, k_at, v_at, do_at, w_at;
  float scale;
} inputs_t;

/* Local memory. Rows of key channels are TILE_ROWS floats apart, rows of value channels VALUE_STRIDE. */
typedef struct tiles_t {
  local float *r, *k, *d;      /* [CHUNK]; for the update of a state k or r is multiplied by its product of factors in place */
  local float *v, *dout;       /* [CHUNK]; do is multiplied by scale */
  local float *x, *y;          /* [CHUNK]: S_b do_i and G_c v_j, then x, y, then dr and dk */
  local float *dw;             /* [CHUNK] */
  local float *state_gradient; /* [LANES][TILE_ROWS]: parts of <S_b, G_c> */
  local float *log_sum;        /* [KEYS_DOWN][TILE_ROWS]: parts of the log of D */
  local float *keep, *change;  /* [TILE_ROWS]: D, see chunk_decay */
  local float *M;              /* [TRIANGLE] */
  local float *scratch;
} tiles_t;

typedef struct place_t {
  unit_t unit;
  index_t head, heads;
  int item, lane, tile_row; /* first row of this work-item within the tile */
  int first_row;            /* first key channel of the tile */
  bool reverse;
} place_t;

/* ROWS x (4 QUADS) elements of a state: value channels 4 (lane + q LANES) to + 3. */
typedef struct state_t {
  float4 at[ROWS][QUADS];
} state_t;

static inline void find_place(place_t *p, global const long8 *units, batch_t batch, index_t first_group) {
  const index_t group = first_group + (index_t)get_group_id(0);
  const index_t unit_head = group / TILES;
  p->heads = BATCH_HEADS(batch);
  p->reverse = BATCH_REVERSE(batch);
  find_unit(&p->unit, units, batch, unit_head / p->heads);
  p->head = unit_head - p->unit.number * p->heads;
  p->item = get_local_id(0);
  p->tile_row = p->item / LANES * ROWS;
  p->lane = p->item & (LANES - 1);
  p->first_row = (int)(group - unit_head * TILES) * TILE_ROWS;
}

/* Offset of state `state` of [states, heads, K, V] for this head. */
static inline index_t state_at(const place_t *p, index_t state) {
  return (state * p->heads + p->head) * KEY_DIM * VALUE_DIM;
}

static inline void load_state(state_t *state, global const float *from, const place_t *p, bool present) {
  for (int i = 0; i < ROWS; i++)
    for (int q = 0; q < QUADS; q++) {
      const int row = p->first_row + p->tile_row + i, column = 4 * (p->lane + q * LANES);
      float x[4];
      for (int c = 0; c < 4; c++)
        x[c] = present && row < KEY_DIM && column + c < VALUE_DIM ? from[row * VALUE_DIM + column + c] : 0.0f;
      state->at[i][q] = (float4)(x[0], x[1], x[2], x[3]);
    }
}

static inline void store_state(const state_t *state, global float *to, const place_t *p) {
  for (int i = 0; i < ROWS; i++)
    for (int q = 0; q < QUADS; q++) {
      const int row = p->first_row + p->tile_row + i, column = 4 * (p->lane + q * LANES);
      const float4 s = state->at[i][q];
      const float x[4] = {s.x, s.y, s.z, s.w};
      for (int c = 0; c < 4; c++)
        if (row < KEY_DIM && column + c < VALUE_DIM) to[row * VALUE_DIM + column + c] = x[c];
    }
}

/*
 * Key channels of the tile; steps beyond `count` have r = k = 0 and a factor of 1, so that they change nothing. Neighbouring
 * work-items load neighbouring channels; all loads are in flight before the first is used.
 */
#define KEYS_DOWN (WORK_GROUP / TILE_ROWS)
#define KEY_TOKENS ((CHUNK + KEYS_DOWN - 1) / KEYS_DOWN)
static inline void load_keys(const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step, int count, bool with_r) {
  const int t_first = p->item / TILE_ROWS;
  const int tile_row = p->item & (TILE_ROWS - 1);
  const int c = p->first_row + tile_row;
  const int from_row = min(t_first, count - 1), from_c = min(c, KEY_DIM - 1);
  walk_t k;
  find_walk(&k, in->k_at, &p->unit, p->head, step, p->reverse);
  walk_t w;
  find_walk(&w, in->w_at, &p->unit, p->head, step, p->reverse);
  walk_t r;
  find_walk(&r, in->r_at, &p->unit, p->head, step, p->reverse);
  global const dtype_t *k_from = in->k + k.first + from_row * k.stride + from_c;
  global const dtype_t *r_from = in->r + r.first + from_row * r.stride + from_c;
  global const w_dtype_t *w_from = in->w + w.first + from_row * w.stride + from_c;
  dtype_t k_x[KEY_TOKENS], r_x[KEY_TOKENS];
  w_dtype_t w_x[KEY_TOKENS];
  UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
    const bool more = t_first + (n + 1) * KEYS_DOWN < count;
    k_x[n] = *k_from;
    w_x[n] = *w_from;
    if (with_r) r_x[n] = *r_from;
    k_from += more ? KEYS_DOWN * k.stride : 0;
    w_from += more ? KEYS_DOWN * w.stride : 0;
    r_from += more ? KEYS_DOWN * r.stride : 0;
  }
  float log_sum = 0.0f;
  UNROLL for (int n = 0; n < KEY_TOKENS; n++) {
    const int t = t_first + n * KEYS_DOWN, at = t * TILE_ROWS + tile_row;
    const bool present = t < count && c < KEY_DIM;
    const float w_t = widen_w(w_x[n]);
    if (t < CHUNK) {
      tiles->k[at] = present ? widen_d(k_x[n]) : 0.0f;
      tiles->d[at] = present ? decay_factor(w_t) : 1.0f;
      if (with_r) tiles->r[at] = present ? widen_d(r_x[n]) : 0.0f;
      log_sum += present ? decay_log(w_t) : 0.0f;
    }
  }
  tiles->log_sum[t_first * TILE_ROWS + tile_row] = log_sum;
}

/* v, or do times scale. */
#define VALUES_ACROSS (WORK_GROUP < POWER_OF_2(PADDED_VALUE) ? WORK_GROUP : POWER_OF_2(PADDED_VALUE))
#define VALUES_DOWN (WORK_GROUP / VALUES_ACROSS)
#define VALUE_TOKENS ((CHUNK + VALUES_DOWN - 1) / VALUES_DOWN)
static inline void load_values(local float *tile, global const dtype_t *values, layout_t values_at, float factor,
                               const place_t *p, index_t step, int count) {
  const int t_first = p->item / VALUES_ACROSS;
  walk_t walk;
  find_walk(&walk, values_at, &p->unit, p->head, step, p->reverse);
  for (int c = p->item & (VALUES_ACROSS - 1); c < PADDED_VALUE; c += VALUES_ACROSS) {
    global const dtype_t *from = values + walk.first + min(t_first, count - 1) * walk.stride + min(c, VALUE_DIM - 1);
    dtype_t x[VALUE_TOKENS];
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      x[n] = *from;
      from += t_first + (n + 1) * VALUES_DOWN < count ? VALUES_DOWN * walk.stride : 0;
    }
    UNROLL for (int n = 0; n < VALUE_TOKENS; n++) {
      const int t = t_first + n * VALUES_DOWN;
      if (t < CHUNK) tile[t * VALUE_STRIDE + c] = t < count && c < VALUE_DIM ? factor * widen_d(x[n]) : 0.0f;
    }
  }
}

/* D, from the product of the factors. */
static inline void finish_decay(const tiles_t *tiles, int row, float product) {
  float log_sum = 0.0f;
  UNROLL for (int part = 0; part < KEYS_DOWN; part++) log_sum += tiles->log_sum[part * TILE_ROWS + row];
  const float2 decay = chunk_decay(product, log_sum);
  tiles->keep[row] = decay.x;
  tiles->change[row] = decay.y;
}

/* k^_j = k_j prod(j+1..c-1) in place, and D. */
static inline void decay_keys(const tiles_t *tiles, const place_t *p) {
  for (int row = p->item; row < TILE_ROWS; row += WORK_GROUP) {
    float after = 1.0f;
    UNROLL for (int t = CHUNK - 1; t >= 0; t--) {
      tiles->k[t * TILE_ROWS + row] *= after;
      after *= tiles->d[t * TILE_ROWS + row];
    }
    finish_decay(tiles, row, after);
  }
}

/* X = diag(D) X + sum_t keys_t values_t^T: S with k^ and v, G with r~ and do. */
static inline void update_state(state_t *state, const tiles_t *tiles, local const float *keys, local const float *values,
                                const place_t *p) {
  for (int i = 0; i < ROWS; i++)
    for (int q = 0; q < QUADS; q++)
      state->at[i][q] = tiles->keep[p->tile_row + i] * state->at[i][q] + tiles->change[p->tile_row + i] * state->at[i][q];
  UNROLL for (int t = 0; t < CHUNK; t++) {
    local const float4 *row = (local const float4 *)(values + t * VALUE_STRIDE) + p->lane;
    UNROLL for (int q = 0; q < QUADS; q++) {
      const float4 x = row[q * LANES];
      UNROLL for (int i = 0; i < ROWS; i++) state->at[i][q] += keys[t * TILE_ROWS + p->tile_row + i] * x;
    }
  }
}

/* By dot, as Oclgrind's check for uninitialized values crashes on the shuffles that written-out sums become. */
static inline float sum4(float4 x) {
  return dot(x, (float4)(1.0f));
}

/* M of the loaded chunk, shared out as A in chunk_forward.cl. Ends with a barrier. */
static inline void sum_triangle(const tiles_t *tiles, const place_t *p) {
  const int pair = p->item / SHARES;
  const int share = p->item & (SHARES - 1);
  if (pair < PAIRS) {
    float4 v_j[SHARE_QUADS];
    UNROLL for (int n = 0; n < CHUNK + 1; n++) {
      const bool second = n >= CHUNK - pair;
      const int j = second ? CHUNK - 1 - pair : pair, i = second ? n - 1 : pair + n;
      local const float4 *v = (local const float4 *)(tiles->v + j * VALUE_STRIDE);
      local const float4 *dout = (local const float4 *)(tiles->dout + i * VALUE_STRIDE);
      float4 sum = (float4)(0.0f);
      UNROLL for (int m = 0; m < SHARE_QUADS; m++) {
        const int quad = share + m * SHARES;
        if (quad < PADDED_VALUE / 4) {
          if (i == j) v_j[m] = v[quad];
          sum += dout[quad] * v_j[m];
        }
      }
      tiles->scratch[share * SHARE_STRIDE + ENTRY(i, j)] = sum4(sum);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int entry = p->item; entry < TRIANGLE; entry += WORK_GROUP) {
    float sum = 0.0f;
    UNROLL for (int n = 0; n < SHARES; n++) sum += tiles->scratch[n * SHARE_STRIDE + entry];
    tiles->M[entry] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

static inline float dot_row(const state_t *state, int i, local const float *values, const place_t *p) {
  float4 sum = (float4)(0.0f);
  UNROLL for (int q = 0; q < QUADS; q++) sum += state->at[i][q] * ((local const float4 *)values)[p->lane + q * LANES];
  return sum4(sum);
}

/* S_b do_i and G_c v_j into x and y, ROUND tokens at a time through scratch, and the parts of <S_b, G_c>. Ends with a barrier.
 */
static inline void multiply_states(const state_t *state, const state_t *gradient, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    float4 sum = (float4)(0.0f);
    UNROLL for (int q = 0; q < QUADS; q++) sum += state->at[i][q] * gradient->at[i][q];
    tiles->state_gradient[p->lane * TILE_ROWS + p->tile_row + i] = sum4(sum);
  }
  for (int first = 0; first < CHUNK; first += ROUND) {
    const int tokens = min(ROUND, CHUNK - first);
    UNROLL for (int t = 0; t < ROUND; t++) {
      if (first + t >= CHUNK) continue;
      local float *part = tiles->scratch + (2 * t * LANES + p->lane) * TILE_ROWS + p->tile_row;
      UNROLL for (int i = 0; i < ROWS; i++) {
        part[i] = dot_row(state, i, tiles->dout + (first + t) * VALUE_STRIDE, p);
        part[LANES * TILE_ROWS + i] = dot_row(gradient, i, tiles->v + (first + t) * VALUE_STRIDE, p);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int n = p->item; n < 2 * tokens * TILE_ROWS; n += WORK_GROUP) {
      const int t_which = n / TILE_ROWS;
      const int row = n & (TILE_ROWS - 1);
      float sum = 0.0f;
      UNROLL for (int lane = 0; lane < LANES; lane++) sum += tiles->scratch[(t_which * LANES + lane) * TILE_ROWS + row];
      local float *to = (t_which & 1) ? tiles->y : tiles->x;
      to[(first + t_which / 2) * TILE_ROWS + row] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

/* x and y get their products of factors; dw gets its first three parts; D. */
static inline void finish_outer(const tiles_t *tiles, int row) {
  float product = 1.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    tiles->x[t * TILE_ROWS + row] *= product;
    product *= tiles->d[t * TILE_ROWS + row];
  }
  finish_decay(tiles, row, product);
  float whole = 0.0f;
  UNROLL for (int lane = 0; lane < LANES; lane++) whole += tiles->state_gradient[lane * TILE_ROWS + row];
  whole *= product;

  float later = 0.0f;
  product = 1.0f;
  UNROLL for (int t = CHUNK - 1; t >= 0; t--) {
    tiles->y[t * TILE_ROWS + row] *= product;
    product *= tiles->d[t * TILE_ROWS + row];
    tiles->dw[t * TILE_ROWS + row] = whole + later;
    later += tiles->r[t * TILE_ROWS + row] * tiles->x[t * TILE_ROWS + row];
  }
  float earlier = 0.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    tiles->dw[t * TILE_ROWS + row] += earlier;
    earlier += tiles->k[t * TILE_ROWS + row] * tiles->y[t * TILE_ROWS + row];
  }
}

/*
 * The pairs (i, j) of one column j: their parts of dr_i and dk_j, and, as a suffix sum, the fourth part of dw. Called for j
 * from the first to the last, so that y_j is whole when it is left.
 */
static inline void add_pairs(const tiles_t *tiles, int row, int j) {
  const float k_j = tiles->k[j * TILE_ROWS + row];
  float terms[CHUNK]; /* r_i prod(j+1..i-1) M_ij */
  float product = 1.0f, dk = 0.0f, later = 0.0f;
  UNROLL for (int i = 1; i < CHUNK; i++) {
    if (i > j) {
      const int at = i * TILE_ROWS + row;
      const float m = tiles->M[ENTRY(i, j)] * product;
      terms[i] = tiles->r[at] * m;
      dk += terms[i];
      tiles->x[at] += k_j * m;
      product *= tiles->d[at];
    }
  }
  tiles->y[j * TILE_ROWS + row] += dk;
  UNROLL for (int i = CHUNK - 1; i > 1; i--) {
    if (i > j + 1) {
      later += terms[i];
      tiles->dw[(i - 1) * TILE_ROWS + row] += k_j * later;
    }
  }
}

/* All of a row that needs no sum over value channels, one row a work-item. Leaves r~ in r; returns the chunk's part of du. */
static inline float finish_row(const tiles_t *tiles, int row, float u) {
  finish_outer(tiles, row);
  for (int j = 0; j < CHUNK; j++) add_pairs(tiles, row, j);
  float du = 0.0f, product = 1.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    const int at = t * TILE_ROWS + row;
    const float m = tiles->M[ENTRY(t, t)], r_t = tiles->r[at], k_t = tiles->k[at];
    tiles->x[at] += u * k_t * m;
    tiles->y[at] += u * r_t * m;
    du += r_t * k_t * m;
    tiles->r[at] = r_t * product;
    product *= tiles->d[at];
  }
  return du;
}

typedef struct outputs_t {
  global dtype_t *dr, *dk;
  global w_dtype_t *dw;
  layout_t dr_at, dk_at, dw_at;
} outputs_t;

static inline void write_chunk(const outputs_t *out, const tiles_t *tiles, const inputs_t *in, const place_t *p, index_t step,
                               int count) {
  const int t_first = p->item / TILE_ROWS;
  const int tile_row = p->item & (TILE_ROWS - 1);
  const int c = p->first_row + tile_row;
  walk_t w;
  find_walk(&w, in->w_at, &p->unit, p->head, step, p->reverse);
  walk_t dr;
  find_walk(&dr, out->dr_at, &p->unit, p->head, step, p->reverse);
  walk_t dk;
  find_walk(&dk, out->dk_at, &p->unit, p->head, step, p->reverse);
  walk_t dw;
  find_walk(&dw, out->dw_at, &p->unit, p->head, step, p->reverse);
  for (int t = t_first; t < count && c < KEY_DIM; t += KEYS_DOWN) {
    const int at = t * TILE_ROWS + tile_row;
    const float w_t = load_w(in->w + w.first + t * w.stride + c);
    store_d(out->dr + dr.first + t * dr.stride + c, tiles->x[at]);
    store_d(out->dk + dk.first + t * dk.stride + c, tiles->y[at]);
    store_w(out->dw + dw.first + t * dw.stride + c, decay_gradient(w_t, tiles->d[at], tiles->dw[at]));
  }
}

/* S_b of each chunk of a span, from the state before the span. Too many for registers: `before` lies in private memory. */
static inline void rebuild_span(state_t *before, state_t *state, const tiles_t *tiles, const inputs_t *in, const place_t *p,
                                index_t begin, int chunks) {
  for (int m = 0; m < chunks - 1; m++) {
    before[m] = *state;
    load_keys(tiles, in, p, begin + m * CHUNK, CHUNK, false);
    load_values(tiles->v, in->v, in->v_at, 1.0f, p, begin + m * CHUNK, CHUNK);
    barrier(CLK_LOCAL_MEM_FENCE);
    decay_keys(tiles, p);
    barrier(CLK_LOCAL_MEM_FENCE);
    update_state(state, tiles, tiles->k, tiles->v, p);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  before[chunks - 1] = *state;
}

/* One chunk: writes its dr, dk, dw, takes G from its end to its beginning, returns its part of du in work-items below
 * TILE_ROWS. */
static inline float retreat_chunk(const state_t *state, state_t *gradient, const outputs_t *out, const tiles_t *tiles,
                                  const inputs_t *in, const place_t *p, index_t step, int count, float u) {
  load_keys(tiles, in, p, step, count, true);
  load_values(tiles->v, in->v, in->v_at, 1.0f, p, step, count);
  load_values(tiles->dout, in->dout, in->do_at, in->scale, p, step, count);
  barrier(CLK_LOCAL_MEM_FENCE);
  sum_triangle(tiles, p);
  multiply_states(state, gradient, tiles, p);
  float du = 0.0f;
  if (p->item < TILE_ROWS) du = finish_row(tiles, p->item, u);
  barrier(CLK_LOCAL_MEM_FENCE);
  write_chunk(out, tiles, in, p, step, count);
  update_state(gradient, tiles, tiles->r, tiles->dout, p);
  barrier(CLK_LOCAL_MEM_FENCE);
  return du;
}

/*
 * start, end_gradient  the state before and G after each unit, or NULL (zero): [units, heads, K, V] if by_unit, else
 *                      [sequences, heads, K, V] (every unit is then a sequence)
 * du_partial  [units, heads, K]: sums over the tokens of one unit, added up over launches
 * carry       [carries, heads, K, V] or NULL: G of units that go on in the next launch, which has the earlier steps
 * first_step and last_step are multiples of SPAN (last_step may be past the end). Launches go from the last steps to the first.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP, 1, 1))) void
chunk_backward(global const dtype_t *r, layout_t r_at, global const dtype_t *k, layout_t k_at, global const dtype_t *v,
               layout_t v_at, global const w_dtype_t *w, layout_t w_at, global const float *u, long u_at,
               global const float *start, long start_at, global const float *end_gradient, long end_gradient_at, int by_unit,
               global const dtype_t *dout, layout_t do_at, global dtype_t *dr, layout_t dr_at, global dtype_t *dk,
               layout_t dk_at, global w_dtype_t *dw, layout_t dw_at, global const float *checkpoints, long checkpoints_at,
               global float *du_partial, long du_partial_at, global float *carry, long carry_at, global const long8 *units,
               batch_t batch, float scale, long first_step, long last_step, long first_group) {
  local float r_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float k_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float d_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float x_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float y_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float dw_tile[CHUNK * TILE_ROWS] __attribute__((aligned(16)));
  local float v_tile[CHUNK * VALUE_STRIDE] __attribute__((aligned(16)));
  local float do_tile[CHUNK * VALUE_STRIDE] __attribute__((aligned(16)));
  local float state_gradient[LANES * TILE_ROWS] __attribute__((aligned(16)));
  local float log_sum[KEYS_DOWN * TILE_ROWS];
  local float keep[TILE_ROWS];
  local float change[TILE_ROWS];
  local float M_tile[TRIANGLE] __attribute__((aligned(16)));
  local float scratch[SCRATCH] __attribute__((aligned(16)));
  const tiles_t tiles[1] = {{r_tile, k_tile, d_tile, v_tile, do_tile, x_tile, y_tile, dw_tile, state_gradient, log_sum, keep,
                             change, M_tile, scratch}};
  const inputs_t in[1] = {{r, k, v, dout, w, r_at, k_at, v_at, do_at, w_at, scale}};
  const outputs_t out[1] = {{dr, dk, dw, dr_at, dk_at, dw_at}};

  place_t p[1];
  find_place(p, units, batch, first_group);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length; /* else its steps all belong to later launches */
  const bool continued = last_step < p->unit.length;                  /* a launch before this one had the later steps */
  const index_t outside = by_unit ? p->unit.number : p->unit.sequence;
  const int own_row = p->first_row + p->item; /* of work-items below TILE_ROWS */
  const float u_row = p->item < TILE_ROWS && own_row < KEY_DIM ? u[u_at + p->head * KEY_DIM + own_row] : 0.0f;

  state_t gradient;
  if (continued)
    load_state(&gradient, carry + carry_at + state_at(p, p->unit.carry), p, true);
  else
    load_state(&gradient, end_gradient + end_gradient_at + state_at(p, outside), p, active && end_gradient != 0);
  /* It goes on from an earlier launch: the same order of sums. */
  const bool owns_du = active && p->item < TILE_ROWS && own_row < KEY_DIM;
  global float *du_place = du_partial + du_partial_at + (p->unit.number * p->heads + p->head) * KEY_DIM + own_row;
  float du = owns_du && continued ? *du_place : 0.0f;

  for (index_t span = (end + SPAN - 1) / SPAN - 1; span * SPAN >= first_step; span--) {
    const index_t begin = span * SPAN;
    const int steps = (int)min((index_t)SPAN, end - begin);
    const int chunks = (steps + CHUNK - 1) / CHUNK;
    state_t state, before[CHUNKS];
    if (span == 0)
      load_state(&state, start + start_at + state_at(p, outside), p, start != 0);
    else
      load_state(&state, checkpoints + checkpoints_at + state_at(p, p->unit.first_checkpoint + span - 1), p, true);
    rebuild_span(before, &state, tiles, in, p, begin, chunks);
    for (int m = chunks - 1; m >= 0; m--) {
      state = before[m];
      du += retreat_chunk(&state, &gradient, out, tiles, in, p, begin + m * CHUNK, min(CHUNK, steps - m * CHUNK), u_row);
    }
  }

  if (active && first_step > 0) store_state(&gradient, carry + carry_at + state_at(p, p->unit.carry), p);
  if (owns_du) *du_place = du;
}
