"""How to differentiate values on a one-dimensional grid: Fourier, finite differences, Chebyshev."""

import abc
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..errors import PdesolveError
from ..spectral import chebyshev_matrix, chebyshev_points

__all__ = ["AbstractRule", "Chebyshev", "Spectral", "Stencil", "finite_difference_weights"]


class AbstractRule(eqx.Module):
    """A rule that differentiates values along one axis of a grid."""

    @abc.abstractmethod
    def differentiate(self, values: Float[Array, "*grid n"], points: Float[Array, " n"], order: int) -> Array:
        """Return the derivative of `order` at least 1 along the last axis, same shape.

        Args:
            values: Values on the grid, the axis to differentiate along last.
            points: Coordinates along that axis, ascending.
            order: Order of the derivative.
        """

    @abc.abstractmethod
    def check(self, name: str, points: Array) -> None:
        """Raise `PdesolveError` if the rule does not apply to these points, as far as their values are known."""


class Spectral(AbstractRule):
    r"""Fourier differentiation of periodic values on a uniform grid without its end point.

    $u^{(k)}_j = \sum_m (i \kappa_m)^k \hat u_m e^{i \kappa_m x_j}$, exact for trigonometric polynomials below
    the Nyquist mode. That mode, present if the number of points is even, has no odd derivative on the grid: zero.

    References:
        Trefethen, Spectral Methods in MATLAB, SIAM (2000), chapter 3.
    """

    def differentiate(self, values: Array, points: Array, order: int) -> Array:
        """Multiply the real Fourier transform by the symbol."""
        n = values.shape[-1]
        modes = np.arange(n // 2 + 1)
        if (
            n % 2 == 0 and order % 2 == 1
        ):  # an imaginary Nyquist coefficient means nothing, so no library is asked to read it
            modes[-1] = 0
        unit = (1, 1j, -1, -1j)[order % 4]
        symbol = unit * (modes * (2 * jnp.pi / (n * _spacing(points)))) ** order
        spectrum = jnp.fft.rfft(values)
        return jnp.fft.irfft(spectrum * symbol.astype(spectrum.dtype).reshape((1,) * (values.ndim - 1) + (-1,)), n)

    def check(self, name: str, points: Array) -> None:
        """A uniform grid of at least two points."""
        _check_uniform(name, points, 2)


class Stencil(AbstractRule):
    r"""Finite differences on a uniform grid, central inside and one-sided at bounded ends, of one order throughout.

    Args:
        order: Order of accuracy, 2 or 4; the error is of the size $h^{order}$ for every derivative.
        periodic: Whether the grid closes on itself (without repeating its end point).

    References:
        Fornberg, Math. Comp. 51 (1988) 699-706.
    """

    order: int = eqx.field(static=True, default=2)
    periodic: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.order not in (2, 4):
            raise PdesolveError(f"`order` of a stencil must be 2 or 4, got {self.order!r}.")

    def differentiate(self, values: Array, points: Array, order: int) -> Array:
        """Add up shifted values; near bounded ends apply a small matrix."""
        n, half, width = values.shape[-1], (order + self.order - 1) // 2, order + self.order
        if n < max(width, 2 * half + 1):
            raise PdesolveError(
                f"a derivative of order {order} with an error of order {self.order} needs at least "
                f"{max(width, 2 * half + 1)} points along its axis, got {n}."
            )
        weights = finite_difference_weights(range(-half, half + 1), order).tolist()
        if self.periodic:
            difference = sum(w * jnp.roll(values, half - j, axis=-1) for j, w in enumerate(weights) if w)
        else:
            inner = sum(w * values[..., j : n - 2 * half + j] for j, w in enumerate(weights) if w)
            left = np.stack([finite_difference_weights(range(-i, width - i), order) for i in range(half)])
            right = (-1) ** order * left[::-1, ::-1]
            ends = [_apply(left, values[..., :width]), _apply(right, values[..., n - width :])]
            difference = jnp.concatenate([ends[0], inner, ends[1]], axis=-1)
        return difference / _spacing(points) ** order

    def check(self, name: str, points: Array) -> None:
        """A uniform grid."""
        _check_uniform(name, points, 2)


class Chebyshev(AbstractRule):
    r"""Differentiation of the polynomial through the values at Chebyshev points of the second kind, ends included.

    Exact for polynomials of degree below the number of points n; round-off grows like $n^{2k}$ with the order k.

    References:
        Trefethen, Spectral Methods in MATLAB, SIAM (2000), chapter 6.
    """

    def differentiate(self, values: Array, points: Array, order: int) -> Array:
        """Multiply by the power of the differentiation matrix of [-1, 1], scaled to the interval."""
        matrix = np.linalg.matrix_power(chebyshev_matrix(values.shape[-1]), order)
        return _apply(matrix, values) * (2 / (points[-1] - points[0])) ** order

    def check(self, name: str, points: Array) -> None:
        """The Chebyshev points of their interval, as `pdesolve.spectral.chebyshev_points` gives them."""
        if isinstance(points, jax.core.Tracer):
            return
        x = np.asarray(points)
        expected = chebyshev_points(len(x), (float(x[0]), float(x[-1])))
        if not np.allclose(x, expected, rtol=0, atol=_tolerance(x)):
            raise PdesolveError(
                f"the rule Chebyshev needs Chebyshev points along {name!r}, those of "
                "pdesolve.spectral.chebyshev_points(n, (low, high)); got others."
            )


def finite_difference_weights(offsets: Sequence[int], derivative: int) -> Float[np.ndarray, " n"]:
    r"""Return the weights of a finite difference on a grid of unit spacing.

    $\sum_j w_j\, p(s_j) = p^{(k)}(0)$ for polynomials $p$ of degree below the number of points.

    Args:
        offsets: Positions $s_j$ of the points relative to the place of the derivative.
        derivative: $k$, below the number of points.
    """
    positions = np.asarray(offsets, dtype=np.float64)

    def weight(j: int) -> float:
        # k! times the coefficient of s^k in Lagrange's polynomial of point j: integers, exact but for the division.
        others = np.delete(positions, j)
        return math.factorial(derivative) * np.poly(others)[-1 - derivative] / np.prod(positions[j] - others)

    return np.array([weight(j) for j in range(len(positions))])


def _apply(matrix: Float[np.ndarray, "m n"], values: Float[Array, "*grid n"]) -> Float[Array, "*grid m"]:
    """Multiply the last axis by a matrix, in full precision where a device would round (TF32)."""
    contraction = (((values.ndim - 1,), (1,)), ((), ()))
    return lax.dot_general(values, jnp.asarray(matrix, values.dtype), contraction, precision=lax.Precision.HIGHEST)


def _spacing(points: Array) -> Array:
    return (points[-1] - points[0]) / (points.shape[0] - 1)


def _check_uniform(name: str, points: Array, least: int) -> None:
    if points.shape[0] < least:
        raise PdesolveError(
            f"a grid to differentiate on needs at least {least} points along {name!r}, got {len(points)}."
        )
    if isinstance(points, jax.core.Tracer):
        return
    x = np.asarray(points)
    if not np.allclose(x, np.linspace(x[0], x[-1], len(x)), rtol=0, atol=_tolerance(x)):
        steps = np.diff(x)
        raise PdesolveError(
            f"this rule needs a uniform grid along {name!r}; its steps are between {steps.min():g} and {steps.max():g}."
        )


def _tolerance(x: np.ndarray) -> float:
    # Coordinates that went through single precision still count.
    return 1e-6 * float(np.abs(x).max()) + 1e-3 * abs(float(x[-1] - x[0])) / len(x)
