"""Heat equation on a square with a diffusivity that varies at random."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Complex

from pdesolve.calculus import laplacian, partial
from pdesolve.config import PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    initial,
    parameter,
    reference_error,
    refine,
)

from ._fields import periodic_field
from ._legendre import bubbles, quadrature
from ._modes import plane_series

__all__ = ["Heat2DVC"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
_MODES = 3
_STRENGTH = 200.0


class Heat2DVC(AbstractProblem):
    r"""Heat equation on a square with a random diffusivity and a source that comes and goes.

    $$u_t = a \Delta u + 200 \sin \pi x \sin 5 \pi y \sin \pi t \text{ on } (0, 1)^2, \quad u = 0 \text{ at } t = 0
    \text{ and on the sides}, \quad 0 \le t \le 5.$$

    log a is a periodic Gaussian field of mean 0 and variance 1, whose modes $0 < |k_1|, |k_2| \le 3$ and those between
    have deviations like $|k|^{-2}$. All quantities are nondimensional. The benchmark's own field was drawn without a
    seed, on 256 x 256 points, and is not smooth; this one has its law for the modes that it has, and depends on `seed`.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Heat 2d-VC, with another field.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    seed: int = parameter(0, "seed of the diffusivity", at_least=0)

    def domain(self) -> SpaceTime:
        """The unit square over the times [0, 5]."""
        return SpaceTime(Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}), 0.0, 5.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source."""
        source = _source(at.x, at.y, jnp) * jnp.sin(math.pi * at.t)
        return {"heat": partial(fields.u, "t") - self.diffusivity(at.x, at.y, jnp) * laplacian(fields.u) - source}

    def conditions(self) -> tuple[Condition, ...]:
        """Zero at the start and on the sides."""
        return initial({"u": 0.0}), *(dirichlet(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The raw output times a factor that vanishes at the start and on the sides."""
        x, y = at.x, at.y
        return {"u": 16 * x * (1 - x) * y * (1 - y) * at.t / (0.1 + at.t) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", *SIDES)

    def reference(self) -> Reference:
        """Galerkin in space, exact in time; the error bound is the distance to a coarser solution."""
        solution, bound, n = _reference(int(self.seed))
        return Reference(
            lambda points: {"u": solution(points)}, bound, f"Legendre-Galerkin, {n} x {n} polynomials, exact in time"
        )

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, with as few polynomials as the tolerance allows."""

        def solve(n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
            solution = _galerkin(int(self.seed), n)
            return lambda points: {"u": solution(points)}

        return refine(
            solve,
            (6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Legendre-Galerkin in space, eigenvectors, exact in time",
        )

    def recipe(self) -> Recipe:
        """A small network with exact conditions."""
        return Recipe(
            points=PointsConfig(interior=4096),
            stages=(StageConfig("levenberg_marquardt", seconds=90.0),),
            grid={"x": 41, "y": 41, "t": 51},
        )

    def diffusivity(self, x: Any, y: Any, xp: Any = np) -> Any:
        """Return a at points, in NumPy or JAX."""
        log = 0.0
        for (k, l), c in _modes(int(self.seed)):  # noqa: E741
            phase = 2 * math.pi * (k * x + l * y)
            log = log + c.real * xp.cos(phase) - c.imag * xp.sin(phase)
        return xp.exp(log)


def _source(x: Any, y: Any, xp: Any) -> Any:
    return _STRENGTH * xp.sin(math.pi * x) * xp.sin(5 * math.pi * y)


@functools.lru_cache(maxsize=8)
def _modes(seed: int) -> tuple[tuple[tuple[int, int], complex], ...]:
    """Wavenumbers, one of each pair of opposite ones, and twice the coefficients, of log a."""
    series: Complex[np.ndarray, "m n"] = periodic_field(
        lambda squares: np.where(squares == 0, 0.0, 1 / np.maximum(squares, 1) ** 2),
        num_samples=1,
        num_modes=_MODES,
        seed=seed,
    )[0]
    whole = range(-_MODES, _MODES + 1)
    pairs = [(k, l) for k in whole for l in range(_MODES + 1) if l > 0 or k > 0]  # noqa: E741
    found = {pair: 2 * complex(series[pair]) for pair in pairs}
    # The variance over the square is half the sum of squares.
    scale = math.sqrt(sum(abs(c) ** 2 for c in found.values()) / 2)
    return tuple((pair, c / scale) for pair, c in found.items())


@functools.lru_cache(maxsize=2)
def _reference(seed: int) -> tuple[Callable, float, int]:
    """The solution, and its distance to one of fewer polynomials at random points."""
    n = 36
    fine, coarse = _galerkin(seed, n), _galerkin(seed, n - 6)
    points = np.random.default_rng(0).uniform((0, 0, 0), (1, 1, 5), (300, 3))
    points[:, 2] = np.repeat(points[:30, 2], 10)
    expected = fine(points)
    return fine, max(float(np.linalg.norm(coarse(points) - expected) / np.linalg.norm(expected)), 1e-13), n


def _galerkin(seed: int, n: int) -> Callable[[np.ndarray], np.ndarray]:
    r"""Solve with products of `n` polynomials along each axis.

    Divided by a, the equation has the symmetric weak form $(u_t / a, v) + (\nabla u, \nabla v) = (f / a, v)$. With the
    eigenvectors of both matrices each coefficient obeys $y' + \lambda y = g \sin \pi t$, $y(0) = 0$, so that

    $$y = g\, \frac{\lambda \sin \pi t - \pi \cos \pi t + \pi e^{-\lambda t}}{\lambda^2 + \pi^2}.$$
    """
    x, w = quadrature(np.array([0.0, 1.0]), 2 * n + 20)
    values = bubbles(2 * x - 1, n)[0]
    mass = values.T @ (w[:, None] * values)
    # The derivatives are orthonormal on [-1, 1], which is twice as long.
    stiffness = 2 * (np.kron(np.eye(n), mass) + np.kron(mass, np.eye(n)))
    weights = np.outer(w, w) / Heat2DVC(seed=seed).diffusivity(x[:, None], x[None])
    products = (values[:, :, None] * values[:, None]).reshape(len(x), n * n)
    weighted = (products.T @ weights @ products).reshape(n, n, n, n).transpose(0, 2, 1, 3).reshape(n * n, n * n)
    source = values.T @ (weights * _source(x[:, None], x[None], np)) @ values
    eigenvalues, vectors = scipy.linalg.eigh(stiffness, weighted)
    gain = (vectors.T @ source.ravel()) / (eigenvalues**2 + math.pi**2)

    def modes(t):
        driven = eigenvalues * math.sin(math.pi * t) - math.pi * math.cos(math.pi * t)
        return (vectors @ (gain * (driven + math.pi * np.exp(-eigenvalues * t)))).reshape(n, n)

    def along(places):
        return bubbles(2 * places - 1, n)[0]

    return lambda points: plane_series(points, modes, along, along)
