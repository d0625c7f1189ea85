r"""Meshes of a unit cell with inclusions: in each a core of squares and rings around it, as an O.

Everything is a set of quadrilaterals given by their corners, which are joined where they meet.
"""

import dataclasses

import numpy as np
import skfem
from jaxtyping import Bool, Float

__all__ = ["Inclusion", "around", "box", "core_and_rings", "joined", "rectangle"]

Quads = Float[np.ndarray, "quad 4 2"]


@dataclasses.dataclass(frozen=True)
class Inclusion:
    r"""The ellipse $(x - c)^T M (x - c) \le 1$.

    Attributes:
        centre: c.
        matrix: M, symmetric positive definite: its entries xx, xy, yy.
    """

    centre: tuple[float, float]
    matrix: tuple[float, float, float]

    @staticmethod
    def circle(x: float, y: float, radius: float) -> "Inclusion":
        """Return a circle."""
        return Inclusion((x, y), (radius**-2, 0.0, radius**-2))

    @property
    def area(self) -> float:
        """That of the whole ellipse."""
        xx, xy, yy = self.matrix
        return np.pi / np.sqrt(xx * yy - xy**2)

    def level(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        """Return 1 on the boundary, less inside: the distance from the centre relative to that of the boundary."""
        x, y = (points - np.asarray(self.centre)).T
        xx, xy, yy = self.matrix
        return np.sqrt(xx * x**2 + 2 * xy * x * y + yy * y**2)

    def onto_boundary(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Return where the rays from the centre through the points meet the boundary."""
        centre = np.asarray(self.centre)
        return centre + (points - centre) / self.level(points)[:, None]


def box(x: tuple[float, float], y: tuple[float, float], cells: int) -> Float[np.ndarray, "n 2"]:
    """Return points around a rectangle, anticlockwise from its lower left corner: `cells` steps along each side."""
    corners = np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]])
    return around(corners, cells)


def around(corners: Float[np.ndarray, "4 2"], cells: int) -> Float[np.ndarray, "n 2"]:
    """Return points around a quadrilateral, `cells` steps along each side."""
    s = (np.arange(cells) / cells)[None, :, None]
    return ((1 - s) * corners[:, None] + s * np.roll(corners, -1, axis=0)[:, None]).reshape(-1, 2)


def rectangle(x: tuple[float, float], y: tuple[float, float], cells: tuple[int, int]) -> Quads:
    """Return a rectangle cut into cells."""
    return _cut(np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]), cells)


def core_and_rings(
    inclusion: Inclusion,
    inner: Float[np.ndarray, "n 2"],
    outer: Float[np.ndarray, "n 2"],
    layers: tuple[int, int],
    fraction: float = 0.5,
) -> tuple[Quads, Bool[np.ndarray, " quad"]]:
    """Return the mesh of an inclusion and of what is around it, and which quadrilaterals are inside.

    Args:
        inclusion: The inclusion.
        inner: Points on its boundary, anticlockwise; their number is four times that of the cells of the core's edge.
        outer: As many points around it, joined to those by rays.
        layers: Rings inside, between core and boundary, and outside.
        fraction: Where the core's corners are, between centre and boundary.
    """
    cells = len(inner) // 4
    centre = np.asarray(inclusion.centre)[None]
    corners = centre + fraction * (inner[::cells] - centre)
    inside = np.concatenate([_cut(corners, (cells, cells)), _ring(around(corners, cells), inner, layers[0])])
    outside = _ring(inner, outer, layers[1])
    return np.concatenate([inside, outside]), np.arange(len(inside) + len(outside)) < len(inside)


def joined(quads: Quads, inside: Bool[np.ndarray, " quad"], inclusions: tuple[Inclusion, ...]) -> skfem.MeshQuad2:
    """Join quadrilaterals to one mesh with quadratic edges, which follow the boundaries of the inclusions.

    Edges between an element inside and one outside are curved: their midpoints are put onto the boundary nearest to
    them. Elements are serendipity ones: what is inside follows from the edges.
    """
    points = quads.reshape(-1, 2)
    # Corners at which quadrilaterals meet differ by rounding only; adding 0.0 makes -0.0 the same as 0.0.
    _, first, inverse = np.unique(np.round(points, 9) + 0.0, axis=0, return_index=True, return_inverse=True)
    straight = skfem.MeshQuad(points[first].T.copy(), inverse.reshape(-1, 4).T.copy())
    one, other = straight.f2t
    between = np.flatnonzero((other >= 0) & (inside[one] != inside[other]))
    middles = straight.p[:, straight.facets].mean(axis=1)
    chosen = middles[:, between].T
    levels = np.stack([inclusion.level(chosen) for inclusion in inclusions])
    nearest = np.argmin(np.abs(levels - 1.0), axis=0)
    for number, inclusion in enumerate(inclusions):
        middles[:, between[nearest == number]] = inclusion.onto_boundary(chosen[nearest == number]).T
    centres = middles[:, straight.t2f].sum(axis=1) / 2 - straight.p[:, straight.t].sum(axis=1) / 4
    return skfem.MeshQuad2(np.concatenate([straight.p, middles, centres], axis=1), straight.t)


def _cut(corners: Float[np.ndarray, "4 2"], cells: tuple[int, int]) -> Quads:
    """Cut a quadrilateral into cells."""
    s, t = (np.linspace(0.0, 1.0, n + 1) for n in cells)
    s, t = s[:, None, None], t[None, :, None]
    a, b, c, d = corners
    return _sheet((1 - s) * (1 - t) * a + s * (1 - t) * b + s * t * c + (1 - s) * t * d)


def _ring(inner: Float[np.ndarray, "n 2"], outer: Float[np.ndarray, "n 2"], layers: int) -> Quads:
    """Return layers between two closed lines."""
    s = np.linspace(0.0, 1.0, layers + 1)[:, None, None]
    inner, outer = (np.concatenate([line, line[:1]])[None] for line in (inner, outer))
    return _sheet((1 - s) * inner + s * outer)


def _sheet(points: Float[np.ndarray, "n m 2"]) -> Quads:
    """Return the cells of a structured grid of points, anticlockwise if the two axes are."""
    return np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2).reshape(-1, 4, 2)
