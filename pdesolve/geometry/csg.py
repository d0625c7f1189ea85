"""Unions, differences and intersections of two domains (constructive solid geometry).

A combined signed distance is negative inside, positive outside and zero on the boundary, and its gradient has
length 1, but away from the boundary it is only a lower bound of the distance: near a corner that neither domain has,
it is the distance to one of the two boundaries.
"""

import abc
import functools
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import PdesolveError
from ..points import unit_points
from ._arrays import namespace
from ._rfunctions import conjunction, trim
from .box import Box
from .domain import AbstractDomain, Side

__all__ = ["AbstractCombination", "Difference", "Intersection", "Union"]

_MEASURE_POINTS = 2**16
# Side on which a point of a boundary lies is tested this far from it, relative to the extent.
_STEP = 1e-6


class AbstractCombination(AbstractDomain):
    """Two domains with the same coordinates, combined.

    Boundary parts keep their names; a name that both domains use becomes `first_<name>` and `second_<name>` (all
    names do, where that would not tell them apart). A boundary that both share belongs to the first. Measures are
    by quasi-Monte Carlo, to about 1e-3.
    """

    first: eqx.AbstractVar[AbstractDomain]
    second: eqx.AbstractVar[AbstractDomain]
    second_normal: eqx.AbstractClassVar[float]
    """-1 where the inside of the second domain is the outside of the combination."""
    united: eqx.AbstractClassVar[bool]
    """Whether each domain's boundary remains where the other one is not."""

    @abc.abstractmethod
    def combine(self, xp: Any, first: Any, second: Any) -> Any:
        """Combine signed distances."""

    @property
    @abc.abstractmethod
    def source(self) -> AbstractDomain:
        """A domain that contains the combination, from which interior points are accepted."""

    def __check_init__(self):
        if self.first.coordinates != self.second.coordinates:
            raise PdesolveError(
                "combined domains need the same coordinates in the same order, got "
                f"{self.first.coordinates} and {self.second.coordinates}."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.first!r}, {self.second!r})"

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Those of both."""
        return self.first.coordinates

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """Those of both, made distinct."""
        return tuple(self._owners())

    @property
    def measure(self) -> float:
        """Estimate by quasi-Monte Carlo; an empty combination has 0."""
        return _estimate_measure(self)

    def part_measure(self, part: str) -> float:
        """Estimate by quasi-Monte Carlo; a part that was cut away has 0."""
        self.check_part(part)
        return _estimate_part_measure(self, part)

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Lower bound of the distance, exact on the boundary."""
        return self.combine(namespace(points), self.first.signed_distance(points), self.second.signed_distance(points))

    def within(self, points: Float[np.ndarray, "n d"], tolerance: float) -> Bool[np.ndarray, " n"]:
        """By what is within the two domains."""
        first = self.first.within(points, tolerance)
        if self.united:
            return first | self.second.within(points, tolerance)
        removed = self.second_normal < 0
        return first & (~self.second.within(points, -tolerance) if removed else self.second.within(points, tolerance))

    @abc.abstractmethod
    def combine_levels(self, first: Any, second: Any) -> Any:
        """Combine functions that are positive inside."""

    def level(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Combination of the two levels."""
        return self.combine_levels(self.first.level(points), self.second.level(points))

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """That of the part's owner, trimmed to the other domain where what was cut off is in the domain.

        Where the boundaries of united domains coincide, each one's part vanishes there.

        Raises:
            PdesolveError: If two united domains touch along the part and do not overlap.
        """
        self.check_part(part)
        is_second, name = self._owners()[part]
        owner, other = (self.second, self.first) if is_second else (self.first, self.second)
        if self.united and _touch(self, part):
            raise PdesolveError(
                f"{self!r}: the two domains touch along {part!r}, which has no smooth distance. Let them overlap."
            )
        removed = is_second and self.second_normal < 0
        inner: Side = side
        if removed:
            # All of the domain is outside of what was removed from it.
            inner = "everywhere" if side == "outside" else "outside"
        elif self.united and side == "inside":
            inner = "everywhere"
        found = owner.part_distance(name, points, side=inner)
        if side == "inside" and not self.united:
            return found
        level = other.level(points)
        if self.united:
            # Where the boundaries coincide both levels vanish, and twice the own one keeps the slope at 1.
            return trim(found, 2 * owner.level(points) - level, self.extent)
        return trim(found, level if is_second or self.second_normal > 0 else -level, self.extent)

    @property
    def interior_axes(self) -> int:
        """Those of the source."""
        return self.source.interior_axes

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Candidates of the source."""
        points, keep = self.source.interior_candidates(unit)
        return points, keep & self.within(points, -1e-12 * self.extent)

    def boundary_axes(self, part: str) -> int:
        """Those of the domain whose part it is."""
        self.check_part(part)
        is_second, name = self._owners()[part]
        return (self.second if is_second else self.first).boundary_axes(name)

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Those points of one domain's part which have the inside on one side and the outside on the other."""
        self.check_part(part)
        is_second, name = self._owners()[part]
        points, normals, keep = (self.second if is_second else self.first).boundary_candidates(name, unit)
        step = _STEP * self.first.extent
        if is_second:
            normals = self.second_normal * normals
            # A boundary that both share is sampled once, from the first.
            keep &= np.abs(self.first.signed_distance(points)) > 1e-3 * step
        # Not only by the other's distance at the point, which is zero all along a shared boundary.
        keep &= (self.signed_distance(points - step * normals) < 0) & (
            self.signed_distance(points + step * normals) > 0
        )
        return points, normals, keep

    def _owners(self) -> dict[str, tuple[bool, str]]:
        """Return part name to (whether it is of the second domain, its name there)."""
        # Each is asked once: asking twice at each level would take 2^17 calls for seventeen domains.
        first, second = self.first.boundary_parts, self.second.boundary_parts
        parts = [(False, name) for name in first] + [(True, name) for name in second]
        shared = set(first) & set(second)
        prefixed = [f"second_{name}" if is_second else f"first_{name}" for is_second, name in parts]
        names = [long if name in shared else name for long, (_, name) in zip(prefixed, parts, strict=True)]
        return dict(zip(names if len(set(names)) == len(names) else prefixed, parts, strict=True))


class Union(AbstractCombination):
    """The points in either domain.

    Args:
        first: A domain.
        second: A domain with the same coordinates.

    Raises:
        PdesolveError: If the coordinates differ.
    """

    first: AbstractDomain
    second: AbstractDomain
    second_normal: ClassVar[float] = 1.0
    united: ClassVar[bool] = True

    def combine(self, xp: Any, first: Any, second: Any) -> Any:
        """Smaller of the two; outside it is the exact distance."""
        return xp.minimum(first, second)

    def combine_levels(self, first: Any, second: Any) -> Any:
        """Positive where either is."""
        return -conjunction([-first, -second])

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Bounds of both together."""
        (low, high), (low_2, high_2) = self.first.bounds.T, self.second.bounds.T
        return np.column_stack([np.minimum(low, low_2), np.maximum(high, high_2)])

    @property
    def source(self) -> AbstractDomain:
        """The bounding box."""
        return Box({axis: (low, high) for axis, (low, high) in zip(self.coordinates, self.bounds, strict=True)})


class Difference(AbstractCombination):
    """The points in the first domain and not in the second.

    Args:
        first: The domain to subtract from.
        second: The domain to subtract, with the same coordinates.

    Raises:
        PdesolveError: If the coordinates differ.
    """

    first: AbstractDomain
    second: AbstractDomain
    second_normal: ClassVar[float] = -1.0
    united: ClassVar[bool] = False

    def combine(self, xp: Any, first: Any, second: Any) -> Any:
        """Larger of the first and minus the second."""
        return xp.maximum(first, -second)

    def combine_levels(self, first: Any, second: Any) -> Any:
        """Positive where the first is and the second is not."""
        return conjunction([first, -second])

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Bounds of the first."""
        return self.first.bounds

    @property
    def source(self) -> AbstractDomain:
        """The first domain."""
        return self.first


class Intersection(AbstractCombination):
    """The points in both domains.

    Args:
        first: A domain.
        second: A domain with the same coordinates.

    Raises:
        PdesolveError: If the coordinates differ, or the bounds do not overlap.
    """

    first: AbstractDomain
    second: AbstractDomain
    second_normal: ClassVar[float] = 1.0
    united: ClassVar[bool] = False

    def __check_init__(self):
        # Different coordinates are reported by the base class.
        same = self.first.coordinates == self.second.coordinates
        if same and not (self.bounds[:, 0] < self.bounds[:, 1]).all():
            raise PdesolveError(f"{self!r} is empty: the bounds of the two domains do not overlap.")

    def combine(self, xp: Any, first: Any, second: Any) -> Any:
        """Larger of the two; inside it is the exact distance."""
        return xp.maximum(first, second)

    def combine_levels(self, first: Any, second: Any) -> Any:
        """Positive where both are."""
        return conjunction([first, second])

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Where the bounds of both overlap."""
        (low, high), (low_2, high_2) = self.first.bounds.T, self.second.bounds.T
        return np.column_stack([np.maximum(low, low_2), np.minimum(high, high_2)])

    @property
    def source(self) -> AbstractDomain:
        """The smaller of the two domains."""
        return min(self.first, self.second, key=lambda domain: domain.measure)


@functools.lru_cache(maxsize=128)
def _estimate_measure(domain: AbstractCombination) -> float:
    _, keep = domain.interior_candidates(unit_points(_MEASURE_POINTS, domain.interior_axes))
    return float(domain.source.measure * keep.mean())


@functools.lru_cache(maxsize=1024)
def _estimate_part_measure(domain: AbstractCombination, part: str) -> float:
    is_second, name = domain._owners()[part]
    owner = domain.second if is_second else domain.first
    unit = unit_points(_MEASURE_POINTS // 4, domain.boundary_axes(part))
    *_, of_owner = owner.boundary_candidates(name, unit)
    *_, of_domain = domain.boundary_candidates(part, unit)
    # Both counts from the same points: the owner may itself be a combination, whose measure is an estimate.
    return float(owner.part_measure(name) * of_domain.sum() / max(of_owner.sum(), 1))


@functools.lru_cache(maxsize=1024)
def _touch(domain: AbstractCombination, part: str) -> bool:
    """Say whether a piece of a part has one domain on each side and is on the boundary of both."""
    is_second, name = domain._owners()[part]
    owner, other = (domain.second, domain.first) if is_second else (domain.first, domain.second)
    points, normals, keep = owner.boundary_candidates(
        name, unit_points(_MEASURE_POINTS // 64, owner.boundary_axes(name))
    )
    step = _STEP * domain.first.extent
    keep &= np.abs(other.signed_distance(points)) < 1e-3 * step
    return bool((keep & (domain.signed_distance(points + step * normals) < 0)).any())
