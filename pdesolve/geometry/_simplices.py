"""Simplices: segments, triangles, tetrahedra; their measure, and points that are uniform in many of them."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float, Int

from ._arrays import Compared

__all__ = ["Simplices"]


@dataclasses.dataclass(frozen=True, eq=False)
class Simplices(Compared):
    """Many simplices of the same kind.

    Attributes:
        corners: Corners of each, in d coordinates.
    """

    corners: Float[np.ndarray, "n corners d"]

    @functools.cached_property
    def measures(self) -> Float[np.ndarray, " n"]:
        """Length, area or volume of each, by Gram's determinant of its edges."""
        edges = self.corners[:, 1:] - self.corners[:, :1]
        gram = np.linalg.det(edges @ np.swapaxes(edges, 1, 2))
        return np.sqrt(np.maximum(gram, 0)) / math.factorial(edges.shape[1])

    @property
    def axes(self) -> int:
        """Dimension of each simplex, and of the unit cube of `draw`."""
        return self.corners.shape[1] - 1

    def draw(self, unit: Float[np.ndarray, "m axes"]) -> tuple[Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
        """Map the unit cube uniformly to all simplices; return points, and the number of the simplex of each."""
        ends = np.cumsum(self.measures)
        target = unit[:, 0] * ends[-1]
        chosen = np.minimum(np.searchsorted(ends, target, side="right"), len(ends) - 1)
        # What is left of the first axis within the simplex is uniform again. Gaps between sorted numbers are uniform
        # barycentric coordinates.
        left = np.clip(1 - (ends[chosen] - target) / self.measures[chosen], 0, 1)
        within = np.sort(np.column_stack([left, unit[:, 1:]]), axis=1)
        barycentric = np.diff(within, axis=1, prepend=0.0, append=1.0)
        return np.einsum("mc,mcd->md", barycentric, self.corners[chosen]), chosen
