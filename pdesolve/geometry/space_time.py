"""A spatial domain over an interval of time."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..errors import PdesolveError
from .box import Box
from .domain import TEMPORAL_PARTS, AbstractDomain
from .product import AbstractProduct

__all__ = ["SpaceTime"]


class SpaceTime(AbstractProduct):
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
    def section(self) -> AbstractDomain:
        """The space."""
        return self.space

    @property
    def interval(self) -> tuple[float, float]:
        """First and last time."""
        return self.start, self.end

    @property
    def position(self) -> int:
        """Time is last."""
        return len(self.space.coordinates)

    @property
    def end_parts(self) -> tuple[str, str]:
        """`"initial"` and `"final"`."""
        return TEMPORAL_PARTS

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
