import numpy as np
import pytest

from pdesolve.flow import distribution_errors
from pdesolve.flow.statistics import MEASURES, _spectrum, wasserstein
from problems import RandomField1D


@pytest.fixture(scope="module")
def fields():
    return RandomField1D().generate(2000, 32, 5).outputs


def test_equal_sets_are_at_distance_zero(fields):
    assert all(value == 0 for value in distribution_errors(fields, fields).values())


def test_amplitude(fields):
    """Fields times 1.1 have second moments times 1.21, exactly."""
    centred = fields - fields.mean(0)
    errors = distribution_errors(1.1 * centred, centred)
    for name in ("variance_error", "spectrum_error", "covariance_error"):
        np.testing.assert_allclose(errors[name], 0.21, rtol=1e-12)


def test_shift(fields):
    """A constant c is c / (root mean square deviation) for the mean, and nothing for variance and covariance."""
    errors = distribution_errors(fields + 0.3, fields)
    np.testing.assert_allclose(errors["mean_error"], 0.3 / np.sqrt(fields.var(0).mean()), rtol=1e-12)
    assert max(errors["variance_error"], errors["covariance_error"]) < 1e-12


def test_wasserstein_of_gaussians_on_a_line(key):
    """In one dimension, W1 of N(0, 1) and N(c, 1) is c; of N(0, 1) and N(0, s^2), |s - 1| (2 / pi)^(1/2).

    Sorted samples of the same draw give the first exactly, and the second up to their sampling error, 3 / n^(1/2).
    """
    x = np.random.default_rng(0).standard_normal((10_000, 1, 1))
    np.testing.assert_allclose(wasserstein(x + 0.7, x), 0.7 / x.std(), rtol=1e-12)
    assert abs(wasserstein(1.5 * x, x) - 0.5 * np.sqrt(2 / np.pi)) < 0.03


def test_parseval(fields):
    """The energies of all modes add up to the mean square, in one direction and in two."""
    np.testing.assert_allclose(_spectrum(fields).sum(), np.mean(fields**2), rtol=1e-12)
    square = fields.reshape(2000, 1, 8, 4)
    np.testing.assert_allclose(_spectrum(square).sum(), np.mean(square**2), rtol=1e-12)


def test_noise_is_told_from_correlated_fields(fields):
    """White noise of equal variance fails by far in spectrum and covariance, and not in the variance alone."""
    noise = np.random.default_rng(1).standard_normal(fields.shape)
    further = RandomField1D().generate(2000, 32, 6).outputs
    errors, floors = distribution_errors(noise, fields), distribution_errors(further, fields)
    assert set(errors) == set(MEASURES)
    assert errors["spectrum_error"] > 10 * floors["spectrum_error"]
    assert errors["covariance_error"] > 10 * floors["covariance_error"]
    assert errors["wasserstein"] > 3 * floors["wasserstein"]
    assert errors["variance_error"] < 3 * floors["variance_error"]
