"""A standing wave on a square, driven at two sides for fifty periods."""

import functools
import math
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
    dirichlet,
    initial,
    reference_error,
    refine,
    switch,
)
from pdesolve.spectral import barycentric_matrix, chebyshev_matrix, chebyshev_points

__all__ = ["Wave2DMS"]

SIDES = ("x_min", "x_max", "y_min", "y_max")


class Wave2DMS(AbstractProblem):
    r"""Wave equation on a square over fifty periods, with amplitudes that differ by a factor of twenty.

    $$u_{tt} = u_{xx} + 2 u_{yy} \text{ on } (0, 1)^2, \quad u_t = 0 \text{ at } t = 0, \quad 0 \le t \le 100,$$

    with initial and boundary values of the solution

    $$u = (\sinh \pi x \sin \pi y + \sin 3 \pi x \sinh 2 \pi y) \cos \pi t.$$

    All quantities are nondimensional. The benchmark has sinh where this has sin and the other way round, which does
    not satisfy its equation, and says nothing about $u_t$: no solver could meet its data. Here they are exchanged;
    `as_published` has the benchmark's data, all of them loss terms.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Wave 2d-MS, corrected.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    as_published: int = switch("the benchmark's own data, which no solution of the equation has")

    def domain(self) -> SpaceTime:
        """The unit square over the times [0, 100]."""
        return SpaceTime(Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}), 0.0, 100.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Acceleration and tension, twice as large along y."""
        u = fields.u
        return {"wave": partial(u, "t", 2) - partial(u, "x", 2) - 2 * partial(u, "y", 2)}

    def conditions(self) -> tuple[Condition, ...]:
        """A deflection at rest; two sides are fixed, the other two are moved."""
        if self.as_published:
            given = {"u": lambda at: _published(at.x, at.y, jnp) * jnp.cos(math.pi * at.t)}
            return (initial(given), *(dirichlet(side, given) for side in SIDES))
        moved = {"x_max": lambda at: _right(at.y, jnp), "y_max": lambda at: _top(at.x, jnp)}
        return (
            initial({"u": lambda at: _shape(at.x, at.y, jnp)}),
            initial({"u": 0.0}, order=1),
            dirichlet("x_min", {"u": 0.0}),
            dirichlet("y_min", {"u": 0.0}),
            *(
                dirichlet(side, {"u": lambda at, shape=shape: shape(at) * jnp.cos(math.pi * at.t)})
                for side, shape in moved.items()
            ),
        )

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """Boundary values spread linearly, the rest of the initial value, and the raw output times a factor.

        The factor vanishes on the sides, and with its rate at t = 0; while it rises, within a sixth of a period, the
        rest of the initial value fades.
        """
        if self.as_published:
            return raw
        x, y, t = at.x, at.y, at.t
        spread = x * _right(y, jnp) + y * _top(x, jnp)
        rise = t**2 / (t**2 + 0.1)
        rest = (1 - rise) * (_shape(x, y, jnp) - spread)
        return {"u": spread * jnp.cos(math.pi * t) + rest + 16 * x * (1 - x) * y * (1 - y) * rise * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them; as published none."""
        return () if self.as_published else ("initial", "initial_rate", *SIDES)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The largest amplitude is that of a moved side."""
        largest = math.sinh((3 if self.as_published else 2) * math.pi)
        return {"u": (-largest, largest)}

    def reference(self) -> Reference:
        """The closed form; its error is the round-off of the argument of the cosine. As published it is no solution."""
        shape = _published if self.as_published else _shape

        def evaluate(points):
            x, y, t = points.T
            return {"u": shape(x, y, np) * np.cos(math.pi * t)}

        return Reference(evaluate, 1e-13, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation along both axes, diagonalised, and so exact in time."""
        if self.as_published:
            return super().classical(tolerance)
        return refine(
            _collocation,
            (8, 10, 12, 14, 16, 20, 24, 28, 32),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation, diagonalised along each axis, cosines in time",
        )

    def recipe(self) -> Recipe:
        """Time windows of two periods, each with a small network of sines."""
        return Recipe(
            network=NetworkConfig(width=20, depth=2, activation="sin"),
            points=PointsConfig(interior=1024, boundary=256),
            stages=(StageConfig("levenberg_marquardt", seconds=8.0),),
            windows=25,
            grid={"x": 25, "y": 25, "t": 257},
        )


def _right(y: Any, xp: Any) -> Any:
    return math.sinh(math.pi) * xp.sin(math.pi * y)


def _top(x: Any, xp: Any) -> Any:
    return math.sinh(2 * math.pi) * xp.sin(3 * math.pi * x)


def _shape(x: Any, y: Any, xp: Any) -> Any:
    return xp.sinh(math.pi * x) * xp.sin(math.pi * y) + xp.sin(3 * math.pi * x) * xp.sinh(2 * math.pi * y)


def _published(x: Any, y: Any, xp: Any) -> Any:
    return xp.sin(math.pi * x) * xp.sinh(math.pi * y) + xp.sinh(3 * math.pi * x) * xp.sin(2 * math.pi * y)


def _collocation(n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Split into the answer to the moved sides, at their frequency, and free waves with the rest of the initial value.

    With the eigenvectors of the second derivative, $D V = V \Lambda$, the first is a division by
    $\pi^2 + \lambda_k + 2 \lambda_l$, and the second moves like $\cos \sqrt{-\lambda_k - 2 \lambda_l}\, t$.
    """
    x, matrix = chebyshev_points(n, (0, 1)), chebyshev_matrix(n, (0, 1))
    second = (matrix @ matrix)[1:-1]
    eigenvalues, vectors = np.linalg.eig(second[:, 1:-1])
    eigenvalues, vectors = eigenvalues.real, vectors.real  # Gottlieb and Lustman (1983): real and negative.
    inverse = np.linalg.inv(vectors)
    sums = eigenvalues[:, None] + 2 * eigenvalues[None]
    right = np.outer(second[:, -1], _right(x[1:-1], np)) + 2 * np.outer(_top(x[1:-1], np), second[:, -1])
    driven = -(inverse @ right @ inverse.T) / (math.pi**2 + sums)
    free = inverse @ _shape(x[1:-1, None], x[None, 1:-1], np) @ inverse.T - driven
    frequencies = np.sqrt(-sums)
    at_right, at_top = _right(x, np), _top(x, np)

    def evaluate(points):
        result = np.empty(len(points))
        along = []
        for axis in (0, 1):
            places, where = np.unique(points[:, axis], return_inverse=True)
            along.append((barycentric_matrix(x, places), where))
        for t in np.unique(points[:, 2]):
            chosen = points[:, 2] == t
            modes = driven * math.cos(math.pi * t) + free * np.cos(frequencies * t)
            u = np.zeros((n, n))
            u[1:-1, 1:-1] = vectors @ modes @ vectors.T
            u[-1], u[:, -1] = at_right * math.cos(math.pi * t), at_top * math.cos(math.pi * t)
            along_x, along_y = (matrix[where[chosen]] for matrix, where in along)
            result[chosen] = ((along_x @ u) * along_y).sum(axis=1)
        return {"u": result}

    return evaluate
