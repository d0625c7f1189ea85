"""Simple polygons in the plane."""

import functools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import PdesolveError
from ._arrays import constant, namespace, norm
from ._facets import Facets
from ._rfunctions import magnitude
from .domain import AbstractDomain, Side

__all__ = ["Polygon"]


class Polygon(AbstractDomain):
    """The inside of a closed chain of straight edges, convex or not, in either orientation.

    Its boundary parts are `edge_0`, from the first vertex to the second, `edge_1`, ...

    Args:
        vertices: At least three points; the last is joined to the first.
        coordinates: Names of the two coordinates.

    Raises:
        PdesolveError: If there are fewer than three vertices, two neighbours coincide, or edges meet elsewhere than
            at the vertex they share.
    """

    vertices: tuple[tuple[float, float], ...] = eqx.field(static=True)
    coordinates: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, vertices: Sequence[tuple[float, float]], coordinates: Sequence[str] = ("x", "y")):
        array = np.asarray(vertices, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
            raise PdesolveError(f"expected vertices of shape (n, 2), n at least 3; got {array.shape}.")
        self.vertices = tuple((x, y) for x, y in array.tolist())
        self.coordinates = tuple(coordinates)

    def __check_init__(self):
        if len(self.coordinates) != 2:
            raise PdesolveError(f"a Polygon has two coordinates, got {self.coordinates}.")
        starts, edges = self._edges()
        if not np.isfinite(starts).all():
            raise PdesolveError("vertices must be finite.")
        if (empty := np.flatnonzero(~edges.any(axis=1))).size:
            raise PdesolveError(f"edge_{empty[0]} has no length: its vertices coincide. Leave one out.")
        if (crossing := _crossing(starts, edges)) is not None:
            first, second = crossing
            raise PdesolveError(f"the polygon intersects itself: edge_{first} meets edge_{second}.")

    def __repr__(self) -> str:
        return f"Polygon({len(self.vertices)} vertices from {self.vertices[0]}, {self.coordinates})"

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Extremes of the vertices."""
        vertices = np.array(self.vertices)
        return np.column_stack([vertices.min(axis=0), vertices.max(axis=0)])

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """`edge_0`, `edge_1`, ..."""
        return tuple(f"edge_{i}" for i in range(len(self.vertices)))

    @property
    def measure(self) -> float:
        """Area, by the shoelace formula."""
        return abs(self._signed_area())

    def part_measure(self, part: str) -> float:
        """Length of the edge."""
        _, edges = self._edges()
        return float(np.linalg.norm(edges[self._index(part)]))

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact distance, from the nearest edge or vertex."""
        xp = namespace(points)
        starts, edges = (constant(array, points) for array in self._edges())
        offsets = points[..., None, :] - starts
        along = xp.sum(offsets * edges, axis=-1) / xp.sum(edges * edges, axis=-1)
        to_foot = norm(offsets - xp.clip(along, 0.0, 1.0)[..., None] * edges)
        # Where the foot is inside an edge the distance is measured along the normal: unlike a norm, that is smooth
        # across the edge, and its sign is that of the side. At a vertex the sign is found by counting crossings.
        across = xp.sum(offsets * constant(self._normals(), points), axis=-1)
        sign = xp.where(self._winds_around(offsets, edges), -1.0, 1.0)[..., None]
        candidates = xp.where((along > 0) & (along < 1), across, sign * to_foot)
        nearest = xp.abs(candidates) == xp.min(xp.abs(candidates), axis=-1, keepdims=True)
        return xp.sum(xp.where(nearest, candidates, 0.0), axis=-1) / xp.sum(nearest, axis=-1)

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """Distance to the line of the edge if the polygon is on one side of it, else as in `Facets.part_distance`."""
        index = self._index(part)
        heights = (np.array(self.vertices) - self.vertices[index]) @ self._normals()[index]
        touching = np.abs(heights) <= 1e-9 * self.extent
        # A line through further vertices, in line with the edge, would vanish on their edges too.
        if side != "inside" or touching.sum() > 2 or (heights[~touching] > 0).any():
            return _facets(self.vertices).part_distance(part, points, side=side)
        offsets = points - constant(self.vertices[index], points)
        return magnitude(
            -namespace(points).sum(offsets * constant(self._normals()[index], points), axis=-1), self.extent
        )

    @property
    def interior_axes(self) -> int:
        """Two."""
        return 2

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Points of the bounding box."""
        low, high = self.bounds.T
        points = low + (high - low) * unit
        return points, self.contains(points)

    def boundary_axes(self, part: str) -> int:
        """One, along the edge."""
        return 1

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Points along the edge."""
        index = self._index(part)
        starts, edges = self._edges()
        points = starts[index] + unit * edges[index]
        return points, np.tile(self._normals()[index], (len(unit), 1)), np.ones(len(unit), dtype=bool)

    def _index(self, part: str) -> int:
        self.check_part(part)
        return self.boundary_parts.index(part)

    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first vertex of each edge, and the vector to its second."""
        starts = np.array(self.vertices)
        return starts, np.roll(starts, -1, axis=0) - starts

    def _signed_area(self) -> float:
        """Return the area, positive where the vertices go counter-clockwise."""
        starts, edges = self._edges()
        # Relative to one vertex, so that a polygon far from the origin loses no digits.
        return 0.5 * float(np.sum(_cross(starts - starts[0], edges)))

    def _normals(self) -> np.ndarray:
        """Return the outward unit normal of each edge."""
        _, edges = self._edges()
        right = np.column_stack([edges[:, 1], -edges[:, 0]])
        return np.sign(self._signed_area()) * right / np.linalg.norm(right, axis=1, keepdims=True)

    @staticmethod
    def _winds_around(offsets: Any, edges: Any) -> Any:
        """Say whether a ray in the direction of the first coordinate crosses an odd number of edges."""
        xp = namespace(offsets)
        start, step = offsets[..., 1], edges[..., 1]
        spans = (start < 0) != (start < step)
        to_right = offsets[..., 0] < edges[..., 0] * start / xp.where(step == 0, 1.0, step)
        return xp.sum(spans & to_right, axis=-1) % 2 == 1


@functools.lru_cache(maxsize=128)
def _facets(vertices: tuple[tuple[float, float], ...]) -> Facets:
    """Return the edges as facets, each a part."""
    polygon, count = Polygon(vertices), len(vertices)
    nodes = np.column_stack([np.arange(count), np.roll(np.arange(count), -1)])
    ahead = polygon._signed_area() > 0
    return Facets(np.array(vertices), nodes if ahead else nodes[:, ::-1], np.arange(count), polygon.boundary_parts)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _crossing(starts: np.ndarray, edges: np.ndarray) -> tuple[int, int] | None:
    """Return the first pair of edges that meet elsewhere than at a shared vertex, or None."""
    count, ends = len(starts), starts + edges
    following = np.roll(edges, -1, axis=0)
    turns_back = (_cross(edges, following) == 0) & (np.sum(edges * following, axis=1) < 0)
    if turns_back.any():
        first = int(np.flatnonzero(turns_back)[0])
        return first, (first + 1) % count
    for i in range(count - 2):
        # All later edges but the two neighbours.
        others = np.arange(i + 2, count - 1 if i == 0 else count)
        a, b, c, d = starts[i], ends[i], starts[others], np.roll(starts, -1, axis=0)[others]
        boxes_overlap = np.all((np.minimum(c, d) <= np.maximum(a, b)) & (np.minimum(a, b) <= np.maximum(c, d)), axis=1)
        astride = (_cross(b - a, c - a) * _cross(b - a, d - a) <= 0) & (
            _cross(d - c, a - c) * _cross(d - c, b - c) <= 0
        )
        if (boxes_overlap & astride).any():
            return i, int(others[np.flatnonzero(boxes_overlap & astride)[0]])
    return None
