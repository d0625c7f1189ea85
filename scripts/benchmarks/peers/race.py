"""What the scripts of a race share: equations, points, the clock. Stand-alone.

Every script answers to the same words, solves the same problem by its package's own means, and writes the same lines:
the error against given reference values, with the seconds it took to get there. The clock starts when the package is
imported, so that set-up and compilation count, and stands still while the error is measured.
"""

import argparse
import json
import math
import time
from collections.abc import Callable

import numpy as np

LEARNING_RATE = 1e-3
ADAM_SHARE = 0.4
"""Share of the budget that Adam gets where a quasi-Newton method follows."""
EVERY = 1.0
"""Seconds between two measurements of the error, at least."""


def burgers(f: Callable, x: object, t: object, xp: object) -> list:
    """u_t + u u_x = (0.01 / pi) u_xx."""
    return [f("u", "t") + f("u") * f("u", "x") - 0.01 / math.pi * f("u", "xx")]


def helmholtz_2d(f: Callable, x: object, y: object, xp: object) -> list:
    """u_xx + u_yy + u = q for u = sin(pi x) sin(4 pi y)."""
    source = (1 - 17 * math.pi**2) * xp.sin(math.pi * x) * xp.sin(4 * math.pi * y)
    return [f("u", "xx") + f("u", "yy") + f("u") - source]


def kovasznay(f: Callable, x: object, y: object, xp: object) -> list:
    """Steady Navier-Stokes equations at Reynolds number 40."""

    def transport(w):
        return f("u") * f(w, "x") + f("v") * f(w, "y") - (f(w, "xx") + f(w, "yy")) / 40

    return [transport("u") + f("p", "x"), transport("v") + f("p", "y"), f("u", "x") + f("v", "y")]


def poisson_2d_c(f: Callable, x: object, y: object, xp: object) -> list:
    """u_xx + u_yy = 0."""
    return [f("u", "xx") + f("u", "yy")]


EQUATIONS = {
    "burgers": (burgers, "xt", "u"),
    "helmholtz_2d": (helmholtz_2d, "xy", "u"),
    "kovasznay": (kovasznay, "xy", "uvp"),
    "poisson_2d_c": (poisson_2d_c, "xy", "u"),
}
"""Residuals, coordinates, fields. A residual gets `f(field, derivatives)`, the coordinates, and what has `sin`."""


class Race:
    """A problem's points and values, the clock, and the file of records.

    `interior` (n, 2) are collocation points; `conditions` are fields, points, and values to have there, each a loss
    term of its own; `free` says which fields are known up to a constant.
    """

    def __init__(self, given: argparse.Namespace):
        self.residuals, self.coordinates, self.fields = EQUATIONS[given.problem]
        with np.load(given.data) as data:
            self.interior, self.points, self.values = data["interior"], data["points"], data["values"]
            self.free = data["free"]
            count = sum(name.startswith("field_") for name in data)
            self.conditions = [
                (str(data[f"field_{k}"]), data[f"points_{k}"], data[f"values_{k}"]) for k in range(count)
            ]
        self.given, self.budget = given, given.seconds
        self.file = open(given.records, "w", encoding="utf-8")
        self.start, self.paused, self.last = time.perf_counter(), 0.0, -math.inf

    def seconds(self) -> float:
        """Return the time on the clock."""
        return time.perf_counter() - self.start - self.paused

    def over(self, share: float = 1.0) -> bool:
        """Return whether this share of the budget is spent."""
        return self.seconds() >= share * self.budget

    def due(self) -> bool:
        """Return whether the last record is old enough."""
        return self.seconds() - self.last >= EVERY

    def measure(self, stage: str, step: int, predict: Callable[[np.ndarray], np.ndarray], *, always=False) -> None:
        """Record the error of `predict` (n, 2) -> (n, fields), if the last record is old enough."""
        seconds = self.seconds()
        if not always and seconds - self.last < EVERY:
            return
        before = time.perf_counter()
        values = self._centred(np.asarray(predict(self.points), dtype=np.float64).reshape(self.values.shape))
        expected = self._centred(self.values)
        error = float(np.linalg.norm(values - expected) / np.linalg.norm(expected))
        self.write(event="error", stage=stage, step=int(step), seconds=seconds, relative_l2=error)
        self.last = seconds
        self.paused += time.perf_counter() - before

    def _centred(self, values: np.ndarray) -> np.ndarray:
        return values - np.where(self.free, values.mean(axis=0), 0.0)

    @staticmethod
    def columns(fields: list) -> np.ndarray:
        """Return fields side by side."""
        return np.stack([np.asarray(field) for field in fields], axis=-1)

    def write(self, **record: object) -> None:
        """Append a record, whole."""
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()


def arguments(description: str) -> argparse.Namespace:
    """Parse the words of a script."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--problem", choices=EQUATIONS, required=True)
    parser.add_argument("--data", required=True, help="NPZ file of points and values")
    parser.add_argument("--records", required=True, help="JSON lines to write")
    parser.add_argument("--depth", type=int, required=True, help="hidden layers")
    parser.add_argument("--width", type=int, required=True, help="units of each")
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("float32", "float64"), required=True)
    parser.add_argument("--threads", type=int, default=0, help="where it can be chosen")
    return parser.parse_args()
