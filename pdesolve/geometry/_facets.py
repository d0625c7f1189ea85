"""Closed boundaries of flat facets: segments in the plane, triangles in space.

Meshes and surfaces that are read from files have such a boundary. NumPy evaluates distances at many points, with a
search tree; JAX at one point, comparing all facets.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from ..errors import PdesolveError
from ._arrays import Compared, constant, namespace, norm
from ._rfunctions import magnitude
from ._simplices import Simplices
from .domain import Side

__all__ = ["Facets"]

_CHUNK = 2**12
_CELLS = 32
"""Cells along each axis whose sides are remembered."""


@dataclasses.dataclass(frozen=True, eq=False)
class Facets(Compared):
    """A closed boundary, oriented: its normals point outwards.

    Attributes:
        points: Nodes.
        nodes: Nodes of each facet: in the plane the inside is to the left, seen from outside they go counter-clockwise.
        labels: Number of each facet's part.
        parts: Names of the parts.
    """

    points: Float[np.ndarray, "n d"]
    nodes: Int[np.ndarray, "facets d"]
    labels: Int[np.ndarray, " facets"]
    parts: tuple[str, ...]

    @functools.cached_property
    def corners(self) -> Float[np.ndarray, "facets d d"]:
        """Corners of each facet."""
        return self.points[self.nodes]

    @functools.cached_property
    def measures(self) -> Float[np.ndarray, " facets"]:
        """Length or area of each facet."""
        return Simplices(self.corners).measures

    @functools.cached_property
    def normals(self) -> Float[np.ndarray, "facets d"]:
        """Outward unit normals."""
        return _normals(self.corners)

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Extremes of the corners."""
        return np.stack([self.corners.min(axis=(0, 1)), self.corners.max(axis=(0, 1))], axis=1)

    @functools.cached_property
    def extent(self) -> float:
        """Largest side of `bounds`."""
        return float(np.diff(self.bounds, axis=1).max())

    @property
    def volume(self) -> float:
        r"""Measure of the inside, by the divergence theorem: $\frac1d \oint x \cdot n$."""
        heights = np.sum((self.corners[:, 0] - self.points.mean(axis=0)) * self.normals, axis=1)
        return float(heights @ self.measures) / self.points.shape[1]

    def part_measure(self, part: str) -> float:
        """Length or area of a part."""
        return float(self.measures[self._chosen(part)].sum())

    def draw(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
        """Map the unit cube to points of a part and their normals."""
        chosen = self._chosen(part)
        points, facet = Simplices(self.corners[chosen]).draw(unit)
        return points, self.normals[chosen][facet]

    def check_closed(self, what: str) -> None:
        """Raise a `PdesolveError` unless each facet has, all around, exactly one neighbour of the same orientation."""
        ridges, forward = _ridges(self.nodes)
        found, numbers, counts = np.unique(np.sort(ridges, axis=1), axis=0, return_inverse=True, return_counts=True)
        both_ways = np.bincount(numbers.ravel(), np.where(forward, 1, -1), len(found)) == 0
        for wrong, problem in (
            (counts == 1, "is open: facets end at"),
            (counts > 2, "touches itself: more than two facets meet at"),
            (~both_ways, "has no consistent orientation: inside and outside change between the facets that meet at"),
        ):
            if wrong.any():
                place = self.points[found[np.argmax(wrong)]].mean(axis=0)
                others = f" and {wrong.sum() - 1} more places" if wrong.sum() > 1 else ""
                raise PdesolveError(f"{what} {problem} ({', '.join(f'{x:.6g}' for x in place)}){others}.")

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact distance, negative inside.

        Where the nearest point is not within a facet, the sign is that of the angle-weighted sum of the normals there.

        References:
            Baerentzen, Aanaes, IEEE Trans. Vis. Comput. Graph. 11 (2005) 243-253.
        """
        xp = namespace(points)
        shapes = _Shapes(*(constant(array, points) for array in self._shapes))
        if xp is np:
            nearest = self._nearest(points.reshape(-1, points.shape[-1])).reshape(points.shape[:-1])
        else:
            offsets, _ = _offset(jax.lax.stop_gradient(points)[..., None, :], shapes)
            nearest = xp.argmin(xp.sum(offsets**2, axis=-1), axis=-1)
        offset, feature = _offset(points, shapes.of(nearest))
        normals = constant(self._feature_normals, points)[nearest, feature]
        across = xp.sum(offset * normals, axis=-1)
        # Within a facet along its normal: unlike a norm, that is smooth across it.
        return xp.where(feature == 0, across, xp.where(across > 0, 1.0, -1.0) * norm(offset))

    def contain(self, points: Float[np.ndarray, "n d"], tolerance: float) -> Bool[np.ndarray, " n"]:
        """Say which points have a signed distance of at most `tolerance`, which is much smaller than the extent."""
        low, high = self.bounds.T
        count = self._sides.shape[0]
        cell = np.floor((points - low) / (high - low) * count)
        inside = ((cell >= 0) & (cell < count)).all(axis=1)
        side = np.where(inside, self._sides[tuple(np.clip(cell, 0, count - 1).astype(int).T)], -1)
        beyond = np.maximum(low - points, points - high).max(axis=1)
        close = (side == 0) | (~inside & (beyond <= max(tolerance, 0)))
        result = side > 0
        result[close] = self.signed_distance(points[close]) <= tolerance
        return result

    def near(
        self, points: Float[np.ndarray, "n d"], reach: Float[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Return pairs of a point and a facet, by number: all facets within reach of each point, and more."""
        centres, radii = self._trees.centres, self._trees.radii
        found = centres.query_ball_point(points, reach + radii.max(), return_sorted=False)
        counts = np.array([len(each) for each in found])
        point, facet = np.repeat(np.arange(len(points)), counts), np.concatenate([[], *found]).astype(int)
        within = np.linalg.norm(points[point] - centres.data[facet], axis=1) <= reach[point] + radii[facet]
        return point[within], facet[within]

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "everywhere"
    ) -> Float[Any, "*batch"]:
        r"""Return a function that vanishes on the part $\Gamma$, and is positive and analytic elsewhere.

        $$\varphi(x) = \frac{c}{\int_\Gamma |x - y|^{-d}\, dy}, \quad c = \pi \text{ in the plane, } 2 \pi
        \text{ in space},$$

        of slope 1 along the normals within the part. The integral over a facet is the angle under which it is seen
        over the height above it; facets in one plane are as one. Towards the rim of the part the slope grows to 2.

        References:
            Belyaev, Fayolle, Pasko, Comput.-Aided Des. 45 (2013) 523-528: L_p-distance fields, here with p = 1.
            Van Oosterom, Strackee, IEEE Trans. Biomed. Eng. 30 (1983) 125-126, for the solid angle.
        """
        xp, chosen = namespace(points), self._chosen(part)
        corners, normals = (constant(array[chosen], points) for array in (self.corners, self.normals))
        dimension = self.points.shape[1]
        size = constant((self.measures * (dimension - 1))[chosen], points)
        rays = corners - points[..., None, None, :]
        inwards = xp.sum(rays[..., 0, :] * normals, axis=-1)
        height = magnitude(-inwards if side == "outside" else inwards, self.extent)
        each = _height_per_angle(height, size, _cosine_part(rays)) / (dimension - 1)
        # Relative to the smallest, as on a facet the reciprocal is infinite.
        least, zero = xp.min(each, axis=-1, keepdims=True), each == 0
        ratios = xp.where(zero, 1.0, least / xp.where(zero, 1.0, each))
        return np.pi * (dimension - 1) * least[..., 0] / xp.sum(ratios, axis=-1)

    def _chosen(self, part: str) -> Int[np.ndarray, " m"]:
        return np.flatnonzero(self.labels == self.parts.index(part))

    @functools.cached_property
    def _feature_normals(self) -> Float[np.ndarray, "facets features d"]:
        """Normals of each facet, its edges in space, and its corners: sums over all facets that share them."""
        count, dimension = self.nodes.shape
        normals = np.repeat(self.normals, dimension, axis=0)
        at_corners = np.zeros_like(self.points)
        np.add.at(at_corners, self.nodes.ravel(), normals * _corner_angles(self.corners).reshape(-1, 1))
        features = [self.normals[:, None], at_corners[self.nodes]]
        if dimension == 3:
            ridges, _ = _ridges(self.nodes)
            _, numbers = np.unique(np.sort(ridges, axis=1), axis=0, return_inverse=True)
            at_edges = np.zeros((numbers.max() + 1, dimension))
            np.add.at(at_edges, numbers.ravel(), normals)
            features.insert(1, at_edges[numbers.ravel()].reshape(count, 3, 3))
        return np.concatenate(features, axis=1)

    @functools.cached_property
    def _shapes(self) -> "_Shapes":
        edges = np.roll(self.corners, -1, axis=1) - self.corners
        if edges.shape[1] == 2:  # a segment is its own only edge
            return _Shapes(self.corners, edges[:, :1], edges[:, :1], self.normals)
        return _Shapes(self.corners, edges, np.cross(self.normals[:, None], edges), self.normals)

    @functools.cached_property
    def _trees(self) -> "_Trees":
        centres = self.corners.mean(axis=1)
        radii = np.linalg.norm(self.corners - centres[:, None], axis=-1).max(axis=1)
        return _Trees(cKDTree(self.points[np.unique(self.nodes)]), cKDTree(centres), radii)

    @functools.cached_property
    def _sides(self) -> Int[np.ndarray, "*grid"]:
        """Cells of `bounds`: 1 where all is inside, -1 where all is outside, 0 where the boundary may pass."""
        dimension = self.points.shape[1]
        low, high = self.bounds.T
        sides = np.zeros((1,) * dimension, dtype=int)
        while sides.shape[0] < _CELLS:
            for axis in range(dimension):
                sides = np.repeat(sides, 2, axis=axis)
            unknown = np.argwhere(sides == 0)
            cell = (high - low) / sides.shape[0]
            distance = self.signed_distance(low + (unknown + 0.5) * cell)
            far = np.abs(distance) > 0.51 * np.linalg.norm(cell)
            sides[tuple(unknown[far].T)] = np.where(distance[far] < 0, 1, -1)
        return sides

    def _nearest(self, points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """Return the number of the facet nearest to each point."""
        parts = [self._nearest_few(points[i : i + _CHUNK]) for i in range(0, len(points), _CHUNK)]
        return np.concatenate([np.empty(0, int), *parts])

    def _nearest_few(self, points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        # No facet is farther than the nearest corner, nor nearer than its centre less its radius.
        owner, facet = self.near(points, self._trees.corners.query(points)[0] * (1 + 1e-12))
        offsets, _ = _offset(points[owner], self._shapes.of(facet))
        squares = np.sum(offsets**2, axis=1)
        order = np.lexsort((squares, owner))
        return facet[order][np.unique(owner[order], return_index=True)[1]]


class _Shapes(NamedTuple):
    """What the distance from facets needs, for each of them."""

    corners: Any
    edges: Any
    inwards: Any
    """Vectors in the plane of a triangle, square to its edges, to the inside; not used for segments."""
    normals: Any

    def of(self, facets: Any) -> "_Shapes":
        """Return those of some facets."""
        return _Shapes(*(array[facets] for array in self))


class _Trees(NamedTuple):
    """Search trees of the corners and of the centres of facets, and the radius of each facet around its centre."""

    corners: cKDTree
    centres: cKDTree
    radii: Float[np.ndarray, " facets"]


def _normals(corners: Float[np.ndarray, "facets d d"]) -> Float[np.ndarray, "facets d"]:
    first = corners[:, 1] - corners[:, 0]
    if corners.shape[-1] == 2:
        normals = np.column_stack([first[:, 1], -first[:, 0]])
    else:
        normals = np.cross(first, corners[:, 2] - corners[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _offset(points: Any, shapes: _Shapes) -> tuple[Any, Any]:
    """Return the vector from the nearest point of a facet to each point, and where that is.

    0 within the facet; then, in the order of `_feature_normals`, the edges of a triangle, and the corners.
    """
    xp, dimension = namespace(points), points.shape[-1]
    edges = shapes.edges
    from_corners = points[..., None, :] - shapes.corners[..., : edges.shape[-2], :]
    along = xp.sum(from_corners * edges, axis=-1) / xp.sum(edges * edges, axis=-1)
    to_edges = from_corners - xp.clip(along, 0.0, 1.0)[..., None] * edges
    across = xp.sum(from_corners[..., 0, :] * shapes.normals, axis=-1)[..., None] * shapes.normals
    if dimension == 2:
        to_edge, along, edge = to_edges[..., 0, :], along[..., 0], 0
        inside = (along > 0) & (along < 1)
    else:
        inside = xp.all(xp.sum(from_corners * shapes.inwards, axis=-1) > 0, axis=-1)
        edge = xp.argmin(xp.sum(to_edges**2, axis=-1), axis=-1)
        to_edge = xp.take_along_axis(to_edges, edge[..., None, None], axis=-2)[..., 0, :]
        along = xp.take_along_axis(along, edge[..., None], axis=-1)[..., 0]
    corner = 1 if dimension == 2 else 4  # the first one's number
    at_end = xp.where(along <= 0, corner + edge, corner + (edge + 1) % dimension)
    on_edge = xp.where((along > 0) & (along < 1), 1 + edge, at_end)
    return xp.where(inside[..., None], across, to_edge), xp.where(inside, 0, on_edge)


def _ridges(nodes: Int[np.ndarray, "facets d"]) -> tuple[Int[np.ndarray, "ridges k"], np.ndarray]:
    """Return where facets meet, `d` ridges each: nodes or edges, and whether each is passed forwards."""
    if nodes.shape[1] == 2:
        return nodes.reshape(-1, 1), np.tile([True, False], len(nodes))
    edges = np.stack([nodes, np.roll(nodes, -1, axis=1)], axis=-1).reshape(-1, 2)
    return edges, edges[:, 0] < edges[:, 1]


def _corner_angles(corners: Float[np.ndarray, "facets d d"]) -> Float[np.ndarray, "facets d"]:
    """Return the angle of each triangle at its corners; those of a segment weigh the same."""
    if corners.shape[-1] == 2:
        return np.ones(corners.shape[:2])
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    return np.arctan2(np.linalg.norm(np.cross(ahead, back), axis=-1), np.sum(ahead * back, axis=-1))


def _cosine_part(rays: Any) -> Any:
    """Return D, where the angle of a segment, or half that of a triangle, has the tangent height x size / D."""
    xp = namespace(rays)
    if rays.shape[-1] == 2:
        return xp.sum(rays[..., 0, :] * rays[..., 1, :], axis=-1)
    lengths, following = norm(rays), xp.roll(rays, -1, axis=-2)
    opposite = xp.roll(lengths, 1, axis=-1)
    return xp.prod(lengths, axis=-1) + xp.sum(xp.sum(rays * following, axis=-1) * opposite, axis=-1)


def _height_per_angle(height: Any, size: Any, cosine_part: Any) -> Any:
    """Return height / atan2(height size, cosine_part): analytic in the plane of a facet too, but for the facet."""
    xp = namespace(height)
    is_small = (cosine_part > 0) & ((height * size) ** 2 < 1e-3 * cosine_part**2)
    square = xp.where(is_small, height * size / xp.where(is_small, cosine_part, 1.0), 0.0) ** 2
    series = 1 - square * (1 / 3 - square * (1 / 5 - square * (1 / 7 - square / 9)))  # of arctan(z) / z
    # Negative round-off of the height would turn the angle to the other side.
    angle = xp.arctan2(xp.abs(height) * size, xp.where(is_small | (height == 0) & (cosine_part == 0), 1.0, cosine_part))
    return xp.where(is_small, cosine_part / (size * series), height / xp.where(angle == 0, 1.0, angle))
