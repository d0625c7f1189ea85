"""A body to be loaded: a mesh, where it is held, what pulls at it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import skfem
from jaxtyping import Float

__all__ = ["Body", "Support", "Traction", "patches"]

Where = Callable[[Float[np.ndarray, "2 n"]], np.ndarray]
"""Coordinates of points, shape `(2, n)`, to truth values `(n,)`."""


@dataclasses.dataclass(frozen=True)
class Support:
    """One component of the displacement prescribed at the nodes where `where` is true.

    Attributes:
        where: Selects nodes by their coordinates.
        component: 0 for the displacement along x, 1 along y.
        value: Coordinates `(2, n)` to values `(n,)` under full load, in mm; zero if not given.
    """

    where: Where
    component: int
    value: Callable[[Float[np.ndarray, "2 n"]], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Traction:
    """A uniform traction under full load, in MPa, on the facets of the boundary whose midpoints `where` selects."""

    where: Where
    vector: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Body:
    """A plane body of unit thickness in plane strain, lengths in mm.

    Attributes:
        mesh: Quadrilaterals or triangles; elements are quadratic.
        supports: Prescribed displacements.
        tractions: Loads on the boundary.
        body_force: Coordinates of shape `(2, ...)` to forces per volume of the same shape, in N/mm^3.
    """

    mesh: skfem.MeshQuad | skfem.MeshTri
    supports: tuple[Support, ...]
    tractions: tuple[Traction, ...] = ()
    body_force: Callable[[np.ndarray], np.ndarray] | None = None


def patches(
    maps: tuple[Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], ...], cells: tuple[int, int]
) -> skfem.MeshQuad:
    """Return a mesh of images of the unit square, each cut into the same number of cells, joined where they meet.

    Args:
        maps: Each takes (s, t) in the unit square to (x, y), anticlockwise.
        cells: Number of cells along s and along t.
    """
    square = skfem.MeshQuad.init_tensor(*(np.linspace(0.0, 1.0, n + 1) for n in cells))
    points = np.concatenate([np.stack(image(*square.p)) for image in maps], axis=1)
    quads = np.concatenate([square.t + k * square.p.shape[1] for k in range(len(maps))], axis=1)
    # Nodes at which patches meet differ by rounding only.
    scale = np.abs(points).max()
    _, first, inverse = np.unique(np.round(points / scale, 9), axis=1, return_index=True, return_inverse=True)
    return skfem.MeshQuad(np.ascontiguousarray(points[:, first]), np.ascontiguousarray(inverse.reshape(-1)[quads]))
