"""Splines on a grid that balls cut: volumes, lengths, the splines themselves, and order of convergence."""

import math

import numpy as np
import pytest

from problems._immersed import Splines, arcs, classify, cut_points

DISKS = np.array([[0.4, 0.3, 0.25], [0.9, 0.9, 0.3]])
"""The second one reaches out of the unit square, and its circle has a distance of 0.23 from the first."""
BALLS = np.array([[0.4, 0.3, 0.6, 0.2], [0.6, 0.7, 0.6, 0.2]])


def unit_box(n, d, **options):
    return Splines((np.linspace(0, 1, n + 1),) * d, **options)


@pytest.mark.parametrize(("balls", "volume"), [(DISKS[:1], math.pi * 0.25**2), (BALLS, 8 / 3 * math.pi * 0.2**3)])
def test_volume_outside_balls(balls, volume):
    """Cells outside, and the parts of cut cells, have the volume of the box less that of the balls."""
    d = balls.shape[1] - 1
    splines = unit_box(9, d)
    cut, inside = classify(splines, balls)
    whole = 1 - (len(cut) + len(inside)) / 9**d
    parts = sum(weights.sum() for _, _, weights in cut_points(splines, cut, balls, 8))
    assert abs(whole + parts - (1 - volume)) < 1e-7


def test_points_lie_in_their_cells_and_outside_the_balls():
    splines = unit_box(7, 3)
    cut, _ = classify(splines, BALLS)
    for chosen, points, weights in cut_points(splines, cut, BALLS, 3):
        assert (weights >= 0).all()
        flat, cells = points[weights > 0], np.repeat(cut[chosen], (weights > 0).sum(axis=1), axis=0)
        np.testing.assert_array_equal(splines.cells_of(flat), cells)
        gaps = np.linalg.norm(flat[:, None] - BALLS[:, :-1], axis=-1) - BALLS[:, -1]
        assert gaps.min() > -1e-12


def test_classes_of_cells():
    """By many points of each cell: some inside a ball and some outside, or all inside, but perhaps a corner."""
    splines, n = unit_box(8, 2), 8
    cut, inside = classify(splines, DISKS)
    s = (np.arange(40 * n) + 0.5) / (40 * n)
    x, y = np.meshgrid(s, s, indexing="ij")
    covered = np.min([(x - a) ** 2 + (y - b) ** 2 - r**2 for a, b, r in DISKS], axis=0) < 0
    share = covered.reshape(n, 40, n, 40).mean(axis=(1, 3))
    cut, inside, full, mixed = (
        set(map(tuple, c)) for c in (cut, inside, *map(np.argwhere, (share == 1, share % 1 > 0)))
    )
    assert inside <= full <= inside | cut and len(full - inside) <= 2
    assert mixed <= cut <= mixed | full
    assert len(inside) > 5 and len(cut) > 20


def test_length_of_arcs():
    """Of a circle inside, 2 pi r; of one whose right and upper parts are cut off, by the angles of the corners."""
    splines = unit_box(7, 2)
    assert abs(arcs(splines, DISKS[0])[1].sum() - 2 * math.pi * 0.25) < 1e-12
    points, weights = arcs(splines, DISKS[1])
    missing = 2 * math.acos(1 / 3)  # beyond x = 1, and as much beyond y = 1; both overlap
    overlap = missing - math.pi / 2
    length = 0.3 * (2 * math.pi - 2 * missing + max(overlap, 0))
    assert abs(weights.sum() - length) < 1e-12
    np.testing.assert_allclose(np.linalg.norm(points - DISKS[1, :2], axis=1), 0.3)


def test_splines_are_smooth_and_sum_to_one():
    """Gradients against differences; at a kink only the second derivative jumps; the degree is that of polynomials."""
    splines = Splines((np.array([0.0, 0.3, 0.5, 1.0]), np.linspace(0, 1, 5)), degree=3, kinks=((0.5,), ()))
    assert splines.shape == (7, 7)
    coefficients = np.random.default_rng(0).normal(size=49)
    points = np.random.default_rng(1).uniform(0.01, 0.99, (50, 2))
    cells = splines.cells_of(points)
    values, gradients = splines.local(points, cells)
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-14)
    h, evaluate = 1e-6, lambda p: splines.evaluate(coefficients, p)
    for axis in (0, 1):
        step = h * np.eye(2)[axis]
        differences = (evaluate(points + step) - evaluate(points - step)) / (2 * h)
        own = (gradients[axis] * coefficients[splines.numbers(cells)]).sum(axis=1)
        np.testing.assert_allclose(own, differences, atol=1e-7)

    def jump(x, order):
        """Of a derivative along the first axis, from differences on both sides."""
        s = 1e-4 * np.arange(4)
        left, right = (evaluate(np.stack([x + sign * s, np.full(4, 0.4)], -1)) for sign in (-1, 1))
        stencil = {1: [-11 / 6, 3, -1.5, 1 / 3], 2: [2, -5, 4, -1]}[order] / np.array(1e-4**order)
        return stencil @ right - (-1) ** order * (stencil @ left)

    assert abs(jump(0.5, 1)) < 1e-5 and abs(jump(0.5, 2)) > 1
    assert abs(jump(0.3, 1)) < 1e-5 and abs(jump(0.3, 2)) < 1e-3


def test_columns_of_coefficients():
    """Each point has its own column."""
    splines = unit_box(4, 2)
    coefficients = np.random.default_rng(0).normal(size=(math.prod(splines.shape), 3))
    points, columns = np.random.default_rng(1).uniform(size=(20, 2)), np.arange(20) % 3
    expected = np.stack([splines.evaluate(c, points) for c in coefficients.T])[columns, np.arange(20)]
    np.testing.assert_array_equal(splines.evaluate(coefficients, points, columns=columns), expected)


@pytest.mark.parametrize("degree", [2, 3])
def test_order_of_convergence(degree):
    """-u'' + u = f around a hole, fluxes from u = sin(x + 2 y): one order more than the degree, in L2."""
    disk, errors, sizes = DISKS[:1], [], (4, 6, 8, 12)
    for n in sizes:
        splines = unit_box(n, 2, degree=degree)
        cut, inside = classify(splines, disk)
        kept = np.ones((n, n), bool)
        kept[tuple(cut.T)] = kept[tuple(inside.T)] = False
        cells, total = np.argwhere(kept), math.prod(splines.shape)
        matrix, load = np.zeros((total, total)), np.zeros(total)
        source = lambda x, y: 6 * np.sin(x + 2 * y)  # noqa: E731
        for blocks in (splines.whole(cells), splines.cut(cut, disk, across=8, source=source)):
            np.add.at(matrix, (blocks.numbers[:, :, None], blocks.numbers[:, None]), blocks.mass + blocks.stiffness)
            np.add.at(load, blocks.numbers, blocks.load)

        def add(points, weights, splines=splines, load=load):
            here = splines.cells_of(points)
            np.add.at(load, splines.numbers(here), weights[:, None] * splines.local(points, here)[0])

        x, w = splines.gauss(0)
        for i, j in cells:  # the source on whole cells
            grid = np.stack(np.meshgrid(x[i], x[j], indexing="ij"), -1).reshape(-1, 2)
            add(grid, np.outer(w[i], w[j]).ravel() * source(*grid.T))
        points, weights = arcs(splines, disk[0])
        normals = -(points - disk[0, :2]) / disk[0, 2]
        add(points, weights * np.cos(points @ [1, 2]) * (normals @ [1, 2]))
        for axis, end, sign in ((0, 0, -1), (0, 1, 1), (1, 0, -2), (1, 1, 2)):
            side = np.full((x.size, 2), float(end))
            side[:, 1 - axis] = x.ravel()
            add(side, w.ravel() * sign * np.cos(side @ [1, 2]))

        solution = np.linalg.solve(matrix + 1e-13 * np.eye(total), load)
        places = np.random.default_rng(0).uniform(size=(2000, 2))
        places = places[np.linalg.norm(places - disk[0, :2], axis=1) > 0.25]
        errors.append(np.sqrt(np.mean((splines.evaluate(solution, places) - np.sin(places @ [1, 2])) ** 2)))
    order = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(order - degree - 1) < 0.25, errors
    assert errors[-1] < {2: 2e-5, 3: 1e-6}[degree]
