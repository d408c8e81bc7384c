# SPDX-License-Identifier: MIT
"""Times flash-linear-attention on the first CUDA device: fla_times.py ROWS RESULTS DEADLINE. side_by_side.py starts it.

A row: operation (forward, forward_backward), mode (chunk, recurrent), sequences, length, lengths (of a ragged batch, else null), heads,
dim, dtype, distribution, states. Rows are answered in their order, those that would begin after DEADLINE (time.time()) with an
error. Needs torch, triton, and fla-core in PYTHONPATH.
"""

import gc
import importlib.metadata
import json
import math
import os
import sys
import time

import torch

import float64_reference as reference

FOOTPRINT = 1 << 30  # bytes of inputs that take turns, so that no cache holds them
BUDGET = 0.5  # seconds for the runs of one measurement
BURST, REST = 0.01, 0.05  # seconds, as in src/cli/bench/opencl.c: a GPU that is never idle lowers its clocks
LONGEST_CHECK = 150000  # tokens that the reference goes through, one kernel launch after the other
MOST_STATE_BYTES = 8 << 30  # that the reference of backward keeps
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def draw_w(shape, distribution, generator):
    """Log of the decay, as `rwkv6 bench --decay` draws it."""
    w = torch.nn.functional.logsigmoid(torch.randn(shape, generator=generator, device="cuda"))
    choice = torch.rand(shape, generator=generator, device="cuda")
    where = torch.rand(shape, generator=generator, device="cuda")
    if distribution == "strong":
        w = torch.where((choice >= 0.4) & (choice < 0.7), -60 + 59 * where, w)
        return torch.where(choice >= 0.7, -2500 + 2400 * where, w)
    if distribution == "spikes":
        return torch.where(choice < 0.02, torch.full_like(w, -20000), w)
    if distribution == "resets":
        return torch.where(choice < 0.05, torch.full_like(w, -math.inf), w)
    if distribution == "weak":
        return -1e-5 * (0.5 + choice)
    return w


def make_set(row, seed):
    """Inputs of one call. A ragged batch is one row of all tokens."""
    generator = torch.Generator("cuda").manual_seed(seed)
    batch, length = (1, sum(row["lengths"])) if row["lengths"] else (row["sequences"], row["length"])
    shape = (batch, length, row["heads"], row["dim"])
    dtype = DTYPES[row["dtype"]]

    def normal(*size):
        return torch.randn(size, generator=generator, device="cuda")

    made = {name: normal(*shape).to(dtype) for name in ("r", "k", "v", "do")}
    made["w"] = draw_w(shape, row["distribution"], generator).to(dtype)
    made["u"] = 0.5 * normal(row["heads"], row["dim"])
    made["state"] = normal(row["sequences"], row["heads"], row["dim"], row["dim"]) if row["states"] else None
    if row["operation"] == "forward":
        del made["do"]
    return made


def set_bytes(made):
    return sum(x.numel() * x.element_size() for x in made.values() if x is not None)


def make_sets(row):
    first = make_set(row, 1)
    count = max(1, min(256, math.ceil(FOOTPRINT / set_bytes(first))))
    return [first] + [make_set(row, 2 + i) for i in range(count - 1)]


def make_call(row):
    """A function from a set to the outputs: o, final state, and gradients where they are asked for."""
    from fla.ops.rwkv6 import chunk_rwkv6, fused_recurrent_rwkv6

    function = chunk_rwkv6 if row["mode"] == "chunk" else fused_recurrent_rwkv6
    options = {"scale": row["dim"] ** -0.5, "output_final_state": row["states"]}
    if row["lengths"]:
        ends = torch.tensor([0] + row["lengths"], device="cuda").cumsum(0)
        options["cu_seqlens"] = ends

    def forward(x):
        with torch.no_grad():
            return function(x["r"], x["k"], x["v"], x["w"], x["u"], initial_state=x["state"], **options)

    def forward_backward(x):
        leaves = [x[name].detach().requires_grad_() for name in ("r", "k", "v", "w", "u")]
        o, _ = function(*leaves, initial_state=x["state"], **options)
        return (o.detach(), None) + torch.autograd.grad(o, leaves, x["do"])

    return forward if row["operation"] == "forward" else forward_backward


def summary(seconds):
    seconds = sorted(seconds)
    tenth, count = len(seconds) // 10, len(seconds)
    return {
        "median": (seconds[(count - 1) // 2] + seconds[count // 2]) / 2,
        "tenth": seconds[tenth],
        "nine_tenths": seconds[count - 1 - tenth],
        "runs": count,
    }


def estimate(call, sets):
    """Seconds of one call, after those in which Triton compiles and tunes; and seconds of the first."""
    start = time.monotonic()
    call(sets[0])
    torch.cuda.synchronize()
    first = time.monotonic() - start
    for _ in range(2):
        call(sets[-1])
    torch.cuda.synchronize()
    start = time.monotonic()
    call(sets[0])
    torch.cuda.synchronize()
    return time.monotonic() - start, first


def time_eager(call, sets, runs, seconds):
    """Each call, of about so many seconds, between two events; those of a burst are enqueued before the first is waited for."""
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(runs)]
    burst = max(1, min(50, int(BURST / seconds)))
    for i, (start, end) in enumerate(events):
        if i % burst == 0:
            torch.cuda.synchronize()
            time.sleep(REST)
        start.record()
        call(sets[i % len(sets)])
        end.record()
    torch.cuda.synchronize()
    return summary([1e-3 * start.elapsed_time(end) for start, end in events])


def time_graph(call, sets, seconds):
    """Seconds of a call out of a graph that holds one call for each set, or enough of them for a millisecond."""
    calls = max(len(sets), min(64, math.ceil(1e-3 / seconds)))
    if calls * seconds > 0.2:
        calls = 1
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call(sets[0])
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(calls):
            call(sets[i % len(sets)])
    repeats = max(5, min(100, int(BUDGET / (calls * seconds))))
    graph.replay()
    measured = time_eager(lambda _: graph.replay(), [None], repeats, calls * seconds)
    return {key: value if key == "runs" else value / calls for key, value in measured.items()}


def head(x, index):
    return None if x is None else x[..., index : index + 1, :].double()


def state_head(x, index):
    return None if x is None else x[:, index : index + 1].double()


def check_sequences(row, x, outputs, index):
    """Pairs of computed and reference tensors for one head; sequences of a ragged batch one after the other."""
    lengths = row["lengths"] or [row["length"]]
    begin, pairs, du = 0, {}, 0
    for n, length in enumerate(lengths):
        part = slice(begin, begin + length)
        begin += length
        r, k, v, w = (head(x[name][:, part], index) for name in ("r", "k", "v", "w"))
        u, scale = x["u"][index : index + 1].double(), row["dim"] ** -0.5
        states = state_head(x["state"], index)
        if states is not None and row["lengths"]:
            states = states[n : n + 1]
        o, final = reference.forward(torch, r, k, v, w, u, scale, states)
        pairs.setdefault("o", []).append((head(outputs[0][:, part], index), o))
        if row["states"]:
            got = state_head(outputs[1], index)
            pairs.setdefault("final_state", []).append((got[n : n + 1] if row["lengths"] else got, final))
        if row["operation"] == "forward":
            continue
        gradients = reference.backward(torch, r, k, v, w, u, scale, head(x["do"][:, part], index), states)
        for name, got in zip(("dr", "dk", "dv", "dw"), outputs[2:]):
            pairs.setdefault(name, []).append((head(got[:, part], index), gradients[name]))
        du = du + gradients["du"]
    if row["operation"] != "forward":
        pairs["du"] = [(outputs[6][index : index + 1].double(), du)]
    return pairs


def check(row, x, outputs):
    """Relative errors against float64 on one head, None for NaN; None in all where it would take too long or too much memory."""
    longest = max(row["lengths"] or [row["length"]])
    states = 8 * longest * row["sequences"] * row["dim"] ** 2
    if longest > LONGEST_CHECK or (row["operation"] != "forward" and states > MOST_STATE_BYTES):
        return None
    with torch.no_grad():
        pairs = check_sequences(row, x, outputs, row["heads"] // 2)
    flat = {name: [torch.cat([p[i].flatten() for p in both]) for i in (0, 1)] for name, both in pairs.items()}
    errors = {name: reference.relative_error(*both) for name, both in flat.items()}
    return {name: None if math.isnan(error) else error for name, error in errors.items()}


def describe(failure):
    return (type(failure).__name__ + ": " + str(failure)).splitlines()[0]


def measure(row):
    sets, call = make_sets(row), make_call(row)
    seconds, first = estimate(call, sets)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    outputs = call(sets[0])
    torch.cuda.synchronize()
    kept = sum(x.numel() * x.element_size() for x in outputs if x is not None)
    result = {"first_call": first, "extra_bytes": torch.cuda.max_memory_allocated() - before - kept, "sets": len(sets)}
    result["errors"] = check(row, sets[0], outputs)
    del outputs
    runs = max(10, min(200, int(BUDGET / seconds)))
    result["eager"] = time_eager(call, sets, runs, seconds)
    try:
        result["graph"] = time_graph(call, sets, result["eager"]["median"])
    except Exception as failure:  # what Triton and torch raise has no common base
        result["graph"], result["graph_error"] = None, describe(failure)
        torch.cuda.synchronize()
    return result


def outcome_text(answer):
    """For who looks on: a run that is ended early has told what it measured."""
    if "error" in answer:
        return answer["error"]
    graph = "%.4f ms" % (1e3 * answer["graph"]["median"]) if answer["graph"] else "none"
    return "%.4f ms, in a graph: %s, errors: %s" % (1e3 * answer["eager"]["median"], graph, answer["errors"])


def write_answers(path, answers):
    """After each row: what comes later may end this process."""
    versions = {name: importlib.metadata.version(name) for name in ("fla-core", "torch", "triton")}
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"versions": versions, "device": torch.cuda.get_device_name(), "rows": answers}, file)
    os.replace(path + ".new", path)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)
    answers = []
    for i, row in enumerate(rows):
        about = "fla: row %d of %d: " % (i + 1, len(rows))
        print(about + str(row), file=sys.stderr, flush=True)
        try:
            if time.time() > float(sys.argv[3]):
                raise TimeoutError("the time was up")
            answers.append(measure(row))
        except Exception as failure:  # out of memory among them; the other rows go on
            answers.append({"error": describe(failure)})
        print(about + outcome_text(answers[-1]), file=sys.stderr, flush=True)
        gc.collect()
        torch.cuda.empty_cache()
        write_answers(sys.argv[2], answers)


if __name__ == "__main__":
    main()
