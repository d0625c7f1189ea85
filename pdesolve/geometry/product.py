"""Products of a domain and an interval: what space-time and extrusions have in common."""

import abc
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ._arrays import namespace, norm
from ._rfunctions import conjunction, inside_interval, magnitude, trim
from .domain import AbstractDomain, Side

__all__ = ["AbstractProduct"]


class AbstractProduct(AbstractDomain):
    """The points with one coordinate in an interval, and the others in a section.

    Boundary parts are those of the section, at all values of that coordinate, and the two ends.
    """

    @property
    @abc.abstractmethod
    def section(self) -> AbstractDomain:
        """The domain of the other coordinates."""

    @property
    @abc.abstractmethod
    def interval(self) -> tuple[float, float]:
        """Lowest and highest value of the one coordinate."""

    @property
    @abc.abstractmethod
    def position(self) -> int:
        """Place of the one coordinate among all."""

    @property
    @abc.abstractmethod
    def end_parts(self) -> tuple[str, str]:
        """Names of the lower and the upper end."""

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Those of the section, and the interval."""
        return np.insert(self.section.bounds, self.position, self.interval, axis=0)

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """Those of the section, then the ends."""
        return (*self.section.boundary_parts, *self.end_parts)

    @property
    def measure(self) -> float:
        """Measure of the section times the length of the interval."""
        return self.section.measure * self._length

    def part_measure(self, part: str) -> float:
        """Of an end that of the section; else of the section's part, times the length of the interval."""
        self.check_part(part)
        return self.section.measure if part in self.end_parts else self.section.part_measure(part) * self._length

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact where that of the section is."""
        xp, (low, high), (others, along) = namespace(points), self.interval, self._split(points)
        excess = xp.stack([self.section.signed_distance(others), xp.maximum(low - along, along - high)], axis=-1)
        largest = xp.max(excess, axis=-1)
        return xp.where(largest > 0, norm(xp.maximum(excess, 0.0)), largest)

    def within(self, points: Float[np.ndarray, "n d"], tolerance: float) -> Bool[np.ndarray, " n"]:
        """Within both the section and the interval."""
        (low, high), (others, along) = self.interval, self._split(points)
        return self.section.within(others, tolerance) & (low - along <= tolerance) & (along - high <= tolerance)

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """Distance to the end, or that of the section."""
        self.check_part(part)
        others, along = self._split(points)
        if part in self.end_parts:
            upper = part == self.end_parts[1]
            inwards = self.interval[1] - along if upper else along - self.interval[0]
            height = magnitude(-inwards if side == "outside" else inwards, self._length)
            return height if side == "inside" else trim(height, self.section.level(others), self.extent)
        beside = self.section.part_distance(part, others, side=side)
        return beside if side == "inside" else trim(beside, inside_interval(along, *self.interval), self.extent)

    def level(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Conjunction of the section and the interval."""
        others, along = self._split(points)
        return conjunction([self.section.level(others), inside_interval(along, *self.interval)])

    @property
    def interior_axes(self) -> int:
        """Those of the section and one along the interval."""
        return self.section.interior_axes + 1

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Candidates of the section, with the one coordinate from the last axis."""
        points, keep = self.section.interior_candidates(unit[:, :-1])
        return self._join(points, self._along(unit[:, -1])), keep

    def boundary_axes(self, part: str) -> int:
        """Those of the section, and one along the interval but at an end."""
        self.check_part(part)
        return self.section.interior_axes if part in self.end_parts else self.section.boundary_axes(part) + 1

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Candidates of the section at an end, or of its part all along the interval."""
        self.check_part(part)
        if part in self.end_parts:
            end = self.end_parts.index(part)
            points, keep = self.section.interior_candidates(unit)
            along, normals = np.full(len(points), self.interval[end]), np.zeros((len(points), self.dimension))
            normals[:, self.position] = 2 * end - 1
        else:
            points, beside, keep = self.section.boundary_candidates(part, unit[:, :-1])
            along, normals = self._along(unit[:, -1]), self._join(beside, np.zeros(len(points)))
        return self._join(points, along), normals, keep

    @property
    def _length(self) -> float:
        low, high = self.interval
        return high - low

    def _along(self, unit: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return self.interval[0] + self._length * unit

    def _split(self, points: Float[Any, "*batch d"]) -> tuple[Any, Any]:
        """Return the coordinates of the section, and the other one."""
        others = np.delete(np.arange(self.dimension), self.position)
        return points[..., others], points[..., self.position]

    def _join(self, others: Float[np.ndarray, "n e"], along: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        return np.insert(others, self.position, along, axis=1)
