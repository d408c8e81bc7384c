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

#include "chunk_backward_tiles.h"
#include "sum_du.h"

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
  UNROLL for (int i = 0; i < ROWS; i++) {
    const float keep = tiles->keep[p->tile_row + i], change = tiles->change[p->tile_row + i];
    UNROLL for (int q = 0; q < QUADS; q++) state->at[i][q] = keep * state->at[i][q] + change * state->at[i][q];
  }
  UNROLL_4 for (int t = 0; t < CHUNK; t++) {
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

/* Partial sums of S_b do_t and G_c v_t of one token. */
static inline void multiply_token(const state_t *state, const state_t *gradient, const tiles_t *tiles, const place_t *p, int t,
                                  local float *part) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    part[i] = dot_row(state, i, tiles->dout + t * VALUE_STRIDE, p);
    part[LANES * LANE_STRIDE + i] = dot_row(gradient, i, tiles->v + t * VALUE_STRIDE, p);
  }
}

/*
 * A round's sums of partial products become the last ROUND elements of z, and what was there moves down. So z keeps its place
 * in registers although the rounds are a loop, whose code would not fit an instruction cache if it were written out.
 */
static inline void push_sums(float *z, const tiles_t *tiles, const place_t *p) {
  UNROLL for (int t = 0; t < PADDED_CHUNK - ROUND; t++) z[t] = z[t + ROUND];
  UNROLL for (int t = 0; t < ROUND; t++) {
    local const float *part = tiles->scratch + (2 * t + p->side) * LANES * LANE_STRIDE + p->side_row;
    float sum = 0.0f;
    UNROLL for (int lane = 0; lane < LANES; lane++) sum += part[lane * LANE_STRIDE];
    z[PADDED_CHUNK - ROUND + t] = sum;
  }
}

/*
 * The parts of <S_b, G_c>, and z: the S_b do_t of a row in a work-item of half 0, the G_c v_t of a row in one of half 1, ROUND
 * tokens at a time through scratch. Ends with a barrier.
 */
static inline void multiply_states(float *z, const state_t *state, const state_t *gradient, const tiles_t *tiles,
                                   const place_t *p) {
  UNROLL for (int i = 0; i < ROWS; i++) {
    float4 sum = (float4)(0.0f);
    UNROLL for (int q = 0; q < QUADS; q++) sum += state->at[i][q] * gradient->at[i][q];
    tiles->state_gradient[p->lane * TILE_ROWS + p->tile_row + i] = sum4(sum);
  }
  /* Of elements that are undefined here NVIDIA's assembler (CUDA 13.0, seen on sm_90) makes copies of the newest sum where only
   * some work-items push: the sums of all rounds but the last two get lost. */
  UNROLL for (int t = 0; t < PADDED_CHUNK; t++) z[t] = 0.0f;
  ROLL for (int first = 0; first < CHUNK; first += ROUND) {
    UNROLL_4 for (int t = 0; t < ROUND; t++) {
      if (CHUNK == PADDED_CHUNK || first + t < CHUNK)
        multiply_token(state, gradient, tiles, p, first + t,
                       tiles->scratch + (2 * t * LANES + p->lane) * LANE_STRIDE + p->tile_row);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (p->side < 2) push_sums(z, tiles, p);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

/* Of a row: x_t from S_b do_t, r~ and D, and the first two parts of dw. */
static inline void finish_x(float *x, const tiles_t *tiles, int row) {
  local float *r_decayed = tiles->scratch, *dw = tiles->scratch + CHUNK * TILE_ROWS;
  float product = 1.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    x[t] *= product;
    r_decayed[t * TILE_ROWS + row] = tiles->r[t * TILE_ROWS + row] * product;
    product *= tiles->d[t * TILE_ROWS + row];
  }
  finish_decay(tiles, row, product);
  float later = 0.0f;
  UNROLL for (int lane = 0; lane < LANES; lane++) later += tiles->state_gradient[lane * TILE_ROWS + row];
  later *= product;
  UNROLL for (int t = CHUNK - 1; t >= 0; t--) {
    dw[t * TILE_ROWS + row] = later;
    later += tiles->r[t * TILE_ROWS + row] * x[t];
  }
}

/* dr_t = x_t + u k_t M_tt + sum_{j<t} M_tj k_j prod(j+1..t-1): `inner` holds that sum for every later token. */
static inline void add_earlier(float *x, const tiles_t *tiles, int row, float u) {
  float inner[CHUNK];
  UNROLL for (int i = 0; i < CHUNK; i++) inner[i] = 0.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    const float k_t = tiles->k[t * TILE_ROWS + row], d_t = tiles->d[t * TILE_ROWS + row];
    x[t] += inner[t] + u * k_t * tiles->M[ENTRY(t, t)];
    UNROLL for (int i = t + 1; i < CHUNK; i++) inner[i] = d_t * inner[i] + tiles->M[ENTRY(i, t)] * k_t;
  }
}

/* Of a row: y_t from G_c v_t, and the third part of dw. */
static inline void finish_y(float *y, float *dw, const tiles_t *tiles, int row) {
  float product = 1.0f, earlier = 0.0f;
  UNROLL for (int t = CHUNK - 1; t >= 0; t--) {
    y[t] *= product;
    product *= tiles->d[t * TILE_ROWS + row];
  }
  UNROLL for (int t = 0; t < CHUNK; t++) {
    dw[t] = earlier;
    earlier += tiles->k[t * TILE_ROWS + row] * y[t];
  }
}

/* The pairs (i, j), i > j: their part of dk_j, and, as a suffix sum over i, the fourth part of dw. */
static inline void add_later(float *y, float *dw, const tiles_t *tiles, int row) {
  float r[CHUNK], d[CHUNK];
  UNROLL for (int t = 0; t < CHUNK; t++) {
    r[t] = tiles->r[t * TILE_ROWS + row];
    d[t] = tiles->d[t * TILE_ROWS + row];
  }
  UNROLL for (int j = 0; j < CHUNK; j++) {
    const float k_j = tiles->k[j * TILE_ROWS + row];
    float decayed[CHUNK]; /* r_i prod(j+1..i-1) */
    float product = 1.0f, later = 0.0f;
    UNROLL for (int i = j + 1; i < CHUNK; i++) {
      decayed[i] = r[i] * product;
      product *= d[i];
    }
    UNROLL for (int i = CHUNK - 1; i > j; i--) {
      later += decayed[i] * tiles->M[ENTRY(i, j)];
      if (i > j + 1) dw[i - 1] += k_j * later;
    }
    y[j] += later;
  }
}

/* dk_t and du get the token's own pair; returns the chunk's part of du. */
static inline float add_own(float *y, const tiles_t *tiles, int row, float u) {
  float du = 0.0f;
  UNROLL for (int t = 0; t < CHUNK; t++) {
    const float r_m = tiles->r[t * TILE_ROWS + row] * tiles->M[ENTRY(t, t)];
    y[t] += u * r_m;
    du += r_m * tiles->k[t * TILE_ROWS + row];
  }
  return du;
}

typedef struct outputs_t {
  global dtype_t *dr, *dk;
  global w_dtype_t *dw;
  layout_t dr_at, dk_at, dw_at;
} outputs_t;

static inline void write_tokens(global dtype_t *to, index_t stride, const float *z, int count) {
  UNROLL for (int t = 0; t < CHUNK; t++) {
    if (t < count) store_d(to, z[t]);
    to += stride;
  }
}

/* One row of dr or dk. */
static inline void write_row(global dtype_t *to, layout_t at, const float *z, const place_t *p, index_t step, int count) {
  walk_t walk;
  find_walk(&walk, at, &p->unit, p->head, step, p->reverse);
  to += walk.first + p->first_row + p->side_row;
  if (USUAL(count == CHUNK))
    write_tokens(to, walk.stride, z, CHUNK);
  else
    write_tokens(to, walk.stride, z, count);
}

/* dw from the first two parts, in scratch, and the last two, in the tile of v: each token of a row by another work-item. */
static inline void write_dw(const outputs_t *out, const inputs_t *in, const tiles_t *tiles, const place_t *p, index_t step,
                            int count) {
  const int t_first = p->item / TILE_ROWS;
  walk_t from;
  find_walk(&from, in->w_at, &p->unit, p->head, step + t_first, p->reverse);
  walk_t to;
  find_walk(&to, out->dw_at, &p->unit, p->head, step + t_first, p->reverse);
  global const w_dtype_t *w = in->w + from.first + p->first_row + p->side_row;
  global w_dtype_t *dw = out->dw + to.first + p->first_row + p->side_row;
  UNROLL_4 for (int n = 0; n < KEY_TOKENS; n++) {
    const int t = t_first + n * KEYS_DOWN, at = t * TILE_ROWS + p->side_row;
    if (t < count) {
      const float log_gradient = tiles->scratch[CHUNK * TILE_ROWS + at] + tiles->v[at];
      store_w(dw, decay_gradient(load_w(w), tiles->d[at], log_gradient));
    }
    w += KEYS_DOWN * from.stride;
    dw += KEYS_DOWN * to.stride;
  }
}

/* S_b of each chunk of a span, from the state before the span. Too many for registers: `before` lies in private memory. */
static inline void rebuild_span(state_t *before, state_t *state, const tiles_t *tiles, const inputs_t *in, const place_t *p,
                                index_t begin, int chunks) {
  for (int m = 0; m < chunks - 1; m++) {
    before[m] = *state;
    load_chunk(tiles, in, p, begin + m * CHUNK, CHUNK, false);
    decay_keys(tiles, p);
    barrier(CLK_LOCAL_MEM_FENCE);
    update_state(state, tiles, tiles->k, tiles->v, p);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  before[chunks - 1] = *state;
}

/*
 * One chunk: writes its dr, dk, dw and takes G from its end to its beginning. Half 0 of the work-items finishes dr, half 1 dk
 * and dw, a row each. Returns the chunk's part of du in half 1.
 */
static inline float retreat_chunk(const state_t *state, state_t *gradient, const outputs_t *out, const tiles_t *tiles,
                                  const inputs_t *in, const place_t *p, index_t step, int count, float u) {
  float z[PADDED_CHUNK], dw[CHUNK], du = 0.0f;
  const bool real_row = p->first_row + p->side_row < KEY_DIM;
  load_chunk(tiles, in, p, step, count, true);
  sum_triangle(tiles, p);
  multiply_states(z, state, gradient, tiles, p);
  if (p->side == 0) {
    finish_x(z, tiles, p->side_row);
    add_earlier(z, tiles, p->side_row, u);
    if (real_row) write_row(out->dr, out->dr_at, z, p, step, count);
  } else if (p->side == 1) {
    finish_y(z, dw, tiles, p->side_row);
    add_later(z, dw, tiles, p->side_row);
    du = add_own(z, tiles, p->side_row, u);
    UNROLL for (int t = 0; t < CHUNK; t++) tiles->v[t * TILE_ROWS + p->side_row] = dw[t];
    if (real_row) write_row(out->dk, out->dk_at, z, p, step, count);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (real_row) write_dw(out, in, tiles, p, step, count);
  update_state(gradient, tiles, tiles->scratch, tiles->dout, p);
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
  local float v_tile[CHUNK * LARGER(VALUE_STRIDE, TILE_ROWS)] __attribute__((aligned(16)));
  local float do_tile[CHUNK * VALUE_STRIDE] __attribute__((aligned(16)));
  local float state_gradient[LANES * TILE_ROWS] __attribute__((aligned(16)));
  local float log_sum[KEYS_DOWN * TILE_ROWS];
  local float keep[TILE_ROWS];
  local float change[TILE_ROWS];
  local float M_tile[TRIANGLE] __attribute__((aligned(16)));
  local float scratch[SCRATCH] __attribute__((aligned(16)));
  const tiles_t tiles[1] = {{r_tile, k_tile, d_tile, v_tile, do_tile, state_gradient, log_sum, keep, change, M_tile, scratch}};
  const inputs_t in[1] = {{r, k, v, dout, w, r_at, k_at, v_at, do_at, w_at, scale}};
  const outputs_t out[1] = {{dr, dk, dw, dr_at, dk_at, dw_at}};

  place_t p[1];
  find_place(p, units, batch, first_group);
  const index_t end = min(p->unit.length, (index_t)last_step);
  const bool active = first_step == 0 || first_step < p->unit.length; /* else its steps all belong to later launches */
  const bool continued = last_step < p->unit.length;                  /* a launch before this one had the later steps */
  const index_t outside = by_unit ? p->unit.number : p->unit.sequence;
  const int own_row = p->first_row + p->side_row;
  const float u_row = own_row < KEY_DIM ? u[u_at + p->head * KEY_DIM + own_row] : 0.0f;

  state_t gradient;
  if (continued)
    load_state(&gradient, carry + carry_at + state_at(p, p->unit.carry), p, true);
  else
    load_state(&gradient, end_gradient + end_gradient_at + state_at(p, outside), p, active && end_gradient != 0);
  /* It goes on from an earlier launch: the same order of sums. */
  const bool owns_du = active && p->side == 1 && own_row < KEY_DIM;
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
