"""The benchmark harness with everything slow replaced: cells, files, resuming, failures, tables."""

import json
import math
import subprocess
import sys
import time

import pytest

from pdesolve.errors import PdesolveError
from scripts.benchmarks import command, contenders, document, environments, machine, markdown, workspace
from scripts.benchmarks.cell import AbstractSuite, Cell, Failed, Options, Skipped
from scripts.benchmarks.store import Store
from scripts.benchmarks.suites import (
    combine,
    factorisations,
    flow,
    honest,
    memory,
    operators,
    peers,
    problems,
    scaling,
    solve,
    step,
)
from scripts.benchmarks.suites.latency import Latency
from scripts.benchmarks.suites.residual import Residual

RATES = {"matmul_float64": 1e11, "matmul_float32": 2e11, "copy": 1e10}
MACHINE = {"processor": "none", "cores": 2, "system": "s", "threads": 2, "device": "cpu", "rates": RATES}


class Counting(AbstractSuite):
    """Two cells that measure, one that fails and one that is skipped; `calls` says which were asked for."""

    name, title, about = "counting", "Counting", "A stub."

    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def cells(self, options):
        return [Cell(key, {"seeds": options.seeds}) for key in ("a", "b", "broken", "absent")]

    def measure(self, cell, workspace, done):
        self.calls.append(cell.key)
        if cell.key == self.stop_at:
            raise KeyboardInterrupt
        if cell.key == "broken":
            raise Failed("exit code 1: boom", str(workspace.work / "logs" / "broken.log"))
        if cell.key == "absent":
            raise Skipped("not here")
        if cell.key == "impossible":
            raise PdesolveError("no such thing")
        return {"value": len(self.calls), "after": sorted(done)}

    def table(self, records):
        rows = [[key, str(r["result"]["value"])] for key, r in records.items() if r["status"] == "measured"]
        return markdown.table(["cell", "value"], rows)


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """No measuring of the machine, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "machine", lambda workspace: MACHINE)


@pytest.fixture
def space(tmp_path):
    return workspace.Workspace(tmp_path / "cache", threads=1, smoke=True)


def call(suite, out, *words):
    return command.main([suite.name, "--out", str(out), *words], {suite.name: suite})


def read(out, suite):
    return json.loads((out / f"{suite.name}.json").read_text())


def test_failed_and_skipped_cells_are_rows(tmp_path, capsys):
    """A cell that fails says so with its log, the others go on, and the exit code tells."""
    suite, out = Counting(), tmp_path / "performance"
    assert call(suite, out) == 1
    assert suite.calls == ["a", "b", "broken", "absent"]
    cells = read(out, suite)["cells"]
    assert [cells[key]["status"] for key in suite.calls] == ["measured", "measured", "failed", "skipped"]
    assert cells["b"]["result"]["after"] == ["a"]
    page = (tmp_path / "performance.md").read_text()
    assert "| a | 1 |" in page
    assert "`broken` failed: exit code 1: boom (log: `CACHE/work/logs/broken.log`)" in page
    assert "`absent` skipped: not here" in page
    assert "200 Gflop/s float32" in page


def test_a_cell_that_cannot_be_is_a_row(tmp_path, monkeypatch):
    """An error of the package itself fails the cell and no other."""
    monkeypatch.setattr(Counting, "cells", lambda self, options: [Cell(key, {}) for key in ("impossible", "a")])
    assert call(Counting(), tmp_path / "performance") == 1
    assert "`impossible` failed: no such thing" in (tmp_path / "performance.md").read_text()
    assert "| a | 2 |" in (tmp_path / "performance.md").read_text()


def test_a_finished_cell_is_kept(tmp_path):
    """The same command measures only what has no result; other parameters, or `--again`, measure anew."""
    out = tmp_path / "performance"
    call(Counting(), out)
    second = Counting()
    call(second, out)
    assert second.calls == ["broken", "absent"]
    third = Counting()
    call(third, out, "--seeds", "5")
    assert third.calls == ["a", "b", "broken", "absent"]
    again = Counting()
    call(again, out, "--seeds", "5", "--again")
    assert again.calls == third.calls


def test_an_interrupted_run_continues(tmp_path):
    """What was finished before Ctrl-C is on disk; the interrupted cell is not."""
    out = tmp_path / "performance"
    assert call(Counting(stop_at="b"), out) == 130
    assert list(read(out, Counting())["cells"]) == ["a"]
    second = Counting()
    call(second, out)
    assert second.calls == ["b", "broken", "absent"]
    document_ = read(out, second)
    assert len(document_["sessions"]) == 2
    assert [document_["cells"][key]["session"] for key in ("a", "b")] == [0, 1]


def test_a_file_is_never_half_written(tmp_path, monkeypatch):
    """If writing fails, the file holds what it held."""
    path = tmp_path / "x.json"
    Store(path, "x").put(Cell("a", {}), {"status": "measured", "result": 1.0}, {})
    before = path.read_text()
    store = Store(path, "x")
    with pytest.raises(ValueError):
        store.put(Cell("b", {}), {"status": "measured", "result": math.nan}, {})
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_strange_file_is_refused(tmp_path):
    """Results of another suite, or no JSON at all, are not overwritten."""
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(PdesolveError, match="is not JSON"):
        Store(path, "x")
    path.write_text('{"format": 1, "suite": "y"}')
    with pytest.raises(PdesolveError, match="suite 'x'"):
        Store(path, "x")


def test_bad_words_are_named(capsys):
    """Unknown suites and peers come with the nearest name."""
    assert command.main(["latencies"]) == 2
    assert "Did you mean 'latency'?" in capsys.readouterr().err
    assert command.main(["latency", "--peers", "deepxde-jex"]) == 2
    assert "Did you mean 'deepxde-jax'?" in capsys.readouterr().err
    assert command.main(["latency", "--seeds", "0"]) == 2


def test_nothing_about_the_machine_is_written():
    """Directories and servers are left out of what is kept."""
    text = f"{workspace.ROOT}/x.py: no https://host.example/simple/a at /usr/local/lib/python/site.py, see {sys.prefix}"
    assert workspace.private(text) == "./x.py: no URL at .../site.py, see VENV"


def test_a_process_is_timed_and_its_output_kept(space):
    """Wall time holds a sleep, processor time does not; the log holds what was written."""
    run = space.run([sys.executable, "-c", "import time; print('hello'); time.sleep(0.3)"], name="t", timeout=20)
    assert run.code == 0
    assert run.seconds > 0.3
    assert run.log.read_text() == "hello\n"
    with pytest.raises(Failed, match="exit code 3: last words"):
        space.check(space.run([sys.executable, "-c", "print('last words'); raise SystemExit(3)"], name="t", timeout=20))
    with pytest.raises(Failed, match="does not start"):
        space.run(["/no/such/program"], name="t", timeout=20)


def test_a_process_that_takes_too_long_is_ended(space):
    """So are its children."""
    program = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    )
    with pytest.raises(Failed, match="not done after 1 s") as error:
        space.run([sys.executable, "-c", program], name="t", timeout=1.0)
    with open(error.value.log) as file:
        child = file.read().strip()
    time.sleep(0.2)
    state = subprocess.run(["ps", "-o", "stat=", "-p", child], capture_output=True, text=True).stdout.strip()
    assert state == "" or state.startswith("Z")


def test_the_watch_does_not_count_our_own_work(monkeypatch):
    """On a machine where nobody else works, others took nothing, however busy we are."""
    monkeypatch.setattr(machine, "_used", machine._own)
    with machine.Watch() as watch:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
    assert watch.record()["cores_of_others"] < 0.05  # 1 or so, if our own were counted
    watch.load_before = 9.0
    assert not watch.record()["noisy"]
    watch.others = 1.0
    assert watch.record()["noisy"]
    watch.others = None  # not known: the load average has to do
    assert watch.record()["noisy"]


def test_latency_is_measured_for_real(space):
    """One command once; the first run is not counted."""
    suite = Latency()
    cell = suite.cells(Options(repetitions=2))[0]
    assert len(suite.measure(cell, space, {})["seconds"]) == 2


def stub_solve(monkeypatch, module, **summary):
    """Replace solving; return the list of what was asked for."""
    asked = []

    def solve(space, problem, **options):
        asked.append({"problem": problem, **options})
        whole = {
            **{"status": "solved", "relative_l2": 1e-4, "max_error": 1e-3, "reference_error": 1e-12, "steps": 100},
            **{"trivial_error": {"zero": 1.0, "mean": 0.9}, "classical_seconds": 0.02, "seed": options["seed"]},
            "seconds": {"compile": 2.0, "train": 8.0, "evaluate": 0.5},
            **summary,
        }
        history = {"steps": [100], "seconds": [10.0], "relative_l2": [1e-4]}
        return {"process_seconds": 14.0, "cpu_seconds": 20.0, "summary": whole, "history": history}

    monkeypatch.setattr(module, "solve", solve)
    return asked


def test_problems_are_solved_seed_by_seed(tmp_path, monkeypatch):
    """Three seeds of Burgers and one of the others, and Burgers with a larger budget."""
    asked = stub_solve(monkeypatch, problems)
    out = tmp_path / "performance"
    assert call(problems.Problems(), out, "--problems", "burgers,heat_1d") == 0
    assert [(a["problem"], a["seed"], a.get("seconds")) for a in asked] == [
        *[("burgers", 0, None), ("heat_1d", 0, None), ("burgers", 1, None), ("burgers", 2, None)],
        ("burgers", 0, 600.0),
    ]
    page = (tmp_path / "performance.md").read_text()
    assert "| burgers | 3 | solved | 1.0e-04 (1.0e-04 to 1.0e-04) |" in page
    assert (
        "| burgers_600 | 1 | solved | 1.0e-04 | 1.0e-03 | 1.0e-12 | 9.0e-01 | 100 | 2 | 8 | 0.5 | 14 | 0.02 |" in page
    )


def test_another_budget_is_a_cell_of_its_own():
    """`--seconds` does not replace the results of the recipe."""
    cells = problems.Problems().cells(Options(problems=("kdv",), seconds=5.0, seeds=2))
    assert [cell.key for cell in cells] == ["kdv_5/0", "kdv_5/1"]


def test_all_residual_problems_are_found():
    """The twelve named problems, and no family of problems."""
    names = {cell.parameters["problem"] for cell in problems.Problems().cells(Options())}
    assert len(names) >= 12
    assert {"burgers", "kovasznay", "schrodinger"} <= names
    assert not {"burgers_family", "random_field_1d"} & names


PROGRAM = """
import argparse, json, os
parser = argparse.ArgumentParser()
for name in ("reference", "records", "seed", "precision"):
    parser.add_argument(f"--{name}")
parser.add_argument("--fail")
given = parser.parse_args()
if given.fail:
    raise SystemExit("no such backend")
with open(given.records, "w") as file:
    print(json.dumps({"event": "start", "stages": ["adam"]}), file=file)
    for step, error in ((1, 0.9), (100, 2e-3), (200, 1e-3), (300, float("nan"))):
        seconds = 5.0 + 0.01 * step * int(os.environ["OMP_NUM_THREADS"])
        print(json.dumps({"event": "error", "step": step, "seconds": seconds, "relative_l2": error}), file=file)
"""


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """A peer that is slower with two threads than with one, in this interpreter's own environment."""
    script = tmp_path / "peer.py"
    script.write_text(PROGRAM)
    monkeypatch.setattr(environments.Environment, "python", lambda self, space: sys.executable)
    monkeypatch.setattr(environments.Environment, "ready", lambda self, space: True)
    monkeypatch.setattr(environments.Environment, "versions", lambda self, space: ["peer==1"])
    monkeypatch.setattr(peers, "_reference", lambda space, problem: tmp_path / "reference.npz")
    monkeypatch.setattr(peers, "cores", lambda: 2)
    threaded = contenders.Contender(environments.Environment("none", ()), threaded=True)
    monkeypatch.setitem(contenders.CONTENDERS, "deepxde-jax", threaded)
    case = peers.Case("burgers", str(script))
    monkeypatch.setitem(peers.CASES, "deepxde-jax", case)
    return case


def test_theirs_and_ours_take_turns(tmp_path, monkeypatch, peer):
    """Trials choose the threads; ours has the peer's best error as its target, seed by seed."""
    asked = stub_solve(monkeypatch, peers)
    out = tmp_path / "performance"
    assert call(peers.Peers(), out, "--peers", "deepxde-jax") == 0
    cells = read(out, peers.Peers())["cells"]
    group = "deepxde-jax/float32"
    assert list(cells) == [
        f"{group}/{k}" for k in ("threads/1", "threads/2", "theirs/0", "ours/0", "theirs/1", "ours/1")
    ]
    assert [a["target"] for a in asked] == [1e-3, 1e-3]
    theirs = cells[f"{group}/theirs/0"]["result"]
    assert (theirs["threads"], theirs["best_error"], theirs["best_seconds"]) == (1, 1e-3, 7.0)
    assert cells[f"{group}/threads/2"]["result"]["seconds_per_step"] == pytest.approx(0.02)
    page = (tmp_path / "performance.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| deepxde-jax, float32 "))
    # 7 s of theirs to 10 s of ours: the table is not kinder to us than the numbers.
    assert (
        "| 2 | 1 | 1.0e-03 (1.0e-03 to 1.0e-03) | 7 (7 to 7) | 10 (10 to 10) | 14 (14 to 14) | 0.7 (0.7 to 0.7) |"
        in row
    )


def test_a_target_we_miss_is_no_time(tmp_path, monkeypatch, peer):
    """A run of ours that did not reach the error has no time to it."""
    stub_solve(monkeypatch, peers, status="target_missed")
    call(peers.Peers(), tmp_path / "performance", "--peers", "deepxde-jax")
    page = (tmp_path / "performance.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| deepxde-jax, float32 "))
    assert "| -; 2 of 2 not reached | - | - | - |" in row


def test_a_peer_that_crashes_is_a_row(tmp_path, monkeypatch, peer):
    """Its last words and its log are kept, and our side is skipped."""
    stub_solve(monkeypatch, peers)
    monkeypatch.setitem(peers.CASES, "deepxde-jax", peers.Case("burgers", peer.script, smoke=(("fail", 1),)))
    assert call(peers.Peers(), tmp_path / "performance", "--peers", "deepxde-jax", "--smoke") == 1
    page = (tmp_path / "performance.md").read_text()
    assert "`deepxde-jax/float32/theirs/0` failed: exit code 1: no such backend (log: `CACHE/" in page
    assert "`deepxde-jax/float32/ours/0` skipped" in page


@pytest.mark.slow
def test_our_own_steps_are_measured(tmp_path, space):
    """The script runs in this interpreter as the peers' run in theirs; only its own environment is asked for."""
    cells = step.Step().cells(Options(smoke=True))
    assert [cell.parameters["contender"] for cell in cells] == [contenders.OURS, *contenders.PINNS]
    with pytest.raises(Skipped):
        step.Step().measure(cells[-1], space, {})
    given = {**cells[0].parameters, "points": [64], "width": 4, "depth": 1, "chunk": 16}
    result = step.Step().measure(Cell("pdesolve/1x4/0", given), space, {})
    (line,) = result["records"]
    assert line["points"] == 64 and 0 < line["seconds_per_step"] < 1 and 0 < line["residual_seconds"] < 1
    assert len(line["raw"]) == 3


def test_the_pace_leaves_out_what_a_call_costs(monkeypatch):
    """A call of n steps takes 7 s and n milliseconds: a step takes a millisecond."""
    monkeypatch.syspath_prepend(str(contenders.SCRIPTS))
    import pace

    measured = pace.pace(lambda n: 7.0 + 1e-3 * n, seconds=1.0)
    assert measured["seconds_per_step"] == pytest.approx(1e-3)
    with_growth = pace.pace(lambda n: 1e-6 * n, seconds=1.0)
    assert with_growth["steps"] * 1e-6 >= 0.25


def test_steps_are_held_against_floor_and_fastest_peer():
    """A network of 921 parameters has 860 weights that multiply; the slower thread count of a peer does not count."""
    assert step.weights(3, 20) == 860
    assert step.floor(3, 20, 1000, 1e9) == pytest.approx(24 * 860 * 1000 / 1e9)
    base = {"depth": 3, "width": 20, "chunk": None}
    line = {"points": 1000, "residual_seconds": 1e-4}

    def record(name, *paces):
        lines = [{**line, "seconds_per_step": pace, "threads": k} for k, pace in enumerate(paces)]
        place = {"status": "measured", "machine": MACHINE}
        return {**place, "parameters": {**base, "contender": name}, "result": {"records": lines}}

    records = {"a": record("pdesolve", 1e-3), "b": record("jinns", 3e-3), "c": record("pina", 9e-3, 2.5e-3)}
    table = step.Step().table(records)
    assert "| network, points | pdesolve | jinns | pina | pdesolve, r | fastest peer / ours | floor / ours |" in table
    # 2.064e7 operations at 200 Gflop/s are 1.03e-4 s, a tenth of 1e-3 s.
    assert "| 3 x 20, 1,000 | 0.001 | 0.003 | 0.0025 | 0.0001 | 2.5 | 10% |" in table


def measured(result, **parameters):
    return {"status": "measured", "machine": MACHINE, "parameters": parameters, "result": result}


def race(*pairs):
    seconds, errors = zip(*pairs, strict=True)
    history = {"steps": list(range(len(pairs))), "seconds": seconds, "relative_l2": errors}
    return measured({"history": history}, seconds=100.0)


def test_a_race_is_told_in_times_to_errors():
    """The first time counts; what a package has not reached in its time is a lower bound; a NaN is no error."""
    records = {
        "burgers/pdesolve/0": race((1.0, 0.5), (2.0, 9e-3), (4.0, 5e-4), (8.0, 6e-4)),
        "burgers/jinns/0": race((10.0, 0.1), (30.0, 1e-2), (100.0, 8e-3)),
        "burgers/jinns/1": race((10.0, 0.1), (50.0, 1e-2), (100.0, 9e-3), (101.0, 1e-9)),
        "burgers/pina/0": race((10.0, 0.3), (20.0, None)),
        "burgers/pina/threads/1": race((1.0, 1e-9)),
    }
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in solve.Solve().table(records).splitlines()[2:]]
    assert rows[0] == ["burgers, pdesolve", "1", "5.0e-04", "", "1", "2", "", "4", "", "-", ""]
    assert rows[1] == [
        *["burgers, jinns", "2", "8.5e-03 (8.0e-03 to 9.0e-03)", "17", "10 (10 to 10)"],
        *["40 (30 to 50)", "20"],
        *["-", "> 25", "-", "-"],
    ]
    assert rows[2][2:7] == ["3.0e-01", "6e+02", "10", "-", "> 10"]
    assert len(rows) == 3  # a trial of threads is no run


def test_the_race_gives_everyone_the_same_points(tmp_path, space):
    """Points of each condition with the reference's values; outside the domain there is none."""
    import numpy as np

    path, network = solve._data(space, "poisson_2d_c")
    with np.load(path) as data:
        assert network == {"depth": 3, "width": 20}
        assert data["interior"].shape == (4096, 2)
        assert not data["free"].any() and "points_8" not in data
        for k, value in enumerate([1.0] * 4 + [0.0] * 4):
            assert (str(data[f"field_{k}"]), data[f"points_{k}"].shape) == ("u", (512, 2))
            assert np.abs(data[f"values_{k}"] - value).max() < 1e-12
        centres = 0.3 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        assert np.linalg.norm(data["points"][:, None] - centres, axis=-1).min() >= 0.1 - 1e-12
        assert data["values"].shape == (len(data["points"]), 1)


def test_our_rules_are_measured_and_right(space):
    """On small stacks all results have the properties that their rules claim."""
    cell = combine.Combine().cells(Options(smoke=True))[0]
    given = {**cell.parameters, "terms": [2, 3], "sizes": [20_000]}
    result = combine.Combine().measure(Cell("pdesolve/2/0", given), space, {})
    lines = result["records"]
    assert len(lines) == 10 and all(line["seconds"] > 0 for line in lines)
    assert all(map(combine.correct, lines))
    table = combine.Combine().table({"pdesolve/2/0": measured(result, **given)})
    assert "✗" not in table and "config, 2, 20,000" in table


@pytest.mark.parametrize(
    ("rule", "cosines", "right"),
    [
        *[("config", [0.3, 0.3005], True), ("config", [0.3, 0.31], False), ("config", [-0.3, -0.3], False)],
        *[("imtlg", [-0.3, -0.3], True), ("imtlg", [0.3, 0.1], False)],
        *[("upgrad", [0.9, 0.0], True), ("upgrad", [0.9, -0.01], False), ("pcgrad", [0.9, -0.3], True)],
        ("config", None, False),
    ],
)
def test_a_wrong_combination_is_marked(rule, cosines, right):
    """Each rule is held to what it claims, and to no more."""
    line = {"rule": rule, "terms": 2, "size": 1000, "seconds": 1e-3, "cosines": cosines}
    assert combine.correct(line) is right
    table = combine.Combine().table({"a": measured({"records": [line]}, contender="torchjd", threads=1)})
    assert ("✗" in table) is not right
    # Five reads and writes of 1000 numbers of 4 bytes at 10 GB/s.
    assert combine.floor(2, 1000, 1e10) == pytest.approx(5 * 4000 / 1e10)


def test_exponents_are_those_of_a_power_law():
    """Twice the operations in 2^1.5 the time."""
    assert scaling.exponent([1, 2, 4], [1.0, 2**1.5, 8.0]) == pytest.approx(1.5)
    assert math.isnan(scaling.exponent([1], [1.0]))


def test_growth_with_dimensions_is_measured(space):
    """Our own script, small."""
    cell = next(c for c in scaling.Scaling().cells(Options(smoke=True)) if c.parameters["what"] == "dimensions")
    result = scaling.Scaling().measure(cell, space, {})
    assert result["operations"] == [4, 6] and all(seconds > 0 for seconds in result["seconds"])
    assert "| dimensions 2 to 32 |" in scaling.Scaling().table({cell.key: measured(result)})


def test_factorisations_agree_with_scipy(space):
    """Both are run on the smallest matrix: the steps are the same, and the floor is below the time."""
    suite = factorisations.Factorisations()
    records = {cell.key: measured(suite.measure(cell, space, {})) for cell in suite.cells(Options(smoke=True))}
    lines = [line for record in records.values() for line in record["result"]["records"]]
    assert [line["parameters"] for line in lines] == [500, 250]
    assert all(line["difference"] < 1e-8 and line["seconds"] > 0 for line in lines)
    assert factorisations.floor(300) == pytest.approx(4096 * 9e4 + 9e6)


@pytest.mark.slow
def test_memory_is_that_of_the_process(space):
    """More than the interpreter's 10 MB, less than 10 GB; chunks have a column of their own."""
    suite = memory.Memory()
    keys = [cell.key for cell in suite.cells(Options())]
    assert {"pdesolve/100000", "pdesolve*/1000000", "jinns/100000"} <= set(keys) and "jinns/1000000" not in keys
    result = suite.measure(suite.cells(Options(smoke=True))[0], space, {})
    assert 1e7 < result["peak_bytes"] < 1e10
    records = {"pdesolve/1000": measured({"peak_bytes": 2e8}), "pdesolve*/100000": measured({"peak_bytes": 3e8})}
    assert "| 100,000 |  | 300 |" in suite.table(records)


def test_operators_are_compared_by_step_and_error(monkeypatch, space):
    """Ours by the command line; a row for each package and number of threads."""
    asked = stub_solve(monkeypatch, operators)
    suite = operators.Operators()
    cells = suite.cells(Options(seeds=1))
    result = suite.measure(cells[0], space, {})
    assert (asked[0]["problem"], asked[0]["steps"]) == ("burgers_family", 1000)
    assert result == {"relative_l2": 1e-4, "seconds_per_step": 8e-3, "first_seconds": 2.0}
    assert "| pdesolve, " in suite.table({cells[0].key: measured(result)})
    assert [cell.parameters["contender"] for cell in cells][1:] == ["neuraloperator"] * (len(cells) - 1)


def test_the_winner_is_bold():
    """The fastest to an error; a way that does not reach it has a dash."""
    records = {
        "heat_1d/network": measured({"levels": {"0.01": 3.0, "0.001": None}}),
        "heat_1d/classical": measured({"levels": {"0.01": 0.5, "0.001": 0.6}, "method": "m"}),
    }
    table = honest.Honest().table(records)
    assert "| heat_1d, network | 3 | - | - | - |" in table
    assert "| heat_1d, classical (m) | **0.5** | **0.6** | - | - |" in table


def test_classical_solvers_meet_the_errors(space):
    """Our own, by the script; looser errors are not dearer than they have to be."""
    suite = honest.Honest()
    cell = next(c for c in suite.cells(Options(problems=("poisson_2d",))) if c.key.endswith("classical"))
    levels = suite.measure(cell, space, {})["levels"]
    assert set(levels) == {"0.01", "0.001", "0.0001", "1e-06"} and all(0 < t < 1 for t in levels.values())


def test_an_environment_that_cannot_be_built_is_a_failure(space, monkeypatch):
    """The step, pip's last line and the log are in the message; the next run builds it again."""
    environment = environments.Environment("bad", ("no-such-package-pdesolve==0",))
    done = []

    def run(self, command, *, name, timeout, variables=None):
        done.append(name)
        log = space.work / "log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("ERROR: No matching distribution\n")
        return workspace.Run(1 if "install" in name else 0, 0.1, 0.1, log)

    monkeypatch.setattr(workspace.Workspace, "run", run)
    with pytest.raises(
        Failed, match="install of environment bad: exit code 1: ERROR: No matching distribution"
    ) as error:
        environment.python(space)
    assert error.value.log == str(space.work / "log")
    assert not environment.ready(space)
    assert done == ["envs/bad-create", "envs/bad-install"]


def test_residual_rows_are_read(space, monkeypatch):
    """The last line of the process is the table."""
    row = {"equation": "Burgers, 1-D", "sweep": 4.0, "nested": 9.0, "sweep_gradient": 5.0, "nested_gradient": 8.0}
    row |= {"sweep_compile_s": 0.5, "nested_compile_s": 0.75}
    log = space.work / "log"
    log.parent.mkdir(parents=True)
    log.write_text("a warning\n" + json.dumps([row]))
    monkeypatch.setattr(workspace.Workspace, "ours", lambda self, *words, **_: workspace.Run(0, 1.0, 1.0, log))
    suite = Residual()
    (cell,) = suite.cells(Options(smoke=True))
    result = suite.measure(cell, space, {})
    records = {cell.key: {"status": "measured", "parameters": cell.parameters, "result": result}}
    assert "| Burgers, 1-D, float32 | 4 | 9 | 5 | 8 | 0.5 | 0.75 |" in suite.table(records)


def test_the_document_is_made_from_the_files_alone(tmp_path):
    """`--tables` measures nothing and writes the same page."""
    suite, out = Counting(), tmp_path / "performance"
    call(suite, out)
    page = document.document_path(out)
    text = page.read_text()
    page.unlink()
    idle = Counting()
    assert call(idle, out, "--tables") == 0
    assert idle.calls == []
    assert page.read_text() == text


def test_flows_are_shown_beside_their_data(monkeypatch, space):
    """The first row is what data score, each seed counted once; a failed run is told, a number that is none a dash."""
    asked = stub_solve(monkeypatch, flow)
    cells = flow.Flow().cells(Options(seeds=2))
    assert [cell.key for cell in cells] == [f"{name}/{seed}" for seed in (0, 1) for name in flow.METHODS]
    flow.Flow().measure(flow.Flow().cells(Options(smoke=True))[0], space, {})
    assert asked[0]["steps"] == 3 and 'method = "pbfm"' in asked[0]["config"] and "train = 64" in asked[0]["config"]

    def run(method, seed, residual, status="solved", **changes):
        measures = {
            **{"residual": residual, "wasserstein": 0.2, "jensen_shannon": 0.01, "function_evaluations": 20.0},
            **{"residual_of_data": 1e-6 * (seed + 1), "wasserstein_floor": 0.02, "jensen_shannon_floor": 1e-4},
            **{"resolve_error": 0.5, "deviation_p": 1.1},
            **changes,
        }
        seconds = {"compile": 1.0, "train": 30.0}
        summary = {"status": status, "seed": seed, "measures": measures, "seconds": seconds}
        return measured({"summary": summary}, method=method, seed=seed)

    records = {
        "PBFM/0": run("PBFM", 0, 4.0),
        "PBFM/1": run("PBFM", 1, 5.0, "failed"),
        "FM/0": run("FM", 0, 8.0, resolve_error=None),
    }
    table = flow.Flow().table(records).splitlines()
    assert table[0].startswith("| method | seeds | residual | wasserstein | Jensen-Shannon | resolve error |")
    assert table[2].startswith("| data | 2 | 1.5e-06 (1.0e-06 to 2.0e-06) | 2.0e-02 (2.0e-02 to 2.0e-02) | 1.0e-04 ")
    assert table[3] == "| FM | 1 | 8.0e+00 | 2.0e-01 | 1.0e-02 | - | 1.1e+00 | 20 | 30 |"
    assert table[4].startswith("| PBFM; 1 of 2 failed | 2 | 4.5e+00 (4.0e+00 to 5.0e+00) |")
    assert flow.Flow().table({}) == ""
