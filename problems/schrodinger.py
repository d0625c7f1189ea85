"""Nonlinear Schroedinger equation: two solitons that breathe."""

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

from ._modes import Trajectory, cosine_coefficients, cosine_values, distance

__all__ = ["Schrodinger"]

_HALF_LENGTH = 5.0
_DURATION = math.pi / 2


class Schrodinger(AbstractProblem):
    r"""Focusing nonlinear Schroedinger equation on a circle: a bound state of two solitons breathes.

    $$i h_t + \tfrac12 h_{xx} + g |h|^2 h = 0, \quad h(x, 0) = 2\, \mathrm{sech}\, x, \quad h(-5, t) = h(5, t),
    \quad 0 \le t \le \pi / 2,$$

    with $h = u + i v$. All quantities are nondimensional. Mass $\int |h|^2$ and energy
    $\int \frac12 |h_x|^2 - \frac{g}{2} |h|^4$ are conserved. On the circle the slope of the initial value jumps by
    0.054 at $x = \pm 5$, and dispersion carries this singularity everywhere: the solution is continuous, but no
    method converges fast beyond a relative error of about 1e-6.

    References:
        Raissi, Perdikaris and Karniadakis, J. Comput. Phys. 378 (2019) 686-707, section 3.1.1.
        Satsuma and Yajima, Prog. Theor. Phys. Suppl. 55 (1974) 284-306, for the solution on the line.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v")

    nonlinearity: float = parameter(1.0, "focusing strength g", at_least=0.0, at_most=1.5)

    def domain(self) -> SpaceTime:
        """The interval [-5, 5], whose ends are one point, over the times [0, pi / 2]."""
        return SpaceTime(Box({"x": (-_HALF_LENGTH, _HALF_LENGTH)}), 0.0, _DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Real and imaginary part."""
        u, v = fields.u, fields.v
        intensity = self.nonlinearity * (u**2 + v**2)
        return {
            "real": -partial(v, "t") + 0.5 * partial(u, "x", 2) + intensity * u,
            "imaginary": partial(u, "t") + 0.5 * partial(v, "x", 2) + intensity * v,
        }

    def conditions(self) -> tuple[Condition, ...]:
        """A real pulse; values and slopes agree at both ends."""
        return initial({"u": lambda at: 2 / jnp.cosh(at.x), "v": 0.0}), periodic("x", ("u", "v"))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value with its kink rounded over a distance sqrt(t), and the raw outputs times t.

        A smooth periodic network could not undo a kink that stayed, as the solution does at once.
        """
        return {"u": _rounded_pulse(at.x, at.t) + at.t * raw["u"], "v": at.t * raw["v"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The pulse doubles its height at t = pi / 4."""
        return {"u": (-4.0, 4.0), "v": (-4.0, 4.0)}

    def reference(self) -> Reference:
        """Cosine series; the error bound is the distance to a coarser solution."""
        solution, bound, modes, steps = _reference(float(self.nonlinearity))
        return Reference(
            lambda points: _parts(solution(points[:, 0], points[:, 1])),
            bound,
            f"cosine series of {modes} modes, Lawson's fourth-order method with {steps} steps",
        )

    def classical(self, tolerance: float) -> Classical:
        """Fourth-order splitting of the even solution between dispersion and rotation of phase."""
        return refine(
            functools.partial(_split_step, float(self.nonlinearity)),
            (32, 64, 128, 256, 512, 1024, 2048),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="cosine series, fourth-order splitting in time",
        )

    def recipe(self) -> Recipe:
        """A small network, periodic in x; points follow the pulse."""
        return Recipe(
            network=NetworkConfig(options={"periodic": "x"}),
            stages=(StageConfig("levenberg_marquardt", seconds=80.0),),
            grid={"x": 257, "t": 101},
        )


def _parts(h: np.ndarray) -> dict[str, np.ndarray]:
    return {"u": np.real(h), "v": np.imag(h)}


def _rounded_pulse(x: Any, t: Any) -> Any:
    r"""A function that is $2\, \mathrm{sech}\, x$ at t = 0 and, but for 1e-6, smooth on the circle at t > 0.

    The sum of pulses at all multiples of 10 is smooth. Subtracting all but the one at 0 leaves the initial value,
    kink and all; the nearest two are subtracted as functions of $\sqrt{d^2 + t}$ in place of $d$, the distance from
    the end.
    """
    length = 2 * _HALF_LENGTH
    pulses = [2 / jnp.cosh(x - length * m) for m in (-1, 0, 1)]
    squares = [(_HALF_LENGTH - x) ** 2 + t, (_HALF_LENGTH + x) ** 2 + t]
    # Where d = t = 0 the root has no derivative; there the exact value does.
    roots = [jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0) for square in squares]
    return sum(pulses) - sum(2 / jnp.cosh(_HALF_LENGTH + root) for root in roots)


def _basis(modes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.cos(np.pi / _HALF_LENGTH * np.outer(x, np.arange(modes)))


def _frequencies(modes: int) -> np.ndarray:
    return -0.5 * (np.pi / _HALF_LENGTH * np.arange(modes)) ** 2


def _start(modes: int) -> np.ndarray:
    """Coefficients of the initial value: the solution is even about 0 and, on the circle, about 5."""
    return cosine_coefficients(2 / np.cosh(np.linspace(0.0, _HALF_LENGTH, modes)) + 0j)


@functools.lru_cache(maxsize=4)
def _reference(nonlinearity: float) -> tuple[Callable, float, int, int]:
    """The solution, the distance of a solution with half of the modes and steps, and these numbers."""
    modes, steps = 4096, 2000
    fine = _series(nonlinearity, modes + 1, steps)
    coarse = _series(nonlinearity, modes // 2 + 1, steps // 2)
    bounds = np.array([[-_HALF_LENGTH, _HALF_LENGTH], [0.0, _DURATION]])
    return fine, distance(coarse, fine, bounds), modes, steps


def _series(nonlinearity: float, modes: int, steps: int) -> Trajectory:
    r"""Integrate the cosine coefficients by the fourth-order Runge-Kutta method of Lawson.

    It samples the nonlinear term along the exact fast waves. ETDRK4 and fourth-order splitting, which do not, lose
    their order on the modes of the kink: at equal cost they are thirty times less accurate here.

    References:
        Lawson, SIAM J. Numer. Anal. 4 (1967) 372-380.
    """

    def nonlinear(coefficients):
        h = cosine_values(coefficients)
        return cosine_coefficients(1j * nonlinearity * (np.real(h) ** 2 + np.imag(h) ** 2) * h)

    dt, every = _DURATION / steps, max(1, steps // 500)
    half_wave = np.exp(0.5j * dt * _frequencies(modes))
    wave = half_wave**2
    c = _start(modes)
    stored = [c]
    for step in range(steps):
        k1 = nonlinear(c)
        k2 = nonlinear(half_wave * (c + dt / 2 * k1))
        k3 = nonlinear(half_wave * c + dt / 2 * k2)
        k4 = nonlinear(wave * c + dt * half_wave * k3)
        c = wave * (c + dt / 6 * k1) + dt / 3 * half_wave * (k2 + k3) + dt / 6 * k4
        if (step + 1) % every == 0:
            stored.append(c)
    return _trajectory(np.array(stored))


def _trajectory(coefficients: np.ndarray) -> Trajectory:
    times, modes = coefficients.shape
    frequencies = _frequencies(modes)
    # Slow modes belong to the solitons and are smooth in time as they are.
    fast = np.abs(frequencies) * _DURATION / (times - 1) > 0.5
    return Trajectory(coefficients, _DURATION, _basis(modes), np.where(fast, frequencies, 0.0))


def _split_step(nonlinearity: float, modes: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Compose exact flows of $i h_t = -\frac12 h_{xx}$ and $i h_t = -g |h|^2 h$ to fourth order.

    References:
        Yoshida, Phys. Lett. A 150 (1990) 262-268.
    """
    per_snapshot = max(1, modes // 64)
    dt = _DURATION / (100 * per_snapshot)
    outer = 1 / (2 - 2 ** (1 / 3))
    weights = (outer, 1 - 2 * outer, outer)
    half_waves = [np.exp(0.5j * weight * dt * _frequencies(modes + 1)) for weight in weights]
    coefficients = [_start(modes + 1)]
    for _ in range(100):
        c = coefficients[-1]
        for _ in range(per_snapshot):
            for weight, half_wave in zip(weights, half_waves, strict=True):
                h = cosine_values(half_wave * c)
                h = h * np.exp(1j * nonlinearity * weight * dt * (np.real(h) ** 2 + np.imag(h) ** 2))
                c = half_wave * cosine_coefficients(h)
        coefficients.append(c)
    solution = _trajectory(np.array(coefficients))
    return lambda points: _parts(solution(points[:, 0], points[:, 1]))
