"""Hard constraints: one solve for the whole domain, one for each block of it, and none."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..solving import solve

__all__ = ["Experts"]

PROBLEMS = ("diffusion_sorption",)
SEEDS = 3
METHODS = {"soft constraint": "soft_constraint", "PI-HC": "pde_cl", "PI-HC-MoE": "pihcmoe"}
"""Row of the table to method."""
EXPERTS = (1, 2, 4, 8)
POINTS = (256, 1024, 4096)
TIMED_STEPS = 20


class Experts(AbstractSuite):
    """`pdesolve solve diffusion_sorption` by each method, then short trainings to be timed."""

    name = "experts"
    title = "Hard constraints"
    about = (
        "Operators trained on the equation alone, by the recipe's sizes and steps: without a constraint, with one "
        "solve for the weights of basis functions, and with one in each block of the domain. Mean relative L2 of the "
        "test functions. Then the cost: seconds of a training step and of one answer, for more and more blocks of the "
        "same domain, equations imposed at all points (*speed-up*: one block's time over it), and for one block with "
        "equations at fewer points. Medians over seeds."
    )

    def cells(self, options):
        """Return the methods of one seed and problem after another, then what is timed."""
        if options.smoke:
            given = {"problem": PROBLEMS[0], "method": "soft constraint", "seed": 0, "steps": 2, "resolution": 32}
            return [Cell(f"{PROBLEMS[0]}/soft constraint/0", given)]
        names = [name for name in PROBLEMS if options.problems is None or name in options.problems]
        cells = [
            Cell(f"{name}/{method}/{seed}", {"problem": name, "method": method, "seed": seed})
            for seed in range(options.seeds or SEEDS)
            for name in names
            for method in METHODS
        ]
        timed = {"seed": 0, "steps": TIMED_STEPS}
        for name in names:
            cells += [Cell(f"{name}/experts/{k}", {"problem": name, "experts": k, **timed}) for k in EXPERTS]
            cells += [Cell(f"{name}/points/{n}", {"problem": name, "points": n, **timed}) for n in POINTS]
        return cells

    def measure(self, cell, workspace, done):
        """Train once."""
        given = dict(cell.parameters)
        options = {key: given.pop(key) for key in ("experts", "points") if key in given}
        method = "pde_cl" if "points" in options else METHODS[given.pop("method", "PI-HC-MoE")]
        words = ", ".join(f"{key} = {value}" for key, value in options.items())
        config = f'method = "{method}"\nmethod_options = {{ {words} }}\n'
        if "resolution" in given:
            config += f"[data]\ntrain = 4\ntest = 2\nbatch = 2\nresolution = {given.pop('resolution')}\n"
            config += "[parameters]\nintervals = 7\n[network]\nwidth = 4\ndepth = 1\noptions = { modes = 2 }\n"
        name = "".join(letter if letter.isalnum() else "-" for letter in cell.key)
        return solve(workspace, given.pop("problem"), name=f"experts/{name}", config=config, **given)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return a table of errors, and one of costs."""
        runs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        costs: dict[tuple[str, str, int], tuple[float, float]] = {}
        for record in records.values():
            if record["status"] != "measured":
                continue
            given, summary = record["parameters"], record["result"]["summary"]
            kind = next((kind for kind in ("experts", "points") if kind in given), None)
            if kind is None:
                runs.setdefault((given["problem"], given["method"]), []).append(summary)
            else:
                costs[given["problem"], kind, given[kind]] = _cost(summary)
        errors = [_error_row(name, method, found) for (name, method), found in runs.items()]
        header = ["a training step [s]", "speed-up", "an answer [s]", "speed-up"]
        tables = (
            markdown.table(["problem, method", "seeds", "relative L2", "seconds of training"], errors),
            markdown.table(["problem, solves", *header], [_cost_row(key, costs) for key in costs]),
        )
        return "\n\n".join(table for table in tables if table)


def _error_row(name: str, method: str, runs: list[Mapping[str, Any]]) -> list[str]:
    errors = markdown.spread([run["relative_l2"] for run in runs])
    seconds = markdown.spread([run["seconds"]["train"] for run in runs], markdown.seconds)
    return [f"{name}, {method}", str(len(runs)), errors, seconds]


def _cost(summary: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds of a training step, and of an answer."""
    return summary["seconds"]["train"] / summary["steps"], summary["measures"]["inference_seconds"]


def _cost_row(key: tuple[str, str, int], costs: Mapping[tuple[str, str, int], tuple[float, float]]) -> list[str]:
    name, kind, count = key
    words = f"{count} blocks" if kind == "experts" else f"one, at {count:,} points"
    one = costs.get((name, "experts", 1))
    cells = [f"{name}, {words}"]
    for index, seconds in enumerate(costs[key]):
        cells += [markdown.seconds(seconds), f"{one[index] / seconds:.2g}" if one else ""]
    return cells
