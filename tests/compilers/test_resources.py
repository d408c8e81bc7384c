#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of resources: what a comparison fails on, and what --accept keeps."""
import pathlib
import sys
import tempfile
import unittest

import compile
import resources


def key(target, kernel="recurrent_forward"):
    return (target, kernel, kernel, "portable", "64x64 fp32", "64")


def figures(**some):
    return tuple(some.get(field, 0) for field in compile.FIELDS)


class Table(unittest.TestCase):
    def test_accept_keeps_what_was_not_measured(self):
        table = {key("dg2"): figures(), key("dg2", "gone"): figures(), key("sm_80"): figures(registers=40), key("sm_90"): figures()}
        rows = {key("dg2"): figures(spills=3)}
        kept = resources.accepted(rows, table)
        self.assertEqual(kept, {**rows, key("sm_80"): table[key("sm_80")], key("sm_90"): table[key("sm_90")]})
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "table.tsv"
            versions = {"Intel": "1", "AMD": "2, 3", "NVIDIA": "4"}
            resources.write_table(path, kept, versions)
            self.assertEqual(resources.read_table(path), kept)
            self.assertEqual(resources.versions_in(path), versions)

    def test_new_spills_and_scratch_fail(self):
        for worse in ("spills", "scratch"):
            failures, good, _ = resources.compare({key("dg2"): figures(**{worse: 2})}, {key("dg2"): figures(**{worse: 1})}, set())
            self.assertEqual((len(failures), good), (1, 0))
        failures, good, changed = resources.compare({key("dg2"): figures(registers=9)}, {key("dg2"): figures()}, set())
        self.assertEqual((failures, good, changed), ([], 1, 1))

    def test_kernels_that_came_or_went_fail(self):
        rows = {key("dg2"): figures()}
        self.assertEqual(len(resources.compare(rows, {}, set())[0]), 1)
        self.assertEqual(len(resources.compare(rows, {**rows, key("dg2", "gone"): figures()}, set())[0]), 1)
        # Without a compiler for it nothing is said of a target.
        self.assertEqual(resources.compare(rows, {**rows, key("sm_80"): figures()}, set())[0], [])

    def test_a_variant_without_programs_fails(self):
        listed = [{"variant": "portable"}, {"variant": "hopper"}]
        self.assertEqual(resources.of_variants(listed, None), (listed, []))
        self.assertEqual(resources.of_variants(listed, ["hopper"]), (listed[1:], []))
        self.assertEqual(resources.of_variants(listed, ["hopper", "hoper"]), (listed[1:], ["no program is of variant hoper"]))


class Hidden(unittest.TestCase):
    def test_instructions_are_shown(self):
        ptx = "// .target sm_80\n.version 7.5\n.target sm_80, x\n\t//@wgmma.a;\n\t// .version\n.target sm_80\n"
        shown = "// .target sm_80\n.version 8.0\n.target sm_90a, x\n\twgmma.a;\n\t// .version\n.target sm_80\n"
        self.assertEqual(compile.show(ptx), shown)

    def test_a_kernel_that_is_assembled_twice_fails(self):
        compile.refuse_twice("ptxas info    : Used 4 registers, used 0 barriers\nptxas info    : Used 44 registers\n")
        with self.assertRaises(compile.Refused):
            compile.refuse_twice("ptxas info    : Used 253 registers, used 2 barriers\nptxas info    : Used 44 registers\n")

    def test_serialized_products_fail(self):
        compile.refuse_serialized("ptxas info    : 0 bytes gmem\n")
        said = "ptxas info : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to a call"
        with self.assertRaises(compile.Refused):
            compile.refuse_serialized("ptxas info    : 0 bytes gmem\n%s\n" % said)


sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
