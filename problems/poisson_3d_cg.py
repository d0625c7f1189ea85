"""Helmholtz-like equation in a cube of two layers with four round holes, all of them insulated."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse.linalg as sla
from jaxtyping import Float, Int

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Ball, Box, Difference, Union
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    neumann,
    reference_error,
    refine,
)

from ._immersed import Splines, classify

__all__ = ["Poisson3DCG"]

SIDES = ("x_min", "x_max", "y_min", "y_max", "z_min", "z_max")
HOLES = {
    "hole_1": (0.4, 0.3, 0.6, 0.2),
    "hole_2": (0.6, 0.7, 0.6, 0.2),
    "hole_3": (0.2, 0.8, 0.7, 0.1),
    "hole_4": (0.6, 0.2, 0.3, 0.1),
}
"""Boundary parts, and centre and radius of each."""
INTERFACE, SQUARES = 0.5, (64.0, 100.0)
"""Height of the plane between the layers; k^2 below and above."""
AMPLITUDES, WAVES = (20.0, 100.0), (1, 10, 5)
"""Factors of both parts of the source, and half its waves along each axis."""


class Poisson3DCG(AbstractProblem):
    r"""Poisson-Boltzmann equation in a cube of two layers less four balls, all surfaces insulated.

    $$-\Delta u + k^2 u = 20 e^{\sin \pi x + \sin 10 \pi y + \sin 5 \pi z} \frac{|x|^2 - 1}{|x|^2 + 1}
    + 100 \sin \pi x \sin 10 \pi y \sin 5 \pi z \text{ in } (0, 1)^3 \setminus (B_{0.2}(0.4, 0.3, 0.6) \cup
    B_{0.2}(0.6, 0.7, 0.6) \cup B_{0.1}(0.2, 0.8, 0.7) \cup B_{0.1}(0.6, 0.2, 0.3)),$$

    $$\frac{\partial u}{\partial n} = 0 \text{ on all surfaces}, \quad k = 8 \text{ for } z < 1/2, \quad
    k = 10 \text{ for } z \ge 1/2.$$

    u and its gradient are continuous; second derivatives jump between the layers. All quantities are nondimensional.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Poisson 3d-CG.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Difference:
        """The unit cube without the four balls."""
        balls = [Ball(centre, radius, part=name) for name, (*centre, radius) in HOLES.items()]
        return Difference(Box({axis: (0.0, 1.0) for axis in "xyz"}), functools.reduce(Union, balls))

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Diffusion and decay against a source."""
        square = jnp.where(at.z < INTERFACE, *SQUARES)
        residual = -laplacian(fields.u) + square * fields.u - _source(at.x, at.y, at.z, jnp)
        return {"poisson_boltzmann": residual}

    def conditions(self) -> tuple[Condition, ...]:
        """No flux."""
        return tuple(neumann(part, {"u": 0.0}) for part in (*SIDES, *HOLES))

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The range of the solution, rounded."""
        return {"u": (-0.5, 0.5)}

    def reference(self) -> Reference:
        """Cubic splines on a grid that the balls cut; the error bound is the distance to a coarser solution."""
        solution, bound, n = _reference()
        return Reference(lambda points: {"u": solution(points)}, bound, f"cubic splines on {n} x {2 * n} x {n} cells")

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, on as coarse a grid as the tolerance allows."""

        def solve(n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
            solution = _galerkin(n)
            return lambda points: {"u": solution(points)}

        return refine(
            solve,
            (6, 8, 10, 12, 16, 20, 24),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="cubic splines on cells that the balls cut, conjugate gradients",
        )

    def recipe(self) -> Recipe:
        """A network; the conditions are loss terms."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=3072, boundary=96),
            stages=(StageConfig("levenberg_marquardt", seconds=270.0),),
            grid={"x": 33, "y": 65, "z": 33},
        )


def _source(x: Any, y: Any, z: Any, xp: Any) -> Any:
    square = x**2 + y**2 + z**2
    waves = [xp.sin(count * math.pi * p) for count, p in zip(WAVES, (x, y, z), strict=True)]
    first = xp.exp(sum(waves)) * (square - 1) / (square + 1)
    return AMPLITUDES[0] * first + AMPLITUDES[1] * math.prod(waves)


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float, int]:
    """The solution, and its distance to one on a coarser grid at random points."""
    n = 24
    fine, coarse = _galerkin(n), _galerkin(n - 4)
    points = Poisson3DCG().domain().sample_interior(2000, "sobol", 1)
    expected = fine(points)
    return fine, float(np.linalg.norm(coarse(points) - expected) / np.linalg.norm(expected)), n


def _galerkin(n: int) -> Callable[[np.ndarray], np.ndarray]:
    r"""Solve $(\nabla u, \nabla v) + (k^2 u, v) = (f, v)$ outside the balls with splines on n x 2 n x n cells.

    The matrix is that of the cube, a sum of Kronecker products, less blocks of the cells in and around the balls. The
    inverse of the former, by the eigenvectors along each axis, is the preconditioner: all eigenvalues are at most 1.
    """
    balls = np.array(list(HOLES.values()))
    splines = Splines(tuple(np.linspace(0, 1, m + 1) for m in (n, 2 * n, n)), kinks=((), (), (INTERFACE,)))
    cut, inside = classify(splines, balls)

    # The cube: eigenvalues and vectors along each axis, those along z with k^2.
    squares = np.where(splines.gauss(2)[0] < INTERFACE, *SQUARES)
    axes = []
    for axis in range(3):
        w = splines.gauss(axis)[1].ravel()
        values, slopes = splines.table(axis), splines.table(axis, 1)
        mass, stiffness = values.T @ (w[:, None] * values), slopes.T @ (w[:, None] * slopes)
        if axis == 2:
            stiffness += values.T @ ((w * squares.ravel())[:, None] * values)
        axes.append((mass, stiffness, *scipy.linalg.eigh(stiffness, mass)))
    eigenvalues = functools.reduce(np.add.outer, [axis[2] for axis in axes])
    vectors = [axis[3] for axis in axes]
    back = [np.linalg.inv(v) for v in vectors]

    # The blocks to be taken away: whole cells, less the parts outside the balls.
    cells = np.concatenate([cut, inside])
    whole, part = splines.whole(cells), splines.cut(cut, balls, across=2, source=functools.partial(_source, xp=np))
    square = squares[cells[:, 2], 0][:, None, None]
    blocks = whole.stiffness + square * whole.mass
    blocks[: len(cut)] -= part.stiffness + square[: len(cut)] * part.mass
    load = _load(splines, cells)
    load += np.bincount(part.numbers.ravel(), part.load.ravel(), len(load))

    def matrix(c):
        cube = _along(back_transposed, eigenvalues * _along(back, c.reshape(splines.shape))).ravel()
        local = (blocks @ c[whole.numbers][..., None])[..., 0]
        return cube - np.bincount(whole.numbers.ravel(), local.ravel(), len(cube))

    def preconditioner(r):
        return _along(vectors, _along(transposed, r.reshape(splines.shape)) / eigenvalues).ravel()

    back_transposed, transposed = [v.T for v in back], [v.T for v in vectors]
    a, m = (sla.LinearOperator((len(load),) * 2, matvec=f, dtype=float) for f in (matrix, preconditioner))
    # What sixty steps leave lies in splines that hardly reach out of the balls.
    solution, _ = sla.cg(a, load, rtol=1e-7, maxiter=60, M=m)
    return lambda points: splines.evaluate(solution, points)


def _along(matrices: list[np.ndarray], tensor: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x y z"]:
    """Apply a matrix along each axis."""
    for matrix in matrices:  # each contraction moves the next axis to the front
        tensor = np.tensordot(tensor, matrix, (0, 1))
    return tensor


def _load(splines: Splines, left_out: Int[np.ndarray, "cells 3"]) -> Float[np.ndarray, " total"]:
    """Integrate the source times each spline over the cube, but for some cells."""
    grids = [splines.gauss(axis) for axis in range(3)]
    source = _source(*np.meshgrid(*(x.ravel() for x, _ in grids), indexing="ij", sparse=True), xp=np)
    by_cell = source.reshape([size for x, _ in grids for size in x.shape])
    i, j, k = left_out.T
    by_cell[i, :, j, :, k] = 0.0
    return _along([splines.table(axis).T * grids[axis][1].ravel() for axis in range(3)], source).ravel()
