r"""Polynomials on an interval for Galerkin methods, for the references of problems on squares. NumPy, float64.

References:
    Shen, SIAM J. Sci. Comput. 15 (1994) 1489-1505, for bases of differences of Legendre polynomials.
"""

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import legder, leggauss, legroots, legval, legvander

__all__ = ["bubbles", "lobatto", "piecewise", "quadrature"]


def quadrature(
    edges: Float[np.ndarray, " cells_and_1"], order: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return Gauss points and weights on all cells between `edges`, `order` on each, ascending."""
    s, w = leggauss(order)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + s[None])).ravel(), (half * w[None]).ravel()


def lobatto(
    degree: int,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Return the Gauss-Lobatto points of [-1, 1], their weights, and the matrix that differentiates values there."""
    last = np.eye(degree + 1)[degree]
    nodes = np.concatenate([[-1.0], legroots(legder(last)), [1.0]])
    weights = 2 / (degree * (degree + 1) * legval(nodes, last) ** 2)
    slopes = np.stack([legval(nodes, legder(row)) for row in np.eye(degree + 1)], axis=-1)
    return nodes, weights, slopes @ np.linalg.inv(legvander(nodes, degree))


def bubbles(s: Float[np.ndarray, " n"], count: int) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
    r"""Return $\phi_k = (L_{k+2} - L_k) / \sqrt{4 k + 6}$ on [-1, 1], `k = 0, ..., count - 1`, and their derivatives.

    They vanish at both ends, span all polynomials that do, and their derivatives are orthonormal.
    """
    legendre, k = legvander(s, count + 1), np.arange(count)[None]
    return (legendre[:, 2:] - legendre[:, :-2]) / np.sqrt(4 * k + 6), legendre[:, 1:-1] * np.sqrt(k + 1.5)


def piecewise(
    x: Float[np.ndarray, " n"], edges: Float[np.ndarray, " cells_and_1"], degree: int
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
    """Return continuous functions that are polynomials of a degree on each cell, and their derivatives, at `x`.

    First the hat functions of the edges, then the bubbles of each cell.
    """
    cells = len(edges) - 1
    cell = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, cells - 1)
    size = np.diff(edges)[cell]
    s = (2 * x - edges[cell] - edges[cell + 1]) / size
    values, slopes = np.zeros((2, len(x), cells + 1 + cells * (degree - 1)))
    rows = np.arange(len(x))
    values[rows, cell], values[rows, cell + 1] = (1 - s) / 2, (1 + s) / 2
    slopes[rows, cell], slopes[rows, cell + 1] = -1 / size, 1 / size
    columns = cells + 1 + cell[:, None] * (degree - 1) + np.arange(degree - 1)[None]
    inner, inner_slopes = bubbles(s, degree - 1)
    values[rows[:, None], columns], slopes[rows[:, None], columns] = inner, inner_slopes * 2 / size[:, None]
    return values, slopes
