import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import RandomField1D


@pytest.mark.parametrize("length", [0.02, 0.1, 1.0])
def test_spectrum_is_that_of_the_equation(length):
    """(1 + (2 pi k l)^2)^-2, aliases added: Poisson's sum against the Fourier transform of the summed kernel.

    Terms up to |k| = 2e5 are summed; the rest is below 1e-13 of the whole for these lengths.
    """
    n, images = 32, 6000
    k = np.fft.fftfreq(n, 1 / n)[:, None] + n * np.arange(-images, images + 1)
    expected = np.sum((1 + (2 * np.pi * length * k) ** 2) ** -2.0, axis=1)
    family = RandomField1D(length=length, deviation=1.7)
    np.testing.assert_allclose(family.spectrum(n), 1.7**2 * expected / expected.sum(), rtol=1e-9, atol=1e-16)


def test_covariance_of_samples():
    """40000 samples have covariance C(x - y), periodic, within five standard errors, 5 (2 / n)^(1/2) sigma^2."""
    family = RandomField1D(deviation=0.5)
    data = family.generate(40_000, 16, 3)
    assert data.inputs is None and data.outputs.shape == (40_000, 1, 16)
    x = data.coordinates["x"]
    expected = family.covariance(x[:, None] - x)
    tolerance = 5 * 0.25 * np.sqrt(2 / 40_000)
    np.testing.assert_allclose(np.cov(data.outputs[:, 0], rowvar=False), expected, atol=tolerance)
    assert np.abs(data.outputs.mean(0)).max() < 5 * 0.5 / np.sqrt(40_000)
    np.testing.assert_allclose(family.covariance(np.array([0.3, 0.7, -0.3, 5.3])), family.covariance(0.3), rtol=1e-12)


def test_samples_by_seed():
    """Equal seeds give equal samples, whatever their number; another seed gives others."""
    family = RandomField1D()
    many = family.generate(7, 32, 1).outputs
    np.testing.assert_array_equal(family.generate(3, 32, 1).outputs, many[:3])
    assert not np.any(family.generate(7, 32, 2).outputs == many)


def test_parameters_are_checked():
    with pytest.raises(PdesolveError, match="`length` must be above 0 and at most 1, got 2"):
        RandomField1D(length=2.0)
    with pytest.raises(PdesolveError, match="`deviation` must be positive"):
        RandomField1D(deviation=0.0)
