"""Domains from mesh files of triangles or tetrahedra."""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import PdesolveError
from ._facets import Facets
from ._simplices import Simplices
from .faceted import AbstractFaceted

__all__ = ["MeshDomain"]

UNNAMED = "surface"
"""The part of facets without a name."""
_PIECES = {
    **dict.fromkeys(("triangle", "triangle6", "triangle7"), ((0, 1, 2),)),
    **dict.fromkeys(("quad", "quad8", "quad9"), ((0, 1, 2), (0, 2, 3))),
    **dict.fromkeys(("tetra", "tetra10"), ((0, 1, 2, 3),)),
}
"""Corners of the simplices that a cell consists of, by meshio's names; nodes on curved edges are left out."""
_SOLIDS = ("hexahedron", "wedge", "pyramid")
_FACETS = {
    2: ((0, 1), (1, 2), (2, 0)),
    3: ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)),
}
"""Facets of a simplex of positive orientation, by dimension, as `Facets` orders them."""
_FACET_KINDS = {2: ("line", "line3"), 3: ("triangle", "triangle6", "triangle7")}
_TAGS = ("gmsh:physical", "medit:ref")
"""Cell data of integers, by which files without names tell parts of the boundary."""


class MeshDomain(AbstractFaceted):
    """The cells of a mesh file: triangles or quadrilaterals in the plane, tetrahedra in space.

    The boundary is found from the cells. Its parts are the file's named groups of boundary cells (Gmsh's physical
    groups, cell sets); numbered groups are `part_1`, ..., and all else is `surface`. Curved cells are taken as
    straight. Reading needs meshio, which knows .msh, .vtu, .xdmf, .mesh, .inp and others.

    Args:
        file: Path of the file.
        coordinates: Names of the coordinates; the first of `x`, `y`, `z` where not given.

    Raises:
        PdesolveError: If meshio is missing, the file cannot be read or holds no mesh of a plane or solid domain, its
            cells overlap or are degenerate, groups overlap, or `coordinates` has another dimension.
    """

    file: str = eqx.field(static=True)
    elements: Simplices = eqx.field(static=True)
    facets: Facets = eqx.field(static=True)
    coordinates: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, file: str | os.PathLike, coordinates: Sequence[str] | None = None):
        self.file = os.fspath(file)
        self.elements, self.facets = _read(self.file, stamp(self.file))
        dimension = self.elements.axes
        self.coordinates = tuple("xyz"[:dimension] if coordinates is None else coordinates)

    def __check_init__(self):
        if len(self.coordinates) != self.elements.axes:
            raise PdesolveError(
                f"{self.file} is a mesh in {self.elements.axes} dimensions, got coordinates {self.coordinates}."
            )

    def __repr__(self) -> str:
        return f"MeshDomain({self.file!r}, {len(self.elements.corners)} elements, {self.coordinates})"

    @property
    def measure(self) -> float:
        """Sum over the elements."""
        return float(self.elements.measures.sum())

    @property
    def interior_axes(self) -> int:
        """Those of an element."""
        return self.dimension

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Points of the elements, which are all inside."""
        points, _ = self.elements.draw(unit)
        return points, np.ones(len(unit), dtype=bool)


def stamp(file: str) -> tuple[int, int]:
    """Return what changes when a file does.

    Raises:
        PdesolveError: If there is no such file.
    """
    path = Path(file)
    if not path.is_file():
        raise PdesolveError(f"there is no file {file!r} (in {Path.cwd()}).")
    return path.stat().st_mtime_ns, path.stat().st_size


@functools.lru_cache(maxsize=16)
def _read(file: str, stamp: tuple[int, int]) -> tuple[Simplices, Facets]:
    """Read elements and boundary, once for each state of the file: problems ask for their domain often."""
    try:
        import meshio
    except ImportError as error:
        raise PdesolveError("mesh files need meshio: pip install 'pdesolve[mesh]'.") from error
    try:
        mesh = meshio.read(file)
    except (Exception, SystemExit) as error:  # its readers raise anything, and end the process for unknown formats
        reason = "it is not of the format its name says" if isinstance(error, SystemExit) else str(error).rstrip(".")
        raise PdesolveError(f"{file} cannot be read as a mesh: {reason}.") from error
    cells = _cells(file, [block.type for block in mesh.cells], [block.data for block in mesh.cells])
    dimension = cells.shape[1] - 1
    points, numbers = _points(file, mesh.points, dimension)
    cells = _oriented(file, points, numbers[cells])
    elements = Simplices(points[cells])
    sides = cells[:, np.array(_FACETS[dimension])].reshape(-1, dimension)
    _, first, counts = np.unique(np.sort(sides, axis=1), axis=0, return_index=True, return_counts=True)
    nodes = sides[np.sort(first[counts == 1])]
    facets = Facets(points, nodes, *_labels(file, nodes, list(_groups(mesh, dimension, numbers))))
    volume = float(elements.measures.sum())
    # The facets between two cells cancel if these are on different sides.
    if counts.max() > 2 or abs(facets.volume - volume) > 1e-9 * volume:
        raise PdesolveError(f"cells of {file} overlap.")
    facets.check_closed(f"the boundary of {file}")
    return elements, facets


def _cells(file: str, kinds: list[str], nodes: list[np.ndarray]) -> Int[np.ndarray, "cells corners"]:
    """Return the cells of the highest dimension, divided into simplices."""
    if solid := [kind for kind in kinds if kind.startswith(_SOLIDS)]:
        raise PdesolveError(f"{file} has cells of kind {solid[0]!r}. In space only tetrahedra are read: divide them.")
    sizes = {kind: len(_PIECES[kind][0]) for kind in kinds if kind in _PIECES}
    if not sizes:
        found = ", ".join(sorted(set(kinds))) or "none"
        raise PdesolveError(f"{file} has no triangles, quadrilaterals or tetrahedra; its cells are: {found}.")
    highest = max(sizes.values())
    chosen = [(kind, data) for kind, data in zip(kinds, nodes, strict=True) if sizes.get(kind) == highest]
    return np.concatenate([data[:, list(piece)] for kind, data in chosen for piece in _PIECES[kind]])


def _points(
    file: str, points: Float[np.ndarray, "n columns"], dimension: int
) -> tuple[Float[np.ndarray, "m d"], Int[np.ndarray, " n"]]:
    """Return the distinct nodes, and the number of each node among them."""
    points = np.asarray(points, dtype=np.float64)
    if not np.isfinite(points).all():
        raise PdesolveError(f"{file} has nodes that are not finite.")
    beyond = np.ptp(points[:, dimension:], axis=0)
    if (beyond > 1e-9 * np.ptp(points, axis=0).max()).any():
        raise PdesolveError(
            f"{file} is a surface in space: its triangles do not lie in a plane of constant z. As a domain, give a "
            "mesh of tetrahedra, or a closed surface to SurfaceDomain."
        )
    distinct, numbers = np.unique(points[:, :dimension], axis=0, return_inverse=True)
    return distinct, numbers.ravel()


def _oriented(
    file: str, points: Float[np.ndarray, "n d"], cells: Int[np.ndarray, "cells corners"]
) -> Int[np.ndarray, "cells corners"]:
    """Return the cells with positive orientation."""
    corners = points[cells]
    volumes = np.linalg.det(corners[:, 1:] - corners[:, :1])
    extent = np.ptp(corners, axis=1).max(axis=1)
    flat = np.abs(volumes) <= 1e-12 * extent ** points.shape[1]
    if flat.any():
        place = corners[np.argmax(flat)].mean(axis=0)
        where = ", ".join(f"{x:.6g}" for x in place)
        raise PdesolveError(f"{file} has {flat.sum()} cells without volume, one at ({where}).")
    swapped = cells.copy()
    swapped[:, :2] = cells[:, 1::-1]
    return np.where((volumes > 0)[:, None], cells, swapped)


def _groups(
    mesh: Any, dimension: int, numbers: Int[np.ndarray, " n"]
) -> Iterator[tuple[str, Int[np.ndarray, "cells d"]]]:
    """Return name and corners of the file's groups of cells of one dimension less: sets, else numbers."""
    kinds = _FACET_KINDS[dimension]
    sets = {name: of_blocks for name, of_blocks in mesh.cell_sets.items() if not name.startswith("gmsh:")}
    tags = next((mesh.cell_data[name] for name in _TAGS if name in mesh.cell_data), [()] * len(mesh.cells))
    names = {int(tag): name for name, (tag, of) in mesh.field_data.items() if of == dimension - 1}
    for index, block in enumerate(mesh.cells):
        if block.type not in kinds:
            continue
        corners = numbers[block.data[:, :dimension]]
        for name, of_blocks in sets.items():
            if of_blocks[index] is not None and len(of_blocks[index]):
                yield name, corners[np.asarray(of_blocks[index], dtype=int)]
        for tag in [] if sets else np.unique(tags[index]):
            if tag != 0:  # which means no group
                yield names.get(int(tag), f"part_{int(tag)}"), corners[tags[index] == tag]


def _labels(
    file: str, nodes: Int[np.ndarray, "facets d"], groups: list[tuple[str, Int[np.ndarray, "cells d"]]]
) -> tuple[Int[np.ndarray, " facets"], tuple[str, ...]]:
    """Return the number of each facet's part, and the names of the parts."""
    numbers = {tuple(facet): i for i, facet in enumerate(np.sort(nodes, axis=1).tolist())}
    owners: dict[int, str] = {}
    for name, corners in groups:
        for facet in {numbers.get(tuple(key), -1) for key in np.sort(corners, axis=1).tolist()} - {-1}:
            if owners.setdefault(facet, name) != name:
                raise PdesolveError(f"{file}: groups {owners[facet]!r} and {name!r} share a boundary facet.")
    if "boundary" in owners.values():
        if set(owners.values()) != {"boundary"} or len(owners) < len(nodes):
            raise PdesolveError(f"{file}: a group is named 'boundary', which means all of the boundary. Rename it.")
        owners = {}
    parts = tuple(dict.fromkeys([name for name, _ in groups if name in owners.values()]))
    if len(owners) < len(nodes) and UNNAMED not in parts:
        parts = (*parts, UNNAMED)
    return np.array([parts.index(owners.get(i, UNNAMED)) for i in range(len(nodes))]), parts
