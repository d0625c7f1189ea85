"""Burgers equation of a velocity in the plane: random waves that steepen into fronts."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.polynomial.hermite import hermgauss

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    comparison_points,
    evaluation_grid,
    initial,
    parameter,
    periodic,
    reference_error,
    refine,
)

__all__ = ["Burgers2DC"]

SIDE, DURATION = 4.0, 1.0
WAVES = [(i, j) for i in range(4) for j in range(4) if i + j > 0]
"""Waves along both axes on a length of 1."""
LARGEST = 2.0
"""Size of the largest component of the waves' velocity."""
_HERMITE = 12


class Burgers2DC(AbstractProblem):
    r"""Burgers equation of a velocity in the plane: random waves steepen into fronts.

    $$v_t + v \cdot \nabla v = \nu \Delta v \text{ on } (0, 4)^2 \text{, periodic}, \quad 0 \le t \le 1, \quad
    v = c + \nabla \Phi, \quad \Phi = \sum_k \frac{a_k \sin 2 \pi k \cdot x - b_k \cos 2 \pi k \cdot x}{2 \pi |k|}
    \text{ at } t = 0.$$

    The wave vectors k have entries 0, 1, 2, 3, so that the pattern repeats four times along each axis; c and, up to one
    factor for all, a and b are standard normal, and the largest component of the gradient is 2. All quantities are
    nondimensional. Fronts form within 0.05 units of time and have width $4 \nu$ over the jump.

    The benchmark draws both components without a seed and each on its own, from the same waves; here one potential has
    both, so that the solution is known in closed form. It depends on `seed`.

    References:
        Cole, Quart. Appl. Math. 9 (1951) 225-236.
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Burgers 2d-C, with other initial values.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v")

    viscosity: float = parameter(0.001, "kinematic viscosity", at_least=0.0005, at_most=1.0)
    seed: int = parameter(0, "seed of the initial velocity", at_least=0)

    def domain(self) -> SpaceTime:
        """The square of side 4, whose opposite sides are one, over the times [0, 1]."""
        return SpaceTime(Box({"x": (0.0, SIDE), "y": (0.0, SIDE)}), 0.0, DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Each component is carried along by the velocity, and diffuses."""
        u, v = fields.u, fields.v

        def burgers(w):
            return partial(w, "t") + u * partial(w, "x") + v * partial(w, "y") - self.viscosity * laplacian(w)

        return {"burgers_x": burgers(u), "burgers_y": burgers(v)}

    def conditions(self) -> tuple[Condition, ...]:
        """Waves at the start; values and slopes agree at opposite sides."""
        start = initial({name: lambda at, i=i: self._start(at)[i] for i, name in enumerate(self.field_names)})
        return start, periodic("x", self.field_names), periodic("y", self.field_names)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial values, which fade within the time that fronts take to form; the raw outputs take their place."""
        left = jnp.exp(-at.t / 0.05)
        start = self._start(at)
        return {
            name: left * start[i] + (1 - left) * (drift + raw[name])
            for i, (name, drift) in enumerate(zip(self.field_names, self._waves().drift, strict=True))
        }

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial condition; periodicity is up to the network."""
        return ("initial",)

    def reference(self) -> Reference:
        """Cole-Hopf integral; the error bound is the distance to one on fewer points."""
        solution, bound, n = _reference(float(self.viscosity), int(self.seed))
        return Reference(solution, bound, f"Cole-Hopf integral by the trapezoidal rule, {n} points in a period")

    def classical(self, tolerance: float) -> Classical:
        """The integral on as few points as the tolerance allows; seconds are those of its values on the grid."""
        answer = refine(
            lambda n: _cole_hopf(self._waves(), float(self.viscosity), n),
            (64, 96, 128, 192, 256, 384),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Cole-Hopf integral by the trapezoidal rule",
        )
        points = comparison_points(self, evaluation_grid(self))
        began = time.perf_counter()
        answer.evaluate(points)
        return dataclasses.replace(answer, seconds=answer.seconds + time.perf_counter() - began)

    def recipe(self) -> Recipe:
        """Time windows, each with a small network that repeats like the waves."""
        return Recipe(
            network=NetworkConfig(width=20, depth=3, options={"periodic": "x,y", "harmonics": 3, "repeats": 4}),
            points=PointsConfig(interior=1536, boundary=512),
            stages=(StageConfig("levenberg_marquardt", seconds=20.0),),
            windows=10,
            # No divisor of the pattern's period: all places of the pattern are seen.
            grid={"x": 68, "y": 68, "t": 21},
        )

    def _waves(self) -> "_Waves":
        return _waves(int(self.seed))

    def _start(self, at: Any) -> Any:
        return self._waves().velocity(at.x, at.y, jnp)


@dataclasses.dataclass(frozen=True)
class _Waves:
    """Velocity amplitudes and phases of plane waves along their own directions, and a constant velocity."""

    vectors: Float[np.ndarray, "2 wave"]
    amplitudes: Float[np.ndarray, " wave"]
    phases: Float[np.ndarray, " wave"]
    drift: tuple[float, float]

    def potential(self, x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The potential of the waves, without the drift."""
        lengths = 2 * math.pi * np.linalg.norm(self.vectors, axis=0)
        return np.sin(self._angles(x, y)) @ (self.amplitudes / lengths)

    def velocity(self, x: Any, y: Any, xp: Any = np) -> Any:
        """Its gradient and the drift, in NumPy or JAX; the components come first."""
        directions = self.amplitudes * self.vectors / np.linalg.norm(self.vectors, axis=0)
        waves = xp.cos(self._angles(xp.asarray(x), xp.asarray(y)))
        return xp.stack([waves @ xp.asarray(directions[i]) + self.drift[i] for i in (0, 1)])

    def _angles(self, x: Any, y: Any) -> Any:
        k, l = 2 * math.pi * self.vectors  # noqa: E741
        return x[..., None] * k + y[..., None] * l + self.phases


@functools.lru_cache(maxsize=8)
def _waves(seed: int) -> _Waves:
    generator = np.random.default_rng(seed)
    cosines, sines = generator.standard_normal((2, len(WAVES)))
    waves = _Waves(np.array(WAVES, float).T, np.hypot(cosines, sines), np.arctan2(-sines, cosines), (0.0, 0.0))
    x = np.arange(64) / 64
    largest = np.abs(waves.velocity(*np.meshgrid(x, x, indexing="ij"))).max()
    first, second = generator.standard_normal(2)
    return dataclasses.replace(
        waves, amplitudes=waves.amplitudes * LARGEST / largest, drift=(float(first), float(second))
    )


@functools.lru_cache(maxsize=2)
def _reference(viscosity: float, seed: int) -> tuple[Callable, float, int]:
    """The solution, its distance to one on fewer points at random points, some of them just after the start, and n."""
    n = 512
    fine, coarse = (_cole_hopf(_waves(seed), viscosity, count) for count in (n, 3 * n // 4))
    points = np.random.default_rng(0).uniform((0, 0, 0), (SIDE, SIDE, DURATION), (2000, 3))
    points[:, 2] = np.repeat(points[:20, 2], 100)
    points[:200, 2] *= 0.002
    expected = np.concatenate(list(fine(points).values()))
    gap = np.concatenate(list(coarse(points).values())) - expected
    return fine, max(float(np.linalg.norm(gap) / np.linalg.norm(expected)), 1e-13), n


def _cole_hopf(waves: _Waves, viscosity: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Return the exact solution, by the trapezoidal rule on `n` points of a period along each axis.

    With the drift c, and $z = x - c t$, it is a mean of the initial velocity,

    $$v(x, t) = c + \frac{\int \nabla \Phi(y)\, w\, dy}{\int w\, dy}, \quad
    w = \exp\Big(-\frac{|z - y|^2}{4 \nu t} - \frac{\Phi(y)}{2 \nu}\Big).$$

    The heat kernel is a product of functions of the coordinates: sums are products of matrices. All terms of the
    denominator are positive, so that nothing cancels though they range over a hundred orders of magnitude. While the
    kernel is narrower than the spacing, Gauss-Hermite quadrature around each point takes its place.
    """
    nodes = np.arange(n) / n
    grid = np.meshgrid(nodes, nodes, indexing="ij")
    potential = waves.potential(*grid)
    low, high = potential.min(), potential.max()
    density = np.exp((low - potential) / (2 * viscosity))
    moving = dataclasses.replace(waves, drift=(0.0, 0.0)).velocity
    tables = np.stack([density, *(moving(*grid) * density)])
    early = 1 / (2 * viscosity * n**2)

    def kernel(z, t):
        # Beyond this distance weights are below e^-40 of the largest.
        reach = math.sqrt(2 * t * (high - low)) + math.sqrt(160 * viscosity * t)
        images = np.arange(-math.ceil(reach), math.ceil(reach) + 1)
        return np.exp(-((z[:, None, None] - nodes[:, None] - images) ** 2) / (4 * viscosity * t)).sum(axis=2)

    def trapezoidal(z, t):
        (x, i), (y, j) = (np.unique(coordinate, return_inverse=True) for coordinate in z.T)
        sums, along_y = kernel(x, t) @ tables, kernel(y, t)
        if len(x) * len(y) <= 4 * len(z):  # a grid
            total, *weighted = (sums @ along_y.T)[:, i, j]
        else:
            total, *weighted = np.einsum("knm,nm->kn", sums[:, i], along_y[j])
        return np.stack(weighted) / total

    def hermite(z, t):
        s, w = hermgauss(_HERMITE)
        step = 2 * math.sqrt(viscosity * t)
        x, y = (z[:, i, None, None] + step * offset for i, offset in enumerate(np.meshgrid(s, s, indexing="ij")))
        here = waves.potential(z[:, 0], z[:, 1])[:, None, None]
        weights = np.outer(w, w) * np.exp((here - waves.potential(x, y)) / (2 * viscosity))
        return (moving(x, y) * weights).sum(axis=(2, 3)) / weights.sum(axis=(1, 2))

    def evaluate(points):
        values = np.empty((2, len(points)))
        for t in np.unique(points[:, 2]):
            chosen = points[:, 2] == t
            z = np.mod(points[chosen, :2] - t * np.array(waves.drift), 1.0)
            values[:, chosen] = moving(*z.T) if t == 0 else (hermite if t < early else trapezoidal)(z, t)
        return {name: value + c for name, value, c in zip(("u", "v"), values, waves.drift, strict=True)}

    return evaluate
