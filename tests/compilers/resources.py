#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every kernel and variant, or those of some variants, compiled for GPUs that are not here.

PROGRAMS is the program that says what launchers would build. Fails if something does not compile, if a kernel spills or needs scratch
memory where TABLE says that it did not (or more than it says), and if kernels came or went; --accept writes TABLE instead.
Other figures may differ from TABLE: it says so and passes. What has been compiled before is not compiled again.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import compile

KEY = ("target", "program", "kernel", "variant", "specialization", "group")


def list_programs(programs, target, work):
    folder = work / target
    folder.mkdir(parents=True, exist_ok=True)
    said = subprocess.run([programs, target, str(folder)], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in said.splitlines():
        number, variant, specialization, kernels, options = line.split("\t")
        yield {"target": target, "source": folder / (number + ".cl"), "variant": variant, "specialization": specialization,
               "kernels": kernels.split(","), "options": options}


def figures(program, known, digest_of_compilers):
    """Of each kernel that the launcher makes, or the text of a refusal."""
    text = program["source"].read_text()
    words = "\0".join((digest_of_compilers, program["target"], program["options"], text))
    kept = known / (hashlib.sha256(words.encode()).hexdigest() + ".json")
    if kept.exists():
        return json.loads(kept.read_text())
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = compile.compile_for(program["target"], program["source"], program["options"], pathlib.Path(folder))
        except compile.Refused as refusal:
            return str(refusal)
    kept.write_text(json.dumps(found))
    return found


def work_group(options):
    for word in options.split():
        if word.startswith("-DWORK_GROUP="):
            return word.split("=")[1]
    return "-"


def rows_of(program, found):
    for kernel in program["kernels"]:
        key = (program["target"], program["kernels"][0], kernel, program["variant"], program["specialization"],
               work_group(program["options"]))
        yield key, tuple(found[kernel])


def of_variants(listed, variants):
    """The programs of these variants (None: of all), and [failures]: a name that none has."""
    kept = [program for program in listed if not variants or program["variant"] in variants]
    missing = set(variants or ()) - {program["variant"] for program in kept}
    return kept, ["no program is of variant " + name for name in sorted(missing)]


def versions_of(targets):
    """{vendor: version of its compiler}, of those vendors alone: not every machine has all compilers."""
    return {vendor: compile.version(vendor) for vendor in sorted({compile.vendor_of(target) for target in targets})}


def measure(programs, work, targets, variants):
    """({key: figures}, [failures], {targets for which something did not compile}, programs that compiled without figures)"""
    known = work / "known"
    known.mkdir(parents=True, exist_ok=True)
    compilers = "\n".join([*versions_of(targets).values(), pathlib.Path(compile.__file__).read_text()])
    listed = [program for target in targets for program in list_programs(programs, target, work)]
    listed, failures = of_variants(listed, variants)
    rows, broken, bare = {}, set(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, found in zip(listed, pool.map(lambda p: figures(p, known, compilers), listed)):
            about = "%s, %s %s, %s" % (program["target"], program["kernels"][0], program["variant"], program["specialization"])
            if isinstance(found, str):
                failures.append("%s does not compile:\n%s" % (about, found))
                broken.add(program["target"])
            elif found:
                rows.update(rows_of(program, found))
            elif program["target"].startswith("sm_"):
                bare += 1
            else:
                failures.append("%s: the compiler made no kernels" % about)
    return rows, failures, broken, bare


def read_table(path):
    if not path.exists():
        return {}
    lines = [line.split("\t") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    width = len(KEY)
    return {tuple(line[:width]): tuple(int(word) for word in line[width:]) for line in lines[1:]}


def versions_in(path):
    """{vendor: version} as the head of the table has them"""
    lines = path.read_text().splitlines() if path.exists() else []
    found = (re.match(r"# (Intel|AMD|NVIDIA): (.*)", line) for line in lines)
    return dict(match.groups() for match in found if match)  # the last of a vendor


def write_table(path, rows, versions):
    with open(path, "w") as out:
        out.write("# What each kernel takes on GPUs that are not here. Made by: sh tests/compilers/run.sh --accept\n")
        out.write("# registers: of a work-item (Intel: of a thread of `width` work-items). spills: Intel: instructions; AMD: vector registers;\n"
                  "# NVIDIA: bytes. local: bytes a work-group. scratch: bytes a work-item (Intel: a thread). NVIDIA: not its own compiler.\n")
        for vendor in ("Intel", "AMD", "NVIDIA"):
            out.write("# %s: %s\n" % (vendor, versions.get(vendor, "none")))
        out.write("\t".join(KEY + compile.FIELDS) + "\n")
        for key in sorted(rows):
            out.write("\t".join(key + tuple(str(figure) for figure in rows[key])) + "\n")


def compare(rows, table, broken):
    """([failures], count of good rows, count of rows whose other figures changed). `broken` targets may lack rows."""
    failures, good, changed = [], 0, 0
    # The work-group is a figure as well: a kernel is the same one in another.
    identity = slice(0, len(KEY) - 1)
    before = {key[identity]: (key, old) for key, old in table.items()}
    for key, new in sorted(rows.items()):
        about = "%s, kernel %s of %s, variant %s, %s, work-group %s" % (key[0], key[2], key[1], key[3], key[4], key[5])
        if key[identity] not in before:
            failures.append("%s: not in the table" % about)
            continue
        old_key, old = before.pop(key[identity])
        worse = [field for field in ("spills", "scratch") if new[compile.FIELDS.index(field)] > old[compile.FIELDS.index(field)]]
        for field in worse:
            at = compile.FIELDS.index(field)
            failures.append("%s: %s %d, the table has %d" % (about, field, new[at], old[at]))
        good += not worse
        changed += not worse and (old_key, old) != (key, new)
    measured = {key[0] for key in rows} - broken
    failures += ["%s: in the table, and built no more" % ", ".join(key) for key in sorted(before) if key[0] in measured]
    return failures, good, changed


def accepted(rows, table):
    """The table with the new rows; what was not measured this time stays, as NVIDIA's figures do without ptxas."""
    measured = {key[0] for key in rows}
    return {**{key: old for key, old in table.items() if key[0] not in measured}, **rows}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--accept", action="store_true", help="write TABLE")
    parser.add_argument("--variants", type=lambda names: names.split(","), help="of these alone, with commas between them")
    parser.add_argument("targets", nargs="*", metavar="target", help="default: all")
    options = parser.parse_intermixed_args(arguments)
    if options.accept and options.variants:
        parser.error("--accept takes all variants")
    return options


def main():
    options = parse(sys.argv[1:])
    programs, path = options.programs, options.table
    all_targets = subprocess.run([programs, "--targets"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    targets = options.targets or all_targets
    rows, failures, broken, bare = measure(programs, options.work, targets, options.variants)
    table = {key: old for key, old in read_table(path).items() if not options.variants or key[3] in options.variants}
    if options.accept and not failures:
        write_table(path, accepted(rows, table), {**versions_in(path), **versions_of(targets)})
        print("%s: %d kernels" % (path, len(rows)))
        return 0
    more, good, changed = compare(rows, table, broken)
    for failure in failures + more:
        print(failure)
    if more:
        print("If that is as it should be: sh tests/compilers/run.sh --accept, and commit %s with the reason." % path)
    if not compile.ptxas():
        print("No ptxas here: programs for NVIDIA were compiled to PTX, and their figures not compared.")
    if changed:
        print("%d kernels have other figures than the table, none worse in spills or scratch." % changed)
    print("Compiled for %s." % ", ".join(targets))
    print("%d passed, %d failed" % (good + bare, len(failures + more)))
    return 1 if failures or more else 0


if __name__ == "__main__":
    sys.exit(main())
