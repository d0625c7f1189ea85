"""Korteweg-de Vries equation: a cosine that breaks up into solitons."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, Recipe, StageConfig
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

from ._modes import Trajectory, distance, etdrk4

__all__ = ["KdV"]


class KdV(AbstractProblem):
    r"""Korteweg-de Vries equation on a circle: a cosine steepens and breaks up into solitons.

    $$u_t + \eta u u_x + \mu u_{xxx} = 0, \quad u(x, 0) = \cos \pi x, \quad u(-1, t) = u(1, t), \quad 0 \le t \le 1.$$

    All quantities are nondimensional. Steepening ends at about $t = 1 / (\pi \eta)$ in a train of solitons of width
    about $\sqrt{\mu}$. Mass $\int u$ and $\int u^2$ are conserved.

    References:
        Zabusky and Kruskal, Phys. Rev. Lett. 15 (1965) 240-243 (with $\eta = 1$, $\mu = 0.022^2$).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    nonlinearity: float = parameter(1.0, "coefficient eta of the steepening term", at_least=0.0, at_most=1.5)
    dispersion: float = parameter(0.022**2, "coefficient mu of dispersion", at_least=2e-4, at_most=1e-2)

    def domain(self) -> SpaceTime:
        """The interval [-1, 1], whose ends are one point, over the times [0, 1]."""
        return SpaceTime(Box({"x": (-1.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Steepening and dispersion."""
        u = fields.u
        steepening = self.nonlinearity * u * partial(u, "x")
        return {"kdv": partial(u, "t") + steepening + self.dispersion * partial(u, "x", 3)}

    def conditions(self) -> tuple[Condition, ...]:
        """A cosine at the start; values and derivatives below the third agree at both ends."""
        return initial({"u": lambda at: jnp.cos(jnp.pi * at.x)}), periodic("x", ("u",), orders=(0, 1, 2))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times t."""
        return {"u": jnp.cos(jnp.pi * at.x) + at.t * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The highest soliton is about two and a half times as high as the cosine."""
        return {"u": (-1.0, 2.5)}

    def reference(self) -> Reference:
        """Fourier series; the error bound is the distance to a coarser solution."""
        solution, bound, n, steps = _reference(float(self.nonlinearity), float(self.dispersion))
        return Reference(
            lambda points: {"u": solution(points[:, 0], points[:, 1])},
            bound,
            f"Fourier series on {n} points, ETDRK4 with {steps} steps",
        )

    def classical(self, tolerance: float) -> Classical:
        """The pseudospectral method of the reference, with as few points and steps as the tolerance allows."""
        return refine(
            functools.partial(_classical, float(self.nonlinearity), float(self.dispersion)),
            (32, 48, 64, 96, 128, 192, 256, 384, 512, 768),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="dealiased Fourier series, ETDRK4 in time",
        )

    def recipe(self) -> Recipe:
        """A small network of four layers, periodic in x; points follow the solitons."""
        return Recipe(
            network=NetworkConfig(width=20, depth=4, options={"periodic": "x", "harmonics": 2}),
            stages=(StageConfig("levenberg_marquardt", seconds=200.0, options={"target_ratio": 0.01}),),
            grid={"x": 257, "t": 101},
        )


@functools.lru_cache(maxsize=4)
def _reference(nonlinearity: float, dispersion: float) -> tuple[Callable, float, int, int]:
    """The solution, the distance of a solution with fewer points and steps, and these numbers."""
    # The width of solitons of given height is proportional to the square root of the dispersion.
    n = 4 * math.ceil(3.5 / math.sqrt(dispersion))
    steps = 12000
    fine = _series(nonlinearity, dispersion, n, steps)
    coarse = _series(nonlinearity, dispersion, n * 3 // 4, steps // 2)
    bound = distance(coarse, fine, np.array([[-1.0, 1.0], [0.0, 1.0]]))
    return fine, max(bound, 1e-13), n, steps


def _classical(nonlinearity: float, dispersion: float, n: int) -> Callable:
    solution = _series(nonlinearity, dispersion, n, 100 * math.ceil(n / 32))
    return lambda points: {"u": solution(points[:, 0], points[:, 1])}


def _series(nonlinearity: float, dispersion: float, n: int, steps: int) -> Callable:
    r"""Solve $u_t = -\mu u_{xxx} - \frac{\eta}{2} (u^2)_x$ for the Fourier coefficients on `n` points."""
    k = np.arange(n // 2 + 1)
    wavenumbers = np.pi * k
    # The square of kept modes folds back onto dropped ones only (Orszag's 2/3 rule).
    kept = k < n / 3
    factor = -0.5j * nonlinearity * wavenumbers * kept

    def nonlinear(t, coefficients):
        u = np.fft.irfft(coefficients * n, n)
        return factor * np.fft.rfft(u * u) / n

    start = np.zeros(len(k), dtype=complex)
    start[1] = 0.5
    frequencies = dispersion * wavenumbers**3
    every = max(1, steps // 500)
    coefficients = etdrk4(start, 1j * frequencies, nonlinear, duration=1.0, steps=steps, every=every)

    def basis(x):
        # Modes of negative wavenumber are the conjugates: those of positive wavenumber count twice.
        return np.where(kept, np.where(k == 0, 1, 2), 0) * np.exp(1j * np.outer(x, wavenumbers))

    solution = Trajectory(coefficients, 1.0, basis, frequencies)
    return lambda x, t: np.real(solution(x, t))
