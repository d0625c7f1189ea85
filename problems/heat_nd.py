"""Heat equation in a ball of several dimensions."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Ball, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    initial,
    neumann,
    parameter,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["HeatND"]


class HeatND(AbstractProblem):
    r"""Heat equation in a ball of five dimensions, or of any number, with a flux through its surface.

    $$u_t = \frac{\Delta u}{d} - \frac{|x|^2}{d} e^{|x|^2 / 2 + t} \text{ for } |x| < 1, \quad
    \frac{\partial u}{\partial n} = e^{1/2 + t} \text{ at } |x| = 1, \quad u(x, 0) = e^{|x|^2 / 2},$$

    for times up to 1, with the solution

    $$u = e^{|x|^2 / 2 + t}.$$

    All quantities are nondimensional. Errors are measured at points of a Sobol sequence inside; what is stored is the
    plane of the first two coordinates through the centre.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem HNd, with d = 5.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    dimension: int = parameter(5, "dimension d of the ball", at_least=2, at_most=10)

    def domain(self) -> SpaceTime:
        """The unit ball, x1 to xd, over the times [0, 1]."""
        return SpaceTime(Ball((0.0,) * self.dimension, 1.0, self._names()), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a sink."""
        square = self._square(at)
        sink = square * jnp.exp(square / 2 + at.t)
        return {"heat": partial(fields.u, "t") - (laplacian(fields.u) - sink) / self.dimension}

    def conditions(self) -> tuple[Condition, ...]:
        """The initial value, and the flux through the surface."""
        return (
            initial({"u": lambda at: jnp.exp(self._square(at) / 2)}),
            neumann("surface", {"u": lambda at: jnp.exp(0.5 + at.t)}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times t."""
        return {"u": jnp.exp(self._square(at) / 2) + at.t * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial value; the flux is a loss term."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest at the surface at the end."""
        return {"u": (0.0, 4.5)}

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(
            lambda points: {"u": np.exp((points[:, :-1] ** 2).sum(axis=1) / 2 + points[:, -1])}, 1e-15, "closed form"
        )

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation in time and in the square of the radius: all data depend on the radius alone."""
        return refine(
            functools.partial(_collocation, self.dimension),
            (3, 4, 5, 6, 7, 8, 10, 12, 14, 16),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation in the square of the radius and in time",
        )

    def recipe(self) -> Recipe:
        """A small network with exact initial value; the flux is a loss term."""
        return Recipe(
            network=NetworkConfig(width=24, depth=2),
            points=PointsConfig(interior=2048, boundary=512),
            stages=(StageConfig("levenberg_marquardt", seconds=60.0),),
        )

    def _names(self) -> list[str]:
        return [f"x{i}" for i in range(1, self.dimension + 1)]

    def _square(self, at: Any) -> Any:
        return sum(getattr(at, name) ** 2 for name in self._names())


def _collocation(dimension: int, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve $u_t = (4 s u_{ss} + 2 d u_s) / d - f$ for $u(s, t)$, $s = |x|^2$, all at once.

    At s = 1 stands $2 u_s = e^{1/2 + t}$; at s = 0 the equation itself, which needs no condition there.
    """
    s, first = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    radial = (4 * s[:, None] * (first @ first) + 2 * dimension * first) / dimension
    identity = np.eye(n)
    matrix = np.kron(identity, first) - np.kron(radial, identity)  # unknowns: s slowly, t fast
    right = -s[:, None] * np.exp(s[:, None] / 2 + s[None]) / dimension
    matrix = matrix.reshape(n, n, n * n)
    matrix[-1] = np.kron(2 * first[-1:], identity).reshape(n, n * n)
    right[-1] = np.exp(0.5 + s)
    matrix[:, 0], right[:, 0] = np.kron(identity, identity[:1]).reshape(n, n * n), np.exp(s / 2)
    u = np.linalg.solve(matrix.reshape(n * n, n * n), right.ravel()).reshape(n, n)

    def evaluate(points):
        square = np.clip((points[:, :-1] ** 2).sum(axis=1), 0.0, 1.0)
        return {"u": barycentric(u, (s, s), np.column_stack([square, points[:, -1]]))}

    return evaluate
