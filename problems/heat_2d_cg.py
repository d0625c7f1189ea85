"""Heat equation in a rectangle around seventeen hot pipes."""

import functools
import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.scipy.special import erfc
from jaxtyping import Float

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Ball, Box, Difference, SpaceTime, Union
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    initial,
    reference_error,
    refine,
    robin,
)

from ._immersed import Splines, arcs, classify

__all__ = ["Heat2DCG"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
WIDTH, HEIGHT, DURATION = 8.0, 12.0, 3.0
"""Half the sides of the rectangle; the final time."""
_LARGE = ((-4, -3), (4, -3), (-4, 3), (4, 3), (-4, -9), (4, -9), (-4, 9), (4, 9), (0, 0), (0, 6), (0, -6))
_SMALL = ((-3.2, -6), (-3.2, 6), (3.2, -6), (3.2, 6), (-3.2, 0), (3.2, 0))
LARGE = {f"large_{i}": (*centre, 1.0) for i, centre in enumerate(_LARGE, 1)}
SMALL = {f"small_{i}": (*centre, 0.4) for i, centre in enumerate(_SMALL, 1)}
"""Boundary parts, and centre and radius of each hole."""
AROUND, AT_LARGE, AT_SMALL = 0.1, 5.0, 1.0
"""Temperatures outside the rectangle, in the large holes, in the small ones."""


class Heat2DCG(AbstractProblem):
    r"""Heat equation in a rectangle with seventeen round holes that heat it.

    $$u_t = \Delta u \text{ in } (-8, 8) \times (-12, 12) \text{ less 11 disks of radius 1 and 6 of radius 0.4}, \quad
    u = 0 \text{ at } t = 0, \quad 0 \le t \le 3,$$

    $$\frac{\partial u}{\partial n} = g - u, \quad g = 5 \text{ on the large circles}, \quad
    g = 1 \text{ on the small ones}, \quad g = 0.1 \text{ on the sides}.$$

    n points out of the domain. The centres are $(\pm 4, \pm 3), (\pm 4, \pm 9), (0, 0), (0, \pm 6)$ and
    $(\pm 3.2, \pm 6), (\pm 3.2, 0)$. All quantities are nondimensional.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Heat 2d-CG.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> SpaceTime:
        """The rectangle without the disks, over the times [0, 3]."""
        disks = [Ball(centre, radius, part=name) for name, (*centre, radius) in (LARGE | SMALL).items()]
        rectangle = Box({"x": (-WIDTH, WIDTH), "y": (-HEIGHT, HEIGHT)})
        return SpaceTime(Difference(rectangle, functools.reduce(Union, disks)), 0.0, DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion."""
        return {"heat": partial(fields.u, "t") - laplacian(fields.u)}

    def conditions(self) -> tuple[Condition, ...]:
        """Zero at the start; fluxes proportional to differences of temperature."""
        temperatures = {
            **dict.fromkeys(LARGE, AT_LARGE),
            **dict.fromkeys(SMALL, AT_SMALL),
            **dict.fromkeys(SIDES, AROUND),
        }
        return initial({"u": 0.0}), *(robin(part, {"u": (1.0, 1.0, g)}) for part, g in temperatures.items())

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The layers of all holes and sides, and the raw output times a factor that vanishes at the start."""
        return {"u": _layers(at.x, at.y, at.t) + at.t / (0.5 + at.t) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The initial value; fluxes are loss terms."""
        return ("initial",)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The raw output is what the layers leave."""
        return {"u": (-0.5, 0.5)}

    def reference(self) -> Reference:
        """Splines on a grid that the holes cut, exact in time; the bound is the distance to a coarser solution."""
        solution, bound, n = _reference()
        return Reference(solution.evaluate, bound, f"quartic splines on cells of 1/{n}, exact in time")

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, on as coarse a grid as the tolerance allows."""
        return refine(
            lambda n: _Solution(n).evaluate,
            (1, 2, 3, 4, 5),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="quartic splines on cells that the holes cut, exact in time",
        )

    def recipe(self) -> Recipe:
        """A network for what the layers leave; fluxes are loss terms."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=3072, boundary=64),
            stages=(StageConfig("levenberg_marquardt", seconds=180.0),),
            grid={"x": 65, "y": 97, "t": 31},
        )


def _layers(x: Any, y: Any, t: Any) -> Any:
    r"""Combine the layers that all boundaries would have alone; nearly the solution as long as they are thin.

    In a half space the solution of $u_t = u_{dd}$, $u_d = u - 1$ at d = 0, $u = 0$ at t = 0 is

    $$R = \operatorname{erfc} s - e^{d + t} \operatorname{erfc}(s + \sqrt t), \quad s = \frac{d}{2 \sqrt t}.$$

    Around a hole it is multiplied by $\sqrt{r / \rho}$: the product obeys the equation but for $1 / (4 \rho^2)$ of
    itself. If all temperatures were one, $1 - \prod_j (1 - R_j)$ would be close, as it is exact in a rectangle; with
    $\lambda_j = -\log(1 - R_j)$ and temperatures $g_j$ it becomes

    $$\frac{\sum_j \lambda_j g_j}{\sum_j \lambda_j} \left(1 - e^{-\sum_j \lambda_j}\right).$$
    """
    centre_x, centre_y, radius = jnp.asarray(list((LARGE | SMALL).values())).T
    temperature = jnp.asarray([AT_LARGE] * len(LARGE) + [AT_SMALL] * len(SMALL) + [AROUND] * len(SIDES))
    # Further inside a hole than normals reach the place does not matter.
    distance = jnp.maximum(jnp.sqrt((x - centre_x) ** 2 + (y - centre_y) ** 2), 0.9 * radius)
    holes = jnp.sqrt(radius / distance) * _layer(distance - radius, t)
    sides = _layer(jnp.stack([WIDTH + x, WIDTH - x, HEIGHT + y, HEIGHT - y]), t)
    parts = -jnp.log1p(-jnp.concatenate([holes, sides]))
    total = jnp.sum(parts)
    thin = total < 1e-6
    safe = jnp.where(thin, 1.0, total)
    return jnp.sum(temperature * parts) * jnp.where(thin, 1 - total / 2, -jnp.expm1(-safe) / safe)


def _layer(d: Any, t: Any) -> Any:
    root = jnp.sqrt(jnp.maximum(t, 1e-26))
    return erfc(d / (2 * root)) - jnp.exp(d + root**2) * erfc(d / (2 * root) + root)


@functools.lru_cache(maxsize=1)
def _reference() -> tuple["_Solution", float, int]:
    """The solution, and its distance to one on a coarser grid at random points."""
    n = 4
    fine, coarse = _Solution(n), _Solution(n - 1)
    points = Heat2DCG().domain().sample_interior(4000, "sobol", 1)
    expected = fine.evaluate(points)["u"]
    return fine, float(np.linalg.norm(coarse.evaluate(points)["u"] - expected) / np.linalg.norm(expected)), n


class _Solution:
    r"""Quartic splines on a quarter of the domain, whose sides on the axes are insulated by symmetry.

    With the matrices A of $(\nabla u, \nabla v) + \oint u v$ and M of $(u, v)$, and the vector b of $\oint g v$, the
    coefficients obey $M \dot c + A c = b$, c(0) = 0. With the Cholesky factor of $A = L L^T$ and the eigenvectors
    $L^{-1} M L^{-T} = Q \, \mathrm{diag}(\tau) \, Q^T$, whose eigenvalues are times,

    $$c(t) = L^{-T} Q (1 - e^{-t / \tau}) Q^T L^{-1} b.$$

    Args:
        n: Cells along a unit of length.
    """

    def __init__(self, n: int):
        edges = tuple(np.linspace(0, side, n * int(side) + 1) for side in (WIDTH, HEIGHT))
        self.splines = Splines(edges, degree=4)
        mass, matrix, load = _assemble(self.splines)
        lower = np.linalg.cholesky(matrix)
        half = scipy.linalg.solve_triangular(lower, mass, lower=True)
        self.times, vectors = np.linalg.eigh(scipy.linalg.solve_triangular(lower, half.T, lower=True))
        steady = vectors.T @ scipy.linalg.solve_triangular(lower, load, lower=True)
        self.modes = scipy.linalg.solve_triangular(lower.T, vectors) * steady

    def evaluate(self, points: Float[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
        """Evaluate at `(x, y, t)`."""
        times, when = np.unique(points[:, 2], return_inverse=True)
        # Times that are zero but for round-off belong to splines inside the holes.
        grown = -np.expm1(-times / np.maximum(self.times, 1e-12)[:, None])
        return {"u": self.splines.evaluate(self.modes @ grown, np.abs(points[:, :2]), columns=when)}


def _assemble(splines: Splines) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return M, A and b."""
    holes = np.array(list((LARGE | SMALL).values()))
    holes = holes[(holes[:, :2] >= 0).all(axis=1)]  # no other reaches into the quarter
    cut, inside = classify(splines, holes)
    kept = np.ones([len(x) - 1 for x in splines.edges], bool)
    kept[tuple(cut.T)] = kept[tuple(inside.T)] = False
    total = math.prod(splines.shape)
    mass, matrix, load = np.zeros((total, total)), np.zeros((total, total)), np.zeros(total)

    def add(target, numbers, blocks):
        np.add.at(target, (numbers[:, :, None], numbers[:, None]), blocks)

    for blocks in (splines.whole(np.argwhere(kept)), splines.cut(cut, holes, across=5)):
        add(mass, blocks.numbers, blocks.mass)
        add(matrix, blocks.numbers, blocks.stiffness)
    for points, weights, temperature in _boundary(splines, holes):
        cells = splines.cells_of(points)
        values, numbers = splines.local(points, cells)[0], splines.numbers(cells)
        add(matrix, numbers, weights[:, None, None] * values[:, :, None] * values[:, None])
        np.add.at(load, numbers, temperature * weights[:, None] * values)
    # Splines inside the holes have no energy; a trace of their own makes the matrix regular.
    return mass, matrix + 1e-12 * np.eye(total), load


def _boundary(splines: Splines, holes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Quadratures of the circles and of two sides, with the temperature behind each."""
    result = [(*arcs(splines, hole), AT_LARGE if hole[2] == 1 else AT_SMALL) for hole in holes]
    for axis in (0, 1):
        x, w = (v.ravel() for v in splines.gauss(axis))
        points = np.empty((len(x), 2))
        points[:, axis], points[:, 1 - axis] = x, splines.edges[1 - axis][-1]
        result.append((points, w, AROUND))
    return result
