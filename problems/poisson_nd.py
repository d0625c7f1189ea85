"""Poisson equations on unit cubes of five, ten, and any number of dimensions."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    parameter,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Poisson5D", "Poisson10D", "PoissonND"]


class Poisson5D(AbstractProblem):
    r"""Poisson equation on the unit cube of five dimensions, with a sum of cosines.

    $$-\Delta u = \pi^2 \sum_{i=1}^5 \cos \pi x_i, \quad u = \sum_{i=1}^5 \cos \pi x_i \text{ on the boundary};$$

    the sum solves it inside too. All quantities are nondimensional. Errors are measured at points of a Sobol sequence
    inside; what is stored is the plane of the first two coordinates through the centre.

    References:
        Dangel, Müller and Zeinhofer, NeurIPS (2024): the test problem in five dimensions of KFAC for PINNs.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Box:
        """The unit cube, x1 to x5."""
        return _cube(5)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source."""
        return {"poisson": -laplacian(fields.u) - math.pi**2 * _sum_of_cosines(at, jnp)}

    def conditions(self) -> tuple[Condition, ...]:
        """The exact solution on the ten faces."""
        return _on_faces(5, lambda at: _sum_of_cosines(at, jnp))

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest in the corner at the origin."""
        return {"u": (-5.0, 5.0)}

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(lambda points: {"u": np.cos(np.pi * points).sum(axis=1)}, 1e-15, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation, diagonalised along each axis."""
        solve = functools.partial(_collocation, 5, lambda x: np.cos(np.pi * x).sum(axis=0), math.pi**2)
        return _refined(self, solve, range(4, 15, 2), tolerance)

    def recipe(self) -> Recipe:
        """A plain network; the faces are loss terms."""
        return Recipe(
            network=NetworkConfig(width=32, depth=2),
            points=PointsConfig(interior=2048, boundary=64),
            stages=(StageConfig("levenberg_marquardt", seconds=120.0),),
        )


class Poisson10D(AbstractProblem):
    r"""Laplace equation on the unit cube of ten dimensions, with a harmonic polynomial.

    $$\Delta u = 0, \quad u = \sum_{i=1}^5 x_{2i-1} x_{2i} \text{ on the boundary};$$

    the polynomial solves it inside too. All quantities are nondimensional. Errors are measured at points of a Sobol
    sequence inside; what is stored is the plane of the first two coordinates through the centre.

    References:
        E and Yu, Commun. Math. Stat. 6 (2018) 1-12: the test problem in ten dimensions of the deep Ritz method.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Box:
        """The unit cube, x1 to x10."""
        return _cube(10)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion alone."""
        return {"laplace": laplacian(fields.u)}

    def conditions(self) -> tuple[Condition, ...]:
        """The exact solution on the twenty faces."""
        return _on_faces(10, _sum_of_products)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest in the corner opposite to the origin."""
        return {"u": (0.0, 5.0)}

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(lambda points: {"u": (points[:, ::2] * points[:, 1::2]).sum(axis=1)}, 1e-15, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation; three points along each axis hold the solution exactly."""
        solve = functools.partial(_collocation, 10, lambda x: (x[::2] * x[1::2]).sum(axis=0), 0.0)
        return _refined(self, solve, (3, 4), tolerance)

    def recipe(self) -> Recipe:
        """A plain network; the faces are loss terms."""
        return Recipe(
            network=NetworkConfig(width=32, depth=2),
            points=PointsConfig(interior=2048, boundary=64),
            stages=(StageConfig("levenberg_marquardt", seconds=120.0),),
        )


class PoissonND(AbstractProblem):
    r"""Poisson equation on a unit cube of five dimensions, or of any number, with a sum of sines.

    $$-\Delta u = \frac{\pi^2}{4} \sum_{i=1}^d \sin \frac{\pi x_i}{2}, \quad
    u = \sum_{i=1}^d \sin \frac{\pi x_i}{2} \text{ on the boundary};$$

    the sum solves it inside too. All quantities are nondimensional. In more than three dimensions errors are measured
    at points of a Sobol sequence inside, and the plane of the first two coordinates through the centre is stored.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem PNd, with d = 5.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    dimension: int = parameter(5, "dimension d of the cube", at_least=2, at_most=10)

    def domain(self) -> Box:
        """The unit cube, x1 to xd."""
        return _cube(self.dimension)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion against a source."""
        return {"poisson": -laplacian(fields.u) - math.pi**2 / 4 * self._sum(at)}

    def conditions(self) -> tuple[Condition, ...]:
        """The exact solution on the faces."""
        return _on_faces(self.dimension, self._sum)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest in the corner opposite to the origin."""
        return {"u": (0.0, float(self.dimension))}

    def reference(self) -> Reference:
        """The closed form."""
        return Reference(lambda points: {"u": np.sin(np.pi / 2 * points).sum(axis=1)}, 1e-15, "closed form")

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation, diagonalised along each axis."""
        solve = functools.partial(
            _collocation, self.dimension, lambda x: np.sin(np.pi / 2 * x).sum(axis=0), math.pi**2 / 4
        )
        # No more than two million points.
        return _refined(self, solve, [n for n in range(3, 16) if n**self.dimension <= 2e6], tolerance)

    def recipe(self) -> Recipe:
        """A plain network; the faces are loss terms."""
        return Recipe(
            network=NetworkConfig(width=32, depth=2),
            points=PointsConfig(interior=2048, boundary=64),
            stages=(StageConfig("levenberg_marquardt", seconds=120.0),),
        )

    def _sum(self, at: Any) -> Any:
        return sum(jnp.sin(math.pi / 2 * getattr(at, name)) for name in _names(self.dimension))


def _names(dimension: int) -> list[str]:
    return [f"x{i}" for i in range(1, dimension + 1)]


def _cube(dimension: int) -> Box:
    return Box(dict.fromkeys(_names(dimension), (0.0, 1.0)))


def _sum_of_cosines(at: Any, xp: Any) -> Any:
    return sum(xp.cos(math.pi * getattr(at, name)) for name in _names(5))


def _sum_of_products(at: Any) -> Any:
    names = _names(10)
    return sum(getattr(at, a) * getattr(at, b) for a, b in zip(names[::2], names[1::2], strict=True))


def _on_faces(dimension: int, values: Callable[[Any], Any]) -> tuple[Condition, ...]:
    return tuple(dirichlet(part, {"u": values}) for part in _cube(dimension).boundary_parts)


def _refined(problem: Any, solve: Any, resolutions: Any, tolerance: float) -> Classical:
    return refine(
        solve,
        resolutions,
        error=functools.partial(reference_error, problem),
        tolerance=tolerance,
        description="Chebyshev collocation, diagonalised along each axis",
    )


def _collocation(
    dimension: int, boundary: Callable[[np.ndarray], np.ndarray], source: float, n: int
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    r"""Solve $-\Delta u = s\, b$, $u = b$ on the boundary, on `n` Chebyshev points along each axis.

    The second derivative at inner points is $A u_{in} + B u_{out}$ along each axis. With $A = V \Lambda V^{-1}$ the
    inner values follow from a division by sums of eigenvalues (Lynch, Rice and Thomas, Numer. Math. 6 (1964) 185-199).
    """
    x = chebyshev_points(n, (0.0, 1.0))
    second = chebyshev_matrix(n, (0.0, 1.0))
    second = (second @ second)[1:-1]
    eigenvalues, vectors = np.linalg.eig(second[:, 1:-1])
    eigenvalues, vectors = eigenvalues.real, vectors.real  # Gottlieb and Lustman (1983): real and negative.
    grid = np.stack(np.meshgrid(*[x] * dimension, indexing="ij"))
    values = boundary(grid)
    inner = (slice(1, -1),) * dimension
    known = values.copy()
    known[inner] = 0.0
    right = source * values[inner]
    for axis in range(dimension):
        along = known[tuple(slice(None) if k == axis else slice(1, -1) for k in range(dimension))]
        right = right + _along(second, along, axis)
    inverse = np.linalg.inv(vectors)
    for axis in range(dimension):
        right = _along(inverse, right, axis)
    right = right / -functools.reduce(np.add.outer, [eigenvalues] * dimension)
    for axis in range(dimension):
        right = _along(vectors, right, axis)
    values[inner] = right

    def evaluate(points: np.ndarray) -> dict[str, np.ndarray]:
        # A point carries n^(d - 1) numbers through the interpolation: few at a time.
        edges = [*range(0, len(points), 256), len(points)]
        parts = [barycentric(values, [x] * dimension, points[a:b]) for a, b in itertools.pairwise(edges)]
        return {"u": np.concatenate(parts)}

    return evaluate


def _along(matrix: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
