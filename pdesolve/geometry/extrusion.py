"""Extrusions of plane domains: prisms and cylinders."""

from collections.abc import Sequence

import equinox as eqx
import numpy as np

from ..errors import PdesolveError
from .ball import Ball
from .domain import AbstractDomain
from .product import AbstractProduct

__all__ = ["Extrusion", "cylinder"]


class Extrusion(AbstractProduct):
    """The points above a domain, from `low` to `high`: a prism over a polygon, a cylinder over a disk.

    Its boundary parts are those of the base, and the ends `{axis}_min` and `{axis}_max`. Of the coordinates x, y and
    z the order is kept: a base in y and z extruded along x has the coordinates x, y, z.

    Args:
        base: The domain of the other coordinates.
        low: Lowest value of the new coordinate.
        high: Highest value.
        axis: Name of the new coordinate.

    Raises:
        PdesolveError: If low < high does not hold, or the base has the coordinate already, or a part of that name.
    """

    base: AbstractDomain
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    axis: str = eqx.field(static=True)

    def __init__(self, base: AbstractDomain, low: float, high: float, axis: str = "z"):
        self.base, self.axis = base, axis
        self.low, self.high = float(low), float(high)

    def __check_init__(self):
        if not (self.low < self.high and np.isfinite(self.high - self.low)):
            raise PdesolveError(
                f"bounds of {self.axis!r} must be finite and have low < high, got ({self.low}, {self.high})."
            )
        if self.axis in self.base.coordinates:
            raise PdesolveError(f"the base has a coordinate {self.axis!r} already: {self.base.coordinates}.")
        if shared := set(self.base.boundary_parts) & set(self.end_parts):
            raise PdesolveError(f"boundary parts {sorted(shared)} of the base have the names of the ends.")

    def __repr__(self) -> str:
        return f"Extrusion({self.base!r}, {self.low}, {self.high}, {self.axis!r})"

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Those of the base and the new one."""
        names = list(self.base.coordinates)
        names.insert(self.position, self.axis)
        return tuple(names)

    @property
    def section(self) -> AbstractDomain:
        """The base."""
        return self.base

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the new coordinate."""
        return self.low, self.high

    @property
    def position(self) -> int:
        """Last, but x, y and z stay in order."""
        names = sorted([*self.base.coordinates, self.axis])
        return names.index(self.axis) if set(names) <= set("xyz") else len(self.base.coordinates)

    @property
    def end_parts(self) -> tuple[str, str]:
        """`{axis}_min` and `{axis}_max`."""
        return f"{self.axis}_min", f"{self.axis}_max"


def cylinder(
    center: Sequence[float], radius: float, low: float, high: float, axis: str = "z", *, part: str = "side"
) -> Extrusion:
    """Return a round cylinder in space, `part` and the two ends `{axis}_min` and `{axis}_max` its boundary parts.

    Args:
        center: Center of the section, in the two other coordinates.
        radius: Radius.
        low: Lowest value along the axis.
        high: Highest value along the axis.
        axis: `"x"`, `"y"` or `"z"`.
        part: Name of the round part.

    Raises:
        PdesolveError: If the axis is another, the radius not positive, or low < high does not hold.
    """
    if axis not in ("x", "y", "z"):
        raise PdesolveError(f"`axis` must be 'x', 'y' or 'z', got {axis!r}.")
    return Extrusion(Ball(center, radius, [name for name in "xyz" if name != axis], part=part), low, high, axis)
