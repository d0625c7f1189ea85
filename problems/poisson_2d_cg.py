"""Poisson-Boltzmann equation on a square with four round holes of different sizes."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Complex, Float

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Ball, Box, Difference, Union
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    reference_error,
    refine,
)

__all__ = ["Poisson2DCG"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
HOLES = {
    "hole_1": (0.5, 0.5, 0.2),
    "hole_2": (0.4, -0.4, 0.4),
    "hole_3": (-0.2, -0.7, 0.1),
    "hole_4": (-0.6, 0.5, 0.3),
}
"""Boundary parts, and centre and radius of each."""
DECAY, OUTSIDE, INSIDE = 8.0, 0.2, 1.0
"""k; the values on the sides and on the holes."""
STRENGTH, WAVES = 10.0, (1, 4)
"""Factor of the source, and half its waves along both axes over a unit."""


class Poisson2DCG(AbstractProblem):
    r"""Poisson-Boltzmann equation on a square with four holes, 0.2 on the sides and one on the holes.

    $$-\Delta u + 64 u = 10 (17 + x^2 + y^2) \sin \pi x \sin 4 \pi y \text{ in } (-1, 1)^2 \setminus
    (B_{0.2}(0.5, 0.5) \cup B_{0.4}(0.4, -0.4) \cup B_{0.1}(-0.2, -0.7) \cup B_{0.3}(-0.6, 0.5)),$$

    $$u = 0.2 \text{ on the sides}, \quad u = 1 \text{ on the holes}.$$

    All quantities are nondimensional. Boundary values fade within an eighth of a unit.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Poisson 2d-CG.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Difference:
        """The square without the four disks."""
        disks = [Ball((x, y), radius, part=name) for name, (x, y, radius) in HOLES.items()]
        return Difference(Box({"x": (-1.0, 1.0), "y": (-1.0, 1.0)}), functools.reduce(Union, disks))

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion and decay against a source."""
        u = fields.u
        return {"poisson_boltzmann": -laplacian(u) + DECAY**2 * u - _source(at.x, at.y, jnp)}

    def conditions(self) -> tuple[Condition, ...]:
        """One value outside, another on the holes."""
        sides = (dirichlet(side, {"u": OUTSIDE}) for side in SIDES)
        return (*sides, *(dirichlet(hole, {"u": INSIDE}) for hole in HOLES))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""A function with the boundary values, and the raw output times one that vanishes on the boundary.

        With h, zero on the holes, and s, zero on the sides: $(0.2 h + s) / (h + s) + h s\, u$.
        """
        h, s = _near_holes(at.x, at.y), (1 - at.x**2) * (1 - at.y**2)
        return {"u": (OUTSIDE * h + INSIDE * s) / (h + s) + h * s * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return (*SIDES, *HOLES)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The raw output is larger than the solution: it is multiplied by less than 1."""
        return {"u": (-2.0, 2.0)}

    def reference(self) -> Reference:
        """A closed form without holes, and decaying functions fitted to the boundary."""
        solution, bound = _reference()
        return Reference(lambda points: {"u": solution(points)}, bound, f"multipoles of order {_ORDER}, fitted")

    def classical(self, tolerance: float) -> Classical:
        """The same fit with as few functions as the tolerance allows."""

        def solve(order: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
            fitted = _fit(order)
            return lambda points: {"u": fitted(points)}

        return refine(
            solve,
            (2, 3, 4, 6, 8, 10, 12, 16, 20),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="closed form without holes, multipoles and Bessel functions, least squares on the boundary",
        )

    def recipe(self) -> Recipe:
        """A small network with exact boundary values."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=4096),
            stages=(StageConfig("levenberg_marquardt", seconds=90.0),),
            grid={"x": 129, "y": 129},
        )


def _source(x: Any, y: Any, xp: Any) -> Any:
    a, b = WAVES
    return STRENGTH * (a**2 + b**2 + x**2 + y**2) * xp.sin(a * math.pi * x) * xp.sin(b * math.pi * y)


def _near_holes(x: Any, y: Any) -> Any:
    """A function that vanishes on the four circles, and is positive and below 1 outside them."""
    product = 1.0
    for centre_x, centre_y, radius in HOLES.values():
        square = (x - centre_x) ** 2 + (y - centre_y) ** 2
        product = product * (square - radius**2) / (square + radius**2)
    return product


_ORDER = 24


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float]:
    """The fitted series, and the bound of its relative L2 error.

    By the maximum principle no error inside is larger than the largest one on the boundary, found at other points.
    """
    series = _fit(_ORDER)
    places, wanted = _boundary(1511)
    # The root mean square of the solution is above 0.5.
    return series, max(float(np.abs(series(places) - wanted).max()) / 0.5, 1e-14)


def _fit(order: int) -> Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, " n"]]:
    """Fit solutions of the homogeneous equation by least squares to what the closed form leaves on the boundary."""
    places, wanted = _boundary(16 * (order + 4))
    columns = _functions(places, order)
    scale = np.linalg.norm(columns, axis=0)
    rest = wanted - _without_holes(places)
    weights = np.linalg.lstsq(columns / scale, rest, rcond=1e-15)[0] / scale
    return lambda points: _without_holes(points) + _functions(points, order) @ weights


def _boundary(count: int) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Points of the four sides, dense towards the corners, and of the four circles, and the values there."""
    t, turn = np.cos(np.pi * (np.arange(count) + 0.5) / count), np.exp(2j * np.pi * np.arange(count) / count)
    sides = [1j**side * (1 + 1j * t) for side in range(4)]
    circles = [x + 1j * y + radius * turn for x, y, radius in HOLES.values()]
    z = np.concatenate([*sides, *circles])
    return np.stack([z.real, z.imag], axis=-1), np.repeat([OUTSIDE, INSIDE], 4 * count)


def _without_holes(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    r"""A solution of the equation, and 0.2 times the one without source that is 1 on the sides of the whole square.

    The first is a sum of $x^m y^n$ times sines and cosines, not constant on the sides. The second, whose second
    derivatives are infinite in the corners, is the mean of $e^{-k^2 \tau}$ over the times $\tau$ at which
    Brownian motion leaves the square. With the probability S(x, t) to be in the interval still,

    $$w = 1 - k^2 \int_0^\infty e^{-k^2 t} S(x, t) S(y, t) dt;$$

    the trapezoidal rule in log t, where the integrand is analytic for imaginary parts up to $\pi / 2$, is exact to
    round-off.
    """
    x, y = points.T
    log_t = np.arange(-34.0, math.log(40 / DECAY**2), 0.28)
    t = np.exp(log_t)
    weights = 0.28 * DECAY**2 * t * np.exp(-(DECAY**2) * t)
    w = 1 - (_survival(x, t) * _survival(y, t)) @ weights
    (a, b), total = np.pi * np.array(WAVES), DECAY**2 + math.pi**2 * (WAVES[0] ** 2 + WAVES[1] ** 2)
    first, second = np.sin(a * x) * np.sin(b * y), 0.0
    for p, c, other in ((x, a, np.sin(b * y)), (y, b, np.sin(a * x))):
        # (-laplacian + k^2) applied to p^2 sin(c p) leaves -2 sin(c p) - 4 c p cos(c p) beside `total` times itself.
        sine, cosine = np.sin(c * p) * other, p * np.cos(c * p) * other
        second = second + (p**2 * sine + (2 * sine + 4 * c * (cosine - 2 * c * sine / total)) / total) / total
    return OUTSIDE * w + STRENGTH * ((WAVES[0] ** 2 + WAVES[1] ** 2) * first / total + second)


def _survival(x: Float[np.ndarray, " n"], t: Float[np.ndarray, " times"]) -> Float[np.ndarray, "n times"]:
    """Probability that Brownian motion of variance 2 t from x is in (-1, 1) all the time up to t."""
    places, where = np.unique(x, return_inverse=True)
    left, scale, result = places[:, None], 1 / (2 * np.sqrt(t)), np.ones((len(places), len(t)))
    for j in range(3):  # the images in both ends; at the latest t the next ones are 1e-16
        images = scipy.special.erfc((2 * j + 1 - left) * scale) + scipy.special.erfc((2 * j + 1 + left) * scale)
        result = result - (-1) ** j * images
    return result[where]


def _functions(points: Float[np.ndarray, "n 2"], order: int) -> Float[np.ndarray, "n columns"]:
    r"""Solutions without source: $I_n(k r) e^{i n \theta}$ around the origin, $K_n(k r) e^{i n \theta}$ around others.

    The others are the holes' centres, and their images in the sides, where the continued solution is singular too.
    """
    z = points[:, 0] + 1j * points[:, 1]
    n = np.arange(order + 13)
    regular = scipy.special.iv(n, DECAY * np.abs(z)[:, None]) / scipy.special.iv(n, DECAY * math.sqrt(2))
    columns = [_angular(z, regular)]
    for x, y, radius in HOLES.values():
        for centre in (x + 1j * y, *_images(x, y, 0.35 + radius)):
            decaying = _decaying(DECAY * np.abs(z - centre), order) / _decaying(np.array([DECAY * radius]), order)
            columns.append(_angular(z - centre, decaying))
    return np.concatenate(columns, axis=1)


def _images(x: float, y: float, reach: float) -> list[complex]:
    """The images of a point in the sides, and in the corners between them, that are no further than `reach` away."""
    along_x, along_y = ([p] + [2 * s - p for s in (-1, 1) if abs(s - p) <= reach] for p in (x, y))
    return [a + 1j * b for a in along_x for b in along_y if (a, b) != (x, y)]


def _angular(z: Complex[np.ndarray, " n"], radial: Float[np.ndarray, "n orders"]) -> Float[np.ndarray, "n columns"]:
    """Multiply functions of the radius by the cosines and sines of the multiples of the angle."""
    phases = np.angle(z)[:, None] * np.arange(radial.shape[1])
    return np.concatenate([radial * np.cos(phases), radial[:, 1:] * np.sin(phases[:, 1:])], axis=1)


def _decaying(r: Float[np.ndarray, " n"], order: int) -> Float[np.ndarray, "n orders"]:
    """K_0, ..., K_order by their recurrence, which is stable upwards."""
    k = [scipy.special.k0(r), scipy.special.k1(r)]
    for n in range(1, order):
        k.append(k[n - 1] + 2 * n / r * k[n])
    return np.stack(k[: order + 1], axis=-1)
