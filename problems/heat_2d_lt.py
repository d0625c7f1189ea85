"""Heat equation on a square whose nonlinear source changes its sign again and again for a long time."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian, partial
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
)

from ._modes import Trajectory, etdrk4, plane_series

__all__ = ["Heat2DLT"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
DIFFUSIVITY, STRENGTH = 0.001, 5.0
DURATION = 100.0


class Heat2DLT(AbstractProblem):
    r"""Heat equation on a square for a long time, with a nonlinear source that changes its sign.

    $$u_t = 0.001 \Delta u + 5 \sin(u^2) \left(1 + 2 \sin \tfrac{\pi t}{4}\right) \sin 4 \pi x \sin 2 \pi y
    \text{ on } (0, 1)^2, \quad 0 \le t \le 100,$$

    $$u = 0 \text{ on the sides}, \quad u(x, y, 0) = \sin 4 \pi x \sin 3 \pi y.$$

    The source drives u to plateaus of $\pm \sqrt \pi$ with thin layers between them, and takes them down again within
    each period of eight units; after some periods they repeat. u has the period 1/2 in x, is odd about x = 1/4 and
    even about x = 1/8. All quantities are nondimensional.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Heat 2d-LT.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> SpaceTime:
        """The unit square over the times [0, 100]."""
        return SpaceTime(Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}), 0.0, DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source that depends on u, x, y and t."""
        u = fields.u
        source = jnp.sin(u**2) * _gain(at.t, jnp) * _pattern(at.x, at.y, jnp)
        return {"heat": partial(u, "t") - DIFFUSIVITY * laplacian(u) - source}

    def conditions(self) -> tuple[Condition, ...]:
        """Waves at the start, zero on the sides."""
        return initial({"u": lambda at: _start(at.x, at.y, jnp)}), *(dirichlet(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The initial value, and the raw output times a factor that vanishes where u does by symmetry.

        The initial value does not fade by itself: zero solves the equation too, and would be found instead.
        """
        factor = jnp.sin(4 * math.pi * at.x) * 4 * at.y * (1 - at.y) * at.t / (1 + at.t)
        return {"u": _start(at.x, at.y, jnp) + factor * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", *SIDES)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The plateaus."""
        return {"u": (-2.0, 2.0)}

    def reference(self) -> Reference:
        """Sine series; the error bound is the distance to a coarser solution."""
        solution, bound, n, steps = _reference()
        return Reference(solution, bound, f"{n} x {8 * n} sines with the symmetries of u, ETDRK4 with {steps} steps")

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, with as few sines and steps as the tolerance allows."""
        return refine(
            lambda n: _series(n, 250 * n),
            (4, 6, 8, 10, 12, 14, 16, 18, 20),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="sine series on collocation points, ETDRK4 in time",
        )

    def recipe(self) -> Recipe:
        """Time windows, each with a small network that is periodic in x."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3, options={"periodic": "x", "harmonics": 4}),
            points=PointsConfig(interior=1024, boundary=512),
            stages=(StageConfig("levenberg_marquardt", seconds=10.0),),
            weights={"continuity_u": 100.0},
            windows=25,
            grid={"x": 41, "y": 41, "t": 201},
        )


def _start(x: Any, y: Any, xp: Any) -> Any:
    return xp.sin(4 * math.pi * x) * xp.sin(3 * math.pi * y)


def _pattern(x: Any, y: Any, xp: Any) -> Any:
    return STRENGTH * xp.sin(4 * math.pi * x) * xp.sin(2 * math.pi * y)


def _gain(t: Any, xp: Any) -> Any:
    return 1 + 2 * xp.sin(math.pi * t / 4)


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float, int, int]:
    """The solution, the distance of one with fewer sines and steps, and their numbers."""
    n, steps = 20, 5000
    fine, coarse = _series(n, steps), _series(16, 4000)
    points = np.random.default_rng(0).uniform((0, 0, 0), (1, 1, DURATION), (20_000, 3))
    points[:, 2] = np.repeat(points[:200, 2], 100)  # few times: each costs a product
    expected = fine(points)["u"]
    gap = coarse(points)["u"] - expected
    return fine, float(np.linalg.norm(gap) / np.linalg.norm(expected)), n, steps


def _series(n: int, steps: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve for the coefficients of $\sin 4 (2 k - 1) \pi x \sin l \pi y$, `k = 1, ..., n`, `l = 1, ..., 8 n`.

    By symmetry an eighth of the square is enough: the source is evaluated at n x 8 n equidistant points of it.
    """
    k, l = 4 * math.pi * (2 * np.arange(n) + 1), math.pi * np.arange(1, 8 * n + 1)  # noqa: E741
    x, y = np.arange(1, n + 1) / (8 * n), np.arange(1, 8 * n + 1) / (8 * n + 1)

    def along_x(x):
        return np.sin(np.outer(x, k))

    def along_y(y):
        return np.sin(np.outer(y, l))

    to_x, to_y = along_x(x), np.ascontiguousarray(along_y(y).T)
    from_x, from_y = np.linalg.inv(to_x), np.linalg.inv(to_y)
    pattern = _pattern(x[:, None], y[None], np)

    def source(t, c):
        u = to_x @ c @ to_y
        return from_x @ (np.sin(u * u) * (_gain(t, math) * pattern)) @ from_y

    start = np.zeros((n, 8 * n))
    start[0, 2] = 1.0
    linear = -DIFFUSIVITY * (k[:, None] ** 2 + l[None] ** 2)
    stored = etdrk4(start, linear, source, duration=DURATION, steps=steps).reshape(steps + 1, -1)
    trajectory = Trajectory(stored, DURATION, lambda x: x)

    def coefficients(t):
        return trajectory.at(np.array([t])).reshape(n, 8 * n)

    return lambda points: {"u": plane_series(points, coefficients, along_x, along_y)}
