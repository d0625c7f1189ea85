"""The square with a source that changes its sign: the equation, the solver in cases with closed forms, convergence."""

import itertools

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from problems import Heat2DLT, heat_2d_lt
from problems._modes import plane_series

from .pointwise import equation_residuals


def test_equation_agrees_with_the_plain_formula():
    """On a function in closed form that does not solve it."""
    problem = Heat2DLT()
    points = problem.domain().sample_interior(50, "uniform", 0)
    x, y, t = points.T
    residual = equation_residuals(problem, lambda at: {"u": at.t * jnp.sin(at.x) * jnp.cos(2 * at.y)}, points)["heat"]
    shape = np.sin(x) * np.cos(2 * y)
    source = 5 * np.sin((t * shape) ** 2) * (1 + 2 * np.sin(np.pi * t / 4))
    source *= np.sin(4 * np.pi * x) * np.sin(2 * np.pi * y)
    np.testing.assert_allclose(residual, shape + 0.005 * t * shape - source, atol=1e-10)


def test_equation_holds_on_the_reference():
    """Its rate by differences of order four, its Laplacian by those of order two, in the equation."""
    problem, h, dt = Heat2DLT(), 1e-3, 5e-3
    evaluate = lambda p: problem.reference().evaluate(p)["u"]  # noqa: E731
    points = np.random.default_rng(0).uniform((0.01, 0.01, 0), (0.99, 0.99, 1), (200, 3))
    points[:, 2] = np.repeat([0.7, 5.3, 41.0, 99.0], 50)
    x, y, t = points.T
    u = evaluate(points)
    later = np.array([0, 0, dt])
    rate = sum(w * evaluate(points + j * later) for j, w in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (12 * dt)
    around = sum(evaluate(points + h * np.array(step)) for step in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)))
    source = 5 * np.sin(u**2) * (1 + 2 * np.sin(np.pi * t / 4)) * np.sin(4 * np.pi * x) * np.sin(2 * np.pi * y)
    residual = rate - 0.001 * (around - 4 * u) / h**2 - source
    # The series leaves 5e-5 of u; a rate of the source per u of up to 50 multiplies that.
    assert np.sqrt(np.mean(residual**2)) < 2e-3 * np.sqrt(np.mean(source**2))


def test_without_diffusion_points_are_independent(monkeypatch):
    """Each point is then an ordinary differential equation, which DOP853 solves: nodes of the collocation."""
    monkeypatch.setattr(heat_2d_lt, "DIFFUSIVITY", 0.0)
    monkeypatch.setattr(heat_2d_lt, "DURATION", 2.0)
    n = 8
    solution = heat_2d_lt._series(n, 200)
    x, y = np.array([2, 5, 8]) / (8 * n), np.array([7, 30, 50]) / (8 * n + 1)
    pattern = 5 * np.sin(4 * np.pi * x) * np.sin(2 * np.pi * y)
    rate = lambda t, u: np.sin(u**2) * (1 + 2 * np.sin(np.pi * t / 4)) * pattern  # noqa: E731
    start = np.sin(4 * np.pi * x) * np.sin(3 * np.pi * y)
    expected = solve_ivp(rate, (0, 2), start, "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    found = solution(np.stack([x, y, np.full(3, 2.0)], axis=-1))["u"]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_without_source_modes_decay(monkeypatch):
    """exp(-0.001 * 25 pi^2 t) times the initial value; between the steps it is interpolated."""
    monkeypatch.setattr(heat_2d_lt, "STRENGTH", 0.0)
    points = np.random.default_rng(0).uniform((0, 0, 0), (1, 1, 100), (50, 3))
    x, y, t = points.T
    expected = np.exp(-0.025 * np.pi**2 * t) * np.sin(4 * np.pi * x) * np.sin(3 * np.pi * y)
    np.testing.assert_allclose(heat_2d_lt._series(3, 500)(points)["u"], expected, atol=1e-11)


def test_reference_converges_and_has_the_symmetries():
    """Two thirds of the sines and steps multiply the error by five and more; period, odd and even about lines."""
    reference, points = Heat2DLT().reference(), np.random.default_rng(2).uniform((0, 0, 0), (0.5, 1, 100), (400, 3))
    points[:, 2] = np.repeat([3.0, 12.5, 50.0, 90.0], 100)
    expected = reference.evaluate(points)["u"]
    errors = [np.linalg.norm(heat_2d_lt._series(n, 250 * n)(points)["u"] - expected) for n in (6, 9, 13)]
    assert all(later < sooner / 5 for sooner, later in itertools.pairwise(errors)), errors
    assert reference.error_bound < 1e-4
    x, y, t = points.T
    for image, sign in ((x + 0.5, 1), (0.5 - x, -1), ((0.25 - x) % 0.5, 1)):
        np.testing.assert_allclose(reference.evaluate(np.stack([image, y, t], -1))["u"], sign * expected, atol=1e-9)


def test_plane_series():
    """On a grid, and at scattered points with times in any order, against the plain sum."""
    rng = np.random.default_rng(0)
    c, k = rng.normal(size=(3, 4)), np.arange(1, 5)
    coefficients, along_x, along_y = (
        lambda t: np.cos(t) * c,
        lambda x: np.cos(np.outer(x, k[:3])),
        lambda y: np.sin(np.outer(y, k)),
    )
    grid = np.stack(np.meshgrid([0.3, 0.1, 0.9], [0.2, 0.7], [1.0, 0.5], indexing="ij"), -1).reshape(-1, 3)
    for points in (grid, rng.uniform(size=(30, 3))):
        x, y, t = points.T
        expected = np.cos(t) * np.einsum("nk,kl,nl->n", along_x(x), c, along_y(y))
        np.testing.assert_allclose(plane_series(points, coefficients, along_x, along_y), expected, rtol=1e-12)


def test_classical():
    answer = Heat2DLT().classical(1e-2)
    assert answer.error <= 1e-2 and answer.resolution <= 8
