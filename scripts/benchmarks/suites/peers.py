"""The same problem by other packages' own recipes, and our time to the error they reach."""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell, Failed, Skipped
from ..contenders import CONTENDERS
from ..machine import cores
from ..scripted import run_script
from ..solving import solve
from ..workspace import Workspace

__all__ = ["CASES", "Case", "Peers"]

LIMIT = 1200.0
"""Seconds after which our own run gives up reaching the peer's error."""
TIMEOUT = 4 * 3600.0


@dataclasses.dataclass(frozen=True)
class Case:
    """A peer's own recipe for a problem of ours.

    Args:
        problem: The problem's name here.
        script: File in `peers/`; takes `--reference --records --seed --precision` and options, writes JSON lines.
        precision: That of its recipe.
        trial: Options of a short run whose last two records tell the speed; tried where threads have to be chosen.
        smoke: Options that make it short.
    """

    problem: str
    script: str
    precision: str = "float32"
    trial: tuple[tuple[str, int], ...] = ()
    smoke: tuple[tuple[str, int], ...] = ()


CASES = {
    "deepxde-jax": Case("burgers", "deepxde_burgers.py", smoke=(("adam", 20), ("every", 10))),
    "deepxde-pytorch": Case(
        "burgers",
        "deepxde_burgers.py",
        trial=(("adam", 200), ("lbfgs", 1), ("every", 100)),
        smoke=(("adam", 20), ("lbfgs", 5), ("every", 10)),
    ),
}


class Peers(AbstractSuite):
    """Theirs, ours, theirs, ours: both see the same machine."""

    name = "peers"
    title = "Beside other packages"
    about = (
        "A peer runs its own recipe to the end; what counts is its best error against our reference on our evaluation "
        "grid, and the time to it: set-up after imports, compilation and training, without the measuring of errors. "
        "Then `pdesolve solve NAME --target ERROR`, in turns with the peer, on the same cores. Our time is compilation "
        "and training; *command* is our whole process, with imports, reference, classical solver and files. DeepXDE "
        "runs the Burgers example it comes with (3 x 20 tanh, 2780 points, 15,000 iterations of Adam, then L-BFGS), up "
        "to t = 1 instead of 0.99; its JAX backend has no L-BFGS and ends with Adam. A peer with OpenMP threads gets "
        "one or all cores, whichever a trial finds faster."
    )

    def cells(self, options):
        """Return trials of thread counts, then pairs of theirs and ours, seed by seed."""
        cells = []
        for name in [name for name in options.peers or CASES if name in CASES]:
            case = CASES[name]
            precision = options.precision or case.precision
            group, given = f"{name}/{precision}", {"peer": name, "precision": precision}
            short = list(case.smoke) if options.smoke else []
            if CONTENDERS[name].threaded and not options.smoke:
                for threads in sorted({1, cores()}):
                    cells.append(Cell(f"{group}/threads/{threads}", {**given, "role": "trial", "threads": threads}))
            for seed in range(1 if options.smoke else options.seeds or 2):
                limit = {"limit": 5.0 if options.smoke else LIMIT}
                cells.append(
                    Cell(f"{group}/theirs/{seed}", {**given, "role": "theirs", "seed": seed, "options": short})
                )
                cells.append(Cell(f"{group}/ours/{seed}", {**given, "role": "ours", "seed": seed, **limit}))
        return cells

    def measure(self, cell, workspace, done):
        """Run one side."""
        given, group = cell.parameters, cell.key.rpartition("/")[0].rpartition("/")[0]
        peer, name = given["peer"], f"peers/{cell.key.replace('/', '-')}"
        if given["role"] == "ours":
            return _ours(workspace, CASES[peer].problem, done.get(f"{group}/theirs/{given['seed']}"), given, name)
        if given["role"] == "trial":
            result = _theirs(workspace, peer, given["precision"], 0, CASES[peer].trial, given["threads"], name)
            return {**result, "seconds_per_step": _pace(result["history"])}
        threads = _threads(done, group, workspace.threads)
        return _theirs(workspace, peer, given["precision"], given["seed"], given["options"], threads, name)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each peer and precision, over its seeds."""
        groups: dict[str, dict[str, dict[str, Any]]] = {}
        for key, record in records.items():
            group, role, seed = key.rsplit("/", 2)
            if record["status"] == "measured" and role != "threads":
                groups.setdefault(group, {"theirs": {}, "ours": {}})[role][seed] = record["result"]
        rows = [_row(group, sides["theirs"], sides["ours"]) for group, sides in groups.items() if sides["theirs"]]
        header = ["peer", "seeds", "threads", "its best error", "its time to it [s]", "our time to it [s]"]
        return markdown.table([*header, "our command [s]", "its time / ours", "classical solver [s]"], rows)


def _row(group: str, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    reached = {seed: run for seed, run in ours.items() if run["summary"]["status"] == "solved"}
    pairs = [theirs[seed]["best_seconds"] / _training(run) for seed, run in reached.items() if seed in theirs]
    missed = f"; {len(ours) - len(reached)} of {len(ours)} not reached" if len(reached) < len(ours) else ""
    return [
        group.replace("/", ", "),
        str(len(theirs)),
        ", ".join(sorted({str(run["threads"]) for run in theirs.values()})),
        markdown.spread(run["best_error"] for run in theirs.values()),
        markdown.spread((run["best_seconds"] for run in theirs.values()), markdown.seconds),
        markdown.spread(map(_training, reached.values()), markdown.seconds) + missed,
        markdown.spread((run["process_seconds"] for run in reached.values()), markdown.seconds),
        markdown.spread(pairs, markdown.seconds),
        markdown.spread((run["summary"]["classical_seconds"] for run in reached.values()), markdown.seconds),
    ]


def _training(run: Mapping[str, Any]) -> float:
    seconds = run["summary"]["seconds"]
    return seconds["compile"] + seconds["train"]


def _ours(workspace: Workspace, problem: str, theirs: Any, given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Solve to the error that the peer has reached with the same seed."""
    if theirs is None:
        raise Skipped("there is no error of the peer's to reach")
    target = theirs["best_error"]
    solved = solve(workspace, problem, name=name, seed=given["seed"], seconds=given["limit"], target=target)
    return {"target": target, **solved}


def _theirs(workspace: Workspace, peer: str, precision, seed, options, threads, name) -> dict[str, Any]:
    """Run the peer's recipe once."""
    case = CASES[peer]
    words = {"reference": _reference(workspace, case.problem), "seed": seed, "precision": precision, **dict(options)}
    lines, facts = run_script(workspace, peer, case.script, words, name=name, timeout=TIMEOUT, threads=threads)
    history = [line for line in lines if line["event"] == "error"]
    finite = [line for line in history if line["relative_l2"] == line["relative_l2"]]  # NaN differs from itself
    if not finite:
        raise Failed("no finite error was recorded", str(workspace.work / "logs" / f"{name}.log"))
    best = min(finite, key=lambda line: line["relative_l2"])
    return {
        "best_error": best["relative_l2"],
        "best_seconds": best["seconds"],
        "best_step": best["step"],
        "stages": lines[0]["stages"],
        "threads": threads,
        **facts,
        "history": {
            column: [line[key] for line in finite]
            for column, key in {"steps": "step", "seconds": "seconds", "relative_l2": "relative_l2"}.items()
        },
    }


def _pace(history: Mapping[str, list[float]]) -> float:
    """Return seconds for a step, from the records that are furthest apart in steps and not the first: it compiles."""
    marks = list(zip(history["steps"], history["seconds"], strict=True))[1:]
    gaps = [(later[0] - sooner[0], later[1] - sooner[1]) for sooner, later in itertools.pairwise(marks)]
    steps, seconds = max(gaps)
    return seconds / steps


def _threads(done: Mapping[str, Any], group: str, default: int) -> int:
    """Return the number of threads with which the peer was faster, if that was tried."""
    trials = {key: result for key, result in done.items() if key.startswith(f"{group}/threads/")}
    if not trials:
        return default
    return min(trials.values(), key=lambda result: result["seconds_per_step"])["threads"]


def _reference(workspace: Workspace, problem: str) -> Path:
    """Return a file with our reference on our evaluation grid."""
    import numpy as np

    from pdesolve import registry
    from pdesolve.problem import evaluation_grid, grid_points

    path = workspace.work / "reference" / f"{problem}.npz"
    case = registry.load("problems", problem)()
    points = grid_points(evaluation_grid(case))
    path.parent.mkdir(parents=True, exist_ok=True)
    (values,) = case.reference().evaluate(points).values()
    np.savez(path, points=points, values=values)
    return path
