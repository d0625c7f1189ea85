"""The plane Allen-Cahn family: a travelling layer, closed forms, the falling energy, order in time."""

import numpy as np
import pytest
import scipy.fft

from problems._fields import fourier_values, resized
from problems.allen_cahn_2d import AllenCahn2D


def coefficients(values):
    return scipy.fft.rfft2(values, norm="forward")


def test_without_diffusion_points_are_independent():
    """u = u0 / sqrt(u0^2 + (1 - u0^2) exp(-2 r t)) at each point, here of a constant."""
    family = AllenCahn2D(rate=3.0, duration=0.4)
    start = np.zeros((1, 1, 16, 9), complex)
    start[..., 0, 0] = 0.3
    solved, _ = family._solve(start, 16, 40)
    expected = 0.3 / np.sqrt(0.09 + 0.91 * np.exp(-2 * 3.0 * 0.4))
    np.testing.assert_allclose(fourier_values(solved[0, 0], 16), expected, rtol=1e-7)


def test_a_pair_of_flat_layers_stays():
    """tanh layers far from each other are in equilibrium but for an attraction that is exponentially small."""
    family = AllenCahn2D(diffusivity=0.004, duration=0.5)
    x = np.arange(96) / 96
    width = np.sqrt(2 * 0.004 / 5.0)
    profile = np.tanh((x - 0.25) / width) - np.tanh((x - 0.75) / width) - 1
    start = coefficients(np.broadcast_to(profile[:, None], (96, 96)))[None, None]
    solved, _ = family._solve(start, 96, 30)
    np.testing.assert_allclose(fourier_values(solved[0, 0], 96)[:, 7], profile, atol=2e-3)


def test_a_disk_shrinks_by_its_curvature():
    """The area of a phase inside a circle falls at the rate 2 pi D."""
    family = AllenCahn2D(diffusivity=0.004, duration=1.0)
    x = np.arange(96) / 96 - 0.5
    width = np.sqrt(2 * 0.004 / 5.0)
    radius = np.sqrt(x[:, None] ** 2 + x[None] ** 2)
    start = coefficients(np.tanh((0.3 - radius) / width))[None, None]
    values = [fourier_values(c, 96) for c in (start[0, 0], family._solve(start, 96, 60)[0][0, 0])]
    areas = [float((value + 1).mean() / 2) for value in values]
    assert abs((areas[0] - areas[1]) / (2 * np.pi * 0.004) - 1) < 0.05


def test_energy_falls_and_phases_bound():
    """From a random mixture; halving the step divides the error by about sixteen."""
    family = AllenCahn2D(diffusivity=0.01, duration=0.5)
    start = resized(family.initial_coefficients(1, seed=0), 48)
    exact, _ = family._solve(start, 48, 160)
    steps = np.array([10, 20, 40])
    error = [np.linalg.norm(family._solve(start, 48, n)[0] - exact) for n in steps]
    assert abs(-np.polyfit(np.log(steps), np.log(error), 1)[0] - 4) < 0.4
    k = np.fft.fftfreq(48, 1 / 48)[:, None] ** 2 + np.arange(25.0)[None] ** 2
    twice = np.where(np.arange(25) == 0, 1, 2)

    def energy(c):
        u = fourier_values(c, 48)
        return 0.005 * 4 * np.pi**2 * np.sum(twice * k * np.abs(c) ** 2) + 1.25 * np.mean((1 - u**2) ** 2)

    assert energy(exact[0, 0]) < energy(start[0, 0])
    assert np.abs(fourier_values(exact[0, 0], 48)).max() <= 1


@pytest.mark.slow
def test_default_resolution_is_fine_enough():
    data = AllenCahn2D().generate(1, 64, seed=0)
    assert data.inputs.shape == data.outputs.shape == (1, 1, 64, 64)
    assert 0 < data.error_bound < 1e-3
    assert AllenCahn2D().classical(1e-2).error <= 1e-2
