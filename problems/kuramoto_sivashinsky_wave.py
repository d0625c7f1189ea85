"""Kuramoto-Sivashinsky equation: one smooth wave that breaks up into chaos."""

import functools
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
    initial,
    periodic,
    reference_error,
    refine,
)

from ._modes import Trajectory, distance, etdrk4

__all__ = ["KuramotoSivashinskyWave"]

ALPHA, BETA, GAMMA = 100 / 16, 100 / 16**2, 100 / 16**4
"""Coefficients of steepening, growth and decay."""


class KuramotoSivashinskyWave(AbstractProblem):
    r"""Kuramoto-Sivashinsky equation on a circle: one smooth wave breaks up into chaos.

    $$u_t + \alpha u u_x + \beta u_{xx} + \gamma u_{xxxx} = 0, \quad u(x, 0) = \cos x\, (1 + \sin x), \quad
    u(0, t) = u(2 \pi, t), \quad 0 \le t \le 1,$$

    with $\alpha = 100 / 16$, $\beta = 100 / 16^2$, $\gamma = 100 / 16^4$. All quantities are nondimensional. The
    mean is zero and stays so. With x and t sixteen and a hundred times as large it is the usual equation on a circle of
    length $32 \pi$ over 100 units of time. Solutions become chaotic, and errors that were small grow.

    References:
        Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214-1233, section 4, for the initial value.
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem KS.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> SpaceTime:
        """The interval [0, 2 pi], whose ends are one point, over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, 2 * np.pi)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Steepening, growth of long waves, decay of short ones."""
        u = fields.u
        rate = ALPHA * u * partial(u, "x") + BETA * partial(u, "x", 2) + GAMMA * partial(u, "x", 4)
        return {"kuramoto_sivashinsky": partial(u, "t") + rate}

    def conditions(self) -> tuple[Condition, ...]:
        """Two waves at the start; values and derivatives below the fourth agree at both ends."""
        return initial({"u": lambda at: _start(at.x, jnp)}), periodic("x", ("u",), orders=(0, 1, 2, 3))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times t."""
        return {"u": _start(at.x, jnp) + at.t * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """About twice the initial amplitude."""
        return {"u": (-3.0, 3.0)}

    def reference(self) -> Reference:
        """Fourier series; the error bound is the distance to a coarser solution."""
        solution, bound, n, steps = _reference()
        return Reference(
            lambda points: {"u": solution(points[:, 0], points[:, 1])},
            bound,
            f"Fourier series on {n} points, ETDRK4 with {steps} steps",
        )

    def classical(self, tolerance: float) -> Classical:
        """The pseudospectral method of the reference, with as few points and steps as the tolerance allows."""
        return refine(
            _classical,
            (32, 48, 64, 96, 128, 192, 256),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="dealiased Fourier series, ETDRK4 in time",
        )

    def recipe(self) -> Recipe:
        """Short time windows, each with a small network that is periodic in x.

        As errors grow, each has to begin where the last one ended: its continuity weighs most.
        """
        return Recipe(
            network=NetworkConfig(width=20, depth=3, options={"periodic": "x", "harmonics": 5}),
            points=PointsConfig(interior=1024, boundary=256),
            stages=(StageConfig("levenberg_marquardt", seconds=12.0),),
            weights={"continuity_u": 100.0},
            windows=20,
            grid={"x": 257, "t": 101},
        )


def _start(x: Any, xp: Any) -> Any:
    return xp.cos(x) * (1 + xp.sin(x))


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float, int, int]:
    """The solution, the distance of a solution with fewer points and steps, and these numbers."""
    n, steps = 256, 8000
    fine = _series(n, steps, 1000)
    bound = distance(_series(n * 7 // 8, steps // 2, 500), fine, np.array([[0.0, 2 * np.pi], [0.0, 1.0]]))
    return fine, max(bound, 1e-13), n, steps


def _classical(n: int) -> Callable:
    solution = _series(n, 5 * max(n, 100), 500)
    return lambda points: {"u": solution(points[:, 0], points[:, 1])}


def _series(n: int, steps: int, intervals: int) -> Callable:
    r"""Solve $u_t = -\frac{\alpha}{2} (u^2)_x - \beta u_{xx} - \gamma u_{xxxx}$ for coefficients on `n` points.

    At least `steps` steps, in as many `intervals` of time between which the coefficients are interpolated.
    """
    k = np.arange(n // 2 + 1)
    # The square of kept modes folds back onto dropped ones only (Orszag's 2/3 rule).
    kept = k < n / 3
    factor = -0.5j * ALPHA * k * kept

    def nonlinear(t, coefficients):
        u = np.fft.irfft(coefficients * n, n)
        return factor * np.fft.rfft(u * u) / n

    start = np.fft.rfft(_start(2 * np.pi * np.arange(n) / n, np)) / n
    linear = BETA * k**2.0 - GAMMA * k**4.0
    every = -(-steps // intervals)
    coefficients = etdrk4(start, linear, nonlinear, duration=1.0, steps=intervals * every, every=every)

    def basis(x):
        # Modes of negative wavenumber are the conjugates: those of positive wavenumber count twice.
        return np.where(kept, np.where(k == 0, 1, 2), 0) * np.exp(1j * np.outer(x, k))

    solution = Trajectory(coefficients, 1.0, basis)
    return lambda x, t: np.real(solution(x, t))
