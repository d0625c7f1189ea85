"""Linear advection of a sine on a circle."""

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

__all__ = ["Advection"]


class Advection(AbstractProblem):
    r"""Linear advection on a circle: a sine carried round it several times.

    $$u_t + \beta u_x = 0, \quad u(x, 0) = \sin x, \quad u(0, t) = u(2 \pi, t), \quad 0 \le t \le 1;
    \qquad u = \sin(x - \beta t).$$

    All quantities are nondimensional. Networks trained on residuals fail from about $\beta = 30$ on unless the points
    or the optimiser help: the residual is small for wrong solutions that die out in time.

    References:
        Krishnapriyan et al., NeurIPS (2021).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    speed: float = parameter(50.0, "advection speed beta", at_least=-1000.0, at_most=1000.0)

    def domain(self) -> SpaceTime:
        """The interval [0, 2 pi], whose ends are one point, over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, 2 * math.pi)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Transport at constant speed."""
        return {"advection": partial(fields.u, "t") + self.speed * partial(fields.u, "x")}

    def conditions(self) -> tuple[Condition, ...]:
        """A sine at the start; the values at both ends agree, as befits an equation of first order."""
        return (
            initial({"u": lambda at: jnp.sin(at.x)}),
            periodic("x", ("u",), orders=(0,)),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that grows as fast as the solution changes."""
        return {"u": jnp.sin(at.x) + jnp.tanh(self.speed * at.t) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def reference(self) -> Reference:
        """The closed form; its error is the round-off of the argument of the sine."""
        speed = float(self.speed)
        return Reference(
            lambda points: {"u": np.sin(points[:, 0] - speed * points[:, 1])},
            1e-15 * max(1.0, abs(speed)),
            "closed form",
        )

    def classical(self, tolerance: float) -> Classical:
        """Fourier collocation on 9 points, which hold the sine exactly; the time integrator is refined."""
        return refine(
            functools.partial(_method_of_lines, float(self.speed)),
            range(3, 14),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Fourier collocation on 9 points, DOP853 with tolerance 10^-resolution",
        )

    def recipe(self) -> Recipe:
        """Few products of functions of the sine and cosine of x, hence periodic, and of t.

        The time has as many windows as there are periods in it, up to 16, so that no network sees much more than one.
        """
        windows = min(16, max(1, math.ceil(abs(float(self.speed)) / (2 * math.pi))))
        return Recipe(
            network=NetworkConfig("separable", width=8, depth=2, options={"rank": 3, "periodic": "x"}),
            points=PointsConfig(interior=256),
            stages=(StageConfig("levenberg_marquardt", seconds=60.0 / windows),),
            windows=windows,
            grid={"x": 129, "t": 129},
        )


def _method_of_lines(speed: float, digits: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Integrate the Fourier coefficients to a tolerance of `10**-digits`."""
    n = 9
    wavenumbers = np.fft.rfftfreq(n, 1 / n)
    start = np.fft.rfft(np.sin(2 * np.pi * np.arange(n) / n)) / n
    solution = solve_ivp(
        lambda t, u: -1j * speed * wavenumbers * u,
        (0.0, 1.0),
        start,
        method="DOP853",
        rtol=10.0**-digits,
        atol=10.0**-digits,
        dense_output=True,
    )
    if not solution.success:
        raise RuntimeError(solution.message)

    def evaluate(points):
        times, rows = np.unique(points[:, 1], return_inverse=True)
        positions, columns = np.unique(points[:, 0], return_inverse=True)
        # Coefficients of negative wavenumbers are the conjugates of the positive ones: those count twice.
        waves = np.where(wavenumbers == 0, 1, 2) * np.exp(1j * np.outer(positions, wavenumbers))
        return {"u": (waves @ solution.sol(times)).real[columns, rows]}

    return evaluate
