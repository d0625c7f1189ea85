"""A race: the same problem, network and points for all, so many seconds each, and how far everyone gets."""

import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import CONTENDERS, OURS, PINNS, chosen
from ..machine import cores
from ..scripted import run_script
from ..workspace import Workspace

__all__ = ["Solve", "time_to"]

PROBLEMS = ("burgers", "helmholtz_2d", "kovasznay", "poisson_2d_c")
LEVELS = (1e-2, 1e-3, 1e-4)
"""Errors to which the time is told."""
SECONDS = 100.0
TRIAL = 8.0
"""Seconds of a run that shows with how many threads a package is faster."""
SEEDS = 3
PRECISION = {"deepxde-jax": "float32"}
"""Precision of a package where float64, which quasi-Newton methods need, is not to be had."""


class Solve(AbstractSuite):
    """Time to given errors, and the best error in a fixed time."""

    name = "solve"
    title = "A race"
    about = (
        f"{SECONDS:g} s each, in turns, by one clock: from the import on, set-up, compilation and training, "
        "without the measuring of errors. All have the same equation, size of network (tanh), number of points "
        "inside, reference, evaluation grid and error (relative L2 over all fields); what comes later is cut off. "
        "`pdesolve` trains by the problem's own recipe: Levenberg-Marquardt in float64, points that are drawn "
        "anew by the residual, and conditions that are met exactly where the recipe says so. The others train as "
        "their examples do: one set of points, each condition a loss term of weight 1, Adam with learning rate "
        "1e-3 for 40 % of the time, then L-BFGS (DeepXDE with PyTorch, PINA) or self-scaled Broyden (jinns), in "
        "float64; DeepXDE's JAX backend has neither, nor float64, and stays with Adam. Repeated compilations of "
        "jinns are not counted. Packages with OpenMP threads get one or all cores, whichever takes more steps in "
        "a trial. *First*: the time to the first error that is measured, hence set-up, compilation and a few steps; "
        "our time to 1e-2 cannot fall below it, nor the ratio rise above the other's time over it. A dash: not reached."
    )

    def cells(self, options):
        """Return trials, then all packages in turn for each problem, seed by seed."""
        names = chosen(options.peers, PINNS)
        problems = PROBLEMS[:1] if options.smoke else [p for p in PROBLEMS if p in (options.problems or PROBLEMS)]
        seconds = 3.0 if options.smoke else options.seconds or SECONDS
        suffix = "" if options.seconds is None else f"_{options.seconds:g}"
        cells = []
        for seed in range(1 if options.smoke else options.seeds or SEEDS):
            for problem in problems:
                for name in names:
                    given = {"contender": name, "problem": problem, "seconds": seconds, "precision": _precision(name)}
                    if CONTENDERS[name].threaded and seed == 0 and not options.smoke:
                        cells += [
                            Cell(
                                f"{problem}{suffix}/{name}/threads/{threads}",
                                {**given, "seed": 0, "threads": threads, "seconds": TRIAL},
                            )
                            for threads in sorted({1, cores()})
                        ]
                    cells.append(Cell(f"{problem}{suffix}/{name}/{seed}", {**given, "seed": seed, "threads": None}))
        return cells

    def measure(self, cell, workspace, done):
        """Return the history of one run."""
        given, name = cell.parameters, f"solve/{cell.key.replace('/', '-')}"
        threads = given["threads"] or _threads(done, cell.key.rpartition("/")[0], workspace.threads)
        return _race(workspace, given, threads, name)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each problem and package, over its seeds."""
        groups: dict[str, dict[str, list[Any]]] = {}
        for key, record in records.items():
            problem, name, *rest = key.split("/")
            if record["status"] == "measured" and len(rest) == 1:
                history = _cut(record["result"]["history"], record["parameters"]["seconds"])
                groups.setdefault(problem, {}).setdefault(name, []).append(history)
        rows = [
            row
            for problem in groups
            for name in sorted(groups[problem], key=list(CONTENDERS).index)
            for row in [_row(problem, name, groups[problem])]
        ]
        header = ["problem, package", "seeds", "best error", "its error / ours", "first [s]"]
        times = [word for level in LEVELS for word in (f"to {level:.0e} [s]", "its time / ours")]
        return markdown.table([*header, *times], rows)


def _precision(name: str) -> str:
    return PRECISION.get(name, "float64")


def _race(workspace: Workspace, given: Mapping[str, Any], threads: int, name: str) -> dict[str, Any]:
    """Run a package's script once."""
    data, network = _data(workspace, given["problem"])
    script = f"{given['contender'].partition('-')[0]}_race.py"
    words = {"data": data, "threads": threads, **network}
    words |= {key: given[key] for key in ("problem", "seconds", "seed", "precision")}
    timeout = 20 * given["seconds"] + 300
    lines, facts = run_script(workspace, given["contender"], script, words, name=name, timeout=timeout, threads=threads)
    columns = {"steps": "step", "seconds": "seconds", "relative_l2": "relative_l2"}
    # JSON has no NaN: a run that diverged has no error from there on.
    history = {name: [_finite(line[key]) for line in lines] for name, key in columns.items()}
    return {
        "history": {**history, "stages": [line["stage"] for line in lines]},
        "threads": threads,
        **facts,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _threads(done: Mapping[str, Any], group: str, default: int) -> int:
    """Return the number of threads with which a package took more steps, if that was tried."""
    trials = [result for key, result in done.items() if key.startswith(f"{group}/threads/")]
    return max(trials, key=lambda result: result["history"]["steps"][-1])["threads"] if trials else default


def _data(workspace: Workspace, problem: str) -> tuple[Path, dict[str, int]]:
    """Return a file with points and values for all packages, and the size of the network."""
    import numpy as np

    from pdesolve import registry
    from pdesolve.problem import comparison_points, evaluation_grid

    case = registry.load("problems", problem)()
    recipe, domain, reference = case.recipe(), case.domain(), case.reference().evaluate
    points = comparison_points(case, evaluation_grid(case))
    arrays = {
        "interior": domain.sample_interior(recipe.points.interior, recipe.points.sampler, 0),
        "points": points,
        "values": np.stack([reference(points)[field] for field in case.field_names], axis=-1),
        "free": np.array([field in case.up_to_constant() for field in case.field_names]),
    }
    count = 0
    for index, condition in enumerate(case.conditions()):
        place = condition.points
        if place is None:
            place, _ = domain.sample_boundary(condition.part, recipe.points.boundary, recipe.points.sampler, index)
        for field in condition.fields:
            arrays |= {f"field_{count}": np.array(field), f"points_{count}": place}
            arrays |= {f"values_{count}": reference(place)[field]}
            count += 1
    path = workspace.work / "race" / f"{problem}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path, {"depth": recipe.network.depth, "width": recipe.network.width}


def _cut(history: Mapping[str, list[Any]], budget: float) -> dict[str, list[Any]]:
    """Leave out what came after the budget; the first record stays, so that there is one."""
    count = max(1, sum(seconds <= budget for seconds in history["seconds"]))
    return {key: values[:count] for key, values in history.items()}


def _best(history: Mapping[str, list[Any]]) -> float:
    return min((error for error in history["relative_l2"] if error is not None), default=math.inf)


def time_to(history: Mapping[str, list[Any]], level: float) -> float:
    """Return the seconds to an error at or below a level, infinite if it is not reached."""
    pairs = zip(history["seconds"], history["relative_l2"], strict=True)
    return next((seconds for seconds, error in pairs if error is not None and error <= level), math.inf)


def _row(problem: str, name: str, group: Mapping[str, list[Any]]) -> list[str]:
    runs, ours = group[name], group.get(OURS, [])
    cells = [f"{problem}, {name}", str(len(runs)), markdown.spread(map(_best, runs)), _ratio(runs, ours, _best)]
    cells += [markdown.spread([run["seconds"][0] for run in runs], markdown.seconds)]
    for level in LEVELS:
        times = [time_to(run, level) for run in runs]
        reached = [time for time in times if math.isfinite(time)]
        missed = f"; {len(times) - len(reached)} not" if 0 < len(reached) < len(times) else ""
        cells += [markdown.spread(reached, markdown.seconds) + missed]
        cells += [_ratio(runs, ours, lambda run, level=level: time_to(run, level))]
    return cells


def _ratio(runs: Iterable[Any], ours: Iterable[Any], value: Any) -> str:
    """Return the ratio of medians, as a lower bound where the others did not get there in their time."""
    runs, ours = list(runs), list(ours)
    if not ours or runs is ours or runs == ours:
        return ""
    own, theirs = (statistics.median(map(value, group)) for group in (ours, runs))
    if not math.isfinite(own):
        return "-"
    if math.isfinite(theirs):
        return f"{theirs / own:.2g}"
    return f"> {max(run['seconds'][-1] for run in runs) / own:.2g}"
