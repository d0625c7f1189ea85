"""Heat equation on a square whose conductivity and initial temperature have two scales."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    initial,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric_matrix, chebyshev_matrix, chebyshev_points

__all__ = ["Heat2DMS"]

ALONG_X, ALONG_Y = 1 / (500 * math.pi) ** 2, 1 / math.pi**2
"""Diffusivities along both axes."""
SIDES = ("x_min", "x_max", "y_min", "y_max")
_CHUNK = 4096


class Heat2DMS(AbstractProblem):
    r"""Heat equation on a square, ten waves along x and half a wave along y.

    $$u_t = \frac{u_{xx}}{(500 \pi)^2} + \frac{u_{yy}}{\pi^2} \text{ on } (0, 1)^2, \quad u = 0 \text{ on the sides},
    \quad u(x, y, 0) = \sin 20 \pi x \sin \pi y, \quad 0 \le t \le 5;$$

    $$u = e^{-(1 + 1/625) t} \sin 20 \pi x \sin \pi y.$$

    All quantities are nondimensional. Hardly any heat flows along x, where the temperature varies twenty times as fast.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Heat 2d-MS.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> SpaceTime:
        """The unit square over the times [0, 5]."""
        return SpaceTime(Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}), 0.0, 5.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion, different along both axes."""
        u = fields.u
        return {"heat": partial(u, "t") - ALONG_X * partial(u, "x", 2) - ALONG_Y * partial(u, "y", 2)}

    def conditions(self) -> tuple[Condition, ...]:
        """Waves at the start, zero on the sides."""
        return initial({"u": lambda at: _start(at.x, at.y, jnp)}), *(dirichlet(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that vanishes wherever a value is prescribed."""
        x, y = at.x, at.y
        factor = 16 * x * (1 - x) * y * (1 - y) * at.t / (1 + at.t)
        return {"u": _start(x, y, jnp) + factor * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", *SIDES)

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(_exact, 1e-14, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation along both axes, diagonalised, and so exact in time."""
        return refine(
            _collocation,
            (24, 32, 36, 40, 44, 48, 56, 64, 80, 96),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation, diagonalised along each axis, exponentials in time",
        )

    def recipe(self) -> Recipe:
        """Random Fourier features with frequencies up to those of the initial value along x."""
        return Recipe(
            network=NetworkConfig("fourier_features", depth=2, options={"scale": (25.0, 1.5, 1.0), "num_features": 32}),
            points=PointsConfig(interior=3072),
            stages=(StageConfig("levenberg_marquardt", seconds=60.0),),
            grid={"x": 101, "y": 33, "t": 21},
        )


def _start(x: Any, y: Any, xp: Any) -> Any:
    return xp.sin(20 * math.pi * x) * xp.sin(math.pi * y)


def _exact(points: np.ndarray) -> dict[str, np.ndarray]:
    x, y, t = points.T
    return {"u": np.exp(-(1 + 1 / 625) * t) * _start(x, y, np)}


def _collocation(n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve $U_t = \alpha D U + \beta U D^T$ for the values inside, by the eigenvectors of the second derivative D."""
    x, second = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    eigenvalues, vectors = np.linalg.eig((second @ second)[1:-1, 1:-1])
    eigenvalues, vectors = eigenvalues.real, vectors.real  # Gottlieb and Lustman (1983): real and negative.
    start = _start(x[1:-1, None], x[None, 1:-1], np)
    modes = np.linalg.solve(vectors, np.linalg.solve(vectors, start).T).T

    def evaluate(points):
        parts = []
        for i in range(0, len(points), _CHUNK):
            px, py, pt = points[i : i + _CHUNK].T
            times, when = np.unique(pt, return_inverse=True)
            factors = []
            for p, rate in ((px, ALONG_X), (py, ALONG_Y)):
                places, where = np.unique(p, return_inverse=True)
                series = barycentric_matrix(x, places)[:, 1:-1] @ vectors
                factors.append(series[where] * np.exp(rate * np.outer(times, eigenvalues))[when])
            parts.append(((factors[0] @ modes) * factors[1]).sum(axis=1))
        return {"u": np.concatenate(parts)}

    return evaluate
