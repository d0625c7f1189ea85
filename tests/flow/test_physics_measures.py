"""Measures of law and equation against closed forms."""

import numpy as np
import pytest
import scipy.stats

from pdesolve.flow.physics_measures import (
    coverage,
    jensen_shannon,
    law_errors,
    marginal_wasserstein,
    physics_errors,
    resolve_error,
)

from .line import Parabola

RNG = np.random.default_rng(0)


def fields(n=500):
    return Parabola().generate(n, 4, 7).outputs


def test_wasserstein_of_shifted_and_scaled_values():
    """A shift by c is c / std; averaged over channels, it is SciPy's distance of the pooled values."""
    data = fields()
    shifted = data + np.array([0.1, 0.3])[:, None]
    expected = 0.5 * (0.1 / data[:, 0].std() + 0.3 / data[:, 1].std())
    np.testing.assert_allclose(marginal_wasserstein(shifted, data), expected, rtol=1e-12)
    other = RNG.normal(2.0, 0.7, data.shape)
    pairs = [(other[:, c].ravel(), data[:, c].ravel()) for c in range(2)]
    expected = np.mean([scipy.stats.wasserstein_distance(*pair) / pair[1].std() for pair in pairs])
    np.testing.assert_allclose(marginal_wasserstein(other, data), expected, rtol=1e-12)


def test_jensen_shannon():
    """0 for equal sets, ln 2 for sets apart, and between them the divergence of the histograms."""
    data = fields()
    assert jensen_shannon(data, data) == 0
    # All that lies above the range is counted in the last bin, where the data have one value of each channel.
    apart = jensen_shannon(data + 1e6, data)
    assert 0.99 * np.log(2) < apart <= np.log(2)
    other = data[::-1] * np.array([1.1, 1.0])[:, None]
    expected = []
    for c in range(2):
        edges = np.linspace(data[:, c].min(), data[:, c].max(), 101)
        p = np.histogram(np.clip(other[:, c], edges[0], edges[-1]), edges)[0]
        q = np.histogram(data[:, c], edges)[0]
        p, q = p / p.sum(), q / q.sum()
        expected.append(0.5 * scipy.stats.entropy(p, (p + q) / 2) + 0.5 * scipy.stats.entropy(q, (p + q) / 2))
    np.testing.assert_allclose(jensen_shannon(other, data), np.mean(expected), rtol=1e-12)


def test_coverage():
    """Of normal numbers, 90 per cent lie within quantiles of the same law, and fewer of one half as wide."""
    first, second = RNG.standard_normal((2, 4000, 1, 5))
    assert abs(coverage(first, second) - 0.9) < 0.02
    expected = scipy.stats.norm.cdf(0.5 * 1.6449) - scipy.stats.norm.cdf(-0.5 * 1.6449)
    assert abs(coverage(0.5 * first, second) - expected) < 0.02


def test_laws_do_not_depend_on_units():
    """Scaling a channel of both sets changes no measure."""
    data, other = fields(), RNG.normal(2.0, 0.7, (500, 2, 4))
    scale = np.array([10.0, 1e-3])[:, None]
    first, second = law_errors(other, data), law_errors(scale * other, scale * data)
    np.testing.assert_allclose(list(second.values()), list(first.values()), rtol=1e-9)
    assert {"wasserstein", "jensen_shannon", "marginal_wasserstein", "coverage"} <= set(first)


def test_errors_of_the_equation():
    """An error of 0.1 in w is a residual of 0.1; that of data is zero; half the fields' amplitude shows as 0.5."""
    data = fields()
    spoilt = data + np.array([0.0, 0.1])[:, None]
    errors = physics_errors(Parabola(), spoilt, data)
    np.testing.assert_allclose(errors["residual"], 0.1, rtol=1e-12)
    assert errors["residual_of_data"] < 1e-15 and errors["unresolved"] == 0
    np.testing.assert_allclose(errors["deviation_w"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(physics_errors(Parabola(), 0.5 * data, data)["deviation_u"], 0.5, rtol=1e-12)


def test_error_of_fields_solved_anew():
    """Relative L2 of w against u^2, mean over samples; those without a solution are counted apart."""
    data = fields(10)
    spoilt = data * np.array([1.0, 1.2])[:, None]
    assert resolve_error(Parabola(), spoilt) == (pytest.approx(0.2, rel=1e-12), 0.0)
    spoilt[:4, 0, 1] = np.nan
    error, unresolved = resolve_error(Parabola(), spoilt)
    assert error == pytest.approx(0.2, rel=1e-12) and unresolved == 0.4
    spoilt[:, 0] = np.nan
    assert np.isnan(resolve_error(Parabola(), spoilt)[0])
