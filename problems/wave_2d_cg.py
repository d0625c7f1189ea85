"""Waves in a square of two materials, from one bump."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.special
from jaxtyping import Bool

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    initial,
    neumann,
    parameter,
    reference_error,
    refine,
)

from ._fields import fourier_values, periodic_field
from ._legendre import lobatto
from ._modes import Trajectory, plane_series

__all__ = ["Wave2DCG"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
HALF, DURATION = 1.0, 5.0
SLOW, FAST = 1.0, 12.0
"""Squares of the two speeds."""
CELLS = 16
CENTRE, WIDTH = (-0.5, 0.0), 0.3
"""Of the bump."""
_INTERVALS = 400
_DEGREE = 4


class Wave2DCG(AbstractProblem):
    r"""Wave equation on a square of two materials, from a bump at rest.

    $$\Delta u - \frac{u_{tt}}{c} = 0 \text{ on } (-1, 1)^2, \quad
    \frac{\partial u}{\partial n} = 0 \text{ on the sides},$$

    $$u = e^{-|x - \mu|^2 / 2 \sigma^2},\ u_t = 0 \text{ at } t = 0, \quad 0 \le t \le 5,$$

    with $\mu = (-0.5, 0)$, $\sigma = 0.3$. On each of 16 x 16 equal cells c is 12 where a periodic Gaussian field is
    positive in the middle, else 1; its modes $0 < |k_1|, |k_2| \le 3$ and those between have deviations like
    $|k|^{-2}$. As c stands outside the derivatives, u and its gradient are continuous. All quantities are
    nondimensional. The benchmark's own field was drawn without a seed, on 256 x 256 points; this one has its law for
    the modes that it has, and depends on `seed`.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Wave 2d-CG, with another field.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    seed: int = parameter(0, "seed of the materials", at_least=0)

    def domain(self) -> SpaceTime:
        """The square of side 2 over the times [0, 5]."""
        return SpaceTime(Box({"x": (-HALF, HALF), "y": (-HALF, HALF)}), 0.0, DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Tension and acceleration."""
        return {"wave": laplacian(fields.u) - partial(fields.u, "t", 2) / self.speed_squared(at.x, at.y, jnp)}

    def conditions(self) -> tuple[Condition, ...]:
        """A bump at rest; waves are reflected by the sides."""
        start = initial({"u": lambda at: _bump(at.x, at.y, jnp)}), initial({"u": 0.0}, order=1)
        return *start, *(neumann(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The bump, which fades before the slow waves move by its width, and the raw output in its place."""
        left = jnp.exp(-((at.t / WIDTH) ** 2))
        return {"u": left * _bump(at.x, at.y, jnp) + (1 - left) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial conditions; the sides are up to the network."""
        return ("initial", "initial_rate")

    def reference(self) -> Reference:
        """Spectral elements on the cells, exact in time; the error bound is the distance to fewer points."""
        solution, bound, steps = _reference(int(self.seed))
        return Reference(
            solution, bound, f"spectral elements, {steps} x {steps} points on each cell, Chebyshev series in time"
        )

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference with as few points as the tolerance allows."""
        return refine(
            lambda steps: _solve(int(self.seed), steps),
            (1, 2, 3, 4, 8, 12),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="spectral elements on the cells, Chebyshev series in time",
        )

    def recipe(self) -> Recipe:
        """Time windows, each with a small network of sines."""
        return Recipe(
            network=NetworkConfig(width=20, depth=3, activation="sin"),
            points=PointsConfig(interior=1536, boundary=128),
            stages=(StageConfig("levenberg_marquardt", seconds=20.0),),
            windows=10,
            grid={"x": 51, "y": 51, "t": 51},
        )

    def speed_squared(self, x: Any, y: Any, xp: Any = np) -> Any:
        """Return c at points, in NumPy or JAX; on a line between cells that of the cell beyond."""
        i, j = (xp.clip(xp.floor((value + HALF) * (CELLS / (2 * HALF))), 0, CELLS - 1).astype(int) for value in (x, y))
        return xp.where(xp.asarray(fast_cells(int(self.seed)))[i, j], FAST, SLOW)


@functools.lru_cache(maxsize=8)
def fast_cells(seed: int) -> Bool[np.ndarray, "cells cells"]:
    """Say of each cell whether its material is the fast one; rows count along x, columns along y."""
    series = periodic_field(
        lambda squares: np.where(squares == 0, 0.0, 1 / np.maximum(squares, 1) ** 2),
        num_samples=1,
        num_modes=3,
        seed=seed,
    )[0]
    return fourier_values(series, 2 * CELLS)[1::2, 1::2] > 0


def _bump(x: Any, y: Any, xp: Any = np) -> Any:
    return xp.exp(-((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2) / (2 * WIDTH**2))


@functools.lru_cache(maxsize=2)
def _reference(seed: int) -> tuple[Callable, float, int]:
    """The solution, its distance at random points to one on fewer points, and the points of a cell along an axis."""
    steps = 16
    fine, coarse = _solve(seed, steps), _solve(seed, steps * 3 // 4)
    points = np.random.default_rng(0).uniform((-HALF, -HALF, 0), (HALF, HALF, DURATION), (4000, 3))
    points[:, 2] = np.repeat(points[:40, 2], 100)
    expected = fine(points)["u"]
    return fine, float(np.linalg.norm(coarse(points)["u"] - expected) / np.linalg.norm(expected)), steps


def _solve(seed: int, steps: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve in polynomials through Gauss-Lobatto points, whose mass matrix is diagonal.

    A cell has `steps` of them along each axis, and one. Up to four they are one element of that degree. More are
    elements of degree 4: from the start on second derivatives jump across fronts that leave the lines between
    materials, where a higher degree is of no use.

    With $A = M^{-1/2} K M^{-1/2}$, where M has the weights over c, the solution is $\cos(t \sqrt A)$ of the bump, and

    $$\cos(t \sqrt{\Lambda}\, s) = J_0(z) + 2 \sum_k (-1)^k J_{2k}(z)\, T_k(2 s^2 - 1), \quad z = t \sqrt{\Lambda},$$

    for $\Lambda$ above all eigenvalues of A: a polynomial in A, of which each term costs one product.
    """
    degree = min(steps, _DEGREE)
    pieces = CELLS * (steps // degree)
    nodes, weights, derivative = lobatto(degree)
    size, count = 2 * HALF / pieces, pieces * degree + 1
    numbers = np.arange(pieces)[:, None] * degree + np.arange(degree + 1)
    x, spread, stiffness = np.empty(count), np.zeros((pieces, count)), np.zeros((count, count))
    for piece, row in enumerate(numbers):
        x[row] = -HALF + size * (piece + (1 + nodes) / 2)
        spread[piece, row] = weights * size / 2
        stiffness[np.ix_(row, row)] += derivative.T @ (weights[:, None] * derivative) * 2 / size
    mass = spread.sum(axis=0)
    inverse = np.where(fast_cells(seed), 1 / FAST, 1 / SLOW)
    root = np.sqrt(spread.T @ np.kron(inverse, np.ones((pieces // CELLS,) * 2)) @ spread)

    top = scipy.linalg.eigvalsh(stiffness / np.sqrt(np.outer(mass, mass)))[-1]
    bound = 2 * FAST * top  # M is at least the weights over the largest c
    times = np.linspace(0, DURATION, _INTERVALS + 1)
    z = times * math.sqrt(bound)
    # Bessel functions fall off faster than exponentially once the order exceeds the argument.
    terms = math.ceil(z[-1] / 2 + 4 * z[-1] ** (1 / 3) + 20)
    sparse, across, scale = sp.csr_array(stiffness), np.outer(np.ones(count), mass), 4 / bound

    def apply(v):
        u = v / root
        carried = (sparse @ u) * across
        carried += ((sparse @ u.T) * across).T
        return scale * carried / root - 2 * v

    previous = _bump(x[:, None], x[None]) * root
    # Single precision for the sum over the terms: its rounding is far below the error of the elements.
    total = np.outer(scipy.special.jv(0, z), previous).astype(np.float32)
    current = apply(previous) / 2
    for begin in range(1, terms, 128):
        orders = np.arange(begin, min(begin + 128, terms))
        block = np.empty((len(orders), count * count), np.float32)
        for row in block:
            row[:] = current.reshape(-1)
            previous, current = current, apply(current) - previous
        weights_in_time = 2 * (-1.0) ** orders * scipy.special.jv(2 * orders, z[:, None])
        total += weights_in_time.astype(np.float32) @ block
    trajectory = Trajectory(total / root.reshape(-1).astype(np.float32), DURATION, lambda x: x)

    def along(places):
        cell = np.clip(np.floor((places + HALF) / size).astype(int), 0, pieces - 1)
        table = np.zeros((len(places), count))
        s = 2 * (places + HALF - size * cell) / size - 1
        legendre = np.polynomial.legendre.legvander
        table[np.arange(len(places))[:, None], numbers[cell]] = legendre(s, degree) @ np.linalg.inv(
            legendre(nodes, degree)
        )
        return table

    def coefficients(t):
        return trajectory.at(np.array([t])).reshape(count, count)

    return lambda points: {"u": plane_series(points, coefficients, along, along)}
