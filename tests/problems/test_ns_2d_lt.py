"""The pulsating channel: its reference against the data, conservation, and the equations."""

import jax
import jax.numpy as jnp
import numpy as np

from problems import NS2DLT, ns_2d_lt

from .pointwise import equation_residuals


def test_equations_agree_with_the_plain_formula():
    """On functions in closed form that do not solve them."""
    problem = NS2DLT()
    points = problem.domain().sample_interior(40, "uniform", 0)
    x, y, t = points.T
    functions = lambda at: {"u": jnp.sin(at.x) * at.y * at.t, "v": at.x * at.y**2, "p": jnp.exp(at.x) * at.y}  # noqa: E731
    residuals = equation_residuals(problem, functions, points)
    u, v = np.sin(x) * y * t, x * y**2
    momentum_x = np.sin(x) * y + u * np.cos(x) * y * t + v * np.sin(x) * t + np.exp(x) * y + 0.01 * u
    momentum_y = (
        u * y**2 + v * 2 * x * y + np.exp(x) - 0.01 * 2 * x + np.sin(np.pi * x) * np.sin(np.pi * y) * np.sin(np.pi * t)
    )
    np.testing.assert_allclose(residuals["momentum_x"], momentum_x, atol=1e-12)
    np.testing.assert_allclose(residuals["momentum_y"], momentum_y, atol=1e-12)
    np.testing.assert_allclose(residuals["mass"], np.cos(x) * y * t + 2 * x * y, atol=1e-12)


def test_the_flow_is_that_of_the_inlet():
    """What enters passes every section at every time; on the walls nothing moves."""
    evaluate = NS2DLT().reference().evaluate
    y, w = np.polynomial.legendre.leggauss(60)
    for x, t in ((0.0, 0.3), (0.1, 1.7), (1.0, 2.45), (2.0, 4.9)):
        section = np.stack([np.full(60, x), (1 + y) / 2, np.full(60, t)], axis=-1)
        pulse = sum(np.sin(k * np.pi * t) for k in (1, 3, 5))
        assert abs(w @ evaluate(section)["u"] / 2 - 2 / np.pi * pulse) < 2e-3
    walls = np.random.default_rng(0).uniform((0, 0, 0), (2, 0, 5), (40, 3))
    walls[20:, 1] = 1.0
    assert max(np.abs(evaluate(walls)[name]).max() for name in "uv") < 1e-10


def test_pressure_at_the_start():
    """The first push is a potential flow: a harmonic pressure, whose mean over a section falls linearly to zero."""
    evaluate = NS2DLT().reference().evaluate
    y, w = np.polynomial.legendre.leggauss(40)
    for x in (0.0, 0.5, 1.5):
        section = np.stack([np.full(40, x), (1 + y) / 2, np.zeros(40)], axis=-1)
        # The potential flow slips along the walls, the elements' does not: a hundredth of the largest pressure.
        assert abs(w @ evaluate(section)["p"] / 2 - 18 * (2 - x)) < 0.36


def test_equations_hold_on_the_reference():
    """In a cell, with rates by differences of the reference: residuals beside the largest term, the rate."""
    problem, n, t0, h = NS2DLT(), 8, 1.3, 0.01
    low, high = np.array([0.9, 0.3]), np.array([1.7, 0.7])
    s = np.polynomial.legendre.leggauss(n)[0]
    x, y = ((a + b) / 2 + (b - a) / 2 * s for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y, t0 + h * np.arange(-2.0, 3.0), indexing="ij"), -1)
    found = problem.reference().evaluate(grid.reshape(-1, 3))
    inverse = np.linalg.inv(np.polynomial.chebyshev.chebvander(s, n - 1))
    quartic = np.linalg.inv(np.vander(np.arange(-2.0, 3.0), increasing=True))
    coefficients = {
        name: jnp.asarray(np.einsum("ai,bj,ct,ijt->abc", inverse, inverse, quartic, value.reshape(n, n, 5)))
        for name, value in found.items()
    }
    k = jnp.arange(float(n))

    def functions(at):
        a, b = ((2 * value - i - j) / (j - i) for value, i, j in zip((at.x, at.y), low, high, strict=True))
        along_x, along_y = (jnp.cos(k * jnp.arccos(value)) for value in (a, b))
        powers = jnp.stack([((at.t - t0) / h) ** i for i in range(5)])
        return {name: jnp.einsum("abc,a,b,c->", c, along_x, along_y, powers) for name, c in coefficients.items()}

    points = np.random.default_rng(0).uniform((*(low + 0.05), t0), (*(high - 0.05), t0 + 1e-9), (40, 3))
    residuals = jax.tree.map(lambda r: np.sqrt(np.mean(r**2)), equation_residuals(problem, functions, points))
    rate = 2 / np.pi * abs(ns_2d_lt._pulse_rate(t0, np))
    assert residuals["momentum_x"] < 0.02 * rate and residuals["momentum_y"] < 0.02 * rate
    assert residuals["mass"] < 0.02


def test_reference_is_converged():
    assert NS2DLT().reference().error_bound < 1e-3
