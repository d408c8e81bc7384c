# SPDX-License-Identifier: MIT
"""by_instruction.py SOURCE.csv N: what ncu counted (README), for each of N (sub-groups x chunks)."""

import csv
import sys
from collections import Counter, defaultdict


def read(path):
    rows = list(csv.reader(open(path)))
    return rows[1], [dict(zip(rows[1], row)) for row in rows[2:]]


def number(row, name):
    try:
        return float(row[name])
    except (KeyError, ValueError):
        return 0.0


def opcode(source):
    word = [word for word in source.split() if not word.startswith("@")][0].rstrip(";")
    return ".".join(word.split(".")[: 3 if word.startswith(("LD", "ST")) else 1])


def print_opcodes(rows, each):
    counts = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in rows:
        count = counts[opcode(row["Source"])]
        count[0] += number(row, "Instructions Executed") / each
        count[1] += number(row, "# Samples")
        count[2] += number(row, "L1 Wavefronts Shared") / each
    samples = sum(count[1] for count in counts.values()) or 1
    print("%.0f instructions, %.0f wavefronts of local memory" % tuple(sum(count[i] for count in counts.values()) for i in (0, 2)))
    for name, count in sorted(counts.items(), key=lambda item: -item[1][0])[:40]:
        print("%-16s %7.1f instructions %5.1f %% of samples %6.1f wavefronts" % (name, count[0], 100 * count[1] / samples, count[2]))
    return samples


def print_regions(rows, stalls, each, samples):
    """What lies between barriers and branches."""
    begin, total = 0, Counter()
    for i, row in enumerate(rows):
        total["instructions"] += number(row, "Instructions Executed") / each
        total["samples"] += number(row, "# Samples")
        for name in stalls:
            total[name] += number(row, name)
        if any(word in row["Source"] for word in ("BAR", "WARPSYNC", "BRA")) or i == len(rows) - 1:
            if total["instructions"] > 20:
                worst = [(total[name], name) for name in stalls]
                text = ", ".join("%s %.1f" % (name[6:], 100 * count / samples) for count, name in sorted(worst)[-6:][::-1])
                print("%d-%d: %.0f instructions, %.1f %%: %s" % (begin, i, total["instructions"], 100 * total["samples"] / samples, text))
            begin, total = i + 1, Counter()


def main():
    header, rows = read(sys.argv[1])
    each = float(sys.argv[2])
    stalls = [name for name in header if name.startswith("stall_") and "Not Issued" not in name]
    samples = print_opcodes(rows, each)
    sums = sorted(((sum(number(row, name) for row in rows), name) for name in stalls), reverse=True)
    print(", ".join("%s %.1f %%" % (name[6:], 100 * count / samples) for count, name in sums[:12]))
    print_regions(rows, stalls, each, samples)


main()
