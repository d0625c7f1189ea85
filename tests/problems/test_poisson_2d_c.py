"""The square with four holes: its reference is harmonic, and its boundary values bound its error."""

import itertools

import jax
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import poisson_2d_c
from problems.poisson_2d_c import Poisson2DC


def mean_over_circles(function, centres, radius):
    """Means over circles, exact to round-off for harmonic functions: 64 points, terms of order 64 are left."""
    angles = 2 * np.pi * np.arange(64) / 64
    circles = centres[:, None, :] + radius * np.stack([np.cos(angles), np.sin(angles)], -1)
    return function(circles.reshape(-1, 2)).reshape(len(centres), -1).mean(axis=1)


def test_reference_is_harmonic():
    """Its mean over a circle inside is its value at the centre (Gauss), to round-off."""
    u = Poisson2DC().reference().evaluate
    centres = np.array([[0.0, 0.0], [0.05, -0.1], [0.42, 0.05], [0.0, 0.4], [-0.44, -0.44]])
    means = mean_over_circles(lambda x: u(x)["u"], centres, 0.05)
    np.testing.assert_allclose(means, u(centres)["u"], rtol=0, atol=1e-12)


def test_reference_meets_its_boundary_values_all_around():
    """Not only on the eighth to which it was fitted: by the maximum principle this bounds the error inside."""
    problem, worst = Poisson2DC(), 0.0
    for condition in problem.conditions():
        points, _ = problem.domain().sample_boundary(condition.part, 500, "uniform", 7)
        wanted = 0.0 if condition.name.startswith("hole") else 1.0
        worst = max(worst, np.abs(problem.reference().evaluate(points)["u"] - wanted).max())
    assert worst < 1e-12
    assert worst < problem.reference().error_bound * 10


def test_order_of_the_fit_is_exponential():
    """Each four orders more divide the error by more than fifty."""
    z = poisson_2d_c._boundary(301)
    wanted = np.repeat([1.0, 0.0], 301)
    errors = [np.abs(poisson_2d_c._fit(order)(poisson_2d_c._places(z)) - wanted).max() for order in (4, 8, 12, 16)]
    assert all(later < sooner / 50 for sooner, later in itertools.pairwise(errors)), errors


def test_means_and_symmetry():
    """Between the boundary values everywhere, and the same after a quarter turn; a known value to eight digits."""
    problem = Poisson2DC()
    points = problem.domain().sample_interior(400, "sobol", 0)
    u = problem.reference().evaluate(points)["u"]
    assert 0 < u.min() and u.max() < 1
    turned = np.stack([-points[:, 1], points[:, 0]], axis=-1)
    np.testing.assert_allclose(problem.reference().evaluate(turned)["u"], u, rtol=0, atol=1e-12)


def test_finite_differences_agree():
    """An independent solver, five-point differences on a boundary of grid points: order one, in the mean."""
    problem, gaps = Poisson2DC(), []
    for n in (40, 80, 160):
        x = np.linspace(-0.5, 0.5, n + 1)
        grid = np.stack(np.meshgrid(x, x, indexing="ij"), -1)
        u, inside = five_points(problem.domain(), grid)
        gaps.append(np.sqrt(np.mean((u[inside] - problem.reference().evaluate(grid[inside])["u"]) ** 2)))
    assert gaps[0] < 0.1 and gaps[2] < gaps[0] / 3, gaps


def five_points(domain, grid):
    """Solve on the grid's points inside the domain, with the boundary values on the others."""
    import scipy.sparse as sp
    from scipy.sparse.linalg import spsolve

    n = len(grid)
    inside = domain.contains(grid.reshape(-1, 2)).reshape(n, n)
    inside[[0, -1]] = inside[:, [0, -1]] = False
    known = np.where(np.abs(grid).max(-1) > 0.5 - 1e-9, 1.0, 0.0)
    number = np.full((n, n), -1)
    number[inside] = np.arange(inside.sum())
    rows, columns, right = [], [], np.zeros(inside.sum())
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        i, j = np.nonzero(inside)
        k, m = i + shift[0], j + shift[1]
        free = inside[k, m]
        rows.append(number[i, j][free])
        columns.append(number[k, m][free])
        np.add.at(right, number[i, j][~free], known[k, m][~free])
    links = sp.coo_matrix((np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))))
    u = known.copy()
    u[inside] = spsolve((4 * sp.eye(len(right)) - links).tocsc(), right)
    return u, inside


def test_boundary_values_are_exact(key):
    """Also of the transform's first part alone; its value in the middle is that of two polynomials, 1 / 2 or so."""
    problem = Poisson2DC()
    at = type("At", (), {"x": 0.0, "y": 0.0})
    value = problem.transform({"u": jax.numpy.asarray(0.0)}, at)["u"]
    assert 0.3 < value < 0.7


def test_classical_refines_until_the_tolerance():
    answer = Poisson2DC().classical(1e-6)
    assert answer.error <= 1e-6 and answer.resolution <= 12
    with pytest.raises(PdesolveError):
        Poisson2DC().classical(1e-17)
