r"""Galerkin methods with splines on a box from which balls are cut out: the grid need not fit the balls.

Products of B-splines on the cells of the whole box are restricted to what the balls leave. Integrals over cells that a
ball cuts are taken along lines, whose ends on the spheres are known exactly. Natural (Neumann, Robin) conditions need
nothing more. Functions inside a ball have no energy: systems are singular, but consistent. NumPy, float64.

References:
    Parvizian, Duester, Rank, Comput. Mech. 41 (2007) 121-133, for the idea (the finite cell method).
    de Boor, A Practical Guide to Splines, Springer (1978), for the recurrence of B-splines.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial.legendre import leggauss

__all__ = ["Blocks", "Splines", "arcs", "classify", "cut_points"]

Balls = Float[np.ndarray, "balls d_and_1"]
"""Centre and radius of each."""
Source = Callable[..., np.ndarray]
"""Coordinates, an array for each axis, to values."""
_CHUNK, _PARTS, _POINTS = 256, 4, 4096


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Integrals over parts of cells of products of the splines there, and of their gradients.

    Attributes:
        numbers: Numbers of a cell's splines, shape `(cells, m)`.
        mass: Shape `(cells, m, m)`.
        stiffness: Shape `(cells, m, m)`.
        load: Integrals of the source times the splines, shape `(cells, m)`; zero without one.
    """

    numbers: Int[np.ndarray, "cells m"]
    mass: Float[np.ndarray, "cells m m"]
    stiffness: Float[np.ndarray, "cells m m"]
    load: Float[np.ndarray, "cells m"]


@dataclasses.dataclass(frozen=True)
class Splines:
    """Products of B-splines on the cells of a box.

    Attributes:
        edges: Edges of the cells along each axis, ascending.
        degree: Of the polynomials; splines have one continuous derivative less.
        kinks: Along each axis the edges where only first derivatives are continuous.
    """

    edges: tuple[Float[np.ndarray, " n"], ...]
    degree: int = 3
    kinks: tuple[tuple[float, ...], ...] = ()

    @functools.cached_property
    def knots(self) -> tuple[Float[np.ndarray, " n"], ...]:
        """Knots along each axis: the ends `degree + 1` times, kinks `degree - 1` times."""
        return tuple(
            np.repeat(
                x,
                np.where(np.isin(x, kinks), self.degree - 1, 1)
                + self.degree * (np.isin(x, x[[0, -1]]) & ~np.isin(x, kinks)),
            )
            for x, kinks in zip(self.edges, self.kinks or ((),) * len(self.edges), strict=True)
        )

    @functools.cached_property
    def spans(self) -> tuple[Int[np.ndarray, " cells"], ...]:
        """Along each axis the number of the knot with which each cell begins."""
        return tuple(np.flatnonzero(np.diff(knots) > 0) for knots in self.knots)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of splines along each axis."""
        return tuple(len(knots) - self.degree - 1 for knots in self.knots)

    def along(
        self, axis: int, x: Float[np.ndarray, " n"], cells: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
        """Return the `degree + 1` splines of the cell of each point, and their derivatives."""
        knots, span = self.knots[axis], self.spans[axis][cells][:, None]
        values, slopes, x = np.ones((len(x), 1)), np.zeros((len(x), 1)), x[:, None]
        for degree in range(1, self.degree + 1):
            i = span + np.arange(1 - degree, 1)
            ratio = values / (knots[i + degree] - knots[i])
            values, slopes = np.zeros((2, len(x), degree + 1))
            values[:, 1:] = (x - knots[i]) * ratio
            values[:, :-1] += (knots[i + degree] - x) * ratio
            slopes[:, 1:] = degree * ratio
            slopes[:, :-1] -= degree * ratio
        return values, slopes

    def local(
        self, points: Float[np.ndarray, "n d"], cells: Int[np.ndarray, "n d"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "d n m"]]:
        """Return the products that do not vanish in the cell of each point, and their gradients."""
        tables = [self.along(axis, points[:, axis], cells[:, axis]) for axis in range(points.shape[1])]

        def product(slope):
            factors = [table[int(axis == slope)] for axis, table in enumerate(tables)]
            return functools.reduce(lambda a, b: (a[:, :, None] * b[:, None]).reshape(len(a), -1), factors)

        return product(None), np.stack([product(axis) for axis in range(len(tables))])

    def numbers(self, cells: Int[np.ndarray, "n d"]) -> Int[np.ndarray, "n m"]:
        """Return the numbers of the products that do not vanish in each cell."""
        result = np.zeros((len(cells), 1), int)
        for axis, count in enumerate(self.shape):
            first = self.spans[axis][cells[:, axis]] - self.degree
            along = first[:, None, None] + np.arange(self.degree + 1)
            result = (result[:, :, None] * count + along).reshape(len(cells), result.shape[1] * (self.degree + 1))
        return result

    def cells_of(self, points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n d"]:
        """Return the cell of each point; beyond the box the nearest one."""
        found = [np.searchsorted(x, p, side="right") - 1 for x, p in zip(self.edges, points.T, strict=True)]
        return np.stack([np.clip(i, 0, len(x) - 2) for x, i in zip(self.edges, found, strict=True)], axis=-1)

    def evaluate(
        self,
        coefficients: Float[np.ndarray, " total *columns"],
        points: Float[np.ndarray, "n d"],
        *,
        columns: Int[np.ndarray, " n"] | None = None,
    ) -> Float[np.ndarray, " n"]:
        """Return the splines' sum at points; of several columns of coefficients each point has one."""
        result = np.empty(len(points))
        for i in range(0, len(points), _POINTS):
            here = slice(i, i + _POINTS)
            cells = self.cells_of(points[here])
            numbers = self.numbers(cells)
            own = coefficients[numbers] if columns is None else coefficients[numbers, columns[here, None]]
            result[here] = (self.local(points[here], cells)[0] * own).sum(axis=1)
        return result

    def gauss(self, axis: int) -> tuple[Float[np.ndarray, "cells q"], Float[np.ndarray, "cells q"]]:
        """Return `degree + 1` Gauss points and weights on each cell of an axis."""
        return _gauss(self.edges[axis][:-1], self.edges[axis][1:], self.degree + 1)

    def table(self, axis: int, order: int = 0) -> Float[np.ndarray, "n splines"]:
        """Return all splines of an axis, or their derivatives, at the Gauss points of all cells."""
        x, _ = self.gauss(axis)
        cells = np.repeat(np.arange(len(x)), x.shape[1])
        table = np.zeros((x.size, self.shape[axis]))
        columns = self.spans[axis][cells][:, None] + np.arange(-self.degree, 1)
        table[np.arange(x.size)[:, None], columns] = self.along(axis, x.ravel(), cells)[order]
        return table

    def whole(self, cells: Int[np.ndarray, "n d"]) -> Blocks:
        """Integrate over whole cells."""
        mass, stiffness = np.ones((len(cells), 1, 1)), np.zeros((len(cells), 1, 1))
        for axis, (_, weights) in enumerate(map(self.gauss, range(len(self.edges)))):
            x, w = self.gauss(axis)[0][cells[:, axis]], weights[cells[:, axis]]
            flat = self.along(axis, x.ravel(), np.repeat(cells[:, axis], x.shape[1]))
            values, slopes = (table.reshape(*x.shape, self.degree + 1) for table in flat)
            m, k = (np.einsum("cqi,cq,cqj->cij", t, w, t, optimize=True) for t in (values, slopes))
            mass, stiffness = _kron(mass, m), _kron(stiffness, m) + _kron(mass, k)
        return Blocks(self.numbers(cells), mass, stiffness, np.zeros(mass.shape[:2]))

    def cut(self, cells: Int[np.ndarray, "n d"], balls: Balls, *, across: int, source: Source | None = None) -> Blocks:
        """Integrate over the parts of cells outside the balls; see `cut_points`."""
        size = (self.degree + 1) ** len(self.edges)
        mass, stiffness = np.zeros((2, len(cells), size, size))
        load = np.zeros((len(cells), size))
        for chosen, points, weights in cut_points(self, cells, balls, across):
            flat = points.reshape(-1, points.shape[-1])
            values, gradients = self.local(flat, np.repeat(cells[chosen], points.shape[1], axis=0))
            if source is not None:
                weighted = weights * source(*flat.T).reshape(weights.shape)
                load[chosen] = (weighted[:, None] @ values.reshape(*weights.shape, size))[:, 0]
            for target, tables in ((mass, values[None]), (stiffness, gradients)):
                for table in tables:
                    table = table.reshape(*weights.shape, size)
                    target[chosen] += np.swapaxes(table * weights[..., None], 1, 2) @ table
        return Blocks(self.numbers(cells), mass, stiffness, load)


def _kron(a: Float[np.ndarray, "n i j"], b: Float[np.ndarray, "n k l"]) -> Float[np.ndarray, "n ik jl"]:
    """The Kronecker product of each pair."""
    product = a[:, :, None, :, None] * b[:, None, :, None, :]
    return product.reshape(len(a), a.shape[1] * b.shape[1], a.shape[2] * b.shape[2])


def _gauss(low: np.ndarray, high: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss points and weights between two ends, along a new last axis."""
    s, w = leggauss(count)
    half = (high - low)[..., None] / 2
    return low[..., None] + half * (1 + s), half * w


def classify(splines: Splines, balls: Balls) -> tuple[Int[np.ndarray, "n d"], Int[np.ndarray, "n d"]]:
    """Return the cells that balls cut, and those that a ball contains."""
    d = len(splines.edges)
    counts = [len(x) - 1 for x in splines.edges]
    inside, touched = np.zeros((2, *counts), bool)
    for ball in balls:
        nearest, farthest = np.zeros((2, *counts))
        for axis, x in enumerate(splines.edges):
            low, high = (x[:-1] - ball[axis], x[1:] - ball[axis])
            shape = [-1 if i == axis else 1 for i in range(d)]
            nearest += (np.maximum(np.maximum(low, -high), 0) ** 2).reshape(shape)
            farthest += (np.maximum(np.abs(low), np.abs(high)) ** 2).reshape(shape)
        inside |= farthest <= ball[-1] ** 2
        touched |= nearest < ball[-1] ** 2
    return np.argwhere(touched & ~inside), np.argwhere(inside)


def cut_points(
    splines: Splines, cells: Int[np.ndarray, "n d"], balls: Balls, across: int
) -> Iterator[tuple[Int[np.ndarray, " c"], Float[np.ndarray, "c q d"], Float[np.ndarray, "c q"]]]:
    """Return quadratures of the parts of cells outside the balls: which cells, points, weights.

    Gauss's rule in one coordinate after the other, the last one closest to the normal of the nearest sphere, on the
    pieces between places where the integral over the others is not smooth. A piece has `across` points along each
    axis, but one more than the degree along the last.
    """
    d = len(splines.edges)
    low, high = (np.stack([x[cells[:, a] + i] for a, x in enumerate(splines.edges)], axis=-1) for i in (0, 1))
    offset = (low + high)[:, None] / 2 - balls[:, :-1]
    gaps = np.abs(np.linalg.norm(offset, axis=-1) - balls[:, -1])
    near = np.argsort(gaps, axis=1)[:, :2]  # cells are small: no third ball comes close
    direction = np.abs(offset[np.arange(len(cells)), near[:, 0]]).argmax(axis=1)
    for last in range(d):
        axes = [axis for axis in range(d) if axis != last] + [last]
        counts = [across] * (d - 1) + [splines.degree + 1]
        group = np.flatnonzero(direction == last)
        for start in range(0, len(group), _CHUNK):
            chosen = group[start : start + _CHUNK]
            points, weights = _between(low[chosen], high[chosen], balls[near[chosen]], axes, counts)
            used = (weights > 0).sum(axis=1)
            for part in np.array_split(np.argsort(used), _PARTS):  # alike, so that few points have no weight
                if used[part].any():
                    kept = np.argsort(weights[part] == 0, axis=1, kind="stable")[:, : int(used[part].max())]
                    there = np.take_along_axis(points[part], kept[..., None], axis=1)[..., np.argsort(axes)]
                    yield chosen[part], there, np.take_along_axis(weights[part], kept, axis=1)


def _between(
    low: Float[np.ndarray, "c d"],
    high: Float[np.ndarray, "c d"],
    balls: Float[np.ndarray, "c balls d_and_1"],
    axes: list[int],
    counts: list[int],
) -> tuple[Float[np.ndarray, "c q d"], Float[np.ndarray, "c q"]]:
    r"""Return points (coordinates in the order of `axes`) and weights outside the balls, between corners of cells.

    With the coordinates chosen so far, a sphere of centre m and radius r turns up or down, or meets faces of the cell
    along axes that are still to come, at

    $$x = m \pm \sqrt{r^2 - \sum_{chosen} (x_i - m_i)^2 - \sum_{to\ come} e_j^2},$$

    where each $e_j$ is zero or the distance of a face from the centre.
    """
    points, weights = np.empty((len(low), 1, 0)), np.ones((len(low), 1))
    left = balls[:, None, :, -1] ** 2  # r^2 less the squares of the coordinates chosen so far
    for level, (axis, count) in enumerate(zip(axes, counts, strict=True)):
        squares = [np.zeros_like(balls[..., 0])]
        for other in axes[level + 1 :]:
            faces = [(end[:, None, other] - balls[..., other]) ** 2 for end in (low, high)]
            squares = [square + face for square in squares for face in (0.0, *faces)]
        half = np.concatenate([np.sqrt(np.maximum(left - square[:, None], 0)) for square in squares], axis=-1)
        centre = np.tile(balls[:, None, :, axis], len(squares))
        ends = [np.broadcast_to(end[:, axis, None, None], (*half.shape[:2], 1)) for end in (low, high)]
        marks = np.sort(np.clip(np.concatenate([*ends, centre - half, centre + half], axis=-1), *ends), axis=-1)
        begin, length = marks[..., :-1], np.diff(marks, axis=-1)
        if level == len(axes) - 1:
            middle = (begin + length / 2)[..., None]
            length = np.where((np.abs(middle - centre[:, :, None]) >= half[:, :, None]).all(axis=-1), length, 0)

        # As many of the longest pieces as any line has.
        longest = np.argsort(-length, axis=-1)[..., : max(1, int((length > 0).sum(axis=-1).max()))]
        begin, length = (np.take_along_axis(v, longest, axis=-1) for v in (begin, length))
        x, w = (v.reshape(*begin.shape[:2], -1) for v in _gauss(begin, begin + length, count))
        repeated = np.broadcast_to(points[:, :, None], (*x.shape, level))
        points = np.concatenate([repeated, x[..., None]], axis=-1).reshape(len(low), -1, level + 1)
        weights = (weights[..., None] * w).reshape(len(low), -1)
        left = (left[:, :, None] - (x[..., None] - balls[:, None, None, :, axis]) ** 2).reshape(*weights.shape, -1)
    return points, weights


def arcs(splines: Splines, ball: Float[np.ndarray, " 3"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Return points and weights on the part of a circle inside the box: Gauss on each arc between lines of the grid."""
    crossings = [np.linspace(-np.pi, np.pi, 5)]
    for axis, x in enumerate(splines.edges):
        cosine = (x - ball[axis]) / ball[-1]
        angles = np.arccos(cosine[np.abs(cosine) < 1])
        crossings += [axis * np.pi / 2 + angles, axis * np.pi / 2 - angles]
    edges = np.append(np.unique(np.mod(np.concatenate(crossings) + np.pi, 2 * np.pi)), 2 * np.pi) - np.pi
    angle, weights = (v.ravel() for v in _gauss(edges[:-1], edges[1:], splines.degree + 1))
    points = ball[:2] + ball[-1] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    kept = np.all([(p >= x[0]) & (p <= x[-1]) for p, x in zip(points.T, splines.edges, strict=True)], axis=0)
    return points[kept], ball[-1] * weights[kept]
