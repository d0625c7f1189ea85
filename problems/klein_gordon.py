"""The Klein-Gordon equation with a cubic term, driven to a known solution."""

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
    dirichlet,
    initial,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["KleinGordon"]

_RATE = 5 * math.pi


class KleinGordon(AbstractProblem):
    r"""Klein-Gordon equation with a cubic term, two and a half periods of an oscillation.

    $$u_{tt} - u_{xx} + u^3 = f, \quad u = x \cos 5 \pi t + (x t)^3, \quad 0 \le x, t \le 1,$$

    where f, the initial values and those at both ends are the solution's own. All quantities are nondimensional.

    References:
        Wang, Teng and Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055-A3081.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> SpaceTime:
        """The interval [0, 1] over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Acceleration, tension and a cubic spring against the load."""
        u = fields.u
        return {"klein_gordon": partial(u, "t", 2) - partial(u, "x", 2) + u**3 - _load(at.x, at.t, jnp)}

    def conditions(self) -> tuple[Condition, ...]:
        """The solution's initial value, at rest; its values at both ends."""
        return (
            initial({"u": lambda at: at.x}),
            initial({"u": 0.0}, order=1),
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("x_max", {"u": lambda at: jnp.cos(_RATE * at.t) + at.t**3}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """Boundary values on a line between both ends, and the raw output times a factor, 0 there and at rest first."""
        rise = at.t**2 / (at.t**2 + _RATE**-2)
        line = at.x * (jnp.cos(_RATE * at.t) + at.t**3)
        return {"u": line + 4 * at.x * (1 - at.x) * rise * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", "initial_rate", "x_min", "x_max")

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest at the right end."""
        return {"u": (-1.0, 1.6)}

    def reference(self) -> Reference:
        """The closed form; its error is round-off."""
        return Reference(lambda points: {"u": _exact(points[:, 0], points[:, 1], np)}, 1e-14, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation in x on 12 points, which hold the cubic exactly; the time integrator is refined."""
        return refine(
            _method_of_lines,
            range(3, 13),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation on 12 points, DOP853 with tolerance 10^-resolution",
        )

    def recipe(self) -> Recipe:
        """A small network with all conditions met exactly."""
        return Recipe(
            network=NetworkConfig(width=20, depth=3),
            points=PointsConfig(interior=1024),
            stages=(StageConfig("levenberg_marquardt", seconds=40.0),),
            grid={"x": 129, "t": 129},
        )


def _exact(x: Any, t: Any, xp: Any) -> Any:
    return x * xp.cos(_RATE * t) + (x * t) ** 3


def _load(x: Any, t: Any, xp: Any) -> Any:
    acceleration = -(_RATE**2) * x * xp.cos(_RATE * t) + 6 * x**3 * t
    return acceleration - 6 * x * t**3 + _exact(x, t, xp) ** 3


def _method_of_lines(digits: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Integrate displacement and velocity at the inner points to a tolerance of `10**-digits`."""
    n = 12
    x, first = chebyshev_points(n, (0.0, 1.0)), chebyshev_matrix(n, (0.0, 1.0))
    second = (first @ first)[1:-1]

    def whole(t, inner):
        return np.concatenate([[0.0], inner, [math.cos(_RATE * t) + t**3]])

    def rate(t, state):
        u = whole(t, state[: n - 2])
        return np.concatenate([state[n - 2 :], second @ u - (u**3)[1:-1] + _load(x[1:-1], t, np)])

    start = np.concatenate([x[1:-1], np.zeros(n - 2)])
    tolerance = 10.0**-digits
    solution = solve_ivp(rate, (0.0, 1.0), start, method="DOP853", rtol=tolerance, atol=tolerance, dense_output=True)
    if not solution.success:
        raise RuntimeError(solution.message)

    def evaluate(points):
        times, rows = np.unique(points[:, 1], return_inverse=True)
        states = solution.sol(times)[: n - 2]
        values = np.stack([whole(t, u) for t, u in zip(times, states.T, strict=True)], axis=-1)
        # All times are interpolated to all places; evaluation grids have few of each.
        places, columns = np.unique(points[:, 0], return_inverse=True)
        return {"u": barycentric(values, [x], places[:, None])[columns, rows]}

    return evaluate
