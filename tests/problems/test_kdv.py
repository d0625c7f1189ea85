import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from problems import KdV

from .pointwise import equation_residuals


def test_equation_holds_on_a_soliton():
    """u = (3 c / eta) sech^2(sqrt(c / 4 mu) (x - c t)), terms of order c^2 sqrt(c / mu) cancel to round-off."""
    problem, c = KdV(nonlinearity=1.2), 0.5

    def soliton(at):
        phase = jnp.sqrt(c / (4 * problem.dispersion)) * (at.x - c * at.t)
        return {"u": 3 * c / problem.nonlinearity / jnp.cosh(phase) ** 2}

    points = np.random.default_rng(0).uniform((-0.3, 0), (0.3, 0.5), (200, 2))
    residual = equation_residuals(problem, soliton, points)["kdv"]
    assert np.abs(residual).max() < 1e-11


def test_reference_against_runge_kutta():
    """Fourier coefficients in the interaction picture by DOP853 on fewer points: another method in time."""
    problem = KdV()
    n = 480
    k = np.pi * np.arange(n // 2 + 1)
    kept = k < np.pi * n / 3
    dispersion = 1j * problem.dispersion * k**3

    def rate(t, c):
        wave = np.exp(dispersion * t)
        u = np.fft.irfft(np.where(kept, wave * c, 0) * n, n)
        return -0.5j * k * kept * np.fft.rfft(u * u) / n / wave

    start = np.zeros(len(k), complex)
    start[1] = 0.5
    solution = solve_ivp(rate, (0, 1), start, "DOP853", [0.5, 1.0], rtol=1e-9, atol=1e-11)
    x = np.arange(n) * 2 / n
    for t, c in zip(solution.t, solution.y.T, strict=True):
        u = np.fft.irfft(c * np.exp(dispersion * t) * n, n)
        expected = problem.reference().evaluate(np.stack([(x + 1) % 2 - 1, np.full(n, t)], axis=-1))["u"]
        # rtol of each of a few thousand steps
        assert np.linalg.norm(u - expected) < 2e-7 * np.linalg.norm(expected)
    assert problem.reference().error_bound < 1e-8


def test_invariants():
    """Mass and the integral of u^2, by the trapezoidal rule, which is exact for the resolved modes."""
    x = np.linspace(-1, 1, 1024, endpoint=False)
    u = [KdV().reference().evaluate(np.stack([x, np.full(1024, t)], axis=-1))["u"] for t in (0.0, 0.3141, 1.0)]
    np.testing.assert_allclose(np.mean(u, axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.mean(np.square(u), axis=1), 0.5, rtol=1e-8)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance):
    assert KdV().classical(tolerance).error <= tolerance


def test_other_parameters():
    problem = KdV(dispersion=1e-2, nonlinearity=1.5)
    assert problem.reference().error_bound < 1e-8
    assert problem.classical(1e-5).error <= 1e-5
