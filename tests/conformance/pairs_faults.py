# SPDX-License-Identifier: MIT
"""
Faults for planted_faults.py in the kernels by groups whose operands are sums of two numbers in bf16 (`--only _pairs`), on the emulation
of their engine. A missing barrier is among them where CPU drivers, which run one work-item after the other from barrier to barrier, show
it: Oclgrind takes minutes for the smallest case.
"""

# In fp32 what is left out of a product is seen; where r, k and v have 16 bits, that rows of w are others. Rows are aligned in host memory
# alone. Two whole chunks and a rest of 3 tokens.
PAIRS = "n=1 t=131 h=2 k=64 v=64 seed=7 "
FP32 = PAIRS + "dtype=fp32 w=fp32 "
QUOTIENTS = FP32 + "dist=ordinary scale=-0.3"
ALIGNED = QUOTIENTS + " memory=host"
EXACT = FP32 + "dist=strong memory=host"
MIXED = PAIRS + "dtype=bf16 w=fp32 decay=raw dist=ordinary memory=host"
MIXED_EXACT = PAIRS + "dtype=bf16 w=fp32 decay=raw dist=spikes"
FP16 = PAIRS + "dtype=fp16 w=fp16 decay=factor dist=ordinary memory=host"
# More than one launch.
BY_TURNS = "n=1 t=520 h=1 k=64 v=64 dtype=fp32 w=fp32 dist=rare seed=7"
SEGMENTS = "n=1 t=300 h=2 k=64 v=64 dtype=fp32 w=fp32 dist=slow segment=128 seed=7"
TWO_TILES = "n=1 t=512 h=2 k=64 v=128 dtype=bf16 w=fp32 dist=slow segment=128 memory=host seed=7"

FORWARD, STATES = "chunk_forward_pairs", "chunk_states_pairs"
TILES, STATE, TREE, COPY = "chunk_pairs_tiles", "chunk_pairs_state", "chunk_pairs_exact", "chunk_pairs_copy"


def planted(file, case, faults):
    """(what is wrong, text, what is put in its place) of one file, which one case shows."""
    return [(name, file, text, instead, "chunk_forward", case) for name, text, instead in faults]


def product(c, a, place):
    """One that is not the first of its sum."""
    rows = "_rows" if c == "C" else ""
    base = "base" if place.startswith("AT_STATE") else "chunk"
    return f"engine_group_multiply{rows}({c}, {a}, tiles->{base}, {place}, step, 1, &p->engine);"


LATER_SUMS = "p->engine.warp + 1, 3, p);"
EARLIER_SUMS = "0, p->engine.warp - 1, p);"

FAULTS = planted(FORWARD, QUOTIENTS, [
    # products
    ("lower part of r~ left out with keys", product("C", "y", "AT_K"), ""),
    ("lower part of keys left out", product("C", "x", "AT_K + TILE"), ""),
    ("lower part of the state left out", product("out", "x", "AT_STATE + TILE"), ""),
    ("lower parts of r~ and the state in one product", product("out", "y", "AT_STATE"), product("out", "y", "AT_STATE + TILE")),
    ("lower part of pairs of tokens left out", product("out", "y", "AT_V"), ""),
    ("lower part of v left out", "if (VALUE_PARTS > 1) engine", "if (VALUE_PARTS > 2) engine"),
    # the state, scale and diagonal
    ("scale forgotten", "scale_tokens(&r_rows, x->scale);", ""),
    ("sign of the scale lost", "x->scale = scale;", "x->scale = fabs(scale);"),
    ("u left out of the diagonal", "* u[q], k->", ", k->"),
    ("tokens see later ones", "engine_finish(1, A);\n  mask(A, diagonal, p);", "engine_finish(1, A);"),
    # quotients
    ("decays from the middle taken for those until it", "warp == 3 ? LOG2_E : -LOG2_E", "-LOG2_E"),
    ("first 16 tokens without the next ones' decays", "far = warp == 0 ? -LOG2_E : 0.0f;", "far = 0.0f;"),
    ("a row before the sub-group's first", "if (h == 0) before = p->engine.row == 0 ? (float4)(0.0f) : before;", ""),
    ("r with its own token's decay", "up = fma(before,", "up = fma(through,"),
    ("late decays dropped", "decay_state(&x->state, x->state.late); /* by", "/* by"),
    ("logarithms read before all are there", "engine_wait(0);\n  engine_barrier();", "engine_wait(0);"),
])
FAULTS += planted("chunk_group_outputs", QUOTIENTS, [("final states of a pool by sequence", "final_at + state_at(p, p->unit.state);",
                                                     "final_at + state_at(p, p->unit.sequence);")])
FAULTS += planted(FORWARD, EXACT, [
    ("scale forgotten in the exact way", "scale_tokens(r, x->scale);", ""),
    ("whole sums where the other way has them", "store_whole_sum(sum, tiles, AT_R);", "store_whole_sum(sum, tiles, AT_W);"),
    ("whole sums read before all are there", "engine_group_barrier(&p->engine); /* and rows", "/* and rows"),
    ("whole sums overwritten before all have read them", "engine_group_barrier(&p->engine); /* keys for", "/* keys for"),
    ("keys without the decays of the next 16 tokens", LATER_SUMS, LATER_SUMS.replace("1", "2")),
    ("r without the decays of the 16 tokens before", EARLIER_SUMS, EARLIER_SUMS.replace("1", "2")),
])
FAULTS += planted(FORWARD, BY_TURNS, [
    ("one of two channels not looked at", " & (fabs(sums[ROWS - 1].y) <= -MODERATE)", ""),
    ("late decays dropped before an exact chunk", "decay_state(&x->state, x->state.late);\n  show_state(", "show_state("),
    ("late decays once more after an exact chunk", "finish(out, x, sum, 1.0f, 1.0f);",
     "finish(out, x, sum, x->state.late[0], x->state.late[1]);"),
    ("state of an exact chunk without half of its decays", "early[h] *= late[h];", ""),
])
FAULTS += planted(FORWARD, ALIGNED, [
    ("rest of a unit not copied where rows are aligned", "if (!is_whole(p, left)) copy_rest(",
     "if (!p->whole) copy_rest("),
    ("last whole chunk not copied", "is_whole(p, left - CHUNK);", "is_whole(p, left - 2 * CHUNK);"),
])
FAULTS += planted("chunk_group_outputs", SEGMENTS + " optional=3", [("segments begin with the state of their sequence",
                                       "start_is == START_OF_UNIT ? p->unit.number : p->unit.state", "p->unit.state")])

FAULTS += planted(STATE, QUOTIENTS, [
    ("first half of a chunk without 16 of its tokens", " + whole_sums_of_key(tiles, at, 1, key);", ";"),
    ("lower part of keys left out of the state",
     "engine_group_multiply_tiles(sum, tiles->chunk, AT_K + TILE, tiles->chunk, AT_V, step, 1, &p->engine);", ""),
    ("lower part of v left out of the state", "if (VALUE_PARTS > 1)", "if (VALUE_PARTS > 2)"),
    ("state of the chunks before forgotten", "x->at[0][q] += sum[q];", "x->at[0][q] = sum[q];"),
])
FAULTS += planted("chunk_group_state", SEGMENTS, [("late decays left out of a stored state of _pairs", "x->at[j][q] * x->late[q / 2 & 1];", "x->at[j][q];")])
FAULTS += planted("chunk_group_state", TWO_TILES, [("second tile of a state of _pairs over the first", "COLUMNS * p->tile + 64 * j", "64 * j")])

FAULTS += planted(TILES, QUOTIENTS, [
    ("keys of the state in the order of accumulators", "p->engine.row / 2 * 4 + (p->engine.row & 1) + 2 * h;", "p->engine.row + 8 * h;"),
    ("rows brought without their turn", "(((lane & 7) ^ turn_of(lane / 8)) << 4)", "((lane & 7) << 4)"),
    ("rows read without their turn", "((bytes / 16 ^ turn_of(row)) << 4)", "(bytes / 16 << 4)"),
    ("whole sums of keys without their turn", "(key & 31) / 4 ^ turn_of(ROWS - 1);", "(key & 31) / 4;"),
    ("logarithms of channels from 32 on over those before", "bytes / 128 * TILE + (bytes & 127)", "(bytes & 127)"),
    ("whole sums without the last token", "four_of(tiles->base, ROWS - 1, e->pair, 4);", "four_of(tiles->base, ROWS - 2, e->pair, 4);"),
    ("upper parts stored for lower ones", "n, x->lower[h] + n, &p->engine);", "n, x->upper[h] + n, &p->engine);"),
    ("rows of v overwritten before all have read them", "engine_barrier(); /* rows", "/* rows"),
])
FAULTS += planted(TILES, ALIGNED, [("keys of two chunks in one place", "return (n & (STAGES - 1)) * 4 * TILE;", "return 0;")])
FAULTS += planted(TILES, EXACT, [("sums of 16 tokens left out between others", "warp >= first && warp <= last",
                                    "warp > first && warp <= last")])
FAULTS += planted(TILES, MIXED, [
    ("sums in fp32 looked for where rows of 16 bits are", "tiles->wide = BYTES == 4 ?", "tiles->wide = true ?"),
    ("a token behind the last decays the state", "ROWS * p->engine.warp + t < count;", "ROWS * p->engine.warp + t <= count;"),
])
FAULTS += planted(TILES, FP16, [
    ("w of 16 bits looked for as in fp32", "tiles->logs = W_BYTES == 4 ?", "tiles->logs = true ?"),
    ("v in fp16 rounded to bf16", "#define VALUE_PARTS_fp16 2", "#define VALUE_PARTS_fp16 1"),
])

FAULTS += planted(TREE, EXACT, [
    ("lower part of r left out among 16 tokens", "engine_multiply_bf16(c, y, upper[0], upper[1], &p->engine);", ""),
    ("eight tokens not joined", "if (size < 8) join_blocks(", "if (size < 4) join_blocks("),
    ("keys of the first 16 tokens without the next ones' decays", "(decay, tiles, 1, 1, p);", "(decay, tiles, 1, 0, p);"),
    ("upper part of keys for the lower one between 16 tokens", "AT_W + TILE + 1024 * octet,", "AT_W + 1024 * octet,"),
    ("second 16 tokens with others' keys", "warp == 1 ? 2 * ROWS : -ROWS * warp", "-ROWS * warp"),
    ("decays of 16 tokens left out between others", "decay_tokens(&since_middle, r, decay);", ""),
    ("decays of 16 tokens between neighbours", "split_tokens(&parts, r);\n", ""),
])
FAULTS += planted(TREE, MIXED_EXACT, [("a token behind the last decays keys", "ROWS * e->warp + e->row + 8 * h < count;",
                                         "ROWS * e->warp + e->row + 8 * h <= count;")])

FAULTS += planted(COPY, ALIGNED, [
    ("second half of rows made of the first in whole chunks", "&from, 128 * j, p, whole);", "&from, 0, p, whole);"),
    ("second half of rows made of the first in the rest", "which, 128 * j, tiles,", "which, 0, tiles,"),
    ("r of the rest left out", "copy_some_channels(x, WALK_R,", "if (!p->whole) copy_some_channels(x, WALK_R,"),
    ("numbers of aligned outputs in fp32 exchanged", "*(global float4 *)to = x;", "*(global float4 *)to = x.yxzw;"),
])
FAULTS += planted(COPY, QUOTIENTS, [
    ("numbers of outputs exchanged", "store_d(number + 2, x.z);", "store_d(number + 2, x.w);"),
    ("tail of outputs not cut", "if (!p->whole && token + 8 * h < count)", "if (!p->whole && token + 8 * h <= count)"),
])
FAULTS += planted(COPY, MIXED, [
    ("numbers of aligned outputs in bf16 exchanged", "engine_pack_bf16(x.x, x.y),", "engine_pack_bf16(x.y, x.x),"),
    ("w of a chunk as wide as r", "copy_channels(x, WALK_W, W_BYTES,", "copy_channels(x, WALK_W, BYTES,"),
])
FAULTS += planted(COPY, FP16, [("numbers of aligned outputs in fp16 exchanged", "vstore_half4_rte(x, 0,", "vstore_half4_rte(x.yxzw, 0,")])

FAULTS += planted(STATES, SEGMENTS, [
    ("keys of segments with their own token's decays", "sums[t] = sum, sum = with;", "sums[t] = with, sum = with;"),
    ("keys of segments without the decays of the next 16 tokens", LATER_SUMS, LATER_SUMS.replace("1", "2")),
    ("products of segments before all keys are there", "barrier(CLK_LOCAL_MEM_FENCE);\n  engine_open();", "engine_open();"),
])
FAULTS += planted(STATES, TWO_TILES, [
    ("decays of a segment's next chunk not copied", "copy_decays(&x->walkers, tiles, n + 1, p, whole);", ""),
])

# What these kernels share with those where all is bf16, and use in another way.
FAULTS += planted("engine_hopper_emulated", QUOTIENTS, [
    ("keys of _pairs turned over", "base + offset, n, 16 * step, false, e);", "base + offset, 16 * step, n, true, e);"),
])
FAULTS += planted("chunk_group_walk", QUOTIENTS, [("rows of _pairs as far apart as those of 16 bits", "(int)walk.stride * size,",
                                                   "(int)walk.stride * 2,")])
FAULTS += planted("chunk_group_state", SEGMENTS, [
    ("decays of segments of _pairs stored over a neighbour's", "row[key_of(p, h)] = D[h];", "row[key_of(p, 0) + h] = D[h];"),
])
FAULTS += planted(FORWARD, FP32 + "dist=edge", [
    ("decays of two halves of chunks in one product", "decay_state(&x->state, x->state.late); /* by itself",
     "early[0] *= x->state.late[0], early[1] *= x->state.late[1]; /* by itself"),
])
