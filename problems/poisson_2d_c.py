"""Laplace equation on a square with four round holes."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex, Float

from pdesolve.calculus import laplacian
from pdesolve.config import Recipe, StageConfig
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

__all__ = ["Poisson2DC"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
HALF, OFFSET, RADIUS = 0.5, 0.3, 0.1
"""Half the side of the square; distance of the holes' centres from its axes; their radius."""
HOLES = {"hole_1": (1, 1), "hole_2": (-1, 1), "hole_3": (-1, -1), "hole_4": (1, -1)}
"""Boundary parts, and signs of the centres' coordinates."""


class Poisson2DC(AbstractProblem):
    r"""Laplace equation on a square with four holes, one on the outer boundary and zero on the holes.

    $$\Delta u = 0 \text{ in } (-\tfrac12, \tfrac12)^2 \setminus \bigcup_{\pm\pm} B_{0.1}(\pm 0.3, \pm 0.3), \qquad
    u = 1 \text{ on the sides}, \quad u = 0 \text{ on the holes}.$$

    All quantities are nondimensional.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Poisson 2d-C.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Difference:
        """The square without the four disks."""
        disks = [Ball((OFFSET * a, OFFSET * b), RADIUS, part=name) for name, (a, b) in HOLES.items()]
        return Difference(Box({"x": (-HALF, HALF), "y": (-HALF, HALF)}), functools.reduce(Union, disks))

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion without a source."""
        return {"laplace": -laplacian(fields.u)}

    def conditions(self) -> tuple[Condition, ...]:
        """One outside, zero on the holes."""
        sides = (dirichlet(side, {"u": 1.0}) for side in SIDES)
        return (*sides, *(dirichlet(hole, {"u": 0.0}) for hole in HOLES))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""A function with the boundary values, and the raw output times one that vanishes on the boundary.

        With h, zero on the holes, and s, zero on the sides: $h / (h + s) + h s\, u$.
        """
        h, s = _near_holes(at.x, at.y), _near_sides(at.x, at.y)
        return {"u": h / (h + s) + h * s * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return (*SIDES, *HOLES)

    def reference(self) -> Reference:
        """Harmonic functions fitted to the boundary; by the maximum principle no error inside is larger than there."""
        series, bound = _reference()
        return Reference(lambda points: {"u": series(points)}, bound, "multipoles and polynomials of order 24")

    def classical(self, tolerance: float) -> Classical:
        """The same fit with as few functions as the tolerance allows."""
        return refine(
            _solve,
            (1, 2, 3, 4, 6, 8, 10, 12, 16, 20),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="multipoles and harmonic polynomials, least squares on the boundary",
        )

    def recipe(self) -> Recipe:
        """A small network with exact boundary values."""
        return Recipe(stages=(StageConfig("levenberg_marquardt", seconds=30.0),), grid={"x": 129, "y": 129})


def _solve(order: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    fitted = _fit(order)
    return lambda points: {"u": fitted(points)}


def _near_holes(x: Any, y: Any) -> Any:
    """A function that vanishes on the four circles, and is positive and below 1 outside them.

    It rises slowly: with no constant in the denominator the Laplacian of the transform is far larger, and a small
    network finds no solution.
    """
    product = 1.0
    for a, b in HOLES.values():
        square = (x - OFFSET * a) ** 2 + (y - OFFSET * b) ** 2
        product = product * (square - RADIUS**2) / (square + 3 * RADIUS**2)
    return product


def _near_sides(x: Any, y: Any) -> Any:
    """A polynomial that vanishes on the four sides, 1 in the middle."""
    return (1 - (x / HALF) ** 2) * (1 - (y / HALF) ** 2)


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float]:
    """The fitted series, and the bound of its relative L2 error: its largest error on the boundary, at other points."""
    series = _fit(24)
    values = series(_places(_boundary(1013)))
    wanted = np.repeat([1.0, 0.0], 1013)
    # The root mean square of the solution is above 0.5: it is 1 outside and 0 on the holes, which are small.
    return series, max(2 * float(np.abs(values - wanted).max()), 1e-14)


def _fit(order: int) -> Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, " n"]]:
    """Fit harmonic functions with the symmetries of the square, by least squares on an eighth of the boundary."""
    count = 12 * (order + 4)
    columns = _functions(_boundary(count), order)
    scale = np.linalg.norm(columns, axis=0)
    weights = np.linalg.lstsq(columns / scale, np.repeat([1.0, 0.0], count), rcond=1e-15)[0] / scale
    return lambda points: _functions(points[:, 0] + 1j * points[:, 1], order) @ weights


def _boundary(count: int) -> Complex[np.ndarray, " 2*count"]:
    """Points of an eighth of the boundary: half a side, then half a circle, dense towards their ends."""
    t = 0.5 * (1 - np.cos(np.pi * (np.arange(count) + 0.5) / count))
    centre = OFFSET * (1 + 1j)
    return np.concatenate([HALF * (1 + 1j * t), centre + RADIUS * np.exp(1j * np.pi * (0.25 + t))])


def _places(z: Complex[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([z.real, z.imag], axis=-1)


def _functions(z: Complex[np.ndarray, " n"], order: int) -> Float[np.ndarray, "n columns"]:
    """Harmonic functions that do not change when the square is turned or reflected.

    Multipoles at a hole's centre, and at its images in the sides, where the continued solution is singular too; and
    the real parts of $z^{4k}$. Each multipole is summed over the eight symmetries of the square.
    """
    columns = [np.real((z / HALF) ** (4 * k)) for k in range(order // 2 + 2)]
    images = [1j**k * w for w in (z, np.conj(z)) for k in range(4)]
    for centre in (OFFSET + 1j * OFFSET, 1 - OFFSET + 1j * OFFSET, (1 - OFFSET) * (1 + 1j)):
        shifted = [(w - centre) / RADIUS for w in images]
        columns.append(sum(np.log(np.abs(w)) for w in shifted))
        for k in range(1, order + 1):
            powers = sum(w**-k for w in shifted)
            if centre.real == centre.imag:  # reflection in the diagonal leaves one real multiple of each power
                columns.append(np.real(1j ** (k / 2) * powers))
            else:
                columns += [np.real(powers), np.imag(powers)]
    return np.stack(columns, axis=-1)
