"""Training methods on the same problems, networks and points, in the same time."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..solving import solve

__all__ = ["Methods"]

PROBLEMS = ("burgers", "helmholtz_2d", "kovasznay", "wave_1d", "heat_1d", "poisson_2d")
SECONDS = 60.0
FIRST_ORDER = 'learning_rate = 3e-3, schedule = "cosine"'
METHODS = {
    "LM": ("levenberg_marquardt", ""),
    "LM, SVD": ("levenberg_marquardt", 'factorisation = "svd"'),
    "SSBroyden": ("ssbroyden", ""),
    "race": ("race", ""),
    "ENG": ("energy_natural_gradient", ""),
    "SPRING": ("spring", ""),
    "NNCG": ("nncg", ""),
    "L-BFGS": ("lbfgs", ""),
    "SOAP": ("soap", FIRST_ORDER),
    "Adam": ("adam", FIRST_ORDER),
}
"""Heading of a column to optimiser and options."""


class Methods(AbstractSuite):
    """`pdesolve solve NAME` with one stage of each method."""

    name = "methods"
    title = "Training methods"
    about = (
        f"Relative L2 error after {SECONDS:g} s of training (compilation not counted), by each method on the recipe's "
        "network and points; the smallest of a problem in bold. Adam and SOAP have a learning rate of 3e-3, "
        "which falls over 10,000 steps, the others their default options. Medians over seeds."
    )

    def cells(self, options):
        """Return all methods of one problem and seed, then the next."""
        if options.smoke:
            return [Cell("poisson_1d/LM/0", {"problem": "poisson_1d", "method": "LM", "seed": 0, "steps": 3})]
        names = options.problems or PROBLEMS
        return [
            Cell(f"{name}/{method}/{seed}", {"problem": name, "method": method, "seed": seed, "seconds": SECONDS})
            for seed in range(options.seeds or 1)
            for name in names
            for method in METHODS
        ]

    def measure(self, cell, workspace, done):
        """Solve once."""
        given = dict(cell.parameters)
        optimiser, chosen = METHODS[given.pop("method")]
        budget = "".join(f"{key} = {given.pop(key)}\n" for key in ("seconds", "steps") if key in given)
        config = f'[[stages]]\noptimiser = "{optimiser}"\n{budget}options = {{ {chosen} }}\n'
        name = f"methods/{cell.key.replace('/', '-').replace(', ', '-')}"
        return solve(workspace, given.pop("problem"), name=name, config=config, **given)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each problem, one column for each method."""
        errors: dict[str, dict[str, list[float]]] = {}
        for record in records.values():
            if record["status"] == "measured":
                given, summary = record["parameters"], record["result"]["summary"]
                row = errors.setdefault(given["problem"], {})
                row.setdefault(given["method"], []).append(summary["relative_l2"])
        names = [name for name in METHODS if any(name in row for row in errors.values())]
        return markdown.table(["problem", *names], [_row(problem, row, names) for problem, row in errors.items()])


def _row(problem: str, row: Mapping[str, list[float]], names: list[str]) -> list[str]:
    texts = [markdown.spread(row.get(name, ())) for name in names]
    medians = {name: sorted(values)[len(values) // 2] for name, values in row.items() if None not in values}
    best = min(medians, key=lambda name: medians[name], default=None)
    return [problem, *(f"**{text}**" if name == best else text for name, text in zip(names, texts, strict=True))]
