"""Chebyshev collocation is exact on polynomials and converges geometrically on analytic functions."""

import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.spectral import (
    barycentric,
    barycentric_matrix,
    chebyshev_matrix,
    chebyshev_points,
    clenshaw_curtis,
)

INTERVAL = (0.3, 2.1)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_points(n):
    """x_j = (a + b)/2 - (b - a)/2 cos(pi j / (n - 1)), ends exact."""
    x = chebyshev_points(n, INTERVAL)
    assert (x[0], x[-1]) == INTERVAL
    np.testing.assert_allclose(x, 1.2 - 0.9 * np.cos(np.pi * np.arange(n) / (n - 1)), atol=1e-15)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_polynomials_are_exact(n):
    """p of degree n - 1: p' by the matrix, p between the points, and the integral of p, all to round-off."""
    p = np.polynomial.Polynomial(np.linspace(1, -2, n))
    x, targets = chebyshev_points(n, INTERVAL), np.linspace(*INTERVAL, 11)
    np.testing.assert_allclose(chebyshev_matrix(n, INTERVAL) @ p(x), p.deriv()(x), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(barycentric_matrix(x, targets) @ p(x), p(targets), rtol=1e-12, atol=1e-12)
    exact = p.integ()(INTERVAL[1]) - p.integ()(INTERVAL[0])
    np.testing.assert_allclose(clenshaw_curtis(n, INTERVAL) @ p(x), exact, rtol=1e-12)


def test_weights_are_positive_and_sum_to_the_length():
    """w_j > 0 and sum w_j = b - a, for even and odd n."""
    for n in (2, 3, 20, 21, 64):
        w = clenshaw_curtis(n, INTERVAL)
        assert (w > 0).all()
        np.testing.assert_allclose(w.sum(), 1.8, rtol=1e-14)


def test_geometric_convergence():
    """u = exp(sin 3x): the error of u' falls below 1e-10 by n = 48; round-off n^2 eps allows 1e-11."""
    errors = []
    for n in (12, 24, 48):
        x = chebyshev_points(n, (-1, 1))
        u = np.exp(np.sin(3 * x))
        errors.append(np.abs(chebyshev_matrix(n, (-1, 1)) @ u - 3 * np.cos(3 * x) * u).max())
    assert errors[0] > 100 * errors[1] > 1e4 * errors[2]
    assert errors[2] < 1e-10


def test_tensor_product():
    """u(x, y) = exp(x) sin(y), and (u, 2u) as two fields, at scattered points, repeated ones and nodes."""
    x, y = chebyshev_points(20, (0, 1)), chebyshev_points(24, (-2, 2))
    values = np.exp(x)[:, None] * np.sin(y)
    targets = np.random.default_rng(0).uniform((0, -2), (1, 2), (50, 2))
    targets = np.concatenate([targets, targets[:3], np.stack([x[:4], y[:4]], 1)])
    exact = np.exp(targets[:, 0]) * np.sin(targets[:, 1])
    np.testing.assert_allclose(barycentric(values, (x, y), targets), exact, atol=1e-13)
    both = barycentric(np.stack([values, 2 * values], -1), (x, y), targets)
    np.testing.assert_allclose(both, np.stack([exact, 2 * exact], -1), atol=1e-13)


def test_messages():
    with pytest.raises(PdesolveError, match="at least 2 points, got 1"):
        chebyshev_points(1)
    with pytest.raises(PdesolveError, match="low < high"):
        chebyshev_matrix(4, (1, 0))
    x = chebyshev_points(4)
    with pytest.raises(PdesolveError, match=r"values of shape \(4, 4\)"):
        barycentric(np.zeros((4, 5)), (x, x), np.zeros((2, 2)))
