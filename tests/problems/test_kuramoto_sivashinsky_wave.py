"""One wave that becomes chaos: the equation under our calculus, the reference against another method in time."""

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from problems import KuramotoSivashinskyWave, kuramoto_sivashinsky_wave

from .pointwise import equation_residuals


def test_equation_holds_on_the_reference():
    """Its Fourier series in x and a polynomial in time, put into the equation: the residual beside the steepening."""
    problem, n, width, t0 = KuramotoSivashinskyWave(), 256, 9, 0.3
    x, offsets = 2 * np.pi * np.arange(n) / n, 1e-3 * (np.arange(width) - 4)
    points = np.stack([np.tile(x, width), np.repeat(t0 + offsets, n)], axis=-1)
    values = problem.reference().evaluate(points)["u"].reshape(width, n)
    series = np.linalg.solve(np.vander(offsets / 1e-3, increasing=True), np.fft.rfft(values) / n)[:, :86]
    coefficients = jnp.asarray(series * np.where(np.arange(86) == 0, 1, 2)[None])

    def exact(at):
        k = jnp.arange(86.0)
        powers = jnp.stack([((at.t - t0) / 1e-3) ** i for i in range(width)])
        waves = jnp.cos(k * at.x) @ coefficients.real.T - jnp.sin(k * at.x) @ coefficients.imag.T
        return {"u": waves @ powers}

    at = np.stack([np.random.default_rng(0).uniform(0, 2 * np.pi, 60), np.full(60, t0)], axis=-1)
    residual = equation_residuals(problem, exact, at)["kuramoto_sivashinsky"]
    # What is left is what the square makes in dropped modes, beside a fourth derivative of the size of the scale.
    wave = np.fft.irfft(np.fft.rfft(values[4]) * np.arange(n // 2 + 1) ** 4, n)
    assert np.abs(residual).max() < 5e-5 * 100 / 16**4 * np.abs(wave).max()


def test_reference_against_runge_kutta():
    """By DOP853 from the same start, with linear terms exact: until 0.3, before small errors have grown much."""
    problem, n = KuramotoSivashinskyWave(), 256
    k = np.arange(n // 2 + 1)
    kept, linear = k < n / 3, 100 / 16**2 * k**2 - 100 / 16**4 * k**4.0
    keep = np.flatnonzero(kept)

    def rate(t, c):
        full = np.zeros(len(k), complex)
        full[keep] = c
        u = np.fft.irfft(full * n, n)
        return (linear * full - 0.5j * 100 / 16 * k * np.fft.rfft(u * u) / n)[keep]

    x = 2 * np.pi * np.arange(n) / n
    start = np.fft.rfft(np.cos(x) * (1 + np.sin(x)))[keep] / n
    solution = solve_ivp(rate, (0, 0.3), start, "DOP853", [0.3], rtol=1e-9, atol=1e-11)
    full = np.zeros(len(k), complex)
    full[keep] = solution.y[:, -1]
    expected = problem.reference().evaluate(np.stack([x, np.full(n, 0.3)], axis=-1))["u"]
    assert np.linalg.norm(np.fft.irfft(full * n, n) - expected) < 1e-6 * np.linalg.norm(expected)


def test_order_in_time_and_mean():
    """Four, which stiff terms delay: twice the steps divide the error by ten and more; the mean stays zero."""
    x = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    late = x, np.full(100, 0.5)
    expected = kuramoto_sivashinsky_wave._series(128, 12000, 500)(*late)
    steps = (1500, 3000)
    errors = [np.linalg.norm(kuramoto_sivashinsky_wave._series(128, n, 500)(*late) - expected) for n in steps]
    assert 10 < errors[0] / errors[1] < 18, errors
    assert abs(expected.mean()) < 1e-10


def test_bound_and_classical():
    assert KuramotoSivashinskyWave().reference().error_bound < 1e-3
    assert KuramotoSivashinskyWave().classical(1e-2).error <= 1e-2
