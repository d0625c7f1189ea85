r"""Chebyshev collocation on intervals and their tensor products, for references and classical solvers.

The points are $x_j = -\cos(\pi j / (n - 1))$, `j = 0, ..., n - 1`: ascending, ends included, mapped to the
interval. Everything is NumPy in float64.

References:
    Trefethen, Spectral Methods in MATLAB, SIAM (2000): chapter 6 (`cheb`), chapter 12 (`clencurt`).
    Berrut and Trefethen, SIAM Review 46 (2004) 501-517, eqs. (4.2) and (5.4), for interpolation.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .errors import PdesolveError

__all__ = [
    "barycentric",
    "barycentric_matrix",
    "chebyshev_matrix",
    "chebyshev_points",
    "clenshaw_curtis",
]

Interval = tuple[float, float]


def _check(n: int, interval: Interval) -> None:
    if n < 2:
        raise PdesolveError(f"Chebyshev collocation needs at least 2 points, got {n}.")
    if not interval[0] < interval[1]:
        raise PdesolveError(f"`interval` must be (low, high) with low < high, got {interval}.")


def chebyshev_points(n: int, interval: Interval = (-1.0, 1.0)) -> Float[np.ndarray, " n"]:
    """Return `n` Chebyshev points of the second kind, ascending, the ends of the interval among them."""
    _check(n, interval)
    low, high = interval
    # The sine form is antisymmetric to the last bit, and the blend of the two ends hits both of them.
    s = np.sin(np.pi * (2 * np.arange(n) - (n - 1)) / (2 * (n - 1)))
    return low * (1 - s) / 2 + high * (1 + s) / 2


def chebyshev_matrix(n: int, interval: Interval = (-1.0, 1.0)) -> Float[np.ndarray, "n n"]:
    """Return `D` with `D @ u` the derivative at the points of the polynomial through the values `u`.

    Exact for polynomials of degree below `n`. Round-off grows like `n^2` for `D`, `n^4` for `D @ D`.
    """
    _check(n, interval)
    j = np.arange(n)
    # x_i - x_j from a product of sines: no cancellation between close points.
    half = np.pi / (2 * (n - 1))
    difference = 2 * np.sin(half * (j[:, None] + j)) * np.sin(half * (j[:, None] - j))
    c = (-1.0) ** j * np.where((j == 0) | (j == n - 1), 2.0, 1.0)
    matrix = np.outer(c, 1 / c) / (difference + np.eye(n))
    # The derivative of a constant vanishes: rows sum to zero, which also gives the most accurate diagonal.
    matrix -= np.diag(matrix.sum(axis=1))
    return matrix * 2 / (interval[1] - interval[0])


def clenshaw_curtis(n: int, interval: Interval = (-1.0, 1.0)) -> Float[np.ndarray, " n"]:
    """Return the quadrature weights at the Chebyshev points; exact for polynomials of degree below `n`."""
    _check(n, interval)
    k = np.arange(0, n, 2)
    moments = 2 / (1 - k.astype(float) ** 2)  # of T_k; those of odd degree vanish
    theta = np.pi * np.arange(n) / (n - 1)
    # u = sum_k a_k T_k with a_k from the cosine transform, whose first and last terms count half.
    half = np.where((np.arange(n) == 0) | (np.arange(n) == n - 1), 0.5, 1.0)
    ends = np.where((k == 0) | (k == n - 1), 0.5, 1.0)
    weights = 2 / (n - 1) * half * (np.cos(np.outer(theta, k)) @ (ends * moments))
    return weights * (interval[1] - interval[0]) / 2


def barycentric_matrix(points: Float[np.ndarray, " n"], targets: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m n"]:
    """Return the matrix that interpolates from Chebyshev `points` of any interval to `targets` inside it."""
    n = len(points)
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] /= 2
    difference = np.asarray(targets)[:, None] - points
    hit = difference == 0
    matrix = weights / np.where(hit, 1.0, difference)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit, matrix)


def barycentric(values: np.ndarray, points: np.ndarray | Sequence[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """Interpolate values on a tensor product of Chebyshev points to scattered targets.

    Args:
        values: Shape `(n_1, ..., n_d, *rest)`; trailing axes (e.g. fields) are carried along.
        points: The Chebyshev points of each axis, `d` arrays; in one dimension the array itself.
        targets: Shape `(m, d)`, or `(m,)` in one dimension, inside the box.

    Returns:
        Values at the targets, shape `(m, *rest)`.

    Raises:
        PdesolveError: If the shapes do not agree.
    """
    axes = [points] if isinstance(points, np.ndarray) and points.ndim == 1 else list(points)
    targets = np.asarray(targets, dtype=float)
    targets = targets[:, None] if targets.ndim == 1 else targets
    shape = tuple(len(axis) for axis in axes)
    if values.shape[: len(axes)] != shape or targets.shape[1] != len(axes):
        raise PdesolveError(
            f"expected values of shape {shape} and targets of shape (m, {len(axes)}), one for each axis; "
            f"got {values.shape} and {targets.shape}."
        )
    # On a grid of targets few coordinates differ: interpolate to those along the first axis, then spread.
    coordinates, rows = np.unique(targets[:, 0], return_inverse=True)
    result = np.tensordot(barycentric_matrix(axes[0], coordinates), values, 1)[rows]
    for axis, target in zip(axes[1:], targets.T[1:], strict=True):
        coordinates, rows = np.unique(target, return_inverse=True)
        result = np.einsum("mn,mn...->m...", barycentric_matrix(axis, coordinates)[rows], result)
    return result
