# SPDX-License-Identifier: MIT
"""Time of chunk forward over T and over N x H, from the JSON of `rwkv6 bench --suite full --operation forward --mode chunk --json`."""

import json
import os

import plots

# What the suite has curves of: src/cli/bench/suite.c, add_growth.
CURVES = {"operation": "forward", "mode": "chunk", "dtype": "bf16", "key_dim": 64, "value_dim": 64, "distribution": "ordinary"}
WORDS = ("ragged", "states", "reverse", "padded")
HEADS, LENGTH = 32, 4096

HEAD = ["ms", "10 to 90 %", "floor, ms", "of floor", "each", "variant", "worst error"]


def is_on_a_curve(case):
    return all(case[key] == value for key, value in CURVES.items()) and not any(case.get(word) for word in WORDS)


def numbers(case):
    """N, T, H."""
    return [int(number) for number in case["shape"].split(",")[:3]]


def over_tokens(document):
    """(T, case) of one sequence with as many heads as the suite's."""
    found = [(numbers(case), case) for case in document["cases"] if is_on_a_curve(case)]
    return sorted(((t, case) for (n, t, h), case in found if (n, h) == (1, HEADS)), key=lambda point: point[0])


def over_heads(document):
    """(N x H, case) of sequences as long as the suite's."""
    found = [(numbers(case), case) for case in document["cases"] if is_on_a_curve(case)]
    return sorted(((n * h, case) for (n, t, h), case in found if t == LENGTH), key=lambda point: point[0])


def is_timed(case):
    return case["result"] in ("passed", "wrong")


def error_text(case):
    worst = max(case["tensors"], key=lambda tensor: tensor["error"] / tensor["allowed"] if tensor["error"] is not None else 1e300)
    error = "NaN" if worst["error"] is None else "%.2e" % worst["error"]
    return "%s %s%s" % (error, worst["name"], "" if case["result"] == "passed" else " WRONG")


def each(seconds):
    return "%.1f ns" % (1e9 * seconds) if seconds < 1e-7 else "%.2f us" % (1e6 * seconds)


def table_row(count, case):
    if not is_timed(case):
        return ["%d" % count, "%s: %s" % (case["result"], case["error"].splitlines()[0])] + ["-"] * (len(HEAD) - 1)
    time = {key: 1e3 * case["time"][key] for key in ("median", "tenth", "nine_tenths")}
    words = ["%d" % count, "%.4f" % time["median"], "%.4f to %.4f" % (time["tenth"], time["nine_tenths"])]
    words += ["%.4f" % (1e3 * case["floor"]), "%.0f %%" % (100 * case["fraction_of_floor"])]
    return words + [each(case["time"]["median"] / count), case["variant"], error_text(case)]


def write_table(title, points, file):
    file.write("| %s |\n|%s\n" % (" | ".join([title] + HEAD), "---|" * (1 + len(HEAD))))
    for count, case in points:
        file.write("| %s |\n" % " | ".join(table_row(count, case)))
    file.write("\n")


def write_tables(document, file):
    device, peaks = document["device"], document["peaks"]
    words = (device["name"], device["driver_version"], document["date"], document["version"], 1e-9 * peaks["copy_bytes_per_second"])
    file.write("%s, driver %s, %s; rwkv6cl %s. Copy kernel: %.0f GB/s.\n\n" % words)
    write_table("T (one sequence, %d heads)" % HEADS, over_tokens(document), file)
    write_table("sequences x heads (%d tokens)" % LENGTH, over_heads(document), file)


def storage(case):
    w = case.get("w_dtype", case["dtype"])
    return case["dtype"] + ("" if w == case["dtype"] else ", w in " + w)


def plot_panel(axes, points, label):
    points = [point for point in points if is_timed(point[1])]
    if points:
        first = points[0][1]
        name = "%s, K = V = %d" % (storage(first), first["key_dim"])
        counts = [count for count, _ in points]
        axes.plot(counts, [1e3 * case["time"]["median"] for _, case in points], "C0o-", label="rwkv6cl " + name)
        axes.plot(counts, [1e3 * case["floor"] for _, case in points], "C0:", label="bytes floor " + name)
    axes.set_xlabel(label)
    axes.set_ylabel("chunk forward, ms")


def plot(document, path):
    figure, (tokens, heads) = plots.new_plot(2)
    plot_panel(tokens, over_tokens(document), "tokens of one sequence, %d heads" % HEADS)
    plot_panel(heads, over_heads(document), "sequences x heads of %d tokens" % LENGTH)
    plots.save_plot(figure, path)


def read_document(path, key):
    """A file of JSON with that key."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as error:
        raise SystemExit("%s: %s" % (path, error)) from error
    if not isinstance(document, dict) or not isinstance(document.get(key), list):
        raise SystemExit("%s has no list of %s" % (path, key))
    return document


def read(path):
    document = read_document(path, "cases")
    if not any(is_timed(case) for _, case in over_tokens(document) + over_heads(document)):
        raise SystemExit("growth: %s has no timed case of the suite's curves" % path)
    return document


def report(path, folder, file):
    """Writes the tables and the plot; whether every case of the curves is right."""
    document = read(path)
    write_tables(document, file)
    os.makedirs(folder, exist_ok=True)
    plot(document, os.path.join(folder, "growth.svg"))
    return all(case["result"] == "passed" for _, case in over_tokens(document) + over_heads(document))
