"""Spots that react: the equation under our calculus, the solver on cases with closed forms, convergence."""

import itertools

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from problems import GrayScott, gray_scott

from .pointwise import condition_residuals, equation_residuals


def test_equation_agrees_with_the_plain_formula():
    """On functions in closed form that do not solve it."""
    problem = GrayScott()
    points = problem.domain().sample_interior(50, "uniform", 0)
    x, y, t = points.T
    functions = lambda at: {"u": jnp.sin(at.x) * jnp.exp(-at.t), "v": jnp.cos(2 * at.y) + at.t}  # noqa: E731
    residuals = equation_residuals(problem, functions, points)
    u, v = np.sin(x) * np.exp(-t), np.cos(2 * y) + t
    expected_u = -u + 1e-5 * u - 0.04 * (1 - u) + u * v**2
    expected_v = 1 + 5e-6 * 4 * np.cos(2 * y) + 0.1 * v - u * v**2
    np.testing.assert_allclose(residuals["u"], expected_u, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(residuals["v"], expected_v, rtol=1e-12, atol=1e-9)


def test_as_published():
    """A loss that compares each value with all initial values has the gradient of the distance to their mean."""
    problem = GrayScott(as_published=1)
    (start,) = problem.conditions()
    means = condition_residuals(problem, start, lambda at: {"u": 0.0 * at.x, "v": 0.0 * at.x})
    points = np.random.default_rng(0).uniform(-1, 1, (200_000, 2))
    for values, function in zip(means.values(), (gray_scott._start_u, gray_scott._start_v), strict=True):
        np.testing.assert_allclose(-values, function(*points.T, np).mean(), atol=2e-3)
    wide = np.pi / 80 / 4  # the integral of a spot over the area
    np.testing.assert_allclose([-values[0] for values in means.values()], [1 - wide, wide], rtol=1e-9)
    assert problem.exact_conditions() == () and "periodic" not in problem.recipe().network.options


def test_equations_hold_on_the_series(monkeypatch):
    """Its values, its rate by differences of order two, and the Laplacian of its Fourier series in the equations.

    What is left is what the reaction makes in dropped modes, and the error of differences over 0.2.
    """
    monkeypatch.setattr(gray_scott, "DURATION", 4.0)
    problem, t0, n = GrayScott(), 2.0, 192
    solution = gray_scott._series(n, 20)
    x = -1 + 2 * np.arange(n) / n
    points = np.stack(np.meshgrid(x, x, np.array([t0 - 0.1, t0, t0 + 0.1]), indexing="ij"), -1).reshape(-1, 3)
    values = solution(points)
    k = np.pi * np.fft.fftfreq(n, 1 / n)
    u, v = (values[name].reshape(n, n, 3) for name in ("u", "v"))
    laplacian = [np.fft.ifft2(-(k[:, None] ** 2 + k[None] ** 2) * np.fft.fft2(w[..., 1])).real for w in (u, v)]
    rates = [(w[..., 2] - w[..., 0]) / 0.2 for w in (u, v)]
    # The residual of our calculus where the rate, the Laplacian and the values are those of the series.
    flat = [array.reshape(-1) for array in (u[..., 1], v[..., 1], *rates, *laplacian)]

    def local(at):
        here = [array[at.y.astype(int)] for array in map(jnp.asarray, flat)]
        return {
            name: here[i] + here[i + 2] * at.t + here[i + 4] * at.x**2 / 2 for i, name in enumerate(problem.field_names)
        }

    nodes = np.stack([np.zeros(n * n), np.arange(n * n), np.zeros(n * n)], axis=-1)
    residuals = equation_residuals(problem, local, nodes)
    for residual, rate in zip(residuals.values(), rates, strict=True):
        assert np.sqrt(np.mean(residual**2)) < 3e-3 * np.sqrt(np.mean(rate**2))


def test_without_diffusion_points_are_independent(monkeypatch):
    """Each point is then an ordinary differential equation, which DOP853 solves: values at nodes of a fine series."""
    monkeypatch.setattr(gray_scott, "DIFFUSIVITIES", (0.0, 0.0))
    monkeypatch.setattr(gray_scott, "DURATION", 1.0)
    solution = gray_scott._series(128, 20)
    places = np.array([[0.0, 0.0], [0.125, -0.125], [-0.25, 0.0625]])
    start = np.concatenate([f(places[:, 0], places[:, 1], np) for f in (gray_scott._start_u, gray_scott._start_v)])

    def rate(t, y):
        u, v = y[:3], y[3:]
        return np.concatenate([0.04 * (1 - u) - u * v**2, -0.1 * v + u * v**2])

    expected = solve_ivp(rate, (0, 1), start, "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    found = solution(np.column_stack([places, np.full(3, 1.0)]))
    np.testing.assert_allclose(np.concatenate([found["u"], found["v"]]), expected, atol=2e-5)


def test_converges_and_the_rest_state_is_not_the_solution():
    """Halving the spacing divides the error by more than three; the rest state is within a tenth, no closer."""
    points = np.random.default_rng(2).uniform((-0.5, -0.5, 50), (0.5, 0.5, 50.1), (400, 3))
    points[:, 2] = 60.0
    reference = GrayScott().reference()
    expected = reference.evaluate(points)
    errors = []
    for n in (48, 96):
        found = gray_scott._series(n, 100)(points)
        errors.append(np.sqrt(sum(np.sum((found[name] - expected[name]) ** 2) for name in ("u", "v"))))
    assert all(later < sooner / 2.5 for sooner, later in itertools.pairwise(errors)), errors
    assert reference.error_bound < 1e-3
    rest = np.sqrt(np.sum((1 - expected["u"]) ** 2) + np.sum(expected["v"] ** 2))
    assert rest > 0.05 * np.sqrt(np.sum(expected["u"] ** 2 + expected["v"] ** 2))
