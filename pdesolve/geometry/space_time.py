"""A spatial domain over an interval of time."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import PdesolveError
from ._arrays import namespace, norm
from .box import Box
from .domain import TEMPORAL_PARTS, AbstractDomain

__all__ = ["SpaceTime"]


class SpaceTime(AbstractDomain):
    """The product of a spatial domain and the interval [start, end] of the last coordinate, `"t"`.

    Its boundary parts are those of the space at all times, `"initial"` (t = start) and `"final"` (t = end).
    `"boundary"` is the boundary of the space at all times, as in "initial and boundary conditions": it holds
    neither `"initial"` nor `"final"`.

    Args:
        space: The spatial domain.
        start: First time.
        end: Last time.

    Raises:
        PdesolveError: If start < end does not hold, or the space has a coordinate `"t"`.
    """

    space: AbstractDomain
    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)

    def __init__(self, space: AbstractDomain, start: float, end: float):
        self.space = space
        self.start, self.end = float(start), float(end)

    def __check_init__(self):
        if not (self.start < self.end and np.isfinite(self.end - self.start)):
            raise PdesolveError(f"times must be finite and have start < end, got ({self.start}, {self.end}).")
        if reserved := set(self.space.boundary_parts) & set(TEMPORAL_PARTS):
            raise PdesolveError(f"boundary parts {sorted(reserved)} of the space have names reserved for time.")
        if "t" in self.space.coordinates:
            raise PdesolveError("the space of a SpaceTime has a coordinate 't' already; time is added by SpaceTime.")

    def __repr__(self) -> str:
        return f"SpaceTime({self.space!r}, {self.start}, {self.end})"

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Those of the space, then `"t"`."""
        return (*self.space.coordinates, "t")

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Bounds of the space, then (start, end)."""
        return np.vstack([self.space.bounds, [self.start, self.end]])

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """Those of the space, then `"initial"` and `"final"`."""
        return (*self.space.boundary_parts, *TEMPORAL_PARTS)

    @property
    def measure(self) -> float:
        """Measure of the space times the duration."""
        return self.space.measure * (self.end - self.start)

    def part_measure(self, part: str) -> float:
        """Of a spatial part, its measure times the duration; else that of the space."""
        self.check_part(part)
        if part in TEMPORAL_PARTS:
            return self.space.measure
        return self.space.part_measure(part) * (self.end - self.start)

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact where that of the space is; the units of space and time are mixed."""
        xp = namespace(points)
        time = points[..., -1]
        in_space = self.space.signed_distance(points[..., :-1])
        in_time = xp.maximum(self.start - time, time - self.end)
        excess = xp.stack([in_space, in_time], axis=-1)
        largest = xp.max(excess, axis=-1)
        return xp.where(largest > 0, norm(xp.maximum(excess, 0.0)), largest)

    @property
    def interior_axes(self) -> int:
        """Those of the space and one for time."""
        return self.space.interior_axes + 1

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Candidates of the space at times from the last axis."""
        points, keep = self.space.interior_candidates(unit[:, :-1])
        return np.column_stack([points, self._times(unit[:, -1])]), keep

    def boundary_axes(self, part: str) -> int:
        """Those of the space, and one for time on a spatial part."""
        self.check_part(part)
        return self.space.interior_axes if part in TEMPORAL_PARTS else self.space.boundary_axes(part) + 1

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Candidates of the spatial part at all times, or of the space at one time."""
        self.check_part(part)
        if part in TEMPORAL_PARTS:
            points, keep = self.space.interior_candidates(unit)
            time, direction = (self.start, -1.0) if part == "initial" else (self.end, 1.0)
            times, normals = np.full(len(points), time), np.zeros((len(points), self.dimension))
            normals[:, -1] = direction
        else:
            points, in_space, keep = self.space.boundary_candidates(part, unit[:, :-1])
            times, normals = self._times(unit[:, -1]), np.column_stack([in_space, np.zeros(len(points))])
        return np.column_stack([points, times]), normals, keep

    def window(self, start: float, end: float) -> "SpaceTime":
        """Return the same space over other times."""
        return SpaceTime(self.space, start, end)

    def sample_pairs(
        self, axis: str, num_points: int, sampler: str = "sobol", seed: int = 0
    ) -> tuple[Float[np.ndarray, "num_points d"], Float[np.ndarray, "num_points d"]]:
        """Return points on `{axis}_min` and the same points moved to `{axis}_max`, for periodicity in space.

        Raises:
            UnknownNameError: If the space has no such coordinate, or there is no such sampler.
            PdesolveError: If the space is not a Box.
        """
        if not isinstance(self.space, Box):
            raise PdesolveError(f"pairs for periodicity need a Box as space, got {self.space!r}.")
        index = self.space.check_axis(axis)
        lower, _ = self.sample_boundary(f"{axis}_min", num_points, sampler, seed)
        upper = lower.copy()
        upper[:, index] = self.space.limits[index][1]
        return lower, upper

    def _times(self, unit: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return self.start + (self.end - self.start) * unit
