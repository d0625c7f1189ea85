"""Darcy flow in a square: from a random coefficient to the pressure."""

import abc
import dataclasses
import math
import time
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Array, Float
from scipy.interpolate import RegularGridInterpolator

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import Classical, parameter, refine
from pdesolve.system import AbstractSystem

from ._fields import cosine_field, cosine_values

__all__ = ["Darcy2D", "Darcy2DLognormal", "DarcySystem"]

_MODES = 64
_CELLS = 160
"""Least number of cells along an edge of the grid on which samples are solved."""
_REFINED = 2
_COMPARED = 4


class _AbstractDarcy(AbstractFamily):
    r"""What the two laws of the coefficient share: Gaussian functions, the solver, the recipe.

    The Gaussian function g has mean zero and covariance $9 (-\Delta + 9 I)^{-2}$, Neumann conditions, without the
    constant mode, in 64 x 64 cosines.
    """

    input_names: ClassVar[tuple[str, ...]] = ("a",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("x", "y")
    periodic: ClassVar[bool] = False
    residual_forms: ClassVar[tuple[str, ...]] = ("flux", "central")
    residual_names: ClassVar[tuple[str, ...]] = ("equation", "boundary")

    @abc.abstractmethod
    def coefficient(self, g: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return values of the coefficient from those of the Gaussian function."""

    def gaussian(self, num_samples: int, seed: int) -> Float[np.ndarray, "sample modes modes"]:
        """Return the cosine coefficients of Gaussian functions."""

        def variance(squares):
            return np.where(squares == 0, 0.0, 9.0 / (np.pi**2 * squares + 9.0) ** 2)

        return cosine_field(variance, num_samples=num_samples, num_modes=_MODES, seed=seed)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve on a grid of at least 160 cells that contains the points asked for, boundary included.

        The error bound is twice the largest change of the first samples on a grid twice as fine.
        """
        stride = _stride(resolution)
        cells = stride * (resolution - 1)
        shape = (num_samples, 1, resolution, resolution)
        inputs, outputs, seconds, changes = np.zeros(shape), np.zeros(shape), [], []
        for index, c in enumerate(self.gaussian(num_samples, seed)):
            a = self.coefficient(cosine_values(c, cells + 1))
            began = time.perf_counter()
            u = _solve(a)
            seconds.append(time.perf_counter() - began)
            inputs[index], outputs[index] = a[::stride, ::stride], u[::stride, ::stride]
            if index < _REFINED:
                finer = _solve(self.coefficient(cosine_values(c, 2 * cells + 1)))[::2, ::2]
                changes.append(np.linalg.norm(u - finer) / np.linalg.norm(finer))
        points = np.linspace(0.0, 1.0, resolution)
        return FamilyData(
            inputs=inputs,
            outputs=outputs,
            coordinates={"x": points, "y": points},
            error_bound=2.0 * float(max(changes)),
            seconds=float(np.median(seconds)),
        )

    def draw_inputs(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw the coefficients that `generate` draws, and solve nothing: there are no outputs."""
        stride = _stride(resolution)
        cells = stride * (resolution - 1)
        functions = self.gaussian(num_samples, seed)
        inputs = [self.coefficient(cosine_values(c, cells + 1))[::stride, ::stride] for c in functions]
        points = np.linspace(0.0, 1.0, resolution)
        empty = np.zeros((num_samples, 0, resolution, resolution))
        return FamilyData(np.array(inputs)[:, None], empty, {"x": points, "y": points}, 0.0, 0.0)

    def residuals(self, given, answer, coordinates, form):
        r"""Return $-\nabla \cdot (a \nabla u) - 1$ at inner points, and u at those of the boundary.

        The form `flux` is that of the solver: fluxes through the faces between points, with harmonic means of the
        coefficient, so that the residual of the grid's own solution vanishes wherever the coefficient jumps. The form
        `central` is the published one: central differences of a times central differences of u, which reach two cells
        each way, see no checkerboard, and do not converge where the coefficient jumps.

        References:
            Li, Zheng, Kovachki, et al., Physics-informed neural operator for learning partial differential equations,
            ACM/IMS J. Data Sci. 1 (2024), and the program published with it, for the form `central`.
        """
        a, u = given[0], answer[0]
        spacing = jnp.asarray(coordinates["x"][1] - coordinates["x"][0], u.dtype)
        flow = {"flux": _flux_divergence, "central": _central_divergence}[form](a, u) / spacing**2
        edges = [u[0], u[-1], u[1:-1, 0], u[1:-1, -1]]
        return {"equation": -flow - 1.0, "boundary": jnp.concatenate(edges)}

    def system(self) -> "DarcySystem":
        """Return the equations in the form that a constrained solve takes."""
        return DarcySystem()

    def classical(self, tolerance: float) -> Classical:
        """Coarsen the grid as far as the mean relative L2 error of some samples allows; seconds are for one."""
        functions = self.gaussian(_COMPARED, seed=0)
        expected = [_solve(self.coefficient(cosine_values(c, _CELLS + 1))) for c in functions]

        def solve(cells: int) -> Any:
            return [_solve(self.coefficient(cosine_values(c, cells + 1))) for c in functions]

        def error(solved: Any) -> float:
            pairs = zip(solved, expected, strict=True)
            return float(np.mean([np.linalg.norm(_refined(u) - v) / np.linalg.norm(v) for u, v in pairs]))

        answer = refine(
            solve,
            (8, 12, 16, 24, 32, 48, 64, 96, 128, _CELLS),
            error=error,
            tolerance=tolerance,
            description="five-point differences, sparse factorisation",
        )
        solved: Any = answer.evaluate
        return dataclasses.replace(
            answer, seconds=answer.seconds / _COMPARED, evaluate=lambda points: {"u": _interpolant(solved[0])(points)}
        )

    def recipe(self) -> Recipe:
        """A small Fourier neural operator; functions are not periodic, so zeros are put behind them."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=24, depth=4, activation="gelu", options={"modes": 10, "padding": 0.1}
            ),
            data=DataConfig(train=400, test=100, resolution=41, batch=20),
            stages=(StageConfig("adam", steps=1000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )


class Darcy2D(_AbstractDarcy):
    r"""Darcy flow in a square of two materials: from where they are to the pressure.

    $$-\nabla \cdot (a \nabla u) = 1 \text{ in } (0, 1)^2, \quad u = 0 \text{ on the boundary}, \quad a \mapsto u,$$

    $$a = \begin{cases} 12 & g \ge 0 \\ 3 & g < 0, \end{cases}$$

    with g Gaussian of mean zero and covariance proportional to $(-\Delta + 9 I)^{-2}$, Neumann conditions, without the
    constant mode, in 64 x 64 cosines. All quantities are nondimensional.

    Samples are solved on a finer grid than they are stored on, so that the stored coefficient leaves open where
    between two points the material changes. Errors published for this benchmark belong to its authors' own data file.
    They are compared with loosely.

    References:
        Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021, section 5.2 and
        appendix A.3.2; their published generator for the constant mode.
    """

    low: float = parameter(3.0, "coefficient where the Gaussian function is negative", above=0.0)
    high: float = parameter(12.0, "coefficient elsewhere", above=0.0)

    def coefficient(self, g: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """One of two numbers."""
        return np.where(g >= 0, self.high, self.low)


class Darcy2DLognormal(_AbstractDarcy):
    r"""Darcy flow in a square of lognormal permeability: from the coefficient to the pressure.

    $$-\nabla \cdot (a \nabla u) = 1 \text{ in } (0, 1)^2, \quad u = 0 \text{ on the boundary}, \quad a \mapsto u, \quad
    a = e^{s g},$$

    with g Gaussian of mean zero and covariance $9 (-\Delta + 9 I)^{-2}$, Neumann conditions, without the constant
    mode, in 64 x 64 cosines: the smooth one of the two laws in the generator published with the benchmark of Darcy
    flow. All quantities are nondimensional.

    References:
        Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021; their published
        generator for this law.
    """

    strength: float = parameter(1.0, "factor s of the Gaussian function", above=0.0, at_most=5.0)

    def coefficient(self, g: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The exponential."""
        return np.exp(self.strength * g)


class DarcySystem(AbstractSystem):
    """The residuals of the form `flux`: linear in u, with the coefficient known."""

    linear: ClassVar[bool] = True

    def coordinates(self, grid):
        """The unit square, with its boundary."""
        return {"x": np.linspace(0.0, 1.0, grid[0]), "y": np.linspace(0.0, 1.0, grid[1])}

    def terms(self, given, answer, coordinates):
        """Return the divergence of the flow, 0 on the boundary."""
        spacing = jnp.asarray(coordinates["x"][1] - coordinates["x"][0], answer.dtype)
        return {"divergence": jnp.pad(_flux_divergence(given[0], answer[0]) / spacing**2, 1)}

    def data(self, given, coordinates):
        """Return the source, 0 on the boundary."""
        inside = np.zeros(given.shape[1:])
        inside[1:-1, 1:-1] = 1.0
        return {"source": jnp.asarray(inside, given.dtype)}

    def balance(self, terms, data):
        """Return what flow and source leave over."""
        return {"equation": -terms["divergence"] - data["source"]}

    def conditions(self, given, answer, coordinates):
        """Return u on the boundary."""
        u = answer[0]
        return {"boundary": jnp.concatenate([u[0], u[-1], u[1:-1, 0], u[1:-1, -1]])}


def _stride(resolution: int) -> int:
    """Return by how much the grid on which samples are solved is finer than that of the points asked for."""
    if resolution < 3:
        raise PdesolveError(f"`resolution` counts points with those on the boundary: at least 3, got {resolution}.")
    return math.ceil(_CELLS / (resolution - 1))


def _flux_divergence(a: Float[Array, "n m"], u: Float[Array, "n m"]) -> Float[Array, "inner_n inner_m"]:
    """Return the sum of the fluxes into the volumes around inner points, times the spacing squared."""

    def along(a, u):
        fluxes = 2 * a[1:] * a[:-1] / (a[1:] + a[:-1]) * (u[1:] - u[:-1])
        return fluxes[1:] - fluxes[:-1]

    return along(a[:, 1:-1], u[:, 1:-1]) + along(a[1:-1].T, u[1:-1].T).T


def _central_divergence(a: Float[Array, "n m"], u: Float[Array, "n m"]) -> Float[Array, "inner_n inner_m"]:
    """Return central differences of central differences at points two from the boundary, times the spacing squared."""

    def along(a, u):
        fluxes = a[1:-1] * (u[2:] - u[:-2]) / 2
        return (fluxes[2:] - fluxes[:-2]) / 2

    return along(a[:, 2:-2], u[:, 2:-2]) + along(a[2:-2].T, u[2:-2].T).T


def _solve(a: Float[np.ndarray, "n n"], source: Any = 1.0) -> Float[np.ndarray, "n n"]:
    r"""Solve $-\nabla \cdot (a \nabla u) = f$ with u = 0 on the boundary, from values of a at the points of a grid.

    Finite volumes around the points: the flux through the face between two of them has the harmonic mean of their
    coefficients, which makes it continuous where the coefficient jumps. Second order for smooth coefficients; about
    first order where they jump.

    Args:
        a: Coefficient at the points, boundary included; positive.
        source: f at all points, or one number.
    """
    n = len(a)
    inner = n - 2
    along_x = 2 * a[:-1, 1:-1] * a[1:, 1:-1] / (a[:-1, 1:-1] + a[1:, 1:-1])
    along_y = 2 * a[1:-1, :-1] * a[1:-1, 1:] / (a[1:-1, :-1] + a[1:-1, 1:])
    diagonal = along_x[:-1] + along_x[1:] + along_y[:, :-1] + along_y[:, 1:]
    # Rows of the grid follow each other: no link from the end of one to the start of the next.
    to_next = along_y[:, 1:].copy()
    to_next[:, -1] = 0.0
    next_row, next_point = -along_x[1:-1].ravel(), -to_next.ravel()[:-1]
    diagonals = [diagonal.ravel(), next_row, next_row, next_point, next_point]
    matrix = scipy.sparse.diags_array(diagonals, offsets=[0, inner, -inner, 1, -1]).tocsc()
    # Symmetric and diagonally dominant: no pivoting, and an ordering for symmetric matrices, halve time and memory.
    factors = scipy.sparse.linalg.splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    forces = np.broadcast_to(np.asarray(source, dtype=float), a.shape)[1:-1, 1:-1] / (n - 1) ** 2
    u = np.zeros_like(a)
    u[1:-1, 1:-1] = factors.solve(forces.ravel()).reshape(inner, inner)
    return u


def _interpolant(u: Float[np.ndarray, "n n"]) -> Any:
    points = np.linspace(0.0, 1.0, len(u))
    return RegularGridInterpolator((points, points), u, method="cubic")


def _refined(u: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "m m"]:
    """Interpolate to the grid of the reference."""
    points = np.linspace(0.0, 1.0, _CELLS + 1)
    return _interpolant(u)(tuple(np.meshgrid(points, points, indexing="ij")))
