"""Balls of any dimension: disks, spheres' interiors."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri

from ..errors import PdesolveError
from ._arrays import constant, namespace, norm
from ._rfunctions import magnitude
from .domain import AbstractDomain, Side

__all__ = ["Ball"]


class Ball(AbstractDomain):
    """The points within `radius` of `center`: an interval, a disk, a ball.

    Args:
        center: One value for each coordinate.
        radius: Radius, positive.
        coordinates: Names of the coordinates; the first of `x`, `y`, `z` where not given.
        part: Name of the only boundary part, e.g. `"hole"` for a ball that is to be subtracted.

    Raises:
        PdesolveError: If the radius is not positive, or coordinates and center differ in length.
    """

    center: tuple[float, ...] = eqx.field(static=True)
    radius: float = eqx.field(static=True)
    coordinates: tuple[str, ...] = eqx.field(static=True)
    part: str = eqx.field(static=True)

    def __init__(
        self,
        center: Sequence[float],
        radius: float,
        coordinates: Sequence[str] | None = None,
        *,
        part: str = "surface",
    ):
        self.center = tuple(float(value) for value in center)
        self.radius = float(radius)
        self.coordinates = tuple("xyz"[: len(self.center)] if coordinates is None else coordinates)
        self.part = part

    def __check_init__(self):
        if not 0 < self.radius < math.inf:
            raise PdesolveError(f"`radius` must be positive and finite, got {self.radius}.")
        if not self.center or len(self.coordinates) != len(self.center):
            raise PdesolveError(
                f"expected one name for each of the {len(self.center)} entries of `center`, at least one; "
                f"got coordinates {self.coordinates}."
            )
        if not np.isfinite(self.center).all():
            raise PdesolveError(f"`center` must be finite, got {self.center}.")

    def __repr__(self) -> str:
        return f"Ball({self.center}, {self.radius}, {self.coordinates})"

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """The center plus and minus the radius."""
        return np.array(self.center)[:, None] + self.radius * np.array([-1.0, 1.0])

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """`"surface"`, unless named otherwise."""
        return (self.part,)

    @property
    def measure(self) -> float:
        r"""$\pi^{d/2} r^d / \Gamma(d/2 + 1)$."""
        half = self.dimension / 2
        return math.exp(half * math.log(math.pi) - math.lgamma(half + 1)) * self.radius**self.dimension

    def part_measure(self, part: str) -> float:
        """Derivative of the measure by the radius."""
        self.check_part(part)
        return self.dimension * self.measure / self.radius

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact distance; the gradient at the center is set to 0."""
        return norm(points - constant(self.center, points)) - self.radius

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """The size of `level`."""
        self.check_part(part)
        level = self.level(points)
        return magnitude(-level if side == "outside" else level, 2 * self.radius)

    def level(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        r"""$(r^2 - |x - c|^2) / 2r$, smooth at the center too."""
        offset = points - constant(self.center, points)
        return (self.radius**2 - namespace(points).sum(offset * offset, axis=-1)) / (2 * self.radius)

    @property
    def interior_axes(self) -> int:
        """Those of the surface, and one for the radius."""
        return self.boundary_axes(self.part) + 1

    def interior_candidates(
        self, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """A direction and a radius whose d-th power is uniform; all are inside."""
        radii = self.radius * unit[:, -1:] ** (1 / self.dimension)
        return self.center + radii * _directions(unit[:, :-1], self.dimension), np.ones(len(unit), dtype=bool)

    def boundary_axes(self, part: str) -> int:
        """One for the angle of a disk, else one per coordinate."""
        return 1 if self.dimension == 2 else self.dimension

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Uniform directions, which are the normals."""
        self.check_part(part)
        normals = _directions(unit, self.dimension)
        return self.center + self.radius * normals, normals, np.ones(len(unit), dtype=bool)


def _directions(unit: Float[np.ndarray, "n axes"], dimension: int) -> Float[np.ndarray, "n d"]:
    """Map the unit cube to uniform unit vectors: by the angle in the plane, else by normalised Gaussians."""
    if dimension == 2:
        angles = 2 * np.pi * unit[:, 0]
        return np.column_stack([np.cos(angles), np.sin(angles)])
    # Away from the faces of the cube, where the Gaussian is infinite; and from 1/2, where all entries may vanish.
    gaussians = ndtri(np.clip(unit, 1e-15, 1 - 1e-15))
    gaussians[~gaussians.any(axis=1), 0] = 1.0
    return gaussians / np.linalg.norm(gaussians, axis=1, keepdims=True)
