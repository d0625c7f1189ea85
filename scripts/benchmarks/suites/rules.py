"""Combination rules on the problems of the ConFIG paper, in the same time."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..solving import solve

__all__ = ["Rules"]

SECONDS = 60.0
EQUATIONS = {
    "burgers": ["burgers"],
    "schrodinger": ["real", "imaginary"],
    "kovasznay": ["momentum_*", "mass"],
    "beltrami": ["momentum_*", "mass"],
}
"""The terms of the first loss of a problem; conditions are the second."""

RULES = {
    "Adam": ("adam", ""),
    "Adam, 100 to conditions": ("adam", ""),
    "ConFIG": ("adam", "config"),
    "M-ConFIG": ("momentum_config", ""),
    "UPGrad": ("adam", "upgrad"),
    "DualProj": ("adam", "dualproj"),
    "PCGrad": ("adam", "pcgrad"),
    "IMTL-G": ("adam", "imtlg"),
    "SAM-GS": ("adam", "samgs"),
    "DCGD": ("adam", "dcgd"),
    "MultiAdam": ("multiadam", ""),
    "LRA": ("adam", "learning_rate_annealing"),
    "NTK": ("adam", "ntk"),
    "ReLoBRaLo": ("adam", "relobralo"),
}
"""Heading of a column to optimiser and rule."""

WEIGHTED = "Adam, 100 to conditions"


class Rules(AbstractSuite):
    """`pdesolve solve NAME` with conditions as losses, once for each rule."""

    name = "rules"
    title = "Combination rules"
    about = (
        f"Relative L2 error after {SECONDS:g} s of training (compilation not counted) on the problems and the network "
        "of the ConFIG paper: tanh, 5 layers of 50, float32, learning rate from 1e-3 to 1e-4 by a cosine over 20,000 "
        "steps, 2,000 points inside, new ones at every step, 250 of each condition. Two losses: equations, and "
        "conditions. *100 to conditions* is a fixed weight. Below a tenth of the error of the best constant (first "
        "column) errors rank; the smallest of a problem in bold. Medians over seeds."
    )

    def cells(self, options):
        """Return all rules of one problem and seed, then the next."""
        if options.smoke:
            return [Cell("burgers/ConFIG/0", {"problem": "burgers", "rule": "ConFIG", "seed": 0, "steps": 3})]
        names = options.problems or tuple(EQUATIONS)
        return [
            Cell(f"{name}/{rule}/{seed}", {"problem": name, "rule": rule, "seed": seed, "seconds": SECONDS})
            for seed in range(options.seeds or 1)
            for name in names
            for rule in RULES
        ]

    def measure(self, cell, workspace, done):
        """Solve once."""
        given = dict(cell.parameters)
        problem, rule = given.pop("problem"), given.pop("rule")
        budget = "".join(f"{key} = {given.pop(key)}\n" for key in ("seconds", "steps") if key in given)
        config = _config(problem, rule, budget)
        name = f"rules/{cell.key.replace('/', '-').replace(', ', '-').replace(' ', '-')}"
        return solve(workspace, problem, name=name, config=config, **given)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each rule, one column for each problem; the steps taken in brackets."""
        errors: dict[str, dict[str, list[Any]]] = {}
        constants: dict[str, float] = {}
        for record in records.values():
            if record["status"] == "measured":
                given, summary = record["parameters"], record["result"]["summary"]
                errors.setdefault(given["problem"], {}).setdefault(given["rule"], []).append(summary)
                constants[given["problem"]] = min(summary["trivial_error"].values())
        names = [name for name in RULES if any(name in row for row in errors.values())]
        best = {problem: min(row, key=lambda rule: _median(row[rule])) for problem, row in errors.items()}
        rows = [["best constant", *(markdown.spread([constants[problem]]) for problem in errors)]]
        for name in names:
            row = [_cell(errors[problem].get(name, []), name == best[problem]) for problem in errors]
            rows.append([name, *row])
        return markdown.table(["rule", *errors], rows)


def _config(problem: str, rule: str, budget: str) -> str:
    optimiser, combine = RULES[rule]
    lines = [
        "exact = false",
        'precision = "float32"',
        'network = { name = "mlp", width = 50, depth = 5 }',
        'points = { interior = 2000, boundary = 250, adaptive = "redraw", sampler = "uniform", refresh = 25 }',
    ]
    equations = EQUATIONS[problem]
    if rule == WEIGHTED:
        lines.append(f"weights = {{ {_conditions_weighted(problem)} }}")
    lines += ["[[stages]]", f'optimiser = "{optimiser}"', budget.rstrip()]
    lines.append(
        'options = { learning_rate = 1e-3, schedule = "cosine", final = 0.1, warmup = 100, decay_steps = 20000 }'
    )
    if combine:
        lines.append(f'combine = "{combine}"')
    if combine or optimiser != "adam":
        lines.append(f"combine_groups = {[equations]}".replace("'", '"'))
    return "\n".join(lines) + "\n"


def _conditions_weighted(problem: str) -> str:
    from pdesolve import registry

    loaded = registry.load("problems", problem)()
    names = [f"{c.name}_{field}" for c in loaded.conditions() if c.periodic_axis is None for field in c.fields]
    return ", ".join(f"{name} = 100.0" for name in names)


def _median(summaries: list[Any]) -> float:
    values = sorted(s["relative_l2"] for s in summaries if s["relative_l2"] is not None)
    return values[len(values) // 2] if values else float("inf")


def _cell(summaries: list[Any], best: bool) -> str:
    if not summaries:
        return "-"
    steps = sorted(summary["steps"] for summary in summaries)[len(summaries) // 2]
    text = f"{markdown.spread([s['relative_l2'] for s in summaries])} ({steps:,})"
    return f"**{text}**" if best else text
