# SPDX-License-Identifier: MIT
"""side_by_side.py without a GPU: test_side_by_side.py TOOL GOLDEN.

The tool is run on the CPU path; what fla would have answered is written out here. The float64 reference is compared with golden data if
numpy is there, plots are drawn if matplotlib is.
"""

import ast
import contextlib
import copy
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import xml.etree.ElementTree

import float64_reference as reference
import growth
import side_by_side

TOOL, GOLDEN = sys.argv[1], sys.argv[2]


def has(module):
    return importlib.util.find_spec(module) is not None


def read_npy(path):
    import numpy

    with open(path, "rb") as file:
        data = file.read()
    end = 10 + struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:end].decode("ascii"))
    return numpy.frombuffer(data[end:], header["descr"]).reshape(header["shape"])


@unittest.skipUnless(has("numpy"), "needs numpy")
class TestReference(unittest.TestCase):
    def check_sequence(self, case, meta, n, ends):
        import numpy

        part = slice(ends[n], ends[n + 1])
        r, k, v, w, do = (case[name][None, part].astype(float) for name in ("r", "k", "v", "w", "do"))
        state = case["initial_state"][n : n + 1].astype(float) if "initial_state" in case else None
        dstate = case["dfinal_state"][n : n + 1].astype(float) if "dfinal_state" in case else None
        common = (numpy, r, k, v, w, case["u"].astype(float), meta["scale"])
        got = {}
        got["o"], got["final_state"] = reference.forward(*common, state)
        got.update(reference.backward(*common, do, state, dstate))
        for name in ("o", "dr", "dk", "dv", "dw"):
            self.assertLess(reference.relative_error(got[name][0], case[name][part].astype(float)), 2e-7, (meta["name"], name))
        for name in ("final_state", "dinitial_state"):
            if name in case:
                self.assertLess(reference.relative_error(got[name][0], case[name][n].astype(float)), 2e-7, (meta["name"], name))
        return got["du"]

    def test_golden(self):
        checked = 0
        for name in sorted(os.listdir(GOLDEN)):
            folder = os.path.join(GOLDEN, name)
            if not os.path.exists(os.path.join(folder, "do.npy")):
                continue
            with open(os.path.join(folder, "meta.json"), encoding="utf-8") as file:
                meta = json.load(file)
            if meta["decay"] != "log" or meta["reverse"]:
                continue
            case = {entry[:-4]: read_npy(os.path.join(folder, entry)) for entry in os.listdir(folder) if entry.endswith(".npy")}
            ends = [int(end) for end in case["cu_seqlens"]]
            lengths = [end - begin for begin, end in zip(ends, ends[1:])]
            du = sum(self.check_sequence(case, meta, n, ends) for n in range(len(lengths)) if lengths[n])
            self.assertLess(reference.relative_error(du, case["du"].astype(float)), 2e-7, (name, "du"))
            checked += 1
        self.assertGreater(checked, 8)

    def test_error(self):
        import numpy

        one, nan = numpy.ones(4), numpy.array([1, float("nan"), 1, 1])
        self.assertEqual(reference.relative_error(one, one), 0)
        self.assertAlmostEqual(reference.relative_error(1.5 * one, one), 0.5)
        self.assertNotEqual(reference.relative_error(nan, one), reference.relative_error(nan, one))


def small_rows():
    """The rows of a real run, at sizes for the CPU path."""
    rows = side_by_side.make_rows("bf16", 8, "both")
    for row in rows:
        row.update(length=min(row["length"], 40), heads=2, sequences=min(row["sequences"], 2))
    return rows


def answer(eager, graph, error=2.4e-3):
    return {
        "eager": {"median": eager, "tenth": eager, "nine_tenths": eager, "runs": 10},
        "graph": graph and {"median": graph, "tenth": graph, "nine_tenths": graph, "runs": 10},
        "errors": {"o": error, "dk": 1e-3},
        "extra_bytes": 3 << 20,
        "first_call": 75.0,
        "sets": 2,
    }


class TestTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = small_rows()
        cls.documents, cls.cases = side_by_side.run_tool(TOOL, "cpu", None, "bf16", cls.rows)
        cls.relaxed = side_by_side.run_tool(TOOL, "cpu", None, "bf16", list(filter(side_by_side.has_relaxed, cls.rows)), "relaxed")[1]

    def make_run(self, change=None):
        joined = []
        for row in self.rows:
            ours = side_by_side.join_ours(row, self.cases)
            theirs = side_by_side.join_fla(row, {"0.5.2": answer(8.0, 4.0), "0.6.0": answer(6.0, 5.0)})
            relaxed = side_by_side.join_ours(row, self.relaxed) if side_by_side.has_relaxed(row) else None
            joined.append({"row": row, "ours": ours, "relaxed": relaxed, "fla": theirs})
        run = {
            "date": "2026-11-24 12:00 UTC",
            "dtype": "bf16",
            "dim": 8,
            "device": self.documents[0]["device"],
            "version": "0.1.0",
            "peaks": self.documents[0]["peaks"],
            "software": {"torch": "2.11.0", "fla-core": "0.5.2, 0.6.0"},
            "rows": joined,
        }
        if change:
            change(joined)
        return run

    def table(self, run):
        out = io.StringIO()
        side_by_side.write_table([run], out)
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.getvalue().splitlines() if line.startswith("|")]

    def test_every_row_is_measured(self):
        for row in self.rows:
            ours = side_by_side.join_ours(row, self.cases)
            self.assertEqual(ours["result"], "passed", ours)
            self.assertGreater(ours["time"]["median"], 0)
            names = {"o", "dr", "dk", "dv", "dw", "du"} if row["operation"] == "forward_backward" else {"o"}
            self.assertEqual(set(ours["errors"]), names | ({"final_state"} if row["states"] else set()))

    def test_ragged_lengths_are_the_tools(self):
        row = next(row for row in self.rows if row["ragged"])
        ours = side_by_side.join_ours(row, self.cases)
        asked = side_by_side.with_lengths(row, ours)
        self.assertEqual(sum(asked["lengths"]), row["sequences"] * row["length"])
        self.assertEqual(asked["sequences"], len(asked["lengths"]))

    def test_faster_version_counts(self):
        decode = next(row for row in self.rows if row["states"])
        prompt = next(row for row in self.rows if not row["states"])
        versions = {"0.5.2": answer(8.0, 4.0), "0.6.0": answer(6.0, 5.0)}
        self.assertEqual(side_by_side.join_fla(decode, versions)["version"], "0.5.2")
        self.assertEqual(side_by_side.join_fla(prompt, versions)["version"], "0.6.0")
        versions["0.6.0"] = {"error": "out of memory"}
        self.assertEqual(side_by_side.join_fla(prompt, versions)["version"], "0.5.2")
        versions["0.5.2"] = {"error": "out of memory"}
        self.assertIn("0.6.0: out of memory", side_by_side.join_fla(prompt, versions)["error"])

    def test_table(self):
        run = self.make_run()
        lines = self.table(run)
        self.assertEqual(len(lines), 2 + len(self.rows))
        self.assertTrue(all(len(line) == len(side_by_side.HEAD) for line in lines))
        first, ours = lines[2], run["rows"][0]["ours"]
        self.assertEqual(first[:3], ["chunk forward", "2,40,2,8,8 bf16", "ordinary"])
        self.assertEqual(first[3], "%.4f" % (1e3 * ours["time"]["median"]))
        self.assertEqual(first[6:8], ["0.6.0", "6000.0000"])
        self.assertEqual(first[9], "%.1f" % (6.0 / ours["time"]["median"]))
        self.assertEqual(first[12], "2.40e-03 o")
        relaxed = run["rows"][0]["relaxed"]["time"]["median"]
        self.assertEqual(first[15:17], ["%.4f" % (1e3 * relaxed), "%.1f" % (6.0 / relaxed)])
        self.assertTrue(all((line[15] == "-") != side_by_side.has_relaxed(row) for line, row in zip(lines[2:], self.rows)))
        self.assertTrue(side_by_side.all_right([run]))

    def test_wrong_and_missing_results_show(self):
        def wrong(joined):
            joined[0]["ours"]["result"] = "wrong"
            joined[1]["fla"] = {"error": "CompilationError: no"}
            joined[2]["fla"]["errors"] = {"o": None}
            joined[3]["ours"] = {"error": "refused"}
            joined[4]["fla"]["graph"] = None
            joined[5]["relaxed"]["result"] = "wrong"

        run = self.make_run(wrong)
        lines = self.table(run)[2:]
        self.assertTrue(lines[0][11].endswith("WRONG"))
        self.assertEqual(lines[1][6], "CompilationError: no")
        self.assertEqual(lines[2][12], "NaN o")
        self.assertEqual(lines[3][3], "refused")
        self.assertEqual(lines[4][8], "-")
        self.assertTrue(lines[5][17].endswith("WRONG"))
        self.assertTrue(all(len(line) == len(side_by_side.HEAD) for line in lines))
        self.assertFalse(side_by_side.all_right([run]))

    @unittest.skipUnless(has("matplotlib"), "needs matplotlib")
    def test_whole_run(self):
        asked, rows = [], small_rows()

        def run_fla(folder, rows, deadline):
            asked.append((folder, rows, deadline - time.time()))
            versions = {"fla-core": folder, "torch": "2.11.0", "triton": "3.6.0"}
            return {"versions": versions, "device": "a GPU", "rows": [answer(8.0 if folder == "0.5.2" else 6.0, 4.0) for _ in rows]}

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as patches:
            patches.enter_context(unittest.mock.patch.object(side_by_side, "run_fla", run_fla))
            patches.enter_context(unittest.mock.patch.object(side_by_side, "find_fla", lambda _: None))
            patches.enter_context(unittest.mock.patch.object(side_by_side, "make_rows", lambda *_: rows))
            options = ["--tool", TOOL, "--device", "cpu", "--fla", "0.5.2", "--fla", "0.6.0", "--dtype", "bf16", "--dim", "8"]
            self.assertEqual(side_by_side.main(["run", "--minutes", "30", "--out", folder] + options), 0)
            (run,) = side_by_side.read_runs([os.path.join(folder, "side_by_side_bf16_8.json")])
            self.assertEqual(side_by_side.main(["run", "--rows", "1", "--out", folder] + options), 0)
            (short,) = side_by_side.read_runs([os.path.join(folder, "side_by_side_bf16_8.json")])
        self.assertEqual([entry["row"] for entry in short["rows"]], [run["rows"][0]["row"]])
        self.assertEqual([one[0] for one in asked], ["0.5.2", "0.6.0"] * 2)
        self.assertTrue(0 < asked[0][2] < asked[1][2] < 1800)
        ragged = [row for row in asked[0][1] if row["ragged"]]
        self.assertTrue(all(sum(row["lengths"]) == 80 and row["sequences"] == len(row["lengths"]) for row in ragged) and ragged)
        self.assertTrue(all(entry["fla"]["by_version"].keys() == {"0.5.2", "0.6.0"} for entry in run["rows"]))
        self.assertEqual(run["software"]["fla-core"], "0.5.2, 0.6.0")

    def test_fla_that_fails(self):
        def run(command, **_):
            if versions:
                with open(command[3], "w", encoding="utf-8") as file:
                    json.dump({"versions": versions, "rows": [answer(8.0, 4.0)]}, file)
            return subprocess.CompletedProcess(command, 3)

        failed = {"error": "fla in there ended with status 3"}
        with unittest.mock.patch.object(side_by_side.subprocess, "run", run):
            versions = {"fla-core": "0.5.2", "torch": "2.11.0"}
            self.assertEqual(side_by_side.run_fla("there", [1, 2, 3], 0)["rows"], [answer(8.0, 4.0), failed, failed])
            versions = None
            self.assertEqual(side_by_side.run_fla("there", [1], 0), {"versions": {"fla-core": "there"}, "rows": [failed]})

    def test_no_fla(self):
        with self.assertRaisesRegex(SystemExit, "/nowhere has no .*fla"):
            side_by_side.main(["run", "--tool", TOOL, "--fla", "/nowhere", "--dtype", "bf16", "--dim", "8", "--out", "none"])
        with self.assertRaisesRegex(SystemExit, "no program /nowhere"):
            side_by_side.main(["run", "--tool", "/nowhere", "--fla", ".", "--dtype", "bf16", "--dim", "8", "--out", "none"])

    def test_nothing_to_draw(self):
        def refuse_all(joined):
            for entry in joined:
                entry["ours"] = entry["fla"] = {"error": "no kernel for it"}
                entry.pop("relaxed", None)

        with tempfile.TemporaryDirectory() as folder:
            side_by_side.write_all([self.make_run(refuse_all)], folder, "none")
            self.assertEqual(sorted(os.listdir(folder)), ["none.json", "none.md"])

    @unittest.skipUnless(has("matplotlib"), "needs matplotlib")
    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            side_by_side.write_all([self.make_run()], folder, "one")
            source = os.path.join(folder, "one.json")
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(side_by_side.main(["merge", source, source, "--out", folder]), 0)
            self.assertEqual(len(side_by_side.read_runs([os.path.join(folder, "side_by_side.json")])), 2)
            for name in ("side_by_side_tokens.svg", "side_by_side_error.svg"):
                drawn = xml.etree.ElementTree.parse(os.path.join(folder, name)).getroot()
                self.assertTrue(drawn.tag.endswith("svg"))
            with open(os.path.join(folder, "side_by_side_error.svg"), encoding="utf-8") as file:
                self.assertIn("rwkv6cl relaxed bf16", file.read())
            bare = self.make_run()
            bare["rows"] = [entry for entry in bare["rows"] if not entry["row"]["curve"]]
            for entry in bare["rows"]:
                del entry["relaxed"]  # as in files of before
            self.assertTrue(side_by_side.all_right([bare]))
            side_by_side.write_all([bare], folder, "bare")
            drawn = [os.path.exists(os.path.join(folder, "bare_" + name)) for name in ("tokens.svg", "error.svg")]
            self.assertEqual(drawn, [False, True])
            points = side_by_side.curve(self.make_run())
            self.assertEqual(len(points), sum(row["curve"] for row in self.rows))


class TestGrowth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [TOOL, "bench", "--no-start", "--json", "--device", "cpu", "--operation", "forward", "--mode", "chunk"]
        timed = ["--shape", "1,20,%d,64,64" % growth.HEADS]
        cls.documents = [
            json.loads(subprocess.run(command + words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout)
            for words in (timed, ["--suite", "full", "--variant", "none"])
        ]

    def whole(self):
        """The suite's cases as the tool lists them, with the answer of the one that was timed."""
        (answer,), document = copy.deepcopy(self.documents[0]["cases"]), copy.deepcopy(self.documents[1])
        for case in document["cases"]:
            keep = {key: case[key] for key in case if key not in ("result", "error", "variant")}
            case.update(copy.deepcopy(answer), **keep)
        return document

    def tables(self, document):
        """The cells of both tables."""
        out = io.StringIO()
        growth.write_tables(document, out)
        blocks = [block for block in out.getvalue().split("\n\n") if block.startswith("|")]
        return [[[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()] for block in blocks]

    def test_tables(self):
        tokens, heads = self.tables(self.whole())
        powers = [2**i for i in range(7, 21)]
        self.assertEqual([int(row[0]) for row in tokens[2:]], sorted(powers + [127, 129, 1023, 4095, 4097, 16381, 32771]))
        powers = [2**i for i in range(13)]
        self.assertEqual([int(row[0]) for row in heads[2:]], sorted(powers + [3, 7, 31, 33, 65, 89, 127, 129, 133, 257, 265, 320, 513, 529]))
        self.assertTrue(all(len(row) == 1 + len(growth.HEAD) for row in tokens + heads))
        (case,) = self.documents[0]["cases"]
        self.assertEqual(tokens[2][1], "%.4f" % (1e3 * case["time"]["median"]))
        self.assertEqual(tokens[2][3:5], ["%.4f" % (1e3 * case["floor"]), "%.0f %%" % (100 * case["fraction_of_floor"])])
        self.assertEqual(tokens[2][6], "scalar")

    def test_wrong_and_refused_show(self):
        document = self.whole()
        first, second = [case for _, case in growth.over_tokens(document)][:2]
        first.update(result="wrong")
        first["tensors"][0].update(error=None)
        second.update(result="refused", error="too large\nfor this")
        tokens, _ = self.tables(document)
        self.assertEqual(tokens[2][-1], "NaN o WRONG")
        self.assertEqual(tokens[3][1:], ["refused: too large"] + ["-"] * (len(growth.HEAD) - 1))

    def run_growth(self, document, folder):
        path = os.path.join(folder, "results.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = side_by_side.main(["growth", path, "--out", os.path.join(folder, "out")])
        return status, out.getvalue()

    def test_other_files(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(SystemExit, "no list of cases"):
                self.run_growth({"runs": []}, folder)
            with self.assertRaisesRegex(SystemExit, "no list of cases"):
                self.run_growth([], folder)
            path = os.path.join(folder, "results.json")
            with self.assertRaisesRegex(SystemExit, "no list of runs"):
                side_by_side.read_runs([path])
            with open(path, "w", encoding="utf-8") as file:
                file.write("| ms |")
            with self.assertRaisesRegex(SystemExit, "results.json: Expecting value"):
                side_by_side.read_runs([path])
            with self.assertRaisesRegex(SystemExit, "No such file"):
                side_by_side.read_runs([path + ".not"])

    def test_no_curve(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(SystemExit, "no timed case"):
                self.run_growth(self.documents[1], folder)

    @unittest.skipUnless(has("matplotlib"), "needs matplotlib")
    def test_plot(self):
        document = self.whole()
        with tempfile.TemporaryDirectory() as folder:
            status, printed = self.run_growth(document, folder)
            self.assertEqual((status, printed.count("| 4096 |")), (0, 2))
            drawn = xml.etree.ElementTree.parse(os.path.join(folder, "out", "growth.svg")).getroot()
            panels = [one.get("id") for one in drawn.iter() if (one.get("id") or "").startswith("axes_")]
            self.assertEqual(panels, ["axes_1", "axes_2"])
            growth.over_heads(document)[0][1].update(result="wrong")
            self.assertEqual(self.run_growth(document, folder)[0], 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
