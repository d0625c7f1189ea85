"""The interface of all domains, and the drawing of points, which is the same for all of them."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import PdesolveError, UnknownNameError
from ..points import unit_points
from ._arrays import namespace
from ._rfunctions import join

__all__ = ["TEMPORAL_PARTS", "AbstractDomain", "Side"]

Side = Literal["inside", "outside", "everywhere"]
TEMPORAL_PARTS = ("initial", "final")
"""Parts of a space-time domain that `"boundary"` does not hold: conditions there are not boundary conditions."""

# A domain that accepts fewer than one in a thousand of many candidates is taken for empty.
_MIN_CANDIDATES, _MAX_REJECTION = 2**18, 1024
_CHUNK = 2**16


class AbstractDomain(eqx.Module):
    """A bounded set of points with named coordinates and named boundary parts.

    Subclasses say how far a point is from the boundary and how points of a unit cube are laid into the domain and
    onto each boundary part; this class draws from that. Domains hold no arrays: they are static under `jax.jit`.
    """

    coordinates: eqx.AbstractVar[tuple[str, ...]]
    """Names of the coordinates in the order of a point's entries."""

    @property
    @abc.abstractmethod
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Lowest and highest value of each coordinate: a box which contains the domain."""

    @property
    @abc.abstractmethod
    def boundary_parts(self) -> tuple[str, ...]:
        """Names of the parts which together are the boundary. `"boundary"`, all of it in space, is accepted too."""

    @property
    @abc.abstractmethod
    def measure(self) -> float:
        """Length, area or volume."""

    @abc.abstractmethod
    def part_measure(self, part: str) -> float:
        """Length or area of a boundary part; a point counts 1."""

    @abc.abstractmethod
    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Return the signed distance to the boundary, negative inside.

        A JAX function of one point, differentiable away from the points with several nearest boundary points;
        `numpy` arrays of many points are evaluated by NumPy. Its gradient on a smooth part of the boundary is the
        outward unit normal.
        """

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """Return a function that vanishes on a boundary part, and is positive and smooth elsewhere in the domain.

        Its slope along the inward normal is 1 within the part; away from it, it is no distance. On the rim of the
        part it need not be smooth. For NumPy and JAX, like `signed_distance`.

        Args:
            part: A name in `boundary_parts`.
            points: One point, or with NumPy many.
            side: Where it is smooth, and vanishes on the part alone: in the domain, or in the whole space. Then the
                slope is along the inward normal (`"everywhere"`), or the outward one (`"outside"`).

        Raises:
            UnknownNameError: If there is no such part.
            PdesolveError: If this kind of domain has no such function.
        """
        raise PdesolveError(f"{type(self).__name__} has no smooth distances: it does not define `part_distance`.")

    def level(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Return a smooth function that is positive inside and negative outside, of slope 1 on the boundary."""
        sign = namespace(points).where(self.signed_distance(points) <= 0, 1.0, -1.0)
        return sign * join(self.part_distance(part, points, side="everywhere") for part in self.boundary_parts)

    @property
    @abc.abstractmethod
    def interior_axes(self) -> int:
        """Dimension of the unit cube from which `interior_candidates` lays out points."""

    @abc.abstractmethod
    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Map the unit cube to points, and say which of them are in the domain; these are uniform there."""

    @abc.abstractmethod
    def boundary_axes(self, part: str) -> int:
        """Dimension of the unit cube from which `boundary_candidates` lays out points on `part`."""

    @abc.abstractmethod
    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Map the unit cube to points and outward unit normals, and say which of them are on the part."""

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        return len(self.coordinates)

    @property
    def extent(self) -> float:
        """Largest side of `bounds`, the length to which tolerances are relative."""
        return float(np.max(np.diff(self.bounds, axis=1)))

    def contains(self, points: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Say which points are inside or, up to round-off, on the boundary."""
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != self.dimension:
            raise PdesolveError(
                f"expected points of shape (n, {self.dimension}), one column for each of "
                f"{', '.join(self.coordinates)}; got {points.shape}."
            )
        chunks = [points[i : i + _CHUNK] for i in range(0, len(points), _CHUNK)] or [points]
        # Relative to the coordinates too: a box far from the origin has that much round-off.
        tolerance = 1e-12 * max(self.extent, float(np.abs(self.bounds).max()))
        return np.concatenate([self.within(chunk, tolerance) for chunk in chunks])

    def within(self, points: Float[np.ndarray, "n d"], tolerance: float) -> Bool[np.ndarray, " n"]:
        """Say which points have a signed distance of at most `tolerance`, a length of the order of round-off."""
        return np.asarray(self.signed_distance(points)) <= tolerance

    def sample_interior(
        self, num_points: int, sampler: str = "sobol", seed: int = 0
    ) -> Float[np.ndarray, "num_points d"]:
        """Return points uniform in the domain.

        Args:
            num_points: Number of points.
            sampler: As in `pdesolve.points.unit_points`.
            seed: Seed; equal seeds give equal points.

        Raises:
            UnknownNameError: If there is no such sampler.
            PdesolveError: If the domain is empty.
        """
        (points,) = _accept(
            self.interior_candidates,
            self.interior_axes,
            num_points,
            sampler,
            seed,
            f"the interior of {self!r}",
        )
        return points

    def sample_boundary(
        self, part: str, num_points: int, sampler: str = "sobol", seed: int = 0
    ) -> tuple[Float[np.ndarray, "num_points d"], Float[np.ndarray, "num_points d"]]:
        """Return points uniform on a boundary part, and the outward unit normals there.

        A part which is a single point (an end of an interval) is repeated.

        Args:
            part: A name in `boundary_parts`, or `"boundary"` for all of them (but `TEMPORAL_PARTS`) in proportion to
                their measures.
            num_points: Number of points.
            sampler: As in `pdesolve.points.unit_points`.
            seed: Seed; equal seeds give equal points.

        Raises:
            UnknownNameError: If there is no such part or sampler.
            PdesolveError: If the part is empty.
        """
        if part == "boundary":
            return self._sample_whole_boundary(num_points, sampler, seed)
        self.check_part(part)
        points, normals = _accept(
            lambda unit: self.boundary_candidates(part, unit),
            self.boundary_axes(part),
            num_points,
            sampler,
            seed,
            f"boundary part {part!r} of {self!r}",
        )
        return points, normals

    def check_part(self, part: str) -> None:
        """Raise an `UnknownNameError` unless `part` is one of `boundary_parts`."""
        if part not in self.boundary_parts:
            known = (*self.boundary_parts, "boundary")
            raise UnknownNameError(f"boundary part of {type(self).__name__}", part, known)

    def check_axis(self, axis: str) -> int:
        """Return the position of a coordinate, or raise an `UnknownNameError`."""
        if axis not in self.coordinates:
            raise UnknownNameError("coordinate", axis, self.coordinates)
        return self.coordinates.index(axis)

    def grid(self, shape: Mapping[str, int]) -> dict[str, Float[np.ndarray, " n"]]:
        """Return a uniform grid of `bounds`, end points included: coordinate to its values.

        Args:
            shape: Number of points, at least 2, for every coordinate.

        Raises:
            UnknownNameError: If `shape` names something else than a coordinate.
            PdesolveError: If a coordinate is missing or has fewer than 2 points.
        """
        for axis in shape:
            self.check_axis(axis)
        for axis in self.coordinates:
            if shape.get(axis, 0) < 2:
                raise PdesolveError(f"a grid needs at least 2 points for {axis!r}, got {shape.get(axis, 'none')}.")
        return {
            axis: np.linspace(low, high, shape[axis])
            for axis, (low, high) in zip(self.coordinates, self.bounds, strict=True)
        }

    def _sample_whole_boundary(self, num_points: int, sampler: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [part for part in self.boundary_parts if part not in TEMPORAL_PARTS]
        counts = _apportion(num_points, np.array([self.part_measure(part) for part in parts]), repr(self))
        seeds = np.random.SeedSequence(seed).generate_state(len(parts))
        samples = [
            self.sample_boundary(part, int(count), sampler, int(part_seed))
            for part, count, part_seed in zip(parts, counts, seeds, strict=True)
            if count
        ]
        if not samples:
            return np.empty((0, self.dimension)), np.empty((0, self.dimension))
        points, normals = zip(*samples, strict=True)
        return np.concatenate(points), np.concatenate(normals)


def _accept(
    candidates: Callable[[np.ndarray], tuple[np.ndarray, ...]],
    axes: int,
    num_points: int,
    sampler: str,
    seed: int,
    what: str,
) -> tuple[np.ndarray, ...]:
    """Draw until `num_points` candidates are accepted, and return the first ones.

    A longer draw begins anew with the same seed: sequences are continued by it, and stratified samplers stay
    stratified.
    """
    num_candidates = num_points
    while True:
        *arrays, keep = candidates(unit_points(num_candidates, axes, sampler, seed))
        accepted = int(keep.sum())
        if accepted >= num_points:
            return tuple(array[keep][:num_points] for array in arrays)
        if num_candidates >= max(_MIN_CANDIDATES, _MAX_REJECTION * num_points):
            raise PdesolveError(
                f"{what} is empty or too thin: {accepted} of {num_candidates} candidate points are in it, "
                f"{num_points} are needed."
            )
        expected = num_candidates * num_points / max(accepted, 1)
        num_candidates = int(min(1.1 * expected, 16 * num_candidates)) + 64


def _apportion(num_points: int, measures: np.ndarray, what: str) -> np.ndarray:
    """Share `num_points` in proportion to `measures`, by largest remainders."""
    if not measures.sum() > 0:
        raise PdesolveError(f"the boundary of {what} is empty.")
    shares = num_points * measures / measures.sum()
    counts = np.floor(shares).astype(int)
    largest = np.argsort(counts - shares, kind="stable")[: num_points - counts.sum()]
    counts[largest] += 1
    return counts
