#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
planted_faults.py TOOL KERNELS [--device NAME] [--only TEXT]

The checker is checked: each fault below is planted alone into a copy of the kernels, and `rwkv6 conform` has to fail on it with the
one case that should catch it. The same case passes on the kernels as they are.

A fault replaces a piece of text that has to be there exactly once, in the kernel files whose names begin with what the fault
says: whoever rewrites that piece rewrites the fault with it. A missing barrier does no harm on every device, so those are planted
under Oclgrind, which runs one work-item after the other from barrier to barrier. The kernels for matrix units run on the emulation of
their engine. Those of the kernels chunk_*_pairs are in pairs_faults.py.

Exit status: 0 all caught, 1 not, 77 no OpenCL device. Without Oclgrind its faults are left out, unless RWKV6_TEST_REQUIRE names it.
"""
import argparse
import concurrent.futures
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pairs_faults

# Cases are as small as a fault allows; faults of an operation share theirs, so that they differ in nothing but the kernel.
BASE = "n=3 ragged=1 t=70 h=2 k=8 v=12 "
LOG = BASE + "seed=6"
RAW = BASE + "decay=raw dist=resets seed=6"
STRONG = BASE + "dist=strong seed=6"
BF16 = BASE + "dtype=bf16 w=bf16 seed=6"
FP16 = BASE + "dtype=fp16 w=fp32 seed=6"
REVERSE = BASE + "reverse=1 strides=padded seed=6"
SEGMENTS = "n=2 t=300 h=1 k=8 v=12 segment=64 dist=slow seed=6"
NINE_UNITS = "n=2 h=1 k=8 v=12 segment=64 dist=slow seed=6 t=1152"
TEN_UNITS_BACK = "n=2 h=1 k=8 v=12 segment=64 dist=slow seed=6 t=2560"
LAUNCHES = "n=1 t=600 h=1 k=8 v=12 seed=6"
LARGE = "n=1 t=1500 h=64 k=1 v=12 seed=6"
POOL = "n=7 ragged=1 t=20 h=2 k=8 v=12 seed=7"
ONLY_DFINAL = "n=1 t=40 h=1 k=8 v=12 optional=4 dist=weak seed=6"

# What conform says, besides status 2, where a device has too little local memory for a case.
LEFT_OUT = "no variant takes what was asked for"

BARRIER = "barrier(CLK_LOCAL_MEM_FENCE);"
ENGINE_BARRIER = "engine_barrier();"

# (what is wrong, file or the beginning of its name, text, what is put in its place, operation, case)
FAULTS = [
    # storage and offsets
    ("bf16 truncated instead of rounded", "storage.h", "(bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16", "bits >> 16",
     "recurrent_forward", BF16),
    ("fp16 rounded towards zero", "storage.h", "vstore_half_rte(", "vstore_half_rtz(",
     "recurrent_forward", FP16),
    ("offsets narrowed to 20 bits", "storage.h", "return layout.s0 + token * layout.s1 + head * layout.s2;",
     "return (layout.s0 + token * layout.s1 + head * layout.s2) & 0xfffff;", "recurrent_forward", LARGE),
    ("offset of the tensor in its buffer left out", "storage.h", "return layout.s0 + token", "return token", "recurrent_forward", LOG),
    ("stride of heads taken for packed", "storage.h", "head * layout.s2", "head * KEY_DIM", "recurrent_forward", REVERSE),
    # decay
    ("decay clamped", "decay.h", "return factor < 0x1p-100f ? 0.0f : factor;", "return max(factor, 1e-3f);", "chunk_forward", STRONG),
    ("raw decay read as a log", "decay.h", "return -exp(w);", "return -w;", "chunk_forward", RAW),
    ("dw of raw decays without the inner derivative", "decay.h", "factor == 0.0f ? 0.0f : -exp(w) * log_gradient",
     "factor == 0.0f ? 0.0f : -log_gradient", "recurrent_backward", RAW),
    ("NaN in dw of a reset", "decay.h", "factor == 0.0f ? 0.0f : -exp(w) * log_gradient", "-exp(w) * log_gradient",
     "recurrent_backward", RAW),
    # units
    ("direction ignored", "unit.h", "(backward_in_time ? unit->length - 1 - step : step)", "step", "recurrent_forward", REVERSE),
    ("reverse off by one token", "unit.h", "unit->length - 1 - step", "unit->length - step", "recurrent_forward", REVERSE),
    ("units in each other's turns", "unit.h", "table[turn].s3 >> 2", "table[turn].s3 >> 3", "recurrent_forward", LOG),
    ("slot -1 taken for slot 0", "unit.h", "(uint)slots[slots_at + unit->sequence]", "(uint)max(slots[slots_at + unit->sequence], 0)",
     "recurrent_forward", POOL),
    ("states of a pool by sequence, not by slot", "unit.h", "(index_t)slot : unit->sequence", "unit->sequence : unit->sequence",
     "chunk_forward", POOL),
    # recurrent forward
    ("scale missing", "recurrent_forward", "out_scale * sum_parts(", "sum_parts(", "recurrent_forward", LOG),
    ("u of another channel", "recurrent_forward", "* u[c];", "* u[0];", "recurrent_forward", LOG),
    ("decay applied twice", "recurrent_forward", "tiles->d[row + i] * state[i]", "tiles->d[row + i] * tiles->d[row + i] * state[i]",
     "recurrent_forward", LOG),
    ("tail of the last block not cut, so that guards are touched", "recurrent_forward",
     "const int count = (int)min((index_t)BLOCK, end - step);", "const int count = BLOCK;", "recurrent_forward", LOG),
    ("last token of a block left out", "recurrent_forward", "const int count = (int)min((index_t)BLOCK, end - step);",
     "const int count = (int)min((index_t)BLOCK, end - step) - 1;", "recurrent_forward", LOG),
    ("initial state ignored", "recurrent_forward", "first_step == 0 && initial)", "first_step == 0 && false)", "recurrent_forward",
     LOG),
    ("state not handed on to the next launch", "recurrent_forward", "if (end < unit->length) carry[", "if (false) carry[",
     "recurrent_forward", LAUNCHES),
    # recurrent backward
    ("gradient of the final state ignored", "recurrent_backward", "active && dfinal != 0", "false", "recurrent_backward", ONLY_DFINAL),
    ("dw without the last token", "recurrent_backward", "store_w(out->dw", "if (step + t + 1 < p->unit.length) store_w(out->dw",
     "recurrent_backward", LOG),
    ("dw without the decay factor", "recurrent_backward", "tiles->d[i] * sum_lanes(", "sum_lanes(", "recurrent_backward", LOG),
    ("dk without the bonus u", "recurrent_backward", "+ u[row] * vd * r_t", "", "recurrent_backward", LOG),
    ("du of the last block only", "recurrent_backward", "du_sum += block_sum;", "du_sum = block_sum;", "recurrent_backward", LOG),
    ("du without the first sequence", "sum_du.h", "for (index_t n = 0;", "for (index_t n = 1;", "recurrent_backward", LOG),
    # chunk forward
    ("u left out of the diagonal", "chunk_forward", "dot(r[other * (KEY_STRIDE / 4) + quad] * u[quad],",
     "dot(r[other * (KEY_STRIDE / 4) + quad],", "chunk_forward", LOG),
    ("decay of the token itself in its pairs", "chunk_forward", "dot(r[row + quad], decayed[m]);",
     "dot(r[row + quad], decayed[m] * d[row + quad]);", "chunk_forward", LOG),
    ("r one decay too far", "chunk_forward", "float before = 1.0f,", "float before = tiles->d[c],", "chunk_forward", LOG),
    ("k one decay too far", "chunk_forward", "float after = 1.0f;", "float after = 0.5f;", "chunk_forward", LOG),
    ("steps beyond the last decay the state", "chunk_forward", "tiles->d[at] = present ? decay_factor(w_t) : 1.0f;",
     "tiles->d[at] = decay_factor(w_t);", "chunk_forward", RAW),
    ("segments joined with the decay of channel 0", "chunk_scan.h", "+ unit_head * KEY_DIM + row;", "+ unit_head * KEY_DIM;",
     "chunk_forward", SEGMENTS),
    ("units beyond a batch of the scan lost", "chunk_scan.h", "if (left < SCAN_BATCH) break;", "break;", "chunk_forward", NINE_UNITS),
    ("first unit of the second batch lost", "chunk_scan.h", "if (left < SCAN_BATCH) break;", "if (left <= SCAN_BATCH) break;",
     "chunk_forward", NINE_UNITS),
    ("second batch begins a unit late", "chunk_scan.h", "sum += SCAN_BATCH * to_next", "sum += (SCAN_BATCH + 1) * to_next",
     "chunk_forward", NINE_UNITS),
    ("decays of the first batch in the second", "chunk_scan.h", ", decay += SCAN_BATCH * to_next * KEY_DIM;", ";", "chunk_backward",
     TEN_UNITS_BACK),
    ("scan goes beyond the last unit", "chunk_scan.h", "if (i <= left) sum[", "sum[", "chunk_forward", SEGMENTS),
    ("scale missing in chunks", "chunk_forward", "out_scale * sum)", "sum)", "chunk_forward", LOG),
    ("dv without scale", "chunk_forward", "in->in_scale * widen_d", "widen_d", "chunk_backward", LOG),
    # chunk backward
    ("dw without its first part, the states", "chunk_backward", "later *= product;", "later *= 0.0f;", "chunk_backward", LOG),
    ("dw without its second part, r x", "chunk_backward", "later += tiles->r[t * TILE_ROWS + row] * x[t];", "", "chunk_backward", LOG),
    ("dw without its third part, k y", "chunk_backward", "earlier += tiles->k[t * TILE_ROWS + row] * y[t];", "", "chunk_backward", LOG),
    ("dw without its fourth part, the pairs", "chunk_backward", "dw[i - 1] += k_j * later;", ";", "chunk_backward", LOG),
    ("dk without the pairs", "chunk_backward", "y[j] += later;", "", "chunk_backward", LOG),
    ("dr without the bonus u", "chunk_backward", "+ u * k_t * tiles->M[ENTRY(t, t)]", "", "chunk_backward", LOG),
    ("gradient of the final state ignored in chunks", "chunk_backward", "active && end_gradient != 0", "false", "chunk_backward",
     ONLY_DFINAL),
    ("du lost between launches", "chunk_backward", "owns_du && continued ? *du_place : 0.0f", "0.0f", "chunk_backward", LAUNCHES),
]

OUTPUT = "out_scale * sum_parts(tiles, t, c, v_t));"
STORED = "if (end == unit->length && final) final[final_at + state_at + i * VALUE_DIM] = state[i];"


def wrong_output(where):
    """Outputs that differ in the last bits, which no tolerance sees, where this holds."""
    return OUTPUT[:-2] + f" * ({where} ? 1.0f + 0x1p-22f : 1.0f));"


# One fault for each check of its own, most too small for any other: (as above, and what the check has to say).
CHECKS = [
    ("heads differ", "recurrent_forward", OUTPUT, wrong_output("head == 0"), "recurrent_forward", LOG, "heads in another order"),
    ("sequences differ", "recurrent_forward", OUTPUT, wrong_output("unit->sequence == 1"), "recurrent_forward", LOG,
     "sequences in another order"),
    ("directions differ", "recurrent_forward", OUTPUT, wrong_output("reverse"), "recurrent_forward", LOG,
     "flipped in the other direction"),
    ("batches differ from single sequences", "recurrent_forward", OUTPUT, wrong_output("units"), "recurrent_forward", LOG,
     "alone instead of batched"),
    ("later launches differ", "recurrent_forward", OUTPUT, wrong_output("first_step > 0"), "recurrent_forward", LAUNCHES,
     "split over launches"),
    ("large outputs differ", "recurrent_forward", OUTPUT, wrong_output("fabs(sum_parts(tiles, t, c, v_t)) > 1.0f"), "recurrent_forward",
     LOG, "v and initial_state doubled"),
    ("not linear in v", "recurrent_forward", OUTPUT, OUTPUT[:-2] + " * (v_t == 0.0f ? 1.01f : 1.0f));", "recurrent_forward", LOG,
     "v alone + initial_state alone"),
    ("final states of short sequences differ", "recurrent_forward", STORED,
     STORED[:-9] + "unit->length > 0 && unit->length < 20 ? 1.001f * state[i] : state[i];", "recurrent_forward", LOG, "split in two"),
    ("initial state ignored in place", "recurrent_forward", "    state[i] = 0.0f;\n",
     "    state[i] = 0.0f;\n    if (mine && first_step == 0 && final && (global const float *)final == initial) continue;\n",
     "recurrent_forward", LOG, "in place"),
    ("guard touched in runs with a pool only", "recurrent_forward", STORED,
     STORED + "\n    if (slots && item == 0 && i == 0) o[row_at(o_at, 0, 0) - 3] = 0;", "recurrent_forward", POOL, "o with a pool"),
    ("chunk mode differs", "chunk_forward", "out_scale * sum)", "1.001f * out_scale * sum)", "forward", LOG,
     "chunk portable against recurrent portable"),
    ("a row behind the end of the workspace", "recurrent_backward", "  if (owns_du) *du_place = du_sum;",
     "  if (owns_du) *du_place = du_sum;\n  if (owns_du && p->unit.number == 2) du_place[BATCH_HEADS(batch) * KEY_DIM] = 1.0f;",
     "recurrent_backward", LOG, "workspace: guard written"),
]

# Kernels for matrix units, on the emulated engine. It takes any device long to compile, so all cases of a storage type have one
# program: with raw decays, where a step beyond the last one would decay the state, and with channels left over everywhere.
UNITS = "n=2 ragged=1 t=70 h=2 k=48 v=48 decay=raw seed=6 "
FACTORED = UNITS + "dtype=bf16 w=bf16"
TREE = FACTORED + " dist=resets"
SPLIT = UNITS + "dtype=fp32 w=fp32"
HANDED_ON = "n=1 h=1 k=48 v=48 decay=raw dist=slow seed=6 "
MATRIX_SEGMENTS = HANDED_ON + "t=300 segment=128 dtype=bf16 w=bf16"
SPLIT_SEGMENTS = HANDED_ON + "t=300 segment=128 dtype=fp32 w=fp32"
BACKWARD_SEGMENTS = HANDED_ON + "t=520 segment=256 dtype=bf16 w=bf16"

FAULTS += [
    # lanes of the engine
    ("quarters of operand A exchanged", "engine_emulated", "tile[(e->row + (i & 1) * 8) * stride + e->pair + (i >> 1) * 4]",
     "tile[(e->row + (i >> 1) * 8) * stride + e->pair + (i & 1) * 4]", "chunk_forward", FACTORED),
    ("rows and columns of operand B exchanged", "engine_emulated", "tile[e->row * stride + e->pair + i * 4]",
     "tile[(e->pair + (i & 1) * 4) * stride + e->row + (i & 2) * 4]", "chunk_forward", FACTORED),
    ("quarters of v exchanged", "engine_emulated", "(2 * e->pair + (i >> 1) * 8) * stride + e->row + (i & 1) * 8",
     "(2 * e->pair + (i & 1) * 8) * stride + e->row + (i >> 1) * 8", "chunk_forward", FACTORED),
    ("low part of operand A dropped", "chunk_matrix", "engine_multiply(c, a->low, b->high[i], b->high[i + 1], &p->engine);", "",
     "chunk_forward", SPLIT),
    ("low part of operand B dropped", "chunk_matrix", "engine_multiply(c, a->high, b->low[i], b->low[i + 1], &p->engine);", "",
     "chunk_forward", SPLIT),
    # tasks
    ("step beyond the last decays the state in matrix units", "chunk_matrix", "x->d[t] = t < x->present ?",
     "x->d[t] = t <= x->present ?", "chunk_forward", FACTORED),
    ("every decay taken for moderate, so that quotients overflow", "chunk_matrix", "#define MODERATE 0x1p-60f",
     "#define MODERATE 0.0f", "chunk_forward", TREE),
    ("tokens see later ones, factored", "chunk_matrix", "= i > j ? A", "= i != j ? A", "chunk_forward", FACTORED),
    ("u left out of the diagonal of the tree", "chunk_matrix", "t, x, x->u * k[t]);", "t, x, k[t]);", "chunk_forward", TREE),
    ("three blocks of 64 key channels counted in powers of 2", "chunk_matrix", "(int)((uint)task % BLOCKS)", "task & (BLOCKS - 1)", "chunk_forward",
     "n=1 h=1 k=176 v=16 t=40 dtype=bf16 w=bf16 seed=6"),
    ("rows of three blocks copied as if there were four", "chunk_matrix", "if (width == 192 && c >= width) return;", "", "chunk_forward",
     "n=1 h=1 k=176 v=16 t=40 dtype=bf16 w=bf16 seed=6"),
    ("blocks joined by the wrong half", "chunk_matrix", "k[t] *= d[t / size + 1];", "k[t] *= d[t / size];", "chunk_forward", TREE),
    ("scale left out of k, which is r in dv", "chunk_matrix", "return x->in_scale * widen", "return widen", "chunk_backward", FACTORED),
    # chunks
    ("v of the next chunk over that of this one", "chunk_forward_matrix", "step + CHUNK, end, half_of_v ^ 1, true);",
     "step + CHUNK, end, half_of_v, true);", "chunk_forward", FACTORED),
    ("state stored in the order of accumulators", "chunk_matrix", "to[element_at(p, n, q)] =", "to[element_at(p, n, q ^ 1)] =",
     "chunk_forward", FACTORED),
    ("decays of segments in the order of accumulators", "chunk_states_matrix", "decay_row[state_channel(i)] = decay_tile[i];",
     "decay_row[i] = decay_tile[i];", "chunk_forward", MATRIX_SEGMENTS),
    ("decays of segments lost between launches", "chunk_states_matrix",
     "decays && active && first_step > 0 ? decay_row[state_channel(i)] : 1.0f", "1.0f", "chunk_forward", MATRIX_SEGMENTS),
    ("low part of the decays of segments dropped", "chunk_states_matrix",
     "(SPLIT ? change[SPLIT ? sub * KEY_ROW + i : 0] * decay_tile[i] : 0.0f)", "0.0f", "chunk_forward", SPLIT_SEGMENTS),
    ("gradient of the initial state from the last segment", "chunk_forward_matrix", "dual ? p->unit.first : p->unit.last", "p->unit.last",
     "chunk_backward", BACKWARD_SEGMENTS),
    ("tail of outputs not cut", "chunk_forward_matrix", "if (t < count) {", "if (t <= count) {", "chunk_forward", FACTORED),
]

# Products of 128 work-items, on the emulation of their engine: chunks with quotients, and, where decays are too strong, without.
GROUPS = "n=2 t=131 h=2 k=64 v=64 dtype=bf16 w=bf16 seed=7 "
QUOTIENTS = GROUPS + "dist=ordinary"
EXACT = GROUPS + "dist=strong"
BY_TURNS = "n=2 t=300 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=rare seed=7"
ALIGNED = QUOTIENTS + " memory=host"
RAW_LOGS = GROUPS + "decay=raw dist=ordinary"
RELAXED = QUOTIENTS + " precision=relaxed"
GROUPS_SEGMENTS = "n=1 t=300 h=1 k=64 v=64 dtype=bf16 w=bf16 dist=slow segment=128 seed=7"
GROUPS_JOINED = GROUPS_SEGMENTS.replace("h=1", "h=2") + " optional=1"
GROUPS_LAUNCHES = "n=1 t=520 h=1 k=64 v=64 dtype=bf16 w=bf16 dist=slow seed=7"
TWO_TILES = "n=1 t=70 h=2 k=64 v=128 dtype=bf16 w=bf16 seed=7 dist=ordinary"
TWO_TILES_SEGMENTS = "n=1 t=512 h=1 k=64 v=128 dtype=bf16 w=bf16 dist=slow segment=128 seed=7"
RESET_SEGMENTS = "n=1 t=300 h=1 k=64 v=64 dtype=bf16 w=bf16 dist=resets segment=128 seed=7"

FAULTS += [
    ("halves of operand A of a group exchanged", "engine_hopper_emulated", "+ upper + 2 * ENGINE_REGISTER(i)]",
     "+ (upper ^ 1) + 2 * ENGINE_REGISTER(i)]", "chunk_forward", QUOTIENTS),
    ("u left out of the diagonal of a group", "chunk_forward_group", "u.x * low(k->at[h][n])", "low(k->at[h][n])", "chunk_forward", QUOTIENTS),
    ("tokens see later ones in a group", "chunk_group_mask", "beyond > 0 ? 0.0f :", "beyond > 0 ? A[4 * n + q] :",
     "chunk_forward", QUOTIENTS),
    ("decays of a chunk's first half taken for those of its second", "chunk_forward_group",
     "x->state.late[0] = late[0], x->state.late[1] = late[1];", "x->state.late[0] = early[0], x->state.late[1] = early[1];",
     "chunk_forward", QUOTIENTS),
    ("lower part of keys dropped", "chunk_group_shown",
     "engine_group_multiply_tiles(x->at[j], tiles->base, lower, tiles->all, v, step, 1, &p->engine);", "", "chunk_forward", QUOTIENTS),
    ("lower part of pairs dropped", "chunk_forward_group",
     "if (A_NUMBERS > 1) engine_group_multiply(", "if (false) engine_group_multiply(", "chunk_forward", QUOTIENTS),
    ("relaxed pairs cut off", "chunk_forward_group", "x->upper[h][n] = engine_pack_bf16(", "x->upper[h][n] = engine_pack_upper(",
     "chunk_forward", RELAXED),
    ("tail of a group's outputs not cut", "chunk_forward_group", "< count) *number =", "<= count) *number =", "chunk_forward", QUOTIENTS),
    ("tail of a group's aligned outputs not cut", "chunk_forward_group", "if (first_token(p) + 4 * i < count) *",
     "if (first_token(p) + 4 * i <= count) *", "chunk_forward", ALIGNED),
    ("aligned rows beyond the last token copied", "chunk_group_walk", "first_token(p) + 4 * i < count);", "true);", "chunk_forward",
     ALIGNED),
    ("rows that are not aligned copied beyond the last token", "chunk_group_walk", "first_token(p) + 4 * (i / 8) < count ?",
     "first_token(p) + 4 * (i / 8) <= count ?", "chunk_forward", QUOTIENTS),
    ("strong decays divided by", "chunk_group_place", "#define MODERATE -25.0f", "#define MODERATE -3e38f", "chunk_forward", EXACT),
    ("decays of 16 tokens left out between sub-groups", "chunk_group_exact",
     "decay_tokens(&since_middle, r, decay);", "", "chunk_forward", EXACT),
    ("keys of the first sub-group without the second's decays", "chunk_group_exact", "find_decays_between(decay, tiles, 1, 1, p);",
     "find_decays_between(decay, tiles, 1, 0, p);", "chunk_forward", EXACT),
    ("keys of the first sub-group in place of the second's", "chunk_group_exact", "(warp == 0 ? 3 * ROWS * 128 : 0)",
     "(warp == 0 ? 1 * ROWS * 128 : 0)", "chunk_forward", EXACT),
    ("blocks of a group joined by the wrong half", "chunk_group_tree", "engine_scale(r->at[n][q], beside, later);",
     "engine_scale(r->at[n][q], beside, !later);", "chunk_forward", EXACT),
    ("halves of 16 tokens joined without decays", "chunk_group_tree", "r->at[n][2 + q] *= w->at[n][q];", "", "chunk_forward", EXACT),
    ("pairs of larger blocks added early", "chunk_group_tree", "((i ^ j) & -size) == size", "((i ^ j) & -size) >= size",
     "chunk_forward", EXACT),
    ("keys without the decays of the next sub-group", "chunk_forward_group",
     "find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);", "find_decays_between(factors, tiles, p->engine.warp + 2, 3, p);",
     "chunk_forward", EXACT),
    ("r without the decays of the sub-group before", "chunk_forward_group",
     "find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);", "find_decays_between(factors, tiles, 0, p->engine.warp - 2, p);",
     "chunk_forward", EXACT),
    ("keys with their own sub-group's decays twice", "chunk_forward_group",
     "find_decays_between(factors, tiles, p->engine.warp + 1, 3, p);", "find_decays_between(factors, tiles, p->engine.warp, 3, p);",
     "chunk_forward", BY_TURNS),
    ("r with its own sub-group's decays twice", "chunk_forward_group",
     "find_decays_between(factors, tiles, 0, p->engine.warp - 1, p);", "find_decays_between(factors, tiles, 0, p->engine.warp, p);",
     "chunk_forward", BY_TURNS),
    ("state of an exact chunk without half of its decays", "chunk_forward_group", "early[h] *= late[h];", "", "chunk_forward", BY_TURNS),
    ("late decays applied once more after an exact chunk", "chunk_forward_group", "x->state.late[0] = x->state.late[1] = 1.0f;", "",
     "chunk_forward", BY_TURNS),
    ("late decays dropped before an exact chunk", "chunk_forward_group",
     "decay_state(&x->state, x->state.late);\n  show(x, tiles, n, p);", "show(x, tiles, n, p);", "chunk_forward", BY_TURNS),
    ("late decays dropped before the next chunk", "chunk_forward_group",
     "decay_state(&x->state, x->state.late);\n  decay_state(&x->state, early);", "decay_state(&x->state, early);", "chunk_forward",
     QUOTIENTS),
    ("late decays left out of a stored state", "chunk_group_state", "x->at[j][q] * x->late[q / 2 & 1];", "x->at[j][q];", "chunk_forward",
     GROUPS_SEGMENTS),
    ("series taken for decays far from 1", "chunk_group_place", "fabs(x[q]) < 0.125f", "fabs(x[q]) < 4.0f", "chunk_forward", GROUPS_SEGMENTS),
    ("state decayed by the channels of the first sub-group", "chunk_group_shown", "SUMS_STRIDE + 4 * p->engine.warp +", "SUMS_STRIDE +",
     "chunk_forward", GROUPS_SEGMENTS),
    ("second half of a chunk decayed by its first", "chunk_group_shown", "late[0] = x[2], late[1] = x[3];",
     "late[0] = x[0], late[1] = x[1];", "chunk_forward", GROUPS_SEGMENTS),
    ("raw logs rounded to bf16", "chunk_group_tiles", "(DIRECT_LOGS ? 1 : 3)", "1", "chunk_forward", RAW_LOGS),
    ("second tile of columns made of the first's v", "chunk_group_outputs", "v, v_at, BYTES, p, first_step, COLUMNS * p->tile);",
     "v, v_at, BYTES, p, first_step, 0);", "chunk_forward", TWO_TILES),
    ("state of a group not handed on to the next launch", "chunk_group_outputs", "first_step > 0 ? carried : from", "from", "chunk_forward",
     GROUPS_LAUNCHES),
    ("decays of segments left out by groups", "chunk_group_sums", "x->decay[h] *= D[h];", "", "chunk_forward", GROUPS_SEGMENTS),
    ("decays of later sub-groups left out of keys", "chunk_states_group", " + later[2 * n + (q & 1)]", "", "chunk_forward",
     GROUPS_SEGMENTS),
    ("decays of the next sub-group left out of keys", "chunk_states_group", "find_sums_between(later, tiles, p->engine.warp + 1, 3, p);",
     "find_sums_between(later, tiles, p->engine.warp + 2, 3, p);", "chunk_forward", GROUPS_SEGMENTS),
    ("sums before tokens taken for those after", "chunk_states_group", "store_ones(tiles, AFTER, ALL,", "store_ones(tiles, BEFORE, ALL,",
     "chunk_forward", GROUPS_SEGMENTS),
    ("decays of a chunk's second half left out of segments", "chunk_group_sums", "{early[0] * late[0], early[1] * late[1]}", "{early[0], early[1]}", "chunk_forward",
     GROUPS_SEGMENTS),
    ("decays of a segment stored in each other's rows", "chunk_group_state", "row[key_of(p, h)] = D[h];",
     "row[key_of(p, h ^ 1)] = D[h];", "chunk_forward", GROUPS_SEGMENTS),
    ("state of a segment lost from chunk to chunk", "chunk_group_sums", "decay_state(&x->state, D);",
     "const float none[2] = {0.0f, 0.0f};\n  decay_state(&x->state, none);", "chunk_forward", GROUPS_SEGMENTS),
    ("decays of segments lost between launches of groups", "chunk_group_states", "decay_row, p, active && first_step > 0);",
     "decay_row, p, false);",
     "chunk_forward", GROUPS_SEGMENTS),
    ("sums of segments lost between launches", "chunk_group_states", "sum, p, active && first_step > 0);", "sum, p, false);",
     "chunk_forward", GROUPS_SEGMENTS),
    ("second tile of a segment made of the first's v", "chunk_group_states", "first_step, COLUMNS * p->tile + 64 * p->part);",
     "first_step, 64 * p->part);", "chunk_forward", TWO_TILES_SEGMENTS),
    ("logarithms of resets summed as they are", "chunk_states_group", "sum_logs(&after, &all, true,", "sum_logs(&after, &all, false,",
     "chunk_forward", RESET_SEGMENTS),
]

# Two groups of 128 work-items, each with 64 of 128 key channels. On the emulation they keep step, so nothing is planted in what the real
# engine's groups do each at its own pace.
WIDE = "k=128 v=128 dtype=bf16 w=bf16 n=1 h=1 "
WIDE_QUOTIENTS = WIDE + "t=131 dist=ordinary seed=7"
WIDE_ALIGNED = WIDE_QUOTIENTS + " memory=host"
WIDE_REVERSE = WIDE_QUOTIENTS + " reverse=1 strides=padded"
WIDE_BY_TURNS = WIDE + "t=260 dist=rare seed=3"
WIDE_SEGMENTS = WIDE + "t=512 dist=slow segment=256 seed=7"
WIDE_ALIGNED_SEGMENTS = WIDE_SEGMENTS + " memory=host"


def of_first_group(program, tensor):
    """The second group's rows of a tensor are the first's."""
    name = tensor.lower()
    walk = f"WALK_{tensor}, tiles, {name}, {name}_at, {'W_' * (name == 'w')}BYTES, p, first_step, "
    return program, walk + "64 * p->part);", walk + "0);", "chunk_forward"


def rest_left_out(tensor, place):
    """Where a chunk is not whole though rows are aligned, its rows are those of a chunk before."""
    copy = f"copy_some_rows({place}, &x->walkers, WALK_{tensor},"
    return "chunk_forward_group", copy, "if (!p->whole) " + copy, "chunk_forward", WIDE_ALIGNED



FAULTS += [
    # channels of the second group
    ("u of the first group", "chunk_forward_group", "= u[64 * p->part + i]", "= u[i]", "chunk_forward",
     WIDE_QUOTIENTS),
    ("r of the first group", *of_first_group("chunk_group_outputs", "R"), WIDE_QUOTIENTS),
    ("k of the first group", *of_first_group("chunk_group_outputs", "K"), WIDE_QUOTIENTS),
    ("w of the first group", *of_first_group("chunk_group_outputs", "W"), WIDE_QUOTIENTS),
    ("k of the first group in segments", *of_first_group("chunk_group_states", "K"), WIDE_SEGMENTS),
    ("w of the first group in segments", *of_first_group("chunk_group_states", "W"), WIDE_SEGMENTS),
    ("state of the first group", "chunk_group_tiles", "return 64 * p->part + ROWS", "return ROWS", "chunk_forward", WIDE_QUOTIENTS),
    ("decays of segments of the first group in both rows", "chunk_group_state", "row[key_of(p, h)] = D[h];",
     "row[key_of(p, h) & 63] = D[h];", "chunk_forward", WIDE_SEGMENTS),
    ("two groups in one part of local memory", "chunk_group_tiles", "tiles->all + p->part * PART_BYTES;", "tiles->all;",
     "chunk_forward", WIDE_QUOTIENTS),
    ("operands of two groups exchanged in one place", "engine_hopper_emulated", "e->item = 128 * group + item;", "e->item = item;",
     "chunk_forward", WIDE_QUOTIENTS),
    # o of both
    ("share of the first group left out", "chunk_forward_group", "vload4(i, out[j]) + share : share", "vload4(i, out[j]) : share",
     "chunk_forward", WIDE_QUOTIENTS),
    ("half of a share given twice", "chunk_forward_group", "to[GROUP * (8 * j + i)] = vload4(i, out[j]);",
     "to[GROUP * (8 * j + i)] = vload4(i, out[0]);", "chunk_forward", WIDE_QUOTIENTS),
    ("share in the order of the other work-items' accumulators", "chunk_forward_group", "(tiles->all + AT_STATE) + p->item;",
     "(tiles->all + AT_STATE) + (p->part ? p->item ^ 1 : p->item);", "chunk_forward", WIDE_QUOTIENTS),
    ("outputs of the group that gives", "chunk_forward_group", "if (p->part != PARTS - 1) return;", "if (p->part != 0) return;",
     "chunk_forward", WIDE_QUOTIENTS),
    # value channels from 64 on
    ("second half of v made of the first in whole chunks", "chunk_forward_group", "&from, 128 * j, p,", "&from, 0, p,", "chunk_forward",
     WIDE_ALIGNED),
    ("second half of v made of the first in the rest", "chunk_forward_group", "WALK_V, 128 * j, tiles", "WALK_V, 0, tiles",
     "chunk_forward", WIDE_ALIGNED),
    ("second half of v made of the first in segments", "chunk_group_states", "COLUMNS * p->tile + 64 * p->part);",
     "COLUMNS * p->tile);", "chunk_forward", WIDE_SEGMENTS),
    ("halves of v in one tile in segments", "chunk_states_group", "copy_some_rows(tiles->all + offset_of_values(n, p->part),",
     "copy_some_rows(tiles->all + offset_of_values(n, 0),", "chunk_forward", WIDE_SEGMENTS),
    ("halves of aligned v in one tile in segments", "chunk_states_group", "WALK_V, tiles->all + offset_of_values(n, p->part),",
     "WALK_V, tiles->all + offset_of_values(n, 0),", "chunk_forward", WIDE_ALIGNED_SEGMENTS),
    ("pairs multiplied by the first half of v", "chunk_forward_group", "(out[j], x, tiles->all, offset_of_values(n, j)",
     "(out[j], x, tiles->all, offset_of_values(n, 0)", "chunk_forward", WIDE_QUOTIENTS),
    ("keys multiplied by the first half of v", "chunk_group_shown", "const int v = offset_of_values(n, j);",
     "const int v = offset_of_values(n, 0);", "chunk_forward", WIDE_QUOTIENTS),
    ("r multiplied by the first half of the state", "chunk_forward_group", "AT_STATE + 2 * TILE * j,", "AT_STATE,", "chunk_forward",
     WIDE_QUOTIENTS),
    ("second half of the state shown over the first", "chunk_group_shown", "shown_at(first, q)[j * TILE / 2 + n * 8 * 32] = ",
     "shown_at(first, q)[n * 8 * 32] = ", "chunk_forward", WIDE_QUOTIENTS),
    ("second half of a stored state over the first", "chunk_group_state", "COLUMNS * p->tile + 64 * j + value", "COLUMNS * p->tile + value",
     "chunk_forward", WIDE_QUOTIENTS),
    ("second half of o over the first", "chunk_forward_group", "store_rows(to.place + 128 * j,", "store_rows(to.place,",
     "chunk_forward", WIDE_QUOTIENTS),
    ("second half of aligned o over the first", "chunk_forward_group", "store_whole_rows(to.place + 128 * j,",
     "store_whole_rows(to.place,", "chunk_forward", WIDE_ALIGNED),
    # walkers in local memory
    ("walkers stay with the first chunk", "chunk_group_walk", "part_of(kept.stride, CHUNK * n, p)", "part_of(kept.stride, 0, p)",
     "chunk_forward", WIDE_QUOTIENTS),
    ("walkers go forward where time goes backward", "chunk_group_walk", "->stride = stride;\n}",
     "->stride = which == WALK_W ? abs(stride) : stride;\n}", "chunk_forward", WIDE_REVERSE),
    ("walkers with each other's strides", "chunk_group_walk", "walker->stride = kept.stride;",
     "walker->stride = kept_walker_of(tiles, WALK_R)->stride;", "chunk_forward", WIDE_REVERSE),
    ("walkers begin a token late where time goes backward", "chunk_group_walk", "->first = (long)first;",
     "->first = (long)first + min(stride, 0);", "chunk_forward", WIDE_REVERSE),
    ("rest of a unit copied from behind it", "chunk_group_walk", "(long)walker->stride * (CHUNK * ahead)", "0", "chunk_forward", ALIGNED),
    # units joined by outputs
    ("a unit joined to itself", "chunk_group_state", "i < p->unit.number * pieces;", "i < (p->unit.number + 1) * pieces;", "chunk_forward",
     GROUPS_JOINED),
    ("joined units begin with nothing", "chunk_group_state", "p, initial != 0);", "p, false);", "chunk_forward", GROUPS_JOINED),
    ("joined units without decays", "chunk_group_state", "fma(D[q / 2 & 1], x->at", "fma(1.0f, x->at", "chunk_forward", GROUPS_JOINED),
    ("joined units decayed by the first head", "chunk_group_state", "(i * p->heads + p->head) * KEY_DIM", "(i * p->heads) * KEY_DIM",
     "chunk_forward", GROUPS_JOINED),
    ("rows of segments for one chunk too few", "chunk_group_tiles", "#define STAGES 4", "#define STAGES 1", "chunk_forward",
     GROUPS_SEGMENTS + " memory=host"),
    # the rest of a unit
    ("r of the rest not copied", *rest_left_out("R", "tiles->base + AT_R")),
    ("k of the rest not copied", *rest_left_out("K", "tiles->base + offset_of(n, ROWS_K)")),
    ("w of the rest not copied", *rest_left_out("W", "tiles->base + offset_of(n, ROWS_W)")),
    ("half of v of the rest not copied", "chunk_forward_group", "(p->part == 0 ? PARTS : 0)", "(p->part == 0 ? 1 : 0)", "chunk_forward",
     WIDE_ALIGNED),
    # the exact way
    ("state recalled without its decays", "chunk_forward_group", "decay_state(&x->state, early);\n  begin_outputs", "begin_outputs",
     "chunk_forward", WIDE_BY_TURNS),
    ("second half of the state recalled from the first", "chunk_group_shown", "= shown_at(first, q)[j * TILE / 2 +",
     "= shown_at(first, q)[", "chunk_forward", WIDE_BY_TURNS),
]

FAULTS += pairs_faults.FAULTS

TINY = "n=2 ragged=1 t=19 h=1 k=8 v=12 seed=6"
TINY_TREE = "n=1 t=7 h=1 k=16 v=16 dtype=bf16 w=bf16 dist=resets optional=0 seed=6"

# (what is wrong, beginning of the file's name, text before the barrier, operation, case): the barrier after that text is dropped.
RACES = [
    ("load of a block", "recurrent_forward", "load_block(tiles, in, unit, head, step, count, reverse);\n    ", "recurrent_forward", TINY),
    ("sums of a block", "recurrent_forward", "advance_block(state, tiles, v_block, first_row, count);\n    ", "recurrent_forward", TINY),
    ("sums over lanes", "recurrent_backward", "retreat_block(gradient, history, tiles, in, p, step, count, scale);\n      ",
     "recurrent_backward", TINY),
    ("load of a chunk", "chunk_forward", "stage(tiles, &fetched, in, p, count, true);\n    ", "chunk_forward", TINY),
    ("transformed r and k", "chunk_forward", "transform(tiles, p, true);\n    ", "chunk_forward", TINY),
    ("load of a chunk in backward", "chunk_backward", "load_tokens(tiles, in, p, step, count, with_gradient);\n  ", "chunk_backward", TINY),
    # Matrix units. The emulated engine_multiply is itself a barrier of the work-group: where one follows, no other is missed. And
    # chunk_states, which has few products, needs sequences that take Oclgrind a minute.
    ("copy of the first chunk", "chunk_forward_matrix", "copy_chunk(tiles, in, p, first_step, end, 0, true);\n  engine_wait();\n  ",
     "chunk_forward", TINY_TREE),
    ("operands of a product", "chunk_matrix", "store_pair(x->factors, BLOCK_STRIDE, t, x, k[t]);\n    }\n    ",
     "chunk_forward", TINY_TREE),
]


def emulation(prefix):
    """The variant that shows faults of a file that is for matrix units."""
    if prefix.startswith(("chunk_group", "chunk_pairs", "engine_hopper")) or prefix.endswith(("_group", "_pairs")):
        return "emulated_hopper"
    matrix = prefix.startswith(("chunk_forward_matrix", "chunk_states_matrix", "chunk_matrix", "engine_emulated"))
    return "emulated" if matrix else None


def select(fault):
    """What conform is asked for."""
    prefix, operation, case = fault[1], fault[4], fault[5]
    return ("--operation", operation, "--case", case) + (("--variant", emulation(prefix)) if emulation(prefix) else ())


# PoCL builds kernels two to five times as fast without its optimizer, Intel's runtime up to three times as fast where it makes no vectors of
# work-items, and a fault is one either way.
QUICK_BUILDS = {"POCL_EXTRA_BUILD_FLAGS": "-cl-opt-disable", "CL_CONFIG_USE_VECTORIZER": "False"}


def oclgrind():
    """Its driver, or None. Kernels are built without optimization: it does not know some instructions of LLVM's optimizer."""
    program = shutil.which("oclgrind")
    prefix = pathlib.Path(program).parent.parent if program else None
    found = [f for p in ("lib/oclgrind", "lib/*/oclgrind") for f in glob.glob(f"{prefix}/{p}/liboclgrind-rt-icd.so")]
    return {"OCL_ICD_VENDORS": found[0], "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable"} if found else None


class Judge:
    """Runs conform. `folder` is for copies of kernels, and for caches: nothing of a fault stays behind."""

    def __init__(self, tool, source, folder):
        self.tool, self.source, self.folder = tool, source, folder
        self.caches = {name: f"{folder}/{name}" for name in ("POCL_CACHE_DIR", "XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR")}
        for path in self.caches.values():
            os.mkdir(path)

    def run(self, kernels, device, drivers, selection):
        """Exit status and output. Without the library's own cache: for it drivers would compile what no case needs."""
        environment = dict(os.environ, **QUICK_BUILDS, **self.caches, **drivers, RWKV6_KERNEL_DIR=str(kernels), RWKV6_CACHE_DIR="off")
        command = [self.tool, "conform", "--device", device, *selection]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return done.returncode, done.stdout

    def plant(self, number, prefix, text, instead):
        """A copy of the kernels with the fault; None, and why, if its text is not there exactly once."""
        kernels = self.folder / f"cl-{number}"
        shutil.copytree(self.source, kernels)
        found = [file for file in kernels.iterdir() if file.name.startswith(prefix) and text in file.read_text()]
        count = sum(file.read_text().count(text) for file in found)
        if count != 1:
            return None, (f"  {prefix}* has the text {count} times, not once: {text!r}\n"
                          "  the kernel was rewritten: write this fault anew in tests/conformance\n")
        found[0].write_text(found[0].read_text().replace(text, instead))
        return kernels, ""

    def is_sound(self, device, drivers, selection):
        """Whether a case passes on the kernels as they are; None: it is nothing for the device."""
        status, output = self.run(self.source, device, drivers, selection)
        if status == 2 and LEFT_OUT in output:
            return None
        if status:
            print(f"the case fails without a fault (status {status}):\n{output}", flush=True)
        return status == 0

    def is_caught(self, number, device, drivers, fault):
        name, prefix, text, instead, operation, _, *said = fault
        kernels, output = self.plant(number, prefix, text, instead)
        status, why = None, ""
        if kernels:
            status, output = self.run(kernels, device, drivers, select(fault))
            lines = [line for line in output.splitlines() if line.startswith("not ok")]
            why = next((line for line in lines if all(words in line for words in said)), lines[0] if lines else "")
        # A driver that ends the process on a faulty kernel has noticed as well; a fault that does not compile is none.
        caught = status is not None and (status < 0 or (status == 1 and why != "" and "RWKV6_BUILD_FAILED" not in why))
        caught = caught and all(words in why for words in said)
        print(f"{'caught' if caught else 'MISSED'}: {name} ({operation})  {why[:160] if caught else output}", flush=True)
        return caught


def judge_all(judge, pool, device, drivers, faults):
    """How many of the faults are caught, none whose case fails without a fault, and how many are left out."""
    selections = sorted({select(f) for f in faults})
    sound = dict(zip(selections, pool.map(lambda s: judge.is_sound(device, drivers, s), selections)))
    jobs = [pool.submit(judge.is_caught, f"{len(drivers)}-{number}", device, drivers, fault)
            for number, fault in enumerate(faults) if sound[select(fault)]]
    return sum(job.result() for job in jobs), sum(sound[select(fault)] is None for fault in faults)


def has_device(tool, device):
    listed = subprocess.run([tool, "devices"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return device != "opencl" or "\nopencl:0" in listed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("kernels", type=pathlib.Path)
    parser.add_argument("--device", default=os.environ.get("RWKV6_TEST_DEVICE", "opencl"))
    parser.add_argument("--only", default="", help="faults whose name, file or operation contains this")
    options = parser.parse_args()
    if not has_device(options.tool, options.device):
        print("skipped: no OpenCL device")
        return 77
    races = [(f"no barrier after {n}", f, t + (ENGINE_BARRIER if f == "chunk_matrix" else BARRIER), t, o, c) for n, f, t, o, c in RACES]
    faults, races = ([f for f in some if options.only in f"{f[0]} {f[1]} {f[4]}"] for some in (FAULTS + CHECKS, races))
    drivers = oclgrind()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        judge = Judge(options.tool, options.kernels, pathlib.Path(folder))
        caught, left_out = judge_all(judge, pool, options.device, {}, faults)
        races_caught, races_left_out = judge_all(judge, pool, "opencl", drivers, races) if drivers else (0, len(races))
    total = len(faults) + len(races) - left_out - races_left_out
    missed = total - caught - races_caught
    if left_out:
        print(f"{left_out} left out: no variant takes their cases on this device")
    if races_left_out:
        print(f"{races_left_out} races left out: Oclgrind is not installed, or takes none of their cases")
    print(f"{total} planted faults, " + ("all caught" if not missed else f"{missed} missed"))
    return 1 if missed or not total or (races_left_out and "oclgrind" in os.environ.get("RWKV6_TEST_REQUIRE", "")) else 0


sys.exit(main())
