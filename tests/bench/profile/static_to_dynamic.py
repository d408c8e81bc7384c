# SPDX-License-Identifier: MIT
"""static_to_dynamic.py SOURCE OUT.ptx KERNEL mma|no WORK_GROUP: a kernel of NVIDIA's OpenCL for CUDA's driver interface (README).

SOURCE is PTX, or a cache folder of the library. Static local memory becomes dynamic; prints its bytes.
"""

import pathlib
import re
import sys


def find_ptx(source, kernel, uses_matrix_units):
    path = pathlib.Path(source)
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        data = file.read_bytes() if file.is_file() else b""
        if (b"mma.sync" in data) == uses_matrix_units and b".entry " + kernel.encode() + b"(" in data:
            return data[data.find(b".version") :].rstrip(b"\0").decode("latin1")
    raise SystemExit("no such program in " + source)


def make_dynamic(ptx, kernel):
    """The text, and the bytes that the kernel needs. Arrays of other kernels share the same memory."""
    offsets, sizes = {}, {}

    def declare(match):
        owner = kernel if kernel in match.group(2) else "other"
        offset = (sizes.get(owner, 0) + 1023) // 1024 * 1024
        offsets[match.group(2)] = offset
        sizes[owner] = offset + int(match.group(3))
        return ""

    ptx = re.sub(r"\.shared \.align (\d+) \.b8 ([\w$.]+)\[(\d+)\];", declare, ptx)
    if offsets:
        names = "|".join(sorted(map(re.escape, offsets), key=len, reverse=True))
        ptx = re.sub(
            r"(?<![\w$.])(" + names + r")(?![\w$.])(?:\+(\d+))?",
            lambda match: "dyn+%d" % (offsets[match.group(1)] + int(match.group(2) or 0)),
            ptx,
        )
    return ptx, sizes.get(kernel, 0)


def main():
    source, out, kernel, kind, work_group = sys.argv[1:6]
    ptx, size = make_dynamic(find_ptx(source, kernel, kind == "mma"), kernel)
    ptx = re.sub(r"(\.address_size 64[^\n]*\n)", r"\1.extern .shared .align 1024 .b8 dyn[];\n", ptx, count=1)
    ptx = re.sub(r"%envreg\d+", "0", ptx)
    ptx = re.sub(
        r"(\.entry " + kernel + r"\([^{]*?\))(\s*)\{",
        lambda match: match.group(1) + ("" if "ntid" in match.group(1) else "\n.reqntid %s, 1, 1\n" % work_group) + "{",
        ptx,
        flags=re.S,
    )
    pathlib.Path(out).write_text(ptx)
    print(size)


main()
