r"""Evolution of Fourier or cosine modes in time: an exponential integrator, and its evaluation anywhere.

Shared by the references of periodic problems. Everything is NumPy in float64 or complex128.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import scipy.fft
from jaxtyping import Float, Shaped

__all__ = ["Trajectory", "cosine_coefficients", "cosine_values", "distance", "etdrk4", "plane_series"]

_STENCIL = 8
_CHUNK = 256

Nonlinear = Callable[[float, np.ndarray], np.ndarray]
"""Time and coefficients to the coefficients of the nonlinear term."""


def etdrk4(
    start: Shaped[np.ndarray, "*batch_and_modes"],
    linear: Shaped[np.ndarray, "*modes"],
    nonlinear: Nonlinear,
    *,
    duration: float,
    steps: int,
    every: int = 1,
) -> Shaped[np.ndarray, " times *batch_and_modes"]:
    r"""Integrate $\hat u_t = L \hat u + N(t, \hat u)$ with diagonal $L$ by ETDRK4, from time 0.

    Fourth order in time; exact for $N = 0$, whatever the size of $L$.

    Args:
        start: Coefficients at time 0; several solutions at a time have further axes in front.
        linear: The diagonal of $L$; its real parts must not be large and positive.
        nonlinear: $N$.
        duration: Final time.
        steps: Number of equal steps, a multiple of `every`.
        every: Store each state after this many steps.

    Returns:
        The stored states, the initial one first; shape `(steps // every + 1, ...)`.

    Raises:
        FloatingPointError: If the solution overflows.

    References:
        Cox and Matthews, J. Comput. Phys. 176 (2002) 430-455, eqs. (26)-(29).
        Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214-1233, for the weights.
    """
    dt = duration / steps
    decay, half_decay = np.exp(dt * linear), np.exp(dt * linear / 2)
    half, first, middle, last = (dt * weight for weight in _weights(dt * linear))
    u, stored = start, [start]
    with np.errstate(over="raise", invalid="raise"):
        for step in range(steps):
            t = step * dt
            n_u = nonlinear(t, u)
            a = half_decay * u + half * n_u
            n_a = nonlinear(t + dt / 2, a)
            b = half_decay * u + half * n_a
            n_b = nonlinear(t + dt / 2, b)
            c = half_decay * a + half * (2 * n_b - n_u)
            u = decay * u + first * n_u + 2 * middle * (n_a + n_b) + last * nonlinear(t + dt, c)
            if (step + 1) % every == 0:
                stored.append(u)
    return np.array(stored)


def _weights(z: np.ndarray) -> tuple[np.ndarray, ...]:
    """The weights of ETDRK4 as means over a circle around each `z`, where the closed forms do not cancel."""
    points = z[..., None] + np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    e = np.exp(points)
    weights = (
        np.expm1(points / 2) / points,
        (-4 - points + e * (4 - 3 * points + points**2)) / points**3,
        (2 + points + e * (points - 2)) / points**3,
        (-4 - 3 * points - points**2 + e * (4 - points)) / points**3,
    )
    means = tuple(weight.mean(axis=-1) for weight in weights)
    return means if np.iscomplexobj(z) else tuple(np.real(mean) for mean in means)


@dataclasses.dataclass(frozen=True)
class Trajectory:
    r"""A series $\sum_k c_k(t) \phi_k(x)$ whose coefficients are known at equally spaced times.

    Between these times the coefficients are interpolated by polynomials of degree 7 (where there are enough of
    them), after division by $e^{i \omega_k t}$, so that fast waves of constant amplitude are followed exactly.

    Attributes:
        coefficients: Shape `(times, modes)`.
        duration: The last time; the first is 0.
        basis: Positions `(n,)` to $\phi_k(x)$ of shape `(n, modes)`.
        frequencies: $\omega_k$, the imaginary part of the linear operator.
    """

    coefficients: Shaped[np.ndarray, "times modes"]
    duration: float
    basis: Callable[[np.ndarray], np.ndarray]
    frequencies: Float[np.ndarray, " modes"] | None = None

    def __call__(self, x: Float[np.ndarray, " n"], t: Float[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
        """Evaluate at points; much faster where positions or times repeat, as on a grid."""
        positions, columns = np.unique(x, return_inverse=True)
        times, rows = np.unique(t, return_inverse=True)
        if len(positions) * len(times) <= 4 * len(x):
            return (self.at(times) @ self.basis(positions).T)[rows, columns]
        chunks = [slice(i, i + _CHUNK) for i in range(0, len(x), _CHUNK)]
        return np.concatenate([np.sum(self.at(t[c]) * self.basis(x[c]), axis=1) for c in chunks])

    def at(self, times: Float[np.ndarray, " n"]) -> Shaped[np.ndarray, "n modes"]:
        """Interpolate the coefficients to `times`."""
        intervals = len(self.coefficients) - 1
        width = min(_STENCIL, intervals + 1)
        s = times * (intervals / self.duration)
        first = np.clip(np.floor(s).astype(int) - (width - 1) // 2, 0, intervals + 1 - width)
        offset = (s - first)[:, None] - np.arange(width)
        hit = np.abs(offset) < 1e-9
        weights = (-1.0) ** np.arange(width) * [math.comb(width - 1, i) for i in range(width)]
        weights = weights / np.where(hit, 1.0, offset)
        weights = np.where(hit.any(axis=1, keepdims=True), hit, weights / weights.sum(axis=1, keepdims=True))
        result = 0.0
        for i in range(width):
            if not weights[:, i].any():
                continue
            term = weights[:, i, None] * self.coefficients[first + i]
            if self.frequencies is not None:
                elapsed = offset[:, i, None] * (self.duration / intervals)
                term = term * np.exp(1j * self.frequencies * elapsed)
            result = result + term
        return np.asarray(result)


def cosine_coefficients(values: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    r"""Return $c_k$ with `values[j]` $= \sum_{k=0}^{n-1} c_k \cos(\pi k j / (n - 1))$."""
    coefficients = np.asarray(scipy.fft.dct(values, type=1)) / (len(values) - 1)
    coefficients[[0, -1]] /= 2
    return coefficients


def cosine_values(coefficients: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """The inverse of `cosine_coefficients`."""
    doubled = coefficients / 2
    doubled[[0, -1]] *= 2
    return np.asarray(scipy.fft.dct(doubled, type=1))


def distance(a: Callable, b: Callable, bounds: Float[np.ndarray, "2 2"], num_points: int = 300) -> float:
    """Return the relative L2 distance of two functions of `(x, t)` on fixed random points of a box."""
    x, t = np.random.default_rng(0).uniform(*bounds.T, size=(num_points, 2)).T
    expected = b(x, t)
    return float(np.linalg.norm(a(x, t) - expected) / np.linalg.norm(expected))


def plane_series(
    points: Float[np.ndarray, "n 3"],
    coefficients: Callable[[float], Float[np.ndarray, "k l"]],
    along_x: Callable[[np.ndarray], np.ndarray],
    along_y: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, " n"]:
    r"""Evaluate $\sum_{kl} c_{kl}(t) \phi_k(x) \psi_l(y)$ at points `(x, y, t)`; every different time costs a product.

    Args:
        points: Where and when.
        coefficients: Time to $c$.
        along_x: Positions `(m,)` to $\phi_k$ of shape `(m, k)`.
        along_y: Positions `(m,)` to $\psi_l$ of shape `(m, l)`.
    """
    (xs, i), (ys, j) = (np.unique(points[:, axis], return_inverse=True) for axis in (0, 1))
    values_x, values_y = along_x(xs), along_y(ys)
    times, counts = np.unique(points[:, 2], return_counts=True)
    result = np.empty(len(points))
    for t, chosen in zip(times, np.split(np.argsort(points[:, 2]), np.cumsum(counts)[:-1]), strict=True):
        columns, where = np.unique(i[chosen], return_inverse=True)
        sums = values_x[columns] @ coefficients(t)
        if len(columns) * len(ys) <= 4 * len(chosen):  # a grid
            result[chosen] = (sums @ values_y.T)[where, j[chosen]]
        else:
            result[chosen] = (sums[where] * values_y[j[chosen]]).sum(axis=1)
    return result
