#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""golden_arrays.py OUTPUT.c FOLDER: golden cases as C arrays, and what Python says about half precision.

Numbers are written as the bits of fp32: the compiler reads them as integers, so byte order and decimal parsing play no part.
"""
import json
import pathlib
import re
import struct
import sys

FLOATS = {"<f4": ("I", 4), "<i8": ("q", 8)}


def read_npy(path):
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    (length,) = struct.unpack_from("<H", data, 8)
    header = data[10 : 10 + length].decode()
    descr = re.search(r"'descr': '([^']+)'", header).group(1)
    assert "'fortran_order': False" in header, path
    letter, size = FLOATS[descr]
    count = (len(data) - 10 - length) // size
    return struct.unpack_from("<%d%s" % (count, letter), data, 10 + length)


def fnv(words):
    digest = 0xCBF29CE484222325
    for word in words:
        digest = ((digest ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return digest


def float_bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def half_bits(bits):
    """What fp32 `bits` round to in fp16: to nearest even, as struct does; over the range, infinity."""
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    try:
        return struct.unpack("<H", struct.pack("<e", value))[0]
    except OverflowError:
        return 0xFC00 if bits >> 31 else 0x7C00


def is_nan16(bits):
    return bits & 0x7FFF > 0x7C00


def is_nan32(bits):
    return bits & 0x7FFFFFFF > 0x7F800000


def widened_halves():
    for bits in range(1 << 16):
        if not is_nan16(bits):
            yield float_bits(struct.unpack("<e", struct.pack("<H", bits))[0])


def rounded_floats():
    """The same walk through the floats as in checker.c."""
    for i in range(1 << 17):
        bits = (i * 2654435761) & 0xFFFFFFFF
        if not is_nan32(bits):
            yield half_bits(bits)


def rows(values, form, width):
    lines = []
    for at in range(0, len(values), width):
        lines.append("  " + ", ".join(form % value for value in values[at : at + width]) + ",")
    return "\n".join(lines)


def write_case(out, folder):
    meta = json.loads((folder / "meta.json").read_text())
    name = folder.name
    tensors = {}
    for path in sorted(folder.glob("*.npy")):
        values = read_npy(path)
        kind, form = ("int64_t", "INT64_C(%d)") if path.stem == "cu_seqlens" else ("uint32_t", "0x%08xu")
        out.write("static const %s %s_%s[] = {\n%s\n};\n" % (kind, name, path.stem, rows(values, form, 10)))
        tensors[path.stem] = len(values)
    fields = ['.name = "%s"' % name]
    for field in ("tokens", "sequences", "heads", "key_dim", "value_dim"):
        fields.append(".%s = %d" % (field, meta[field]))
    fields.append(".scale = %s" % float(meta["scale"]).hex())
    fields.append(".decay = RWKV6_DECAY_%s" % meta["decay"].upper())
    fields.append(".dtype = RWKV6_%s" % meta["dtype"].upper())
    fields.append(".w_dtype = RWKV6_%s" % meta["w_dtype"].upper())
    fields.append(".reverse = %d" % meta["reverse"])
    if tensors.pop("cu_seqlens", None):
        fields.append(".cu_seqlens = %s_cu_seqlens" % name)
    for tensor, count in tensors.items():
        index = "RWKV6_TENSOR_%s" % tensor.upper()
        fields.append(".elements[%s] = %d" % (index, count))
        fields.append(".bits[%s] = %s_%s" % (index, name, tensor))
    return "    {%s},\n" % ",\n     ".join(fields)


def main():
    output, root = sys.argv[1], pathlib.Path(sys.argv[2])
    folders = sorted(path.parent for path in root.glob("*/meta.json"))
    assert folders, "no cases in %s" % root
    with open(output, "w") as out:
        out.write('/* Made by tests/machines/golden_arrays.py. */\n#include "golden_arrays.h"\n\n')
        table = "".join(write_case(out, folder) for folder in folders)
        out.write("const golden_arrays golden_arrays_table[] = {\n%s    {0},\n};\n" % table)
        out.write("const uint64_t golden_widened_halves = UINT64_C(0x%016x);\n" % fnv(widened_halves()))
        out.write("const uint64_t golden_rounded_floats = UINT64_C(0x%016x);\n" % fnv(rounded_floats()))


main()
