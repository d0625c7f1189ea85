"""Logistic reaction of a bump, point by point."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    initial,
    parameter,
    periodic,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_points

__all__ = ["Reaction"]

_WIDTH = math.pi / 4
_X = (0.0, 2 * math.pi)


class Reaction(AbstractProblem):
    r"""Logistic growth at every point of a circle, from a bump.

    $$u_t = \rho\, u (1 - u), \quad u(x, 0) = h(x) = e^{-(x - \pi)^2 / (2 (\pi/4)^2)}, \quad u(0, t) = u(2 \pi, t),
    \quad 0 \le t \le 1; \qquad u = \frac{h e^{\rho t}}{h e^{\rho t} + 1 - h}.$$

    All quantities are nondimensional. u = 0 solves the equation, and networks trained on residuals like to fall to it
    away from the start.

    References:
        Krishnapriyan et al., NeurIPS (2021).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    rate: float = parameter(5.0, "rate of growth rho", at_least=-20.0, at_most=20.0)

    def domain(self) -> SpaceTime:
        """The interval [0, 2 pi], whose ends are one point, over the times [0, 1]."""
        return SpaceTime(Box({"x": _X}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Growth up to one."""
        u = fields.u
        return {"reaction": partial(u, "t") - self.rate * u * (1 - u)}

    def conditions(self) -> tuple[Condition, ...]:
        """The bump at the start, and equal values at both ends."""
        return (
            initial({"u": lambda at: _bump(at.x, jnp)}),
            periodic("x", ("u",), orders=(0,)),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that grows as fast as the solution changes."""
        return {"u": _bump(at.x, jnp) + jnp.tanh(self.rate * at.t) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; equal ends are up to the network."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Between nothing and all."""
        return {"u": (0.0, 1.0)}

    def reference(self) -> Reference:
        """The closed form; its error is round-off."""
        rate = float(self.rate)

        def evaluate(points):
            h = _bump(points[:, 0], np)
            return {"u": h / (h + (1 - h) * np.exp(-rate * points[:, 1]))}

        return Reference(evaluate, 1e-14, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """An ordinary differential equation at each Chebyshev point."""
        return refine(
            functools.partial(_points, float(self.rate)),
            (8, 12, 16, 24, 32, 48, 64, 96),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev points, DOP853",
        )

    def recipe(self) -> Recipe:
        """A small network on Fourier features, with the bump at the start built in."""
        return Recipe(
            network=NetworkConfig("fourier_features", options={"num_features": 20, "scale": 2.0}),
            points=PointsConfig(interior=2048),
            stages=(StageConfig("levenberg_marquardt", seconds=60.0),),
            grid={"x": 129, "t": 129},
        )


def _bump(x: Any, xp: Any) -> Any:
    return xp.exp(-((x - math.pi) ** 2) / (2 * _WIDTH**2))


def _points(rate: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Integrate at `n` Chebyshev points and interpolate between them."""
    x = chebyshev_points(n, _X)
    solution = solve_ivp(
        lambda t, u: rate * u * (1 - u),
        (0.0, 1.0),
        _bump(x, np),
        method="DOP853",
        rtol=1e-12,
        atol=1e-14,
        dense_output=True,
    )
    if not solution.success:
        raise RuntimeError(solution.message)

    def evaluate(points):
        times, rows = np.unique(points[:, 1], return_inverse=True)
        values, result = solution.sol(times), np.empty(len(points))
        for index in range(len(times)):
            here = rows == index
            result[here] = barycentric(values[:, index, None], [x], points[here, :1])[:, 0]
        return {"u": result}

    return evaluate
