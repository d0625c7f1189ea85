"""Boxes of any dimension: intervals, rectangles, cuboids."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import PdesolveError
from ._arrays import constant, namespace, norm
from ._rfunctions import conjunction, inside_interval, magnitude, trim
from .domain import AbstractDomain, Side

__all__ = ["Box"]


class Box(AbstractDomain):
    """The product of intervals, e.g. `Box({"x": (-1, 1), "y": (0, 2)})`.

    Its boundary parts are `x_min`, `x_max`, `y_min`, ...; in one dimension each is a single point.

    Args:
        bounds: Coordinate name to (low, high), in the order of a point's entries.

    Raises:
        PdesolveError: If there is no coordinate, or low < high does not hold for one.
    """

    coordinates: tuple[str, ...] = eqx.field(static=True)
    limits: tuple[tuple[float, float], ...] = eqx.field(static=True)

    def __init__(self, bounds: Mapping[str, tuple[float, float]]):
        self.coordinates = tuple(bounds)
        self.limits = tuple((float(low), float(high)) for low, high in bounds.values())

    def __check_init__(self):
        if not self.coordinates:
            raise PdesolveError("a Box needs at least one coordinate, e.g. Box({'x': (0, 1)}).")
        for axis, (low, high) in zip(self.coordinates, self.limits, strict=True):
            if not (low < high and np.isfinite(high - low)):
                raise PdesolveError(f"bounds of {axis!r} must be finite and have low < high, got ({low}, {high}).")

    def __repr__(self) -> str:
        bounds = dict(zip(self.coordinates, self.limits, strict=True))
        return f"Box({bounds})"

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """The box itself."""
        return np.array(self.limits)

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """`x_min`, `x_max`, `y_min`, ... in the order of the coordinates."""
        return tuple(f"{axis}_{end}" for axis in self.coordinates for end in ("min", "max"))

    @property
    def measure(self) -> float:
        """Product of the sides."""
        return float(np.prod(np.diff(self.bounds, axis=1)))

    def part_measure(self, part: str) -> float:
        """Product of the other sides; 1 for an end of an interval."""
        axis, _ = self._face(part)
        return float(np.prod(np.delete(np.diff(self.bounds, axis=1), axis)))

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact distance, inside and outside."""
        xp = namespace(points)
        low, high = constant(self.bounds.T, points)
        excess = xp.maximum(low - points, points - high)
        largest = xp.max(excess, axis=-1)
        # A choice of branch, not the usual sum of two terms, whose gradient is halved on the boundary itself.
        return xp.where(largest > 0, norm(xp.maximum(excess, 0.0)), largest)

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """Distance to the plane of the face."""
        axis, end = self._face(part)
        inwards = (1 - 2 * end) * (points[..., axis] - self.limits[axis][end])
        height = magnitude(-inwards if side == "outside" else inwards, self.extent)
        beside = [inside for other, inside in enumerate(self._within(points)) if other != axis]
        return trim(height, conjunction(beside), self.extent) if side != "inside" and beside else height

    def level(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Conjunction of the intervals."""
        return conjunction(self._within(points))

    @property
    def interior_axes(self) -> int:
        """One per coordinate."""
        return self.dimension

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """The unit cube stretched to the box."""
        low, high = self.bounds.T
        return low + (high - low) * unit, np.ones(len(unit), dtype=bool)

    def boundary_axes(self, part: str) -> int:
        """One per coordinate but that of the face."""
        return self.dimension - 1

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """The unit cube stretched to the face."""
        axis, end = self._face(part)
        points, keep = self.interior_candidates(np.insert(unit, axis, 0.0, axis=1))
        # Set, not interpolated: a point of the part has this coordinate exactly.
        points[:, axis] = self.limits[axis][end]
        normals = np.zeros_like(points)
        normals[:, axis] = 2 * end - 1
        return points, normals, keep

    def sample_pairs(
        self, axis: str, num_points: int, sampler: str = "sobol", seed: int = 0
    ) -> tuple[Float[np.ndarray, "num_points d"], Float[np.ndarray, "num_points d"]]:
        """Return points on `{axis}_min` and the same points moved to `{axis}_max`, for periodicity.

        Raises:
            UnknownNameError: If there is no such coordinate or sampler.
        """
        index = self.check_axis(axis)
        lower, _ = self.sample_boundary(f"{axis}_min", num_points, sampler, seed)
        upper = lower.copy()
        upper[:, index] = self.limits[index][1]
        return lower, upper

    def _within(self, points: Float[Any, "*batch d"]) -> list[Float[Any, "*batch"]]:
        """Return a function for each axis that is positive within its interval."""
        return [inside_interval(points[..., axis], *limits) for axis, limits in enumerate(self.limits)]

    def _face(self, part: str) -> tuple[int, int]:
        """Return the axis of a part, and 0 for its lower or 1 for its upper end."""
        self.check_part(part)
        return divmod(self.boundary_parts.index(part), 2)
