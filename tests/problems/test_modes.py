import numpy as np
import pytest

from problems._modes import Trajectory, cosine_coefficients, cosine_values, etdrk4


def logistic_error(steps):
    """u' = 2u - u^2, u(0) = 1/2, against u = 2 / (1 + 3 exp(-2t)) at t = 2."""
    states = etdrk4(np.array([0.5]), np.array([2.0]), lambda t, u: -(u**2), duration=2.0, steps=steps)
    return abs(states[-1, 0] - 2 / (1 + 3 * np.exp(-4.0)))


def test_fourth_order():
    steps = np.array([8, 16, 32, 64])
    error = [logistic_error(n) for n in steps]
    assert abs(-np.polyfit(np.log(steps), np.log(error), 1)[0] - 4) < 0.25
    assert error[-1] < 5e-7


@pytest.mark.parametrize("rate", [-1e6, -1.0, 0.0, 100j])
def test_exact_without_nonlinear_term(rate):
    """u' = L u in 7 steps gives exp(L), whatever the size of L; a constant source is integrated exactly too."""
    rates = np.array([rate])
    states = etdrk4(np.ones(1, type(rate)), rates, lambda t, u: 0 * u, duration=1.0, steps=7)
    np.testing.assert_allclose(states[-1], np.exp(rates), atol=1e-13)
    states = etdrk4(np.zeros(1, type(rate)), rates, lambda t, u: 1 + 0 * u, duration=1.0, steps=7)
    expected = np.expm1(rate) / rate if rate else 1.0
    np.testing.assert_allclose(states[-1], expected, rtol=1e-12)


def test_stores_every_third_step():
    states = etdrk4(np.ones(2), -np.arange(2.0), lambda t, u: 0 * u, duration=3.0, steps=9, every=3)
    np.testing.assert_allclose(states, np.exp(-np.outer(np.arange(4), np.arange(2))), rtol=1e-13)


def test_overflow_is_reported():
    """u' = u^2 from u = 1 is infinite at t = 1."""
    with pytest.raises(FloatingPointError):
        etdrk4(np.ones(1), np.zeros(1), lambda t, u: u**2, duration=20.0, steps=200)


def test_cosine_transforms():
    """Values at j / 8 of a cosine polynomial of degree 8, and back; complex ones too."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=9) + 1j * rng.normal(size=9)
    values = np.cos(np.pi * np.outer(np.arange(9), np.arange(9)) / 8) @ c
    np.testing.assert_allclose(cosine_values(c), values, atol=1e-13)
    np.testing.assert_allclose(cosine_coefficients(values), c, atol=1e-13)


def test_interpolation_in_time():
    """Polynomials of degree 7 times exp(i omega t) are followed exactly; grids and scattered points agree."""
    times, frequencies = np.linspace(0, 2, 21), np.array([0.0, 500.0])

    def coefficients(t):
        return np.stack([t**7 - t, np.exp(500j * t) * (1 - t**2)], axis=-1)

    f = Trajectory(coefficients(times), 2.0, lambda x: x[:, None] ** np.arange(2), frequencies)
    x, t = np.random.default_rng(0).uniform(0, 2, (2, 300))
    expected = np.sum(coefficients(t) * x[:, None] ** np.arange(2), axis=1)
    np.testing.assert_allclose(f(x, t), expected, atol=1e-9)
    grid_x, grid_t = (a.ravel() for a in np.meshgrid(x[:20], t[:10], indexing="ij"))
    np.testing.assert_allclose(f(grid_x, grid_t).reshape(20, 10).diagonal(), expected[:10], atol=1e-9)
