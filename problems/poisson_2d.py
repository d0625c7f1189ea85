"""Poisson equation on the unit square."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_sylvester

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Poisson2D"]

SIDES = ("x_min", "x_max", "y_min", "y_max")


class Poisson2D(AbstractProblem):
    r"""Poisson equation on the unit square, zero on the boundary.

    $$-\Delta u = 2 \pi^2 \sin \pi x \sin \pi y, \quad u = 0 \text{ on the boundary}; \qquad
    u = \sin \pi x \sin \pi y.$$

    All quantities are nondimensional.

    References:
        Müller and Zeinhofer, ICML (2023): the test problem of energy natural gradient descent.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Box:
        """The unit square."""
        return Box({"x": (0.0, 1.0), "y": (0.0, 1.0)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source."""
        source = 2 * jnp.pi**2 * jnp.sin(jnp.pi * at.x) * jnp.sin(jnp.pi * at.y)
        return {"poisson": -laplacian(fields.u) - source}

    def conditions(self) -> tuple[Condition, ...]:
        """Zero on the four sides."""
        return tuple(dirichlet(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The raw output times a polynomial of height 1 that vanishes on the boundary."""
        x, y = at.x, at.y
        return {"u": 16 * x * (1 - x) * y * (1 - y) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All four sides."""
        return SIDES

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The solution is not negative."""
        return {"u": (0.0, 1.0)}

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(
            lambda points: {"u": np.sin(np.pi * points[:, 0]) * np.sin(np.pi * points[:, 1])},
            1e-15,
            "closed form",
        )

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation; the tensor structure makes it one Sylvester equation."""
        return refine(
            _collocation,
            (6, 8, 10, 12, 16, 20, 24, 32, 48),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation, one Sylvester equation",
        )

    def recipe(self) -> Recipe:
        """A small network on Fourier features that vanishes on the boundary by construction."""
        return Recipe(
            network=NetworkConfig("fourier_features", options={"num_features": 10, "scale": 2.0}),
            points=PointsConfig(interior=1024),
            stages=(StageConfig("levenberg_marquardt", seconds=25.0),),
            grid={"x": 129, "y": 129},
        )


def _collocation(n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve $D^2 U + U (D^2)^T = F$ for the values inside."""
    x, matrix = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    second = (matrix @ matrix)[1:-1, 1:-1]
    mode = np.sin(np.pi * x[1:-1])
    u = np.pad(solve_sylvester(second, second.T, -2 * np.pi**2 * np.outer(mode, mode)), 1)
    return lambda points: {"u": barycentric(u, (x, x), points)}
