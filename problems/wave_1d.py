"""Standing waves on a string."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import RectBivariateSpline

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

__all__ = ["Wave1D"]


class Wave1D(AbstractProblem):
    r"""Wave equation on a string, two standing waves.

    $$u_{tt} = c^2 u_{xx}, \quad u(x, 0) = \sin \pi x + \tfrac12 \sin 4 \pi x, \quad u_t(x, 0) = 0, \quad
    u(0, t) = u(1, t) = 0, \quad 0 \le x, t \le 1;$$

    $$u = \sin \pi x \cos \pi c t + \tfrac12 \sin 4 \pi x \cos 4 \pi c t.$$

    All quantities are nondimensional. The energy $\int \frac12 u_t^2 + \frac{c^2}{2} u_x^2$ is conserved.

    References:
        Wang, Yu and Perdikaris, J. Comput. Phys. 449 (2022) 110768 (with $c = 2$).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    speed: float = parameter(2.0, "wave speed c", above=0.0, at_most=10.0)

    def domain(self) -> SpaceTime:
        """The interval [0, 1] over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Acceleration and tension."""
        return {"wave": partial(fields.u, "t", 2) - self.speed**2 * partial(fields.u, "x", 2)}

    def conditions(self) -> tuple[Condition, ...]:
        """A deflection at rest, and fixed ends."""
        return (
            initial({"u": lambda at: _start(at.x, jnp)}),
            initial({"u": 0.0}, order=1),
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("x_max", {"u": 0.0}),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""The initial value, plus the raw output times a factor that vanishes with its rate at t = 0 and at both ends.

        The factor rises within the time in which the fastest mode moves by a radian, so that the raw output is of
        order one; with a plain $t^2$ it would be $(4 \pi c)^2$ near the start.
        """
        short = 1 / (4 * math.pi * self.speed)
        rise = at.t**2 / (at.t**2 + short**2)
        return {"u": _start(at.x, jnp) + jnp.sin(jnp.pi * at.x) * rise * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", "initial_rate", "x_min", "x_max")

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The sum of the two amplitudes."""
        return {"u": (-1.5, 1.5)}

    def reference(self) -> Reference:
        """The closed form; its error is the round-off of the arguments of sines and cosines."""
        speed = float(self.speed)

        def evaluate(points):
            x, t = points.T
            slow = np.sin(math.pi * x) * np.cos(math.pi * speed * t)
            return {"u": slow + 0.5 * np.sin(4 * math.pi * x) * np.cos(4 * math.pi * speed * t)}

        return Reference(evaluate, 1e-15 * max(1.0, 4 * speed), "closed form")

    def classical(self, tolerance: float) -> Classical:
        """The leapfrog scheme at Courant number 1, where it is exact at the nodes, and splines between them."""
        return refine(
            functools.partial(_leapfrog, float(self.speed)),
            (16, 32, 64, 128, 256, 512),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="leapfrog scheme with c dt = dx, quintic spline between nodes",
        )

    def recipe(self) -> Recipe:
        """Few products of functions of x and of t, as standing waves are, for each quarter of the time.

        A window goes on from the deflection and velocity where the one before has ended.
        """
        return Recipe(
            network=NetworkConfig("separable", width=12, depth=2, options={"rank": 4}),
            points=PointsConfig(interior=512),
            stages=(StageConfig("levenberg_marquardt", seconds=22.0),),
            windows=4,
            grid={"x": 257, "t": 101},
        )


def _start(x: Any, xp: Any) -> Any:
    return xp.sin(math.pi * x) + 0.5 * xp.sin(4 * math.pi * x)


def _leapfrog(speed: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Step on `n` intervals with a time step in which waves cross one of them."""
    x, dt = np.linspace(0.0, 1.0, n + 1), 1 / (speed * n)
    steps = max(6, math.ceil(1 / dt))
    u = np.zeros((steps + 1, n + 1))
    u[0] = _start(x, np)
    u[1, 1:-1] = (u[0, 2:] + u[0, :-2]) / 2
    for k in range(1, steps):
        u[k + 1, 1:-1] = u[k, 2:] + u[k, :-2] - u[k - 1, 1:-1]
    spline = RectBivariateSpline(x, dt * np.arange(steps + 1), u.T, kx=5, ky=5)
    return lambda points: {"u": spline.ev(points[:, 0], points[:, 1])}
