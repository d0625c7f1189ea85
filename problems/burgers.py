"""Viscous Burgers equation with a front that steepens at the origin."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from pdesolve.calculus import partial
from pdesolve.config import PointsConfig, Recipe, StageConfig
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
from pdesolve.spectral import barycentric_matrix, chebyshev_matrix, chebyshev_points

__all__ = ["Burgers", "cole_hopf"]

_CHUNK = 4096


class Burgers(AbstractProblem):
    r"""Viscous Burgers equation on [-1, 1]; a front forms at x = 0.

    $$u_t + u u_x = \nu u_{xx}, \quad u(x, 0) = -\sin \pi x, \quad u(\pm 1, t) = 0, \quad 0 \le t \le 1.$$

    All quantities are nondimensional. The front is steepest near t = 1/2, with a width of about $2\nu$.

    References:
        Basdevant et al., Computers and Fluids 14 (1986) 23-41.
        Raissi, Perdikaris and Karniadakis, J. Comput. Phys. 378 (2019) 686-707 (viscosity 0.01 / pi).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    viscosity: float = parameter(0.01 / math.pi, "kinematic viscosity", at_least=1e-4, at_most=1.0)

    def domain(self) -> SpaceTime:
        """The interval [-1, 1] over the times [0, 1]."""
        return SpaceTime(Box({"x": (-1.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Convection by the velocity itself, and diffusion."""
        u = fields.u
        return {"burgers": partial(u, "t") + u * partial(u, "x") - self.viscosity * partial(u, "x", 2)}

    def conditions(self) -> tuple[Condition, ...]:
        """A sine at the start, zero at both ends."""
        return (
            initial({"u": lambda at: -jnp.sin(jnp.pi * at.x)}),
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("x_max", {"u": 0.0}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that vanishes wherever a value is prescribed."""
        return {"u": -jnp.sin(jnp.pi * at.x) + at.t * (1 - at.x**2) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", "x_min", "x_max")

    def reference(self) -> Reference:
        """Cole-Hopf integral; its error was measured in extended precision between viscosities 1e-4 and 1."""
        viscosity = float(self.viscosity)

        def evaluate(points):
            chunks = [points[i : i + _CHUNK] for i in range(0, len(points), _CHUNK)] or [points]
            return {"u": np.concatenate([cole_hopf(chunk[:, 0], chunk[:, 1], viscosity) for chunk in chunks])}

        return Reference(evaluate, 1e-12, "Cole-Hopf integral by the trapezoidal rule (Basdevant et al. 1986)")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation of the odd solution on [0, 1], where the points cluster at the front."""
        return refine(
            functools.partial(_collocation, float(self.viscosity), 1e-2 * tolerance),
            (32, 48, 64, 96, 128, 192, 256, 384, 512),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation on half of the interval, LSODA in time",
        )

    def recipe(self) -> Recipe:
        """A small network with conditions met exactly; points follow the front."""
        stages = (
            # Far from the solution a quarter of the points tells the way, at half the price of a step.
            StageConfig("levenberg_marquardt", steps=100, interior=1024),
            StageConfig("levenberg_marquardt", seconds=95.0),
        )
        return Recipe(points=PointsConfig(refresh=5), stages=stages, grid={"x": 257, "t": 101})


def cole_hopf(x: Float[np.ndarray, " n"], t: Float[np.ndarray, " n"], viscosity: float) -> Float[np.ndarray, " n"]:
    r"""Evaluate the exact solution for the initial value $u_0 = -\sin \pi x$ on the line.

    The Cole-Hopf integral is a mean of the initial value over the points $y = x - 2 \sqrt{\nu t}\, z$,

    $$u(x, t) = \frac{\int u_0(y)\, w\, dz}{\int w\, dz}, \quad w = \exp\Big(-z^2 - \frac{\cos \pi y}{2 \pi \nu}\Big),$$

    by the trapezoidal rule, which converges geometrically. Weights are divided by the largest of them, so that no
    exponential overflows; at t = 0 all of them weigh the same point and the initial value comes out exactly.
    Odd about 0 and 1 and of period 2, so it solves the problem on [-1, 1] too.

    Args:
        x: Positions.
        t: Times, not negative.
        viscosity: $\nu$, at least 1e-4: the number of nodes grows like $\nu^{-1/2}$.

    References:
        Cole, Quart. Appl. Math. 9 (1951) 225-236.
        Basdevant et al., Computers and Fluids 14 (1986) 23-41.
    """
    # The cosine changes the exponent by at most 1 / (pi nu): beyond `reach` weights are below e^-40 of the largest.
    reach = math.sqrt(1 / (math.pi * viscosity) + 40)
    # 0.2 resolves the narrowest peak in z; at large viscosity 20 nodes in a period of y are what counts.
    spacing = min(0.2, 0.05 / math.sqrt(viscosity))
    count = math.ceil(reach / spacing)
    z = spacing * np.arange(-count, count + 1)
    y = x[:, None] - 2 * np.sqrt(viscosity * t)[:, None] * z
    exponent = -(z**2) - np.cos(np.pi * y) / (2 * np.pi * viscosity)
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(weights * np.sin(np.pi * y)).sum(axis=1) / weights.sum(axis=1)


def _collocation(viscosity: float, rtol: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve on [0, 1] with u(0, t) = u(1, t) = 0; the solution on [-1, 1] is the odd continuation."""
    x, matrix = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    first, second = matrix[1:-1, 1:-1], viscosity * (matrix @ matrix)[1:-1, 1:-1]
    rtol = max(rtol, 1e-12)
    # Too few points let the front overflow: an error then, which `refine` answers with more points.
    with np.errstate(over="raise", invalid="raise"):
        solution = solve_ivp(
            lambda t, u: second @ u - u * (first @ u),
            (0.0, 1.0),
            -np.sin(np.pi * x[1:-1]),
            method="LSODA",
            jac=lambda t, u: second - u[:, None] * first - np.diag(first @ u),
            rtol=rtol,
            atol=rtol,
            dense_output=True,
        )
    if not solution.success:
        raise RuntimeError(solution.message)

    def evaluate(points):
        times, rows = np.unique(points[:, 1], return_inverse=True)
        values = np.pad(solution.sol(times), ((1, 1), (0, 0)))
        distances, columns = np.unique(np.abs(points[:, 0]), return_inverse=True)
        return {"u": np.sign(points[:, 0]) * (barycentric_matrix(x, distances) @ values)[columns, rows]}

    return evaluate
