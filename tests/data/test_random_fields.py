"""Gaussian random functions on a periodic interval, and their values on grids."""

import numpy as np
import pytest

from pdesolve.data import fourier_values, periodic_gaussian_field
from pdesolve.errors import PdesolveError


def variance(k):
    return 625.0 / ((2 * np.pi * k) ** 2 + 25.0) ** 2


def draw(num_samples, num_modes=20, seed=1):
    return periodic_gaussian_field(variance, num_samples=num_samples, num_modes=num_modes, seed=seed)


def test_covariance():
    """E u(x) u(y) = sum_k lambda_k cos(2 pi k (x - y)), to 5 sigma of 4000 samples; the mean is zero."""
    u = fourier_values(draw(4000), 32)
    k = np.arange(-20, 21)
    x = np.arange(32) / 32
    expected = np.sum(variance(np.abs(k)) * np.cos(2 * np.pi * np.subtract.outer(x, x)[..., None] * k), axis=-1)
    sigma = expected[0, 0] * np.sqrt(2 / 4000)  # of a variance; a covariance varies less
    np.testing.assert_allclose(u.T @ u / 4000, expected, atol=5 * sigma)
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=5 * np.sqrt(expected[0, 0] / 4000))


def test_sample_does_not_depend_on_the_counts():
    """Neither on how many functions are drawn, nor on how many modes."""
    many = draw(6, num_modes=30)
    np.testing.assert_array_equal(draw(2)[:, :21], many[:2, :21])
    assert not np.allclose(draw(2, seed=2), draw(2))
    assert not np.allclose(many[0], many[1])


@pytest.mark.parametrize("n", [1, 7, 16, 60])
def test_values_are_those_of_the_series(n):
    """c_0 + 2 Re sum c_k e^(2 pi i k j / n), also where the grid does not resolve the modes, to round-off."""
    c = draw(3)
    k, x = np.arange(21), np.arange(n) / n
    expected = c[:, :1].real + 2 * np.real(c[:, 1:] @ np.exp(2j * np.pi * np.outer(k[1:], x)))
    np.testing.assert_allclose(fourier_values(c, n), expected, atol=1e-13)


def test_counts_are_checked():
    with pytest.raises(PdesolveError, match="-1 samples and 20 modes"):
        draw(-1)
