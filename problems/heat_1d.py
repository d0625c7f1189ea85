"""Heat equation on an interval."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_sylvester

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
    parameter,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Heat1D"]


class Heat1D(AbstractProblem):
    r"""Heat equation on [0, 1]: two modes that decay at different rates.

    $$u_t = \alpha u_{xx}, \quad u(0, t) = u(1, t) = 0, \quad
    u(x, 0) = \sin \pi x + \tfrac12 \sin 3 \pi x, \quad 0 \le t \le 1;$$
    $$u = e^{-\alpha \pi^2 t} \sin \pi x + \tfrac12 e^{-9 \alpha \pi^2 t} \sin 3 \pi x.$$

    All quantities are nondimensional: lengths by the length of the rod, temperatures by the initial amplitude.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    diffusivity: float = parameter(0.1, "thermal diffusivity", above=0.0, at_most=10.0)

    def domain(self) -> SpaceTime:
        """The interval [0, 1] over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion in time."""
        return {"heat": partial(fields.u, "t") - self.diffusivity * partial(fields.u, "x", 2)}

    def conditions(self) -> tuple[Condition, ...]:
        """Two sines at the start, zero at both ends."""
        return (
            initial({"u": lambda at: _initial_value(at.x)}),
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("x_max", {"u": 0.0}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that vanishes wherever a value is prescribed.

        The factor saturates at the rate of the slow mode, so that the raw output stays of order 1.
        """
        x = at.x
        factor = 4 * x * (1 - x) * jnp.tanh(self.diffusivity * jnp.pi**2 * at.t)
        return {"u": _initial_value(x) + factor * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", "x_min", "x_max")

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(functools.partial(_exact, float(self.diffusivity)), 1e-14, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation in space and time at once, which is one Sylvester equation."""
        return refine(
            functools.partial(_collocation, float(self.diffusivity)),
            (8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation in space and time, one Sylvester equation",
        )

    def recipe(self) -> Recipe:
        """Few products of functions of x and of t, as the decaying modes are; conditions are met exactly."""
        return Recipe(
            network=NetworkConfig("separable", width=20, depth=2, options={"rank": 4}),
            points=PointsConfig(interior=1024),
            stages=(StageConfig("levenberg_marquardt", seconds=20.0),),
            grid={"x": 129, "t": 101},
        )


def _initial_value(x: Any) -> Any:
    return jnp.sin(jnp.pi * x) + 0.5 * jnp.sin(3 * jnp.pi * x)


def _exact(diffusivity: float, points: np.ndarray) -> dict[str, np.ndarray]:
    x, t = points.T
    rate = diffusivity * math.pi**2
    return {"u": np.exp(-rate * t) * np.sin(np.pi * x) + 0.5 * np.exp(-9 * rate * t) * np.sin(3 * np.pi * x)}


def _collocation(diffusivity: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve $\alpha D_{xx} U - U D_t^T = u_0 d_0^T$ for the values inside and after the start.

    $d_0$ is the column of the time derivative that multiplies the initial value.
    """
    x, matrix = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    second = diffusivity * (matrix @ matrix)[1:-1, 1:-1]
    start = np.sin(np.pi * x[1:-1]) + 0.5 * np.sin(3 * np.pi * x[1:-1])
    later = solve_sylvester(second, -matrix[1:, 1:].T, np.outer(start, matrix[1:, 0]))
    u = np.pad(np.column_stack([start, later]), ((1, 1), (0, 0)))
    return lambda points: {"u": barycentric(u, (x, x), points)}
