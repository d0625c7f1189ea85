"""Who wins where: networks against classical solvers at the same error."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import OURS
from ..scripted import run_script
from ..solving import solve
from .problems import residual_problems
from .solve import time_to

__all__ = ["Honest"]

LEVELS = (1e-2, 1e-3, 1e-4, 1e-6)
ELEMENTS = ("helmholtz_2d", "poisson_2d")
"""Problems that finite elements of another package solve as well."""


class Honest(AbstractSuite):
    """The same error by a network, by the problem's classical solver, and by finite elements."""

    name = "honest"
    title = "Networks and classical solvers"
    about = (
        "Seconds to a relative L2 error, by `pdesolve solve NAME` (compilation and training) and by a classical solver "
        "as coarse as the error allows: the problem's own, and scikit-fem's quadratic triangles for two problems. A "
        "dash: not reached within the recipe's budget."
    )

    def cells(self, options):
        """Return three cells for a problem: network, classical solver, finite elements."""
        names = ("poisson_2d",) if options.smoke else options.problems or residual_problems()
        budget = {"seconds": 2.0} if options.smoke else {}
        cells = []
        for name in names:
            cells.append(Cell(f"{name}/network", {"problem": name, "seed": 0, **budget}))
            cells.append(Cell(f"{name}/classical", {"problem": name, "levels": list(LEVELS)}))
            if name in ELEMENTS:
                cells.append(Cell(f"{name}/elements", {"problem": name, "levels": list(LEVELS)}))
        return cells

    def measure(self, cell, workspace, done):
        """Return seconds by error."""
        name, given = f"honest/{cell.key.replace('/', '-')}", dict(cell.parameters)
        if cell.key.endswith("/network"):
            run = solve(workspace, given.pop("problem"), name=name, **given)
            return {"levels": {f"{level:g}": _finite(time_to(run["history"], level)) for level in LEVELS}}
        contender, script = (
            ("scikit-fem", "fem_classical.py") if cell.key.endswith("/elements") else (OURS, "pdesolve_classical.py")
        )
        lines, facts = run_script(workspace, contender, script, given, name=name)
        return {
            "levels": {f"{line['level']:g}": line["seconds"] for line in lines if line["error"] <= line["level"]},
            "method": lines[-1]["method"],
            **facts,
        }

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each problem and way, and who wins."""
        groups: dict[str, dict[str, Any]] = {}
        for key, record in records.items():
            if record["status"] == "measured":
                problem, way = key.split("/")
                groups.setdefault(problem, {})[way] = record["result"]
        rows = [
            [f"{problem}, {way}{_method(result)}", *(_cell(group, way, f"{level:g}") for level in LEVELS)]
            for problem, group in sorted(groups.items())
            for way, result in group.items()
        ]
        return markdown.table(["problem, way", *(f"to {level:.0e} [s]" for level in LEVELS)], rows)


def _method(result: Mapping[str, Any]) -> str:
    return f" ({result['method']})" if "method" in result else ""


def _cell(group: Mapping[str, Any], way: str, level: str) -> str:
    """Return seconds, the smallest of a problem in bold."""
    times = {name: result["levels"].get(level) for name, result in group.items()}
    known = {name: seconds for name, seconds in times.items() if seconds is not None}
    text = markdown.seconds(times[way])
    return f"**{text}**" if known and way == min(known, key=lambda name: known[name]) else text


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds
