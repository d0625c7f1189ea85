"""Shallow water on the torus: waves in closed form, conserved quantities, another solver, its random states."""

import numpy as np
import pytest
import scipy.fft
from scipy.integrate import solve_ivp

from problems._fields import fourier_values, frequencies, resized
from problems.shallow_water import ShallowWater

SHORT = ShallowWater(viscosity=0.01, duration=0.1)


def coefficients(values):
    return scipy.fft.rfft2(values, norm="forward")


def grid(n):
    return np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")


def test_small_waves_have_the_frequency_of_inertia_gravity_waves():
    """Standing waves of amplitude 1e-6: omega^2 = f^2 + |k|^2, with the velocity that goes with them."""
    flow = ShallowWater(rotation=3.0, viscosity=0.001, duration=0.3)
    a, (p, q) = 1e-6, (2 * np.pi, 4 * np.pi)
    x, y = grid(32)
    phase, omega = p * x + q * y, np.sqrt(3.0**2 + p**2 + q**2)
    # eta = a cos(phase - omega t); (u, v) from the linear equations.
    c, s = np.cos(phase), np.sin(phase)
    square = p**2 + q**2
    start = a * np.stack([c, (omega * p * c - 3.0 * q * s) / square, (omega * q * c + 3.0 * p * s) / square])
    solved, _ = flow._solve(coefficients(start)[None], 32, 200)
    moved = np.cos(phase - omega * 0.3)
    # Viscosity damps the wave a little: its velocity at the rate nu k^2.
    damping = np.exp(-0.001 * square * 0.3)
    found = fourier_values(solved[0, 0], 32) / a
    assert damping > 0.93
    assert np.abs(found - moved).max() < 1.1 * (1 - damping) + 1e-4
    assert np.abs(found - c).max() > 0.5


def test_volume_and_energy():
    """Volume is conserved to rounding; in a short time energy changes by nu int (1 + eta) v . laplace v alone."""
    dt, n = 1e-4, 48
    flow = ShallowWater(viscosity=0.01, duration=dt)
    start = resized(flow.initial_coefficients(1, seed=1), n)[0]
    k, l = frequencies(n)  # noqa: E741
    (eta, u, v), (_, spread_u, spread_v) = fourier_values(np.stack([start, -4 * np.pi**2 * (k**2 + l**2) * start]), n)
    later = fourier_values(flow._solve(start[None], n, 2)[0][0], n)

    def energy(eta, u, v):
        return 0.5 * ((1 + eta) * (u**2 + v**2) + eta**2).mean()

    rate = (energy(*later) - energy(eta, u, v)) / dt
    expected = 0.01 * ((1 + eta) * (u * spread_u + v * spread_v)).mean()
    assert expected < 0 and abs(rate / expected - 1) < 5e-3
    assert abs(later[0].mean() - eta.mean()) < 1e-16


def test_against_an_independent_solver():
    """The advective form with products on a grid so fine that nothing aliases, and DOP853 in time."""
    start = resized(SHORT.initial_coefficients(1, seed=1), 32)[0]
    k, l = frequencies(32)  # noqa: E741
    kept = (np.abs(k) <= 10) & (l <= 10)
    viscous = -0.01 * 4 * np.pi**2 * (k**2 + l**2)
    k_fine, l_fine = frequencies(64)

    def rate(t, packed):
        fine = resized(packed.view(complex).reshape(3, 32, 17), 64)
        (eta, u, v), (eta_x, u_x, v_x), (eta_y, u_y, v_y) = (
            scipy.fft.irfft2(c, s=(64, 64), norm="forward")
            for c in (fine, 2j * np.pi * k_fine * fine, 2j * np.pi * l_fine * fine)
        )
        changes = np.stack(
            [
                -(u * eta_x + v * eta_y + (1 + eta) * (u_x + v_y)),
                -(u * u_x + v * u_y) + 5.0 * v - eta_x,
                -(u * v_x + v * v_y) - 5.0 * u - eta_y,
            ]
        )
        change = kept * resized(coefficients(changes), 32)
        change[1:] += viscous * packed.view(complex).reshape(3, 32, 17)[1:]
        return change.ravel().view(float)

    packed = np.ascontiguousarray(start * kept).ravel().view(float)
    solution = solve_ivp(rate, (0.0, 0.1), packed, method="DOP853", rtol=1e-9, atol=1e-11)
    expected = np.ascontiguousarray(solution.y[:, -1]).view(complex).reshape(3, 32, 17)
    solved, _ = SHORT._solve(start[None], 32, 60)
    assert np.linalg.norm(solved[0] - expected) < 1e-6 * np.linalg.norm(expected)


def test_initial_states():
    """Largest elevation and speed as stated; the velocity has no divergence."""
    start = ShallowWater().initial_coefficients(4, seed=0)
    eta, u, v = fourier_values(start, 64).swapaxes(0, 1)
    np.testing.assert_allclose(np.abs(eta).max(axis=(1, 2)), 0.2, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(u**2 + v**2).max(axis=(1, 2)), 0.3, rtol=1e-12)
    k, l = frequencies(9)  # noqa: E741
    assert np.abs(k * start[:, 1] + l * start[:, 2]).max() < 1e-15
    np.testing.assert_array_equal(ShallowWater().initial_coefficients(2, seed=0), start[:2])


@pytest.mark.slow
def test_default_resolution_is_fine_enough():
    data = ShallowWater().generate(1, 64, seed=0)
    assert data.inputs.shape == data.outputs.shape == (1, 3, 64, 64)
    assert 0 < data.error_bound < 1e-3
