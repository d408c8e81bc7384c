# SPDX-License-Identifier: MIT
"""rwkv6cl and flash-linear-attention on the same GPU in the same run, at the same shapes.

    side_by_side.py run --tool build/src/cli/rwkv6 --fla DIR... --dtype bf16 --dim 64 --out DIR
    side_by_side.py merge DIR/side_by_side_*.json --out DIR
    side_by_side.py growth RESULTS.json --out DIR

`run` times one storage type and head size, as Triton tunes each for a minute or more; `merge` joins such runs. Both write a table
(side_by_side*.md), everything that was measured (.json), and two plots (_tokens.svg: time over tokens; _error.svg: error against time).
Rows of chunk forward in bf16 are timed with relaxed precision too. Each --fla is a folder with one version of fla-core (pip install
--target); the faster version of each row is compared with, and what one measured before it failed is kept. Needs torch, triton and einops
for fla, matplotlib for the plots. `growth` has no fla: from what `rwkv6 bench --suite full --operation forward --mode chunk --json`
printed it draws time over T and over N x H (growth.svg) and prints both tables. Exit status 1 if a row could not be measured or a result of
rwkv6cl is wrong.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import growth
import plots

FOLDER = os.path.dirname(os.path.abspath(__file__))

# ------------------------------------------------------------------------------------------------------------------ rows


def make_row(sequences, length, heads, dim, dtype, **changes):
    row = {
        "operation": "forward",
        "mode": "chunk",
        "sequences": sequences,
        "length": length,
        "lengths": None,
        "heads": heads,
        "dim": dim,
        "dtype": dtype,
        "distribution": "ordinary",
        "states": False,
        "ragged": False,
        "curve": False,
    }
    row.update(changes)
    return row


def make_rows(dtype, dim, operation):
    """Training and prompts, decoding, the curve over tokens, then what takes fla longest. Lengths of a ragged batch are the tool's."""
    heads = 32 if dim <= 64 else 64
    shapes = [(8, 4096, heads), (1, 32768, heads), (1, 4096, heads)] if dim <= 64 else [(4, 4096, heads), (1, 8192, 96)]
    first = shapes[0]
    rows = [make_row(*shape, dim, dtype) for shape in shapes]
    rows += [make_row(*first, dim, dtype, distribution=kind) for kind in ("strong", "spikes", "resets")]
    rows += [make_row(n, 1, heads, dim, dtype, mode="recurrent", states=True) for n in (1, 8, 64, 256)]
    rows.append(make_row(*first, dim, dtype, ragged=True))
    rows += [make_row(1, length, heads, dim, dtype, curve=True) for length in (128, 512, 2048, 8192, 32768, 131072, 524288)]
    rows.append(make_row(*first, dim, dtype, mode="recurrent"))
    if operation == "both":
        rows += [make_row(*shape, dim, dtype, operation="forward_backward") for shape in shapes]
    return rows


def shape_text(row):
    """As --shape takes it."""
    words = [row[key] for key in ("sequences", "length", "heads", "dim", "dim")]
    return ",".join(map(str, words)) + ",ragged" * row["ragged"] + ",states" * row["states"]


def is_decode(row):
    return row["length"] == 1


# ------------------------------------------------------------------------------------------------------------------ tool


def tool_calls(rows):
    """Command lines of the tool, each for many rows: {(operation, mode, distribution): [shape, ...]}."""
    calls = {}
    for row in rows:
        operation = "both" if row["operation"] == "forward_backward" else "forward"
        shapes = calls.setdefault((operation, row["mode"], row["distribution"]), [])
        if shape_text(row) not in shapes:
            shapes.append(shape_text(row))
    return calls


def run_tool(tool, device, variant, dtype, rows, precision="full"):
    """The documents of all calls, and {(operation, mode, distribution, shape): case}."""
    documents, cases = [], {}
    for (operation, mode, distribution), shapes in tool_calls(rows).items():
        command = [tool, "bench", "--no-start", "--json", "--operation", operation, "--mode", mode, "--dtype", dtype]
        command += ["--precision", precision]
        command += ["--decay", distribution] + [word for shape in shapes for word in ("--shape", shape)]
        command += ["--device", device] if device else []
        command += ["--variant", variant] if variant and mode == "chunk" else []
        print(" ".join(command), file=sys.stderr, flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if not done.stdout.strip():
            raise SystemExit("side_by_side: %s ended with status %d and no output" % (tool, done.returncode))
        document = json.loads(done.stdout)
        documents.append(document)
        for case in document["cases"]:
            cases[case["operation"], mode, distribution, case["shape"]] = case
    return documents, cases


def worst(tensors):
    return {tensor["name"]: tensor["error"] for tensor in tensors}


def join_ours(row, cases):
    """What the tool measured for a row; forward and backward added up where fla does both in one call."""
    operations = ("forward", "backward") if row["operation"] == "forward_backward" else ("forward",)
    parts = [cases[operation, row["mode"], row["distribution"], shape_text(row)] for operation in operations]
    refused = [part for part in parts if part["result"] in ("refused", "failed")]
    if refused:
        return {"error": " ".join(refused[0]["error"].split())}
    return {
        "result": "passed" if all(part["result"] == "passed" for part in parts) else "wrong",
        "variant": "+".join(dict.fromkeys(part["variant"] for part in parts)),
        "time": {key: sum(part["time"][key] for part in parts) for key in ("median", "tenth", "nine_tenths")},
        "back_to_back": sum(part.get("back_to_back", 0) for part in parts),
        "enqueue_to_finished": sum(part.get("enqueue_to_finished", {}).get("median", 0) for part in parts),
        "floor": sum(part["floor"] for part in parts),
        "extra_bytes": max(part["extra_bytes"] for part in parts),
        "errors": {name: error for part in parts for name, error in worst(part["tensors"]).items()},
        "lengths": parts[0].get("lengths"),
    }


def has_relaxed(row):
    """Whether a row is timed with relaxed precision too. Not every point of a curve."""
    return row["dtype"] == "bf16" and row["mode"] == "chunk" and row["operation"] == "forward" and not row["curve"]


# ------------------------------------------------------------------------------------------------------------------- fla


def environment_with(folder):
    path = os.pathsep.join([folder] + os.environ.get("PYTHONPATH", "").split(os.pathsep)).strip(os.pathsep)
    return dict(os.environ, PYTHONPATH=path)


def find_fla(folder):
    """Before minutes of measurements: that there is what they need."""
    look = "import importlib.util as u; print(*(name for name in ('torch', 'triton', 'einops', 'fla') if not u.find_spec(name)))"
    command = [sys.executable, "-c", look]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment_with(folder), check=True)
    if done.stdout.strip():
        raise SystemExit("side_by_side: %s has no %s" % (folder, ", no ".join(done.stdout.split())))


def run_fla(folder, rows, deadline):
    """The answers of one version, measured in a process of its own; rows that are not begun by then (time.time()), or that it came
    to no end with, are errors."""
    with tempfile.TemporaryDirectory() as work:
        asked, answered = os.path.join(work, "rows.json"), os.path.join(work, "answers.json")
        with open(asked, "w", encoding="utf-8") as file:
            json.dump(rows, file)
        command = [sys.executable, os.path.join(FOLDER, "fla_times.py"), asked, answered, repr(deadline)]
        done = subprocess.run(command, stdout=sys.stderr, env=environment_with(folder), check=False)
        answers = {"versions": {"fla-core": folder}, "rows": []}
        if os.path.exists(answered):
            with open(answered, encoding="utf-8") as file:
                answers = json.load(file)
        missing = {"error": "fla in %s ended with status %d" % (folder, done.returncode)}
        answers["rows"] += [missing] * (len(rows) - len(answers["rows"]))
        return answers


def fla_seconds(answer, decode):
    """What a version is judged by: a graph where one decodes, a call otherwise."""
    if "error" in answer:
        return None
    return answer["graph"]["median"] if decode and answer["graph"] else answer["eager"]["median"]


def join_fla(row, versions):
    """The fastest version's answer, with every version's time beside it."""
    answers = {version: answer for version, answer in versions.items() if "error" not in answer}
    if not answers:
        return {"error": "; ".join("%s: %s" % (version, answer["error"]) for version, answer in versions.items())}
    best = min(answers, key=lambda version: fla_seconds(answers[version], is_decode(row)))
    seconds = {version: fla_seconds(answer, is_decode(row)) for version, answer in versions.items()}
    return dict(answers[best], version=best, by_version=seconds)


# ---------------------------------------------------------------------------------------------------------------- a run


def with_lengths(row, ours):
    """Ragged batches have the lengths that the tool drew."""
    return dict(row, lengths=ours["lengths"], sequences=len(ours["lengths"])) if row["ragged"] else row


def run_versions(folders, rows, end):
    """Each version gets an equal share of the time that is left to it."""
    answers = []
    for i, folder in enumerate(folders):
        now = time.time()
        answers.append(run_fla(folder, rows, now + (end - now) / (len(folders) - i)))
    return answers


def measure(options):
    end = time.time() + 60 * options.minutes
    if not shutil.which(options.tool):
        raise SystemExit("side_by_side: there is no program " + options.tool)
    for folder in options.fla:
        find_fla(folder)
    rows = make_rows(options.dtype, options.dim, options.operation)[: options.rows]
    documents, cases = run_tool(options.tool, options.device, options.variant, options.dtype, rows)
    relaxed = run_tool(options.tool, options.device, options.variant, options.dtype, list(filter(has_relaxed, rows)), "relaxed")[1]
    ours = [join_ours(row, cases) for row in rows]
    asked = [with_lengths(row, one) for row, one in zip(rows, ours) if "error" not in one]
    fla = run_versions(options.fla, asked, end)
    answers = [iter(one["rows"]) for one in fla]
    versions = [one["versions"]["fla-core"] for one in fla]
    joined = []
    for row, one in zip(rows, ours):
        theirs = {"error": "not measured"}
        if "error" not in one:
            theirs = join_fla(row, {version: next(answer) for version, answer in zip(versions, answers)})
        joined.append({"row": row, "ours": one, "relaxed": join_ours(row, relaxed) if has_relaxed(row) else None, "fla": theirs})
    first = documents[0]
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "dtype": options.dtype,
        "dim": options.dim,
        "device": first["device"],
        "version": first["version"],
        "peaks": first["peaks"],
        "software": {**{name: text for one in fla for name, text in one["versions"].items()}, "fla-core": ", ".join(versions)},
        "rows": joined,
    }


# ---------------------------------------------------------------------------------------------------------------- output


def row_name(row):
    words = [row["mode"], row["operation"].replace("_", " + ")]
    if is_decode(row):
        words = ["decode"]
    return " ".join(words)


def cell(value, form):
    return "-" if value is None else form % value


def error_text(errors):
    """The largest error and its tensor; a NaN is larger than anything."""
    if not errors:
        return "-"
    name = max(errors, key=lambda key: float("inf") if errors[key] is None or errors[key] != errors[key] else errors[key])
    error = errors[name]
    return "NaN %s" % name if error is None or error != error else "%.2e %s" % (error, name)


def judged_text(ours):
    return error_text(ours["errors"]) + ("" if ours["result"] == "passed" else " WRONG")


def table_row(run, entry):
    row, ours, fla = entry["row"], entry["ours"], entry["fla"]
    kind = row["distribution"] + (", ragged" if row["ragged"] else "")
    words = [row_name(row), shape_text(dict(row, ragged=False, states=False)) + " " + run["dtype"], kind]
    if "error" in ours:
        return words + [ours["error"]] + ["-"] * (len(HEAD) - 4)
    milliseconds, graph = 1e3 * ours["time"]["median"], None
    words += [cell(milliseconds, "%.4f"), "%.0f %%" % (100 * ours["floor"] / ours["time"]["median"])]
    words += [cell(1e3 * ours["back_to_back"] or None, "%.4f")]
    if "error" in fla:
        words += [fla["error"], "-", "-", "-", "-"]
    else:
        eager = 1e3 * fla["eager"]["median"]
        graph = 1e3 * fla["graph"]["median"] if fla["graph"] else None
        words += [fla["version"], "%.4f" % eager, cell(graph, "%.4f"), "%.1f" % (eager / milliseconds)]
        words += [cell(graph / milliseconds if graph else None, "%.1f")]
    words += [judged_text(ours), error_text(fla.get("errors"))]
    words += ["%.0f" % (ours["extra_bytes"] / 2**20), cell(fla["extra_bytes"] / 2**20 if "extra_bytes" in fla else None, "%.0f")]
    return words + relaxed_cells(entry)


def relaxed_cells(entry):
    relaxed, fla = entry.get("relaxed"), entry["fla"]
    if not relaxed or "error" in relaxed:
        return [relaxed["error"] if relaxed else "-", "-", "-"]
    seconds = relaxed["time"]["median"]
    faster = "-" if "error" in fla else "%.1f" % (fla["eager"]["median"] / seconds)
    return ["%.4f" % (1e3 * seconds), faster, judged_text(relaxed)]


HEAD = [
    "work",
    "N,T,H,K,V",
    "decay",
    "ms",
    "of floor",
    "back to back, ms",
    "fla",
    "fla, ms",
    "fla in a graph, ms",
    "times faster",
    "than the graph",
    "worst error",
    "worst error of fla",
    "extra MiB",
    "extra MiB of fla",
    "relaxed, ms",
    "times faster, relaxed",
    "worst error, relaxed",
]


def write_table(runs, file):
    for run in runs:
        software = ", ".join("%s %s" % pair for pair in run["software"].items())
        file.write(
            "%s, driver %s, %s; rwkv6cl %s, %s. "
            % (run["device"]["name"], run["device"]["driver_version"], run["date"], run["version"], software)
        )
        file.write("Copy kernel: %.0f GB/s.\n\n" % (1e-9 * run["peaks"]["copy_bytes_per_second"]))
        file.write("| %s |\n|%s\n" % (" | ".join(HEAD), "---|" * len(HEAD)))
        for entry in run["rows"]:
            file.write("| %s |\n" % " | ".join(table_row(run, entry)))
        file.write("\n")


def curve(run):
    """Tokens and seconds (ours, fla, floor) of one sequence in chunk mode, forward."""
    points = []
    for entry in run["rows"]:
        row, ours, fla = entry["row"], entry["ours"], entry["fla"]
        if not row["curve"] or "error" in ours:
            continue
        theirs = None if "error" in fla else fla["eager"]["median"]
        points.append((row["sequences"] * row["length"], ours["time"]["median"], theirs, ours["floor"]))
    return sorted(points)


def plot_tokens(runs, path):
    figure, axes = plots.new_plot()
    for i, run in enumerate(runs):
        name, color, points = "%s, K = V = %d" % (run["dtype"], run["dim"]), "C%d" % i, curve(run)
        fla = [point for point in points if point[2]]
        axes.plot([p[0] for p in points], [1e3 * p[1] for p in points], color + "o-", label="rwkv6cl " + name)
        axes.plot([p[0] for p in fla], [1e3 * p[2] for p in fla], color + "s--", label="fla " + name)
        axes.plot([p[0] for p in points], [1e3 * p[3] for p in points], color + ":", label="bytes floor " + name)
    axes.set_xlabel("tokens of one sequence")
    axes.set_ylabel("chunk forward, ms")
    plots.save_plot(figure, path)


def errors(run):
    """Whose, name, mark and (ms, relative error of o) of the runs of forward that have both."""
    for whose, name, mark in (("ours", "rwkv6cl", "o"), ("relaxed", "rwkv6cl relaxed", "^"), ("fla", "fla", "s")):
        points = []
        for entry in run["rows"]:
            one, row = entry.get(whose) or {}, entry["row"]
            error = (one.get("errors") or {}).get("o")
            if not is_decode(row) and row["operation"] == "forward" and error and error == error:
                seconds = one["eager"]["median"] if whose == "fla" else one["time"]["median"]
                points.append((1e3 * seconds, error))
        if points:
            yield whose, name, mark, points


def plot_error(runs, path):
    figure, axes = plots.new_plot()
    for i, run in enumerate(runs):
        for whose, name, mark, points in errors(run):
            label = "%s %s, K = V = %d" % (name, run["dtype"], run["dim"])
            axes.plot(
                [p[0] for p in points],
                [p[1] for p in points],
                "C%d%s" % (i, mark),
                label=label,
                fillstyle="none" if whose == "fla" else "full",
            )
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 2)  # room to read, however close the points are
    axes.set_xlabel("forward, ms")
    axes.set_ylabel("relative error of o")
    plots.save_plot(figure, path)


def write_all(runs, folder, name):
    os.makedirs(folder, exist_ok=True)
    start = os.path.join(folder, name)
    with open(start + ".json", "w", encoding="utf-8") as file:
        json.dump({"runs": runs}, file, indent=1)
    with open(start + ".md", "w", encoding="utf-8") as file:
        write_table(runs, file)
    if any(curve(run) for run in runs):  # none if a device refuses them all
        plot_tokens(runs, start + "_tokens.svg")
    if any(list(errors(run)) for run in runs):
        plot_error(runs, start + "_error.svg")


def all_right(runs):
    entries = [entry for run in runs for entry in run["rows"]]
    return all(
        "error" not in entry["fla"]
        and all("error" not in one and one["result"] == "passed" for one in (entry["ours"], entry.get("relaxed")) if one)
        for entry in entries
    )


def read_runs(paths):
    return [run for path in paths for run in growth.read_document(path, "runs")["runs"]]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure one storage type and head size")
    run.add_argument("--tool", required=True, help="the program rwkv6")
    run.add_argument("--fla", required=True, action="append", help="folder with one version of fla-core; may be repeated")
    run.add_argument("--dtype", required=True, choices=("fp32", "fp16", "bf16"))
    run.add_argument("--dim", required=True, type=int, help="K = V")
    run.add_argument("--operation", choices=("forward", "both"), default="both")
    run.add_argument("--rows", type=int, help="only the first so many: training and prompts come first, in the order of the table")
    run.add_argument("--minutes", type=float, default=1e6, help="after which no further row is begun; default: no limit")
    run.add_argument("--device", help="of the tool; default: the first GPU")
    run.add_argument("--variant", help="of the tool, in chunk mode; default: what the library chooses")
    run.add_argument("--out", required=True)
    merge = commands.add_parser("merge", help="one table and two plots of several runs")
    merge.add_argument("json", nargs="+")
    merge.add_argument("--out", required=True)
    curves = commands.add_parser("growth", help="time over T and over N x H")
    curves.add_argument("json", help="what rwkv6 bench printed")
    curves.add_argument("--out", required=True)
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    if options.command == "growth":
        return 0 if growth.report(options.json, options.out, sys.stdout) else 1
    if options.command == "merge":
        runs, name = read_runs(options.json), "side_by_side"
    else:
        runs, name = [measure(options)], "side_by_side_%s_%d" % (options.dtype, options.dim)
    write_all(runs, options.out, name)
    write_table(runs, sys.stdout)
    return 0 if all_right(runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
