"""How far the linear algebra of a second-order step is from its floor, and from SciPy's."""

import statistics
from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import OURS
from ..scripted import run_script

__all__ = ["Factorisations"]

ROWS = 4096
PARAMETERS = {"cholesky": (500, 1000, 2000, 3500, 5000), "svd": (250, 500, 1000, 1500)}
"""Numbers of parameters for each factorisation."""


class Factorisations(AbstractSuite):
    """One damped step, once J is there."""

    name = "factorisations"
    title = "Linear algebra of a second-order step"
    about = (
        f"Seconds of one damped Gauss-Newton step for a Jacobian J of {ROWS} rows and P columns in float64: "
        "*cholesky* forms and factorises the Gram matrix, *svd* takes QR of J and singular values of the triangle. "
        "SciPy: the same operations by its LAPACK on the same matrix. *Floor*: the operations of Gram matrix and "
        "Cholesky factor, rows times P squared and a third of P cubed, at the measured rate of float64 products; "
        "singular values have no such count. *Difference*: of the two steps."
    )

    def cells(self, options):
        """Return one process for each factorisation, again and again."""
        return [
            Cell(f"{name}/{k}", {"factorisation": name, "parameters": list(sizes[:1] if options.smoke else sizes)})
            for k in range(1 if options.smoke else options.repetitions or 3)
            for name, sizes in PARAMETERS.items()
        ]

    def measure(self, cell, workspace, done):
        """Return seconds."""
        words = {**cell.parameters, "rows": ROWS, "seconds": 0.05 if workspace.smoke else 3.0}
        name = f"factorisations/{cell.key.replace('/', '-')}"
        lines, _ = run_script(workspace, OURS, "pdesolve_factorisations.py", words, name=name)
        return {"records": lines}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each factorisation and number of parameters."""
        groups: dict[tuple[str, int], list[Any]] = {}
        for record in records.values():
            if record["status"] == "measured":
                name, rate = record["parameters"]["factorisation"], record["machine"]["rates"]["matmul_float64"]
                for line in record["result"]["records"]:
                    least = floor(line["parameters"]) / rate if name == "cholesky" else None
                    groups.setdefault((name, line["parameters"]), []).append({**line, "floor": least})
        return markdown.table(
            ["factorisation, P", "pdesolve", "SciPy", "SciPy / ours", "floor / ours", "difference"],
            [_row(name, size, lines) for (name, size), lines in groups.items()],
        )


def floor(parameters: int) -> float:
    """Return the operations of Gram matrix and Cholesky factor."""
    return ROWS * parameters**2 + parameters**3 / 3


def _row(name: str, size: int, lines: list[Mapping[str, Any]]) -> list[str]:
    shares = [line["floor"] / line["seconds"] for line in lines if line["floor"] is not None]
    return [
        f"{name}, {size:,}",
        markdown.spread((line["seconds"] for line in lines), markdown.seconds),
        markdown.spread((line["scipy_seconds"] for line in lines), markdown.seconds),
        f"{statistics.median(line['scipy_seconds'] / line['seconds'] for line in lines):.2g}",
        markdown.spread(shares, lambda share: f"{share:.0%}") if shares else "",
        f"{max(line['difference'] for line in lines):.0e}",
    ]
