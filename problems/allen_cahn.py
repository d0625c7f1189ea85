"""Allen-Cahn equation whose initial value has a kink at the periodic boundary."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

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

from ._modes import Trajectory, cosine_coefficients, cosine_values, distance, etdrk4

__all__ = ["AllenCahn", "heat_of_kinks"]


class AllenCahn(AbstractProblem):
    r"""Allen-Cahn equation on a circle: phases separate, with layers of width about sqrt(2 D / r).

    $$u_t = D u_{xx} + r (u - u^3), \quad u(x, 0) = x^2 \cos \pi x, \quad u(-1, t) = u(1, t), \quad 0 \le t \le 1.$$

    All quantities are nondimensional. The slope of the initial value jumps by 4 across the boundary, which the
    equation smooths at once: there the solution is not smooth at t = 0, and Fourier series converge slowly. Widely
    shared reference data resolve 511 modes and are off by 1.6e-5 there; errors below that are not comparable with
    errors against those data.

    References:
        Raissi, Perdikaris and Karniadakis, J. Comput. Phys. 378 (2019) 686-707, section 3.2.1.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    diffusivity: float = parameter(1e-4, "diffusivity D", at_least=1e-5, at_most=1e-2)
    rate: float = parameter(5.0, "reaction rate r", above=0.0, at_most=10.0)

    def domain(self) -> SpaceTime:
        """The interval [-1, 1], whose ends are one point, over the times [0, 1]."""
        return SpaceTime(Box({"x": (-1.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion, and reaction towards -1 or 1."""
        u = fields.u
        reaction = self.rate * (u - u**3)
        return {"allen_cahn": partial(u, "t") - self.diffusivity * partial(u, "x", 2) - reaction}

    def conditions(self) -> tuple[Condition, ...]:
        """The initial value; value and slope agree at both ends."""
        return initial({"u": lambda at: at.x**2 * jnp.cos(jnp.pi * at.x)}), periodic("x", ("u",))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""Kinks that fade as the linearised equation lets them, a smooth rest, and the raw output times t.

        The kinks sit where u is near -1, so they fade at the rate $2 r$ there. With $u_0 + t\, raw$ instead, a
        smooth periodic network could never undo the kink of $u_0$, which the solution loses at once.
        """
        start = at.x**2 * jnp.cos(jnp.pi * at.x)
        kinks = heat_of_kinks(at.x, at.t, self.diffusivity, xp=jnp)
        fading = jnp.exp(-2 * self.rate * at.t) * kinks
        return {"u": start - _kinks_at_start(at.x) + fading + at.t * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The two phases."""
        return {"u": (-1.0, 1.0)}

    def error_regions(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """Away from the kink of the initial value at the periodic boundary."""
        return {"|x| <= 0.95": lambda points: np.abs(points[:, 0]) <= 0.95}

    def reference(self) -> Reference:
        """Cosine series with the kinks in closed form; the error bound is the distance to a coarser solution."""
        solution, bound, modes, steps = _reference(float(self.diffusivity), float(self.rate))
        return Reference(
            lambda points: {"u": solution(points[:, 0], points[:, 1])},
            bound,
            f"cosine series of {modes} modes, kinks in closed form, ETDRK4 with {steps} steps",
        )

    def classical(self, tolerance: float) -> Classical:
        """The plain cosine series of the even solution: refined until the kink, too, is resolved."""
        return refine(
            functools.partial(_plain_series, float(self.diffusivity), float(self.rate)),
            (64, 128, 256, 512, 1024, 2048, 4096),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="cosine series, ETDRK4 in time",
        )

    def recipe(self) -> Recipe:
        """A small network, periodic in x; points follow the layers."""
        return Recipe(
            network=NetworkConfig(options={"periodic": "x"}),
            stages=(StageConfig("levenberg_marquardt", seconds=150.0),),
            grid={"x": 257, "t": 101},
        )


def _kinks_at_start(x: Any) -> Any:
    return -(x**2) + math.pi**2 / 4 * (x**4 - 2 * x**2)


def heat_of_kinks(x: Any, t: Any, diffusivity: float, *, xp: Any = np) -> Any:
    r"""Return the 2-periodic solution of $K_t = D K_{xx}$, $K_0 = -x^2 + \frac{\pi^2}{4} (x^4 - 2 x^2)$ on [-1, 1].

    At $x = \pm 1$, $K_0$ has the jumps of $x^2 \cos \pi x$ in the first and third derivatives; the difference is four
    times continuously differentiable on the circle. $K$ is a polynomial solution and what keeps
    $K_x(\pm 1, t) = 0$: repeated integrals $i^n \mathrm{erfc}$ of the complementary error function, of which
    $(4 D t)^{1/2}\, i\,\mathrm{erfc}$ has the flux 1 at the boundary and $(4 D t)^{3/2}\, i^3 \mathrm{erfc}$ the flux
    $D t$. Images further than the nearest are dropped: below 1e-40 for $D t \le 0.01$.

    Args:
        x: Positions in [-1, 1].
        t: Times, not negative.
        diffusivity: $D$.
        xp: `numpy` or `jax.numpy`.

    References:
        Carslaw and Jaeger, Conduction of Heat in Solids, 2nd ed. (1959), section 2.9 and appendix II.
    """
    dt = diffusivity * t
    polynomial = -(x**2 + 2 * dt) + math.pi**2 / 4 * (x**4 + 12 * dt * x**2 + 12 * dt**2 - 2 * x**2 - 4 * dt)
    # At t = 0 the boundary terms vanish, but their derivatives in t do not exist: evaluate them elsewhere.
    width = xp.sqrt(4 * xp.where(t > 0, dt, 1.0))
    boundary = 0.0
    for distance_to_end in (1 - x, 1 + x):
        first, third = _integrated_erfc(xp.minimum(distance_to_end / width, 20.0), xp)
        boundary = boundary + 2 * width * first - 6 * math.pi**2 * width**3 * third
    return polynomial + xp.where(t > 0, boundary, 0.0)


def _integrated_erfc(eta: Any, xp: Any) -> tuple[Any, Any]:
    """The first and the third repeated integral of erfc; both vanish in float64 from `eta = 20` on."""
    erfc = scipy.special.erfc(eta) if xp is np else jax.scipy.special.erfc(eta)
    gauss = xp.exp(-(eta**2)) / math.sqrt(math.pi)
    return gauss - eta * erfc, ((1 + eta**2) * gauss - eta * (1.5 + eta**2) * erfc) / 6


def _basis(modes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.cos(np.pi * np.outer(x, np.arange(modes)))


@functools.lru_cache(maxsize=4)
def _reference(diffusivity: float, rate: float) -> tuple[Callable, float, int, int]:
    """The solution, the distance of a solution with half of the modes and steps, and these numbers."""
    # The spectrum of a layer of width w decays as exp(-pi^2 k w / 2): to round-off at k = 6 / w.
    modes = 2 ** math.ceil(math.log2(max(64, 6 / math.sqrt(2 * diffusivity / rate))))
    steps = 2000
    fine = _without_kinks(diffusivity, rate, modes, steps)
    coarse = _without_kinks(diffusivity, rate, modes // 2, steps // 2)
    bound = distance(coarse, fine, np.array([[-1.0, 1.0], [0.0, 1.0]]))
    return fine, max(bound, 1e-13), modes, steps


def _without_kinks(diffusivity: float, rate: float, modes: int, steps: int) -> Callable:
    r"""Solve for $v = u - e^{-2 r t} K$: $v_t = D v_{xx} + r (u - u^3) + 2 r e^{-2 r t} K$, even about 0 and 1."""
    x = np.linspace(0.0, 1.0, modes + 1)

    def kinks(x, t):
        return np.exp(-2 * rate * t) * heat_of_kinks(x, t, diffusivity)

    def nonlinear(t, coefficients):
        k = kinks(x, t)
        u = cosine_values(coefficients) + k
        return cosine_coefficients(rate * (u - u**3) + 2 * rate * k)

    start = cosine_coefficients(x**2 * np.cos(np.pi * x) - _kinks_at_start(x))
    linear = -diffusivity * (np.pi * np.arange(modes + 1)) ** 2
    coefficients = etdrk4(start, linear, nonlinear, duration=1.0, steps=steps, every=5)
    smooth = Trajectory(coefficients, 1.0, _basis(modes + 1))
    return lambda x, t: smooth(x, t) + kinks(x, t)


def _plain_series(diffusivity: float, rate: float, modes: int) -> Callable:
    """Solve for the cosine coefficients of u itself, with a step for every four modes."""
    x = np.linspace(0.0, 1.0, modes + 1)

    def nonlinear(t, coefficients):
        u = cosine_values(coefficients)
        return cosine_coefficients(rate * (u - u**3))

    start = cosine_coefficients(x**2 * np.cos(np.pi * x))
    linear = -diffusivity * (np.pi * np.arange(modes + 1)) ** 2
    steps = 100 * max(1, modes // 256)
    coefficients = etdrk4(start, linear, nonlinear, duration=1.0, steps=steps, every=steps // 100)
    solution = Trajectory(coefficients, 1.0, _basis(modes + 1))
    return lambda points: {"u": solution(points[:, 0], points[:, 1])}
