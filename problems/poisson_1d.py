"""Poisson equation on an interval."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import partial
from pdesolve.config import PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    parameter,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Poisson1D"]


class Poisson1D(AbstractProblem):
    r"""Poisson equation on [0, 1] with a sine as solution.

    $$-u_{xx} = (k \pi)^2 \sin k \pi x, \quad u(0) = 0, \quad u(1) = \sin k \pi; \qquad u = \sin k \pi x.$$

    All quantities are nondimensional; `k` is the number of half waves in the interval, not necessarily whole.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    half_waves: float = parameter(4.0, "half waves of the solution in the interval", above=0.0, at_most=100.0)

    def domain(self) -> Box:
        """The interval [0, 1]."""
        return Box({"x": (0.0, 1.0)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source."""
        k = self.half_waves * jnp.pi
        return {"poisson": -partial(fields.u, "x", 2) - k**2 * jnp.sin(k * at.x)}

    def conditions(self) -> tuple[Condition, ...]:
        """Values at both ends."""
        return (
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("x_max", {"u": lambda at: jnp.sin(self.half_waves * jnp.pi)}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The line through both values, and the raw output times a parabola of height 1."""
        x = at.x
        return {"u": x * jnp.sin(self.half_waves * jnp.pi) + 4 * x * (1 - x) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """Both ends."""
        return ("x_min", "x_max")

    def reference(self) -> Reference:
        """The closed form; its error is the round-off of the argument of the sine."""
        k = float(self.half_waves) * math.pi
        return Reference(lambda points: {"u": np.sin(k * points[:, 0])}, 1e-15 * max(1.0, k), "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation."""
        return refine(
            functools.partial(_collocation, float(self.half_waves) * math.pi),
            (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation",
        )

    def recipe(self) -> Recipe:
        """A small network with both ends met exactly."""
        return Recipe(
            points=PointsConfig(interior=512, boundary=1, adaptive="none"),
            stages=(StageConfig("levenberg_marquardt", seconds=10.0),),
            grid={"x": 1001},
        )


def _collocation(k: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    x, matrix = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    second = matrix @ matrix
    u = np.zeros(n)
    u[-1] = math.sin(k)
    source = k**2 * np.sin(k * x[1:-1]) + second[1:-1] @ u
    u[1:-1] = np.linalg.solve(-second[1:-1, 1:-1], source)
    return lambda points: {"u": barycentric(u, x, points)}
