"""How the cost of training grows with points, weights and dimensions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import OURS
from ..scripted import run_script
from .step import weights

__all__ = ["Scaling", "exponent"]

DEPTH, WIDTH, POINTS = 4, 64, 4096
LADDERS: dict[str, tuple[int, ...]] = {
    "points": (4_096, 8_192, 16_384, 32_768, 65_536),
    "weights": (256, 384, 512, 768, 1024),
    "narrow": (64, 96, 128, 192, 256),
    "dimensions": (2, 4, 8, 16, 32),
}
"""Values of what grows: points inside, units of a wide and of a narrow layer, axes of the Laplacian."""
LABELS = {"weights": "weights, units", "narrow": "weights, units"}


class Scaling(AbstractSuite):
    """Fitted exponents."""

    name = "scaling"
    title = "How cost grows"
    about = (
        f"Seconds of a step of Adam on the Burgers equation ({DEPTH} x {WIDTH}, {POINTS} points unless they grow), and "
        "of the gradient of a mean square Laplacian in d dimensions, float32, against the number of operations: "
        "points; weights that multiply; d + 2 coefficients of the Laplacian. *Exponent*: least squares on "
        "logarithms of the times, 1 where time grows as the operations do. In narrow networks activations, which grow "
        "as the root of the weights, take a good part of the time, so that it grows more slowly. One device."
    )

    def cells(self, options):
        """Return one process for each ladder, again and again."""
        return [
            Cell(f"{name}/{k}", {"ladder": list(ladder[:2] if options.smoke else ladder), "what": name})
            for k in range(1 if options.smoke else options.repetitions or 3)
            for name, ladder in LADDERS.items()
        ]

    def measure(self, cell, workspace, done):
        """Return operations and seconds."""
        what, ladder = cell.parameters["what"], cell.parameters["ladder"]
        name, seconds = f"scaling/{cell.key.replace('/', '-')}", 0.05 if workspace.smoke else 2.0
        points = 64 if workspace.smoke else POINTS
        base = {"depth": DEPTH, "width": WIDTH, "points": points, "seconds": seconds}
        if what == "dimensions":
            lines, _ = run_script(workspace, OURS, "pdesolve_dimensions.py", {**base, "dimensions": ladder}, name=name)
            return {"operations": [d + 2 for d in ladder], "seconds": [line["seconds"] for line in lines]}
        if what == "points":
            lines, _ = run_script(workspace, OURS, "pdesolve_step.py", {**base, "points": ladder}, name=name)
            return {"operations": ladder, "seconds": [line["seconds_per_step"] for line in lines]}
        times = []
        for width in ladder:
            (line,), _ = run_script(workspace, OURS, "pdesolve_step.py", {**base, "width": width}, name=name)
            times.append(line["seconds_per_step"])
        return {"operations": [weights(DEPTH, width) for width in ladder], "seconds": times}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each ladder."""
        rows = []
        for what, ladder in LADDERS.items():
            runs = [r["result"] for key, r in records.items() if key.startswith(what) and r["status"] == "measured"]
            if runs:
                spans = [(run["seconds"][0], run["seconds"][-1]) for run in runs]
                exponents = [exponent(run["operations"], run["seconds"]) for run in runs]
                ends = (markdown.spread(times, markdown.seconds) for times in zip(*spans, strict=True))
                label = f"{LABELS.get(what, what)} {ladder[0]} to {ladder[-1]}"
                rows.append([label, *ends, markdown.spread(exponents, lambda value: f"{value:.2f}")])
        return markdown.table(["what grows", "first [s]", "last [s]", "exponent"], rows)


def exponent(operations: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope of log seconds over log operations."""
    if len(operations) < 2 or min(seconds) <= 0:
        return math.nan
    return float(np.polyfit(np.log(operations), np.log(seconds), 1)[0])
