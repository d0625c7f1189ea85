"""Random functions on the square, and Fourier series on its grids."""

import numpy as np
import pytest

from problems._fields import (
    cosine_field,
    cosine_values,
    fourier_at,
    fourier_values,
    frequencies,
    periodic_field,
    relative_errors,
    resized,
)


def variance(squares):
    return 1.0 / (1.0 + squares) ** 2


def series(c, x, y):
    """The sum over all frequencies, term by term; those of negative second frequency are conjugates."""
    total = 0.0
    for i, row in enumerate(c):
        k = i if i <= len(c) // 2 else i - len(c)
        for l, value in enumerate(row):  # noqa: E741
            term = value * np.exp(2j * np.pi * (k * x + l * y))
            total = total + np.real(term) * (1 if l == 0 else 2)
    return total


@pytest.mark.parametrize("n", [1, 4, 7, 12, 20])
def test_values_are_those_of_the_series(n):
    """Also where the grid does not resolve the modes, to round-off."""
    c = periodic_field(variance, num_samples=2, num_modes=3, seed=1)
    x, y = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
    values = fourier_values(c, n)
    for sample, one in zip(values, c, strict=True):
        np.testing.assert_allclose(sample, series(one, x, y), atol=1e-13)
        points = np.stack([x.ravel(), y.ravel()], axis=-1) + 0.013
        np.testing.assert_allclose(fourier_at(one, points), series(one, *points.T), atol=1e-13)


def test_resized_and_back():
    """More points add zeros; fewer cut off; what is left is the same function."""
    c = periodic_field(variance, num_samples=2, num_modes=3, seed=1)
    for n in (8, 9, 30):
        np.testing.assert_array_equal(resized(resized(c, n), 7), c)
        np.testing.assert_allclose(fourier_values(resized(c, n), 16), fourier_values(c, 16), atol=1e-14)
    cut = resized(c, 4)
    k, l = frequencies(4)  # noqa: E741
    assert not np.any(cut[:, (np.abs(k) == 2) | (l == 2)])


def test_relative_errors_are_those_of_the_values():
    """By Parseval."""
    c, other = (periodic_field(variance, num_samples=3, num_modes=3, seed=seed) for seed in (1, 2))
    u, v = fourier_values(c, 16), fourier_values(other, 16)
    expected = np.linalg.norm((u - v).reshape(3, -1), axis=1) / np.linalg.norm(v.reshape(3, -1), axis=1)
    np.testing.assert_allclose(relative_errors(c, other), expected, rtol=1e-12)


def test_periodic_covariance():
    """E u(x)^2 is the sum of all variances, the same everywhere, to 5 sigma of 2000 samples; the mean is zero."""
    u = fourier_values(periodic_field(variance, num_samples=2000, num_modes=2, seed=0), 6)
    k = np.arange(-2, 3)
    expected = variance(k[:, None] ** 2 + k[None] ** 2).sum()
    np.testing.assert_allclose(np.mean(u**2, axis=0), expected, atol=5 * expected * np.sqrt(2 / 2000))
    np.testing.assert_allclose(np.mean(u, axis=0), 0, atol=5 * np.sqrt(expected / 2000))


def test_cosine_covariance():
    """E c_k^2 is the variance, to 5 sigma; values are those of the orthonormal cosines."""
    c = cosine_field(variance, num_samples=2000, num_modes=3, seed=0)
    k = np.arange(3)
    expected = variance(k[:, None] ** 2 + k[None] ** 2)
    np.testing.assert_allclose(np.mean(c**2, axis=0) / expected, 1, atol=5 * np.sqrt(2 / 2000))
    x = np.linspace(0, 1, 5)
    basis = np.stack([np.ones(5), np.sqrt(2) * np.cos(np.pi * x), np.sqrt(2) * np.cos(2 * np.pi * x)])
    np.testing.assert_allclose(cosine_values(c, 5)[7], np.einsum("kl,kx,ly->xy", c[7], basis, basis), atol=1e-13)


@pytest.mark.parametrize("draw", [periodic_field, cosine_field])
def test_sample_does_not_depend_on_how_many(draw):
    many = draw(variance, num_samples=5, num_modes=4, seed=1)
    np.testing.assert_array_equal(draw(variance, num_samples=2, num_modes=4, seed=1), many[:2])
    assert not np.allclose(many[0], many[1])
    assert not np.allclose(draw(variance, num_samples=1, num_modes=4, seed=2)[0], many[0])
    assert draw(variance, num_samples=0, num_modes=4, seed=1).shape[0] == 0
