r"""Random functions on the unit square, and Fourier series on its grids. NumPy, float64.

Fourier coefficients of a real function, periodic in both directions, lie as `scipy.fft.rfft2` with `norm="forward"` has
them for m points along each axis: m rows of frequencies 0, 1, ..., -1 and m // 2 + 1 columns of frequencies 0, 1, ...
Where m is even, those of the Nyquist frequency m / 2 are zero.
"""

from collections.abc import Callable

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float

__all__ = [
    "cosine_field",
    "cosine_values",
    "fourier_at",
    "fourier_values",
    "frequencies",
    "periodic_field",
    "periodic_noise",
    "relative_errors",
    "resized",
]

Variance = Callable[[Float[np.ndarray, "rows columns"]], Float[np.ndarray, "rows columns"]]
"""Squared length of the frequency vector to the variance of the coefficient."""


def frequencies(m: int) -> tuple[Float[np.ndarray, "m 1"], Float[np.ndarray, "1 columns"]]:
    """Return the frequencies along both axes of coefficients for m points, ready to broadcast."""
    return scipy.fft.fftfreq(m, 1 / m)[:, None], np.arange(m // 2 + 1.0)[None]


def periodic_field(
    variance: Variance, *, num_samples: int, num_modes: int, seed: int
) -> Complex[np.ndarray, "sample rows columns"]:
    r"""Draw real periodic Gaussian functions of mean zero whose covariance translations leave alone.

    $$u(x) = \sum_{|k_1|, |k_2| \le K} c_k e^{2 \pi i k \cdot x}, \quad c_{-k} = \bar c_k, \quad
    E|c_k|^2 = \lambda(|k|^2).$$

    A covariance operator $g(-\Delta)$ on the unit square has $\lambda(s) = g(4 \pi^2 s)$.

    Args:
        variance: $\lambda$; a function whose integral vanishes has $\lambda(0) = 0$.
        num_samples: Functions to draw; function i does not depend on how many are drawn.
        num_modes: K.
        seed: Equal seeds give equal functions.

    Returns:
        Coefficients for 2 K + 1 points, which have no Nyquist frequency.
    """
    k, l = frequencies(2 * num_modes + 1)  # noqa: E741
    return np.sqrt(variance(k**2 + l**2)) * periodic_noise(num_samples, num_modes, seed)


def periodic_noise(num_samples: int, num_modes: int, seed: int) -> Complex[np.ndarray, "sample rows columns"]:
    """Draw the coefficients of `periodic_field` with variance 1 at every frequency."""
    # The transform of white noise is white, and has the symmetry of real functions.
    return np.asarray(scipy.fft.rfft2(_normal(num_samples, 2 * num_modes + 1, seed), norm="ortho"))


def cosine_field(
    variance: Variance, *, num_samples: int, num_modes: int, seed: int
) -> Float[np.ndarray, "sample modes modes"]:
    r"""Draw Gaussian functions of mean zero whose normal derivative vanishes on the boundary of the square.

    $$u(x) = \sum_{k_1, k_2 < K} c_k \phi_{k_1}(x_1) \phi_{k_2}(x_2), \quad \phi_0 = 1, \quad
    \phi_k = \sqrt 2 \cos \pi k x, \quad E c_k^2 = \lambda(|k|^2).$$

    A covariance operator $g(-\Delta)$, Neumann conditions, has $\lambda(s) = g(\pi^2 s)$: the basis is orthonormal.

    Args:
        variance: $\lambda$; a function whose integral vanishes has $\lambda(0) = 0$.
        num_samples: Functions to draw; function i does not depend on how many are drawn.
        num_modes: K.
        seed: Equal seeds give equal functions.
    """
    k = np.arange(float(num_modes))
    return np.sqrt(variance(k[:, None] ** 2 + k[None] ** 2)) * _normal(num_samples, num_modes, seed)


def _normal(num_samples: int, m: int, seed: int) -> Float[np.ndarray, "sample m m"]:
    """Standard normal numbers from a stream of its own for each sample."""
    draws = [np.random.default_rng([seed, i]).standard_normal((m, m)) for i in range(num_samples)]
    return np.array(draws).reshape(num_samples, m, m)


def resized(
    coefficients: Complex[np.ndarray, "*batch rows columns"], n: int
) -> Complex[np.ndarray, "*batch new_rows new_columns"]:
    """Return the coefficients for n points: zeros are added, or frequencies of n / 2 and more cut off."""
    m = coefficients.shape[-2]
    half = (min(m, n) - 1) // 2
    result = np.zeros((*coefficients.shape[:-2], n, n // 2 + 1), complex)
    result[..., : half + 1, : half + 1] = coefficients[..., : half + 1, : half + 1]
    result[..., n - half :, : half + 1] = coefficients[..., m - half :, : half + 1]
    return result


def fourier_values(
    coefficients: Complex[np.ndarray, "*batch rows columns"], num_points: int
) -> Float[np.ndarray, "*batch num_points num_points"]:
    """Return real Fourier series at the points i/n of both axes, whatever the number of coefficients.

    Modes beyond the resolution are sampled, not cut off: values at shared points agree between resolutions.
    """
    stride = max(1, -(-coefficients.shape[-2] // num_points))  # a grid that resolves all modes, and contains the points
    fine = num_points * stride
    values = scipy.fft.irfft2(resized(coefficients, fine), s=(fine, fine), norm="forward")
    return values[..., ::stride, ::stride]


def fourier_at(
    coefficients: Complex[np.ndarray, "rows columns"], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, " n"]:
    """Return one real Fourier series at any points of the unit square."""
    k, l = frequencies(coefficients.shape[0])  # noqa: E741
    # Modes of negative frequency along the second axis are the conjugates: those of positive frequency count twice.
    doubled = np.where(l == 0, 1, 2) * coefficients
    first, second = np.exp(2j * np.pi * points[:, :1] * k.T), np.exp(2j * np.pi * points[:, 1:] * l)
    return np.real(np.einsum("nk,kl,nl->n", first, doubled, second, optimize=True))


def cosine_values(
    coefficients: Float[np.ndarray, "*batch modes modes"], num_points: int
) -> Float[np.ndarray, "*batch num_points num_points"]:
    """Return the series of `cosine_field` at the points i/(n - 1) of both axes, the boundary included."""
    x = np.linspace(0.0, 1.0, num_points)
    k = np.arange(coefficients.shape[-1])
    basis = np.where(k == 0, 1.0, np.sqrt(2.0)) * np.cos(np.pi * np.outer(x, k))
    return basis @ coefficients @ basis.T


def relative_errors(
    coefficients: Complex[np.ndarray, " sample *modes"], expected: Complex[np.ndarray, " sample *modes"]
) -> Float[np.ndarray, " sample"]:
    """Return the relative L2 error of each sample; of 2-D coefficients those of positive frequency count twice."""
    count = len(expected)
    twice = np.where(np.arange(expected.shape[-1]) == 0, 1.0, np.sqrt(2.0))
    error, scale = (np.linalg.norm((twice * c).reshape(count, -1), axis=1) for c in (coefficients - expected, expected))
    return error / scale
