#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
planted_faults.py TOOL KERNELS [--device NAME] [--only TEXT]

The checker is checked: each fault below is planted alone into a copy of the kernels, and `rwkv6 conform` has to fail on it with the
one case that should catch it. The same case passes on the kernels as they are.

A fault replaces a piece of text that has to be there exactly once, in the kernel files whose names begin with what the fault
says: whoever rewrites that piece rewrites the fault with it. A missing barrier does no harm on every device, so those are planted
under Oclgrind, which runs one work-item after the other from barrier to barrier. The kernels for matrix units run on the emulation of
their engine.

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

# Cases are as small as a fault allows; faults of an operation share theirs, so that they differ in nothing but the kernel.
BASE = "n=3 ragged=1 t=70 h=2 k=8 v=12 "
LOG = BASE + "seed=6"
RAW = BASE + "decay=raw dist=resets seed=6"
STRONG = BASE + "dist=strong seed=6"
BF16 = BASE + "dtype=bf16 w=bf16 seed=6"
FP16 = BASE + "dtype=fp16 w=fp32 seed=6"
REVERSE = BASE + "reverse=1 strides=padded seed=6"
SEGMENTS = "n=2 t=300 h=1 k=8 v=12 segment=64 dist=slow seed=6"
LAUNCHES = "n=1 t=600 h=1 k=8 v=12 seed=6"
LARGE = "n=1 t=1500 h=64 k=1 v=12 seed=6"
POOL = "n=7 ragged=1 t=20 h=2 k=8 v=12 seed=7"
ONLY_DFINAL = "n=1 t=40 h=1 k=8 v=12 optional=4 dist=weak seed=6"

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


def is_emulated(prefix):
    """Whether a file is of the kernels for matrix units."""
    return prefix.startswith(("chunk_forward_matrix", "chunk_states_matrix", "chunk_matrix", "engine_emulated"))


def select(fault):
    """What conform is asked for."""
    prefix, operation, case = fault[1], fault[4], fault[5]
    return ("--operation", operation, "--case", case) + (("--variant", "emulated") if is_emulated(prefix) else ())


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
        environment = dict(os.environ, **self.caches, **drivers, RWKV6_KERNEL_DIR=str(kernels), RWKV6_CACHE_DIR="off")
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
                          "  the kernel was rewritten: write this fault anew in tests/conformance/planted_faults.py\n")
        found[0].write_text(found[0].read_text().replace(text, instead))
        return kernels, ""

    def is_sound(self, device, drivers, selection):
        """Whether a case passes on the kernels as they are."""
        status, output = self.run(self.source, device, drivers, selection)
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
    """How many of the faults are caught; none whose case fails without a fault."""
    selections = sorted({select(f) for f in faults})
    sound = dict(zip(selections, pool.map(lambda s: judge.is_sound(device, drivers, s), selections)))
    jobs = [pool.submit(judge.is_caught, f"{len(drivers)}-{number}", device, drivers, fault)
            for number, fault in enumerate(faults) if sound[select(fault)]]
    return sum(job.result() for job in jobs)


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
        caught = judge_all(judge, pool, options.device, {}, faults)
        if drivers:
            caught += judge_all(judge, pool, "opencl", drivers, races)
    left_out = 0 if drivers else len(races)
    total = len(faults) + len(races) - left_out
    missed = total - caught
    if left_out:
        print(f"{left_out} left out: Oclgrind is not installed")
    print(f"{total} planted faults, " + ("all caught" if not missed else f"{missed} missed"))
    return 1 if missed or not total or (left_out and "oclgrind" in os.environ.get("RWKV6_TEST_REQUIRE", "")) else 0


sys.exit(main())
