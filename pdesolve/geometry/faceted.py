"""Domains whose boundary is of flat facets."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ._facets import Facets
from .domain import AbstractDomain, Side

__all__ = ["AbstractFaceted"]


class AbstractFaceted(AbstractDomain):
    """A domain with a boundary of segments in the plane, or of triangles in space.

    In JAX a distance compares all facets, at every point and in each step of a training: some hundreds take no longer
    than the network.
    """

    facets: eqx.AbstractVar[Facets]

    @property
    def bounds(self) -> Float[np.ndarray, "d 2"]:
        """Extremes of the boundary."""
        return self.facets.bounds

    @property
    def boundary_parts(self) -> tuple[str, ...]:
        """Names of the facets' parts."""
        return self.facets.parts

    def part_measure(self, part: str) -> float:
        """Sum over the facets."""
        self.check_part(part)
        return self.facets.part_measure(part)

    def signed_distance(self, points: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Exact distance."""
        return self.facets.signed_distance(points)

    def within(self, points: Float[np.ndarray, "n d"], tolerance: float) -> Bool[np.ndarray, " n"]:
        """Without distances far from the boundary."""
        return self.facets.contain(points, tolerance)

    def part_distance(
        self, part: str, points: Float[Any, "*batch d"], *, side: Side = "inside"
    ) -> Float[Any, "*batch"]:
        """As in `Facets.part_distance`, smooth on both sides."""
        self.check_part(part)
        return self.facets.part_distance(part, points, side=side)

    def boundary_axes(self, part: str) -> int:
        """Those of a facet."""
        return self.dimension - 1

    def boundary_candidates(
        self, part: str, unit: Float[np.ndarray, "n axes"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
        """Points of the facets."""
        self.check_part(part)
        points, normals = self.facets.draw(part, unit)
        return points, normals, np.ones(len(unit), dtype=bool)
