"""Poisson equation on a square of 25 blocks, whose conductivities differ by factors of up to seven hundred."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    reference_error,
    refine,
    robin,
)

from ._legendre import piecewise, quadrature

__all__ = ["Poisson2DMS"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
HALF, BLOCKS = 10.0, 5
"""Half the side of the square; blocks along each axis."""

_CONDUCTIVITIES = (
    (46.117281846004595, 0.5973282397508773, 0.2922707008032916, 1.2627643278519682, 0.1445619574453011),
    (12.718149378248704, 1.469752865936043, 82.58022927071507, 0.2361176441062403, 0.3212575290274077),
    (0.9870683201679841, 9.056933162287834, 87.93603552969871, 0.1319132004739979, 66.24847847880773),
    (6.940130414049874, 1.714366236984487, 1.8829439440403082, 0.4777548052929814, 12.26775752466596),
    (65.95315787500161, 22.765143221950005, 5.149506313776846, 10.517296776784882, 6.485008302512252),
)
"""a of block (i, j): row i counts along x, column j along y; as published."""
_CONSTANTS = (
    (-0.5391451339174334, -0.37767988197220426, 0.9593886703936261, 0.23957922898978157, 0.5298502749299698),
    (-0.8754224820707621, 0.9200585931204495, 0.23021761805546537, 0.12641909980552346, -0.8055525847477567),
    (0.3118253907685582, -0.12397612647555611, 0.7558861904907601, -0.056908056486426606, -0.9684977429591932),
    (-0.40548048860163144, 0.8928609403540844, 0.43945794587101306, -0.8037995611915099, 0.5087799884089677),
    (0.6356459773622063, -0.4348195748336037, -0.8323420891272051, -0.7788386072361289, 0.17857871151479476),
)
"""c of block (i, j)."""
_AMPLITUDES = (
    (-0.8293750991442563, 0.11428219640984527, 0.5864437428634874, -0.9370950282229811, 0.4247310664350792),
    (0.47791742194445397, -0.3690794062414746, 0.33962814440203126, 0.3241248028455903, 0.2652650222705293),
    (0.6630159896177754, -0.07972028704590484, -0.7603944602751065, 0.10513150314588171, -0.05864701654304283),
    (0.07613801587080071, -0.18601996978475244, 0.04905802665994141, -0.41341084017007623, 0.22480583646046326),
    (-0.7825124246306441, -0.6358456144333433, 0.8846090061418594, 0.6774740623099118, -0.9848308394349559),
)
"""d of block (i, j)."""


class Poisson2DMS(AbstractProblem):
    r"""Poisson equation on a square of 25 blocks with sources and conductivities of their own.

    $$a \Delta u + f = 0 \text{ on } (-10, 10)^2, \quad \frac{\partial u}{\partial n} = -u \text{ on the sides}.$$

    On each of 5 x 5 equal blocks a is a constant between 0.13 and 88, and $f = c + d \sin \pi \xi \sin \pi \eta$, where
    $\xi$ and $\eta$ run from 0 to 1 across the block. As a stands outside the derivatives, u and its gradient are
    continuous; second derivatives jump between blocks. All quantities are nondimensional.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem Poisson 2d-MS, with its coefficients.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def domain(self) -> Box:
        """The square of side 20."""
        return Box({"x": (-HALF, HALF), "y": (-HALF, HALF)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Divided by the conductivity, so that blocks differ less."""
        return {"poisson": -laplacian(fields.u) - source(at.x, at.y, jnp)}

    def conditions(self) -> tuple[Condition, ...]:
        """The outward flux is the value."""
        return tuple(robin(side, {"u": (1.0, 1.0, 0.0)}) for side in SIDES)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """The range of the solution, rounded."""
        return {"u": (-7.0, 18.0)}

    def reference(self) -> Reference:
        """Spectral elements, one for each block; the error bound is the distance to a coarser solution."""
        solution, bound, degree = _reference()
        return Reference(
            lambda points: {"u": solution(points)}, bound, f"spectral elements of degree {degree} on the blocks"
        )

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, with as low a degree as the tolerance allows."""

        def solve(degree: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
            solution = _galerkin(degree)
            return lambda points: {"u": solution(points)}

        return refine(
            solve,
            (2, 3, 4, 5, 6, 8, 10, 12, 16),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="spectral elements on the blocks, diagonalised along each axis",
        )

    def recipe(self) -> Recipe:
        """A small network; the conditions are loss terms."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=2048, boundary=128),
            stages=(StageConfig("levenberg_marquardt", seconds=90.0),),
            grid={"x": 101, "y": 101},
        )


def source(x: Any, y: Any, xp: Any = np) -> Any:
    """Return f / a at points, in NumPy or JAX; on a line between blocks that of the block beyond."""
    place = [(value + HALF) * (BLOCKS / (2 * HALF)) for value in (x, y)]
    i, j = (xp.clip(xp.floor(value), 0, BLOCKS - 1).astype(int) for value in place)
    wave = xp.sin(math.pi * (place[0] - i)) * xp.sin(math.pi * (place[1] - j))
    a, c, d = (xp.asarray(table)[i, j] for table in (_CONDUCTIVITIES, _CONSTANTS, _AMPLITUDES))
    return (c + d * wave) / a


@functools.lru_cache(maxsize=1)
def _reference() -> tuple[Callable, float, int]:
    """The solution, and its distance to one of a lower degree at random points."""
    degree = 24
    fine, coarse = _galerkin(degree), _galerkin(degree - 6)
    points = np.random.default_rng(0).uniform(-HALF, HALF, (1000, 2))
    expected = fine(points)
    return fine, max(float(np.linalg.norm(coarse(points) - expected) / np.linalg.norm(expected)), 1e-13), degree


def _galerkin(degree: int) -> Callable[[np.ndarray], np.ndarray]:
    r"""Solve $(\nabla u, \nabla v) + \oint u v = (f / a, v)$ in products of piecewise polynomials of the degree.

    Along each axis stand the matrices $M = (v, v)$ and $K = (v', v')$ + the products of values at both ends; with
    their eigenvectors, $K V = M V \Lambda$, the solution is a division by sums of eigenvalues.
    """
    edges = np.linspace(-HALF, HALF, BLOCKS + 1)
    x, w = quadrature(edges, degree + 12)
    values, slopes = piecewise(x, edges, degree)
    ends = piecewise(edges[[0, -1]], edges, degree)[0]
    mass = values.T @ (w[:, None] * values)
    eigenvalues, vectors = scipy.linalg.eigh(slopes.T @ (w[:, None] * slopes) + ends.T @ ends, mass)
    modes = values @ vectors * w[:, None]
    load = modes.T @ source(x[:, None], x[None]) @ modes
    weights = vectors @ (load / (eigenvalues[:, None] + eigenvalues[None])) @ vectors.T

    def evaluate(points):
        along_x, along_y = (piecewise(points[:, axis], edges, degree)[0] for axis in (0, 1))
        return ((along_x @ weights) * along_y).sum(axis=1)

    return evaluate
