"""Waves in two materials: materials, the solver in one material, an independent method, convergence."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from problems import Wave2DCG, wave_2d_cg
from problems._legendre import lobatto

from .pointwise import equation_residuals


def test_lobatto():
    """The rule is exact to degree 2 p - 1, the matrix differentiates polynomials of degree p."""
    nodes, weights, matrix = lobatto(5)
    for k in range(10):
        assert abs(weights @ nodes**k - (1 + (-1) ** k) / (k + 1)) < 1e-14
    assert abs(weights @ nodes**10 - 2 / 11) > 1e-3
    np.testing.assert_allclose(matrix @ nodes**5, 5 * nodes**4, atol=1e-12)


def test_materials():
    """Both are there, in few pieces; JAX and NumPy agree; seeds differ."""
    problem, middles = Wave2DCG(), -1 + (np.arange(16) + 0.5) / 8
    c = problem.speed_squared(middles[:, None], middles[None])
    np.testing.assert_array_equal(c, np.where(wave_2d_cg.fast_cells(0), 12.0, 1.0))
    assert 0.25 < (c == 12).mean() < 0.75
    assert (c[1:] != c[:-1]).sum() + (c[:, 1:] != c[:, :-1]).sum() < 100  # white noise has 240
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 100))
    np.testing.assert_array_equal(
        problem.speed_squared(jnp.asarray(x), jnp.asarray(y), jnp), problem.speed_squared(x, y)
    )
    assert (wave_2d_cg.fast_cells(1) != wave_2d_cg.fast_cells(0)).any()


def test_equation_agrees_with_the_plain_formula():
    """On a function in closed form that does not solve it."""
    problem = Wave2DCG()
    points = problem.domain().sample_interior(50, "uniform", 0)
    x, y, t = points.T
    residual = equation_residuals(problem, lambda at: {"u": jnp.sin(at.x) * at.y**2 * jnp.cos(3 * at.t)}, points)[
        "wave"
    ]
    u = np.sin(x) * y**2 * np.cos(3 * t)
    expected = -u + 2 * np.sin(x) * np.cos(3 * t) + 9 * u / problem.speed_squared(x, y)
    np.testing.assert_allclose(residual, expected, atol=1e-11)


def test_one_material(monkeypatch):
    """Where all is fast, a mode that the sides reflect oscillates like a cosine."""
    monkeypatch.setattr(wave_2d_cg, "fast_cells", lambda seed: np.ones((16, 16), bool))
    mode = lambda x, y, xp=np: xp.cos(np.pi * (x + 1) / 2) * xp.cos(np.pi * (y + 1))  # noqa: E731
    monkeypatch.setattr(wave_2d_cg, "_bump", mode)
    points = np.random.default_rng(0).uniform((-1, -1, 0), (1, 1, 5), (60, 3))
    x, y, t = points.T
    expected = mode(x, y) * np.cos(np.pi * np.sqrt(12 * 1.25) * t)
    np.testing.assert_allclose(wave_2d_cg._solve(0, 4)(points)["u"], expected, atol=2e-5)


def test_the_mean_over_the_materials_stays():
    """The integral of u / c is conserved, as nothing passes the sides."""
    solution = wave_2d_cg._solve(0, 4)
    s, w = np.polynomial.legendre.leggauss(4)
    x = (-1 + (np.arange(16)[:, None] + (1 + s) / 2) / 8).ravel()
    weights = np.outer(np.tile(w, 16), np.tile(w, 16)) / 256 / Wave2DCG().speed_squared(x[:, None], x[None])
    grid = np.stack(np.meshgrid(x, x, np.array([0.0, 0.7, 2.9, 5.0]), indexing="ij"), -1).reshape(-1, 3)
    means = np.einsum("ij,ijt->t", weights, solution(grid)["u"].reshape(64, 64, 4))
    np.testing.assert_allclose(means, means[0], rtol=1e-5)


def test_finite_differences_agree():
    """An independent method: the five-point formula between reflecting sides, leap-frog in time.

    Order one: lines between materials are lines between its cells too.
    """
    solution, errors = wave_2d_cg._solve(0, 8), []
    for n in (64, 128):
        h = 2 / n
        x = -1 + h * (np.arange(n) + 0.5)
        c = Wave2DCG().speed_squared(x[:, None], x[None])
        steps = int(np.ceil(0.5 / (0.5 * h / np.sqrt(12))))
        dt = 0.5 / steps

        def acceleration(u, c=c, h=h):
            padded = np.pad(u, 1, mode="edge")
            across = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2] - 4 * u
            return c * across / h**2

        u = wave_2d_cg._bump(x[:, None], x[None])
        before = u + dt**2 / 2 * acceleration(u)
        for _ in range(steps):
            before, u = u, 2 * u - before + dt**2 * acceleration(u)
        grid = np.stack(np.meshgrid(x, x, np.array([0.5]), indexing="ij"), -1).reshape(-1, 3)
        expected = solution(grid)["u"]
        errors.append(np.linalg.norm(u.ravel() - expected) / np.linalg.norm(expected))
    assert errors[1] < 4e-3 and errors[1] < errors[0] / 1.8, errors


@pytest.mark.slow
def test_converges():
    """More points, less error, at least in the first order: fronts bound it. The reference's bound is small."""
    points = np.random.default_rng(1).uniform((-1, -1, 0), (1, 1, 5), (1000, 3))
    points[:, 2] = np.repeat(points[:10, 2], 100)
    expected = Wave2DCG().reference().evaluate(points)["u"]
    errors = [np.linalg.norm(wave_2d_cg._solve(0, steps)(points)["u"] - expected) for steps in (1, 2, 4, 8)]
    assert all(later < sooner / 2 for sooner, later in itertools.pairwise(errors)), errors
    assert Wave2DCG().reference().error_bound < 1e-3
