# SPDX-License-Identifier: MIT
"""Writes the kernel files given as a C table: embed.py OUTPUT TABLE FILE..."""
import os
import sys


def array(name, data):
    """Numbers rather than a string: C compilers need not take string literals over 4095 characters."""
    rows = (data[i : i + 24] for i in range(0, len(data), 24))
    body = ",\n".join("  " + ", ".join(str(byte) for byte in row) for row in rows)
    return "static const char %s[] = {\n%s, 0};\n\n" % (name, body)


def main():
    output, table, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(output, "w", encoding="ascii") as out:
        out.write('/* Generated from kernel files by cl/embed.py. */\n#include "opencl/source.h"\n\n')
        for number, path in enumerate(files):
            with open(path, "rb") as source:
                data = source.read()
            data.decode("ascii")  # some OpenCL compilers refuse anything else
            out.write(array("file_%d" % number, data))
        out.write("const rwkv6_cl_file %s[] = {\n" % table)
        for number, path in enumerate(files):
            out.write('  {"%s", file_%d},\n' % (os.path.basename(path), number))
        out.write("  {0, 0}};\n")


main()
