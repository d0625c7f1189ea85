"""Domains inside closed surfaces of triangles, as STL files hold them."""

import functools
import os
from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import PdesolveError
from ._facets import Facets
from .faceted import AbstractFaceted
from .mesh import UNNAMED, stamp

__all__ = ["SurfaceDomain"]

_CHUNK = 2**11
# Lengths below this part of the extent are taken for zero where triangles are tested for crossing.
_TOLERANCE = 1e-9


class SurfaceDomain(AbstractFaceted):
    """The inside of a closed surface of triangles in space, of an STL file for instance.

    Corners that coincide are one; normals point outwards whichever way the file orders the corners. Reading needs
    trimesh, which knows .stl, .obj, .ply, .off and others.

    Args:
        file: Path of the file.
        coordinates: Names of the three coordinates.
        part: Name of the only boundary part.

    Raises:
        PdesolveError: If trimesh is missing, the file cannot be read, the surface is open, intersects itself, has no
            consistent orientation or degenerate triangles, or there are not three coordinates.
    """

    file: str = eqx.field(static=True)
    facets: Facets = eqx.field(static=True)
    coordinates: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, file: str | os.PathLike, coordinates: Sequence[str] = ("x", "y", "z"), *, part: str = UNNAMED):
        self.file = os.fspath(file)
        self.coordinates = tuple(coordinates)
        self.facets = _read(self.file, stamp(self.file), part)

    def __check_init__(self):
        if len(self.coordinates) != 3:
            raise PdesolveError(f"{self.file} is a surface in three dimensions, got coordinates {self.coordinates}.")

    def __repr__(self) -> str:
        return f"SurfaceDomain({self.file!r}, {len(self.facets.nodes)} triangles, {self.coordinates})"

    @property
    def measure(self) -> float:
        """Volume, by the divergence theorem."""
        return self.facets.volume

    @property
    def interior_axes(self) -> int:
        """Three."""
        return 3

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Points of the bounding box."""
        low, high = self.bounds.T
        points = low + (high - low) * unit
        return points, self.facets.contain(points, 0.0)


@functools.lru_cache(maxsize=16)
def _read(file: str, stamp: tuple[int, int], part: str) -> Facets:
    """Read and check a surface, once for each state of the file: problems ask for their domain often."""
    try:
        import trimesh
    except ImportError as error:
        raise PdesolveError("surfaces from files need trimesh: pip install 'pdesolve[mesh]'.") from error
    try:
        mesh = trimesh.load_mesh(file, process=True)
        points, nodes = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=int)
    except Exception as error:  # its readers raise anything
        raise PdesolveError(f"{file} cannot be read as a surface: {str(error).rstrip('.')}.") from error
    # A triangle two of whose corners are one node is an edge, and leaves no gap.
    nodes = nodes[[len(set(corners)) == 3 for corners in nodes.tolist()]]
    if not len(nodes):
        raise PdesolveError(f"{file} cannot be read as a surface: it has no triangles.")
    facets = Facets(points, nodes, np.zeros(len(nodes), int), (part,))
    if (flat := facets.measures <= _TOLERANCE**2 * facets.extent**2).any():
        place = ", ".join(f"{x:.6g}" for x in facets.corners[np.argmax(flat)].mean(axis=0))
        raise PdesolveError(f"{file} has {flat.sum()} triangles without area, one at ({place}).")
    facets.check_closed(f"the surface of {file}")
    if (crossing := _crossing(facets)) is not None:
        place = ", ".join(f"{x:.6g}" for x in crossing)
        raise PdesolveError(f"the surface of {file} intersects itself, for instance at ({place}).")
    return facets if facets.volume > 0 else Facets(points, nodes[:, ::-1], facets.labels, (part,))


def _crossing(facets: Facets) -> Float[np.ndarray, "3"] | None:
    """Return a point where an edge passes through a triangle that has neither of its ends, or None."""
    edges = np.unique(np.sort(facets.nodes[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    low, high = facets.corners.min(axis=1), facets.corners.max(axis=1)
    for start in range(0, len(edges), _CHUNK):
        chosen = edges[start : start + _CHUNK]
        ends = facets.points[chosen]
        edge, triangle = facets.near(ends.mean(axis=1), np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 2)
        ends, chosen = ends[edge], chosen[edge]
        overlap = (ends.min(axis=1) <= high[triangle]) & (low[triangle] <= ends.max(axis=1))
        apart = ~(chosen[:, :, None] == facets.nodes[triangle][:, None]).any(axis=(1, 2))
        possible = apart & overlap.all(axis=1)
        found = _passes(facets, ends[possible], triangle[possible])
        if len(found):
            return found[0]
    return None


def _passes(
    facets: Facets, ends: Float[np.ndarray, "n 2 3"], triangle: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "m 3"]:
    """Return the points where segments pass through the inside of triangles."""
    corners, normals = facets.corners[triangle], facets.normals[triangle]
    heights = np.einsum("nij,nj->ni", ends - corners[:, :1], normals)
    tiny = _TOLERANCE * facets.extent
    through = (np.abs(heights) > tiny).all(axis=1) & (heights.prod(axis=1) < 0)
    corners, normals, heights, ends = corners[through], normals[through], heights[through], ends[through]
    share = heights[:, :1] / (heights[:, :1] - heights[:, 1:])
    points = ends[:, 0] + share * (ends[:, 1] - ends[:, 0])
    edges = np.roll(corners, -1, axis=1) - corners
    inwards = np.cross(normals[:, None], edges) / np.linalg.norm(edges, axis=-1, keepdims=True)
    return points[(np.sum((points[:, None] - corners) * inwards, axis=-1) > tiny).all(axis=1)]
