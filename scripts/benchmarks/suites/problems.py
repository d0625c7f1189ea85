"""Every named problem by its own recipe: how far it gets, and what that costs."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..solving import solve

__all__ = ["Problems", "residual_problems"]

SEEDS = {"burgers": 3}
"""Seeds of a problem unless the command line says otherwise; 1 where not named."""

LONG = ("burgers", 600.0)
"""How far one problem gets with a larger budget: a cell of its own."""

_VERBS = ("compile", "train", "evaluate")


class Problems(AbstractSuite):
    """`pdesolve solve NAME` for all problems."""

    name = "problems"
    title = "Problems by their own recipes"
    about = (
        "`pdesolve solve NAME --seed K` for each problem; `NAME_S` with a budget of S seconds. Relative L2 and largest "
        "error against the reference, whose own error bound stands beside it, as does that of the best constant. "
        "*Classical*: the time the problem's classical solver needs for the same error. *Command*: wall time of the "
        "whole process, with imports, reference, classical solver and files."
    )

    def cells(self, options):
        """Return all problems with the first seed, then with the next, so that half a run says something of all."""
        if options.smoke:
            return [Cell("poisson_1d/0", {"problem": "poisson_1d", "seed": 0, "steps": 5})]
        names = options.problems or residual_problems()
        suffix = "" if options.seconds is None else f"_{options.seconds:g}"
        budget = {} if options.seconds is None else {"seconds": options.seconds}
        counts = {name: options.seeds or SEEDS.get(name, 1) for name in names}
        cells = [
            Cell(f"{name}{suffix}/{seed}", {"problem": name, "seed": seed, **budget})
            for seed in range(max(counts.values()))
            for name in names
            if seed < counts[name]
        ]
        name, seconds = LONG
        if name in names and options.seconds is None:
            cells.append(Cell(f"{name}_{seconds:g}/0", {"problem": name, "seed": 0, "seconds": seconds}))
        return cells

    def measure(self, cell, workspace, done):
        """Solve once."""
        given = dict(cell.parameters)
        return solve(workspace, given.pop("problem"), name=f"problems/{cell.key.replace('/', '-')}", **given)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each problem, over its seeds."""
        groups: dict[str, list[Any]] = {}
        for key, record in records.items():
            if record["status"] == "measured":
                groups.setdefault(key.rpartition("/")[0], []).append(record["result"])
        header = ["problem", "seeds", "status", "relative L2", "max error", "reference bound", "best constant", "steps"]
        times = ["compile [s]", "train [s]", "evaluate [s]", "command [s]", "classical [s]"]
        return markdown.table([*header, *times], [_row(name, group) for name, group in sorted(groups.items())])


def _row(name: str, group: list[Any]) -> list[str]:
    summaries = [result["summary"] for result in group]
    statuses = sorted({summary["status"] for summary in summaries})
    constants = [min(summary["trivial_error"].values()) for summary in summaries if summary["trivial_error"]]
    errors = [markdown.spread(s[key] for s in summaries) for key in ("relative_l2", "max_error")]
    return [
        name,
        str(len(group)),
        ", ".join(statuses),
        *errors,
        markdown.spread([summaries[0]["reference_error"]]),
        markdown.spread(constants[:1]),
        markdown.spread((s["steps"] for s in summaries), lambda value: f"{value:.0f}"),
        *(markdown.spread((s["seconds"][verb] for s in summaries), markdown.seconds) for verb in _VERBS),
        markdown.spread((result["process_seconds"] for result in group), markdown.seconds),
        markdown.spread((s["classical_seconds"] for s in summaries), markdown.seconds),
    ]


def residual_problems() -> tuple[str, ...]:
    """Return the problems that a network solves by its residual; families of problems are learned from data."""
    from pdesolve import registry

    names = registry.names("problems")
    return tuple(name for name in names if registry.load("problems", name)().recipe().method == "pinn")
