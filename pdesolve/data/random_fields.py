"""Gaussian random functions on a periodic interval, by their Fourier coefficients. NumPy, float64."""

from collections.abc import Callable

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float

from ..errors import PdesolveError

__all__ = ["fourier_values", "periodic_gaussian_field"]


def periodic_gaussian_field(
    variance: Callable[[Float[np.ndarray, " modes"]], Float[np.ndarray, " modes"]],
    *,
    num_samples: int,
    num_modes: int,
    seed: int,
) -> Complex[np.ndarray, "sample modes"]:
    r"""Draw real Gaussian functions with a covariance that translations leave alone, by Karhunen and Loeve.

    $$u(x) = \sum_{|k| \le K} c_k e^{2 \pi i k x / L}, \quad c_{-k} = \bar c_k, \quad E|c_k|^2 = \lambda_k .$$

    A covariance operator $g(-\Delta)$ on an interval of length L has $\lambda_k = g((2 \pi k / L)^2)$ times 1/L,
    the basis being orthonormal for L = 1.

    Args:
        variance: k = 0, 1, ..., K to $\lambda_k$; a function of mean zero has $\lambda_0 = 0$.
        num_samples: Functions to draw; function i does not depend on how many are drawn.
        num_modes: K.
        seed: Equal seeds give equal functions.

    Returns:
        $c_0, ..., c_K$ of each function.
    """
    if num_samples < 0 or num_modes < 0:
        raise PdesolveError(f"counts must not be negative, got {num_samples} samples and {num_modes} modes.")
    deviation = np.sqrt(variance(np.arange(num_modes + 1.0)))
    # One stream for each function and interleaved parts, so that neither count changes what was drawn before.
    draws = [np.random.default_rng([seed, i]).standard_normal((num_modes + 1, 2)) for i in range(num_samples)]
    xi = np.array(draws).reshape(num_samples, num_modes + 1, 2)
    coefficients = deviation * (xi[..., 0] - 1j * xi[..., 1]) / np.sqrt(2)
    coefficients[:, 0] = deviation[0] * xi[:, 0, 0]
    return coefficients


def fourier_values(
    coefficients: Complex[np.ndarray, "*batch modes"], num_points: int
) -> Float[np.ndarray, "*batch points"]:
    """Return real Fourier series at the points 0, 1/n, ..., (n - 1)/n of the period, whatever the number of modes.

    Modes beyond the resolution are sampled, not cut off: values at shared points agree between resolutions.
    """
    modes = coefficients.shape[-1]
    stride = max(1, -(-(2 * modes) // num_points))  # a grid that resolves all modes, and contains the points
    fine = num_points * stride
    values = scipy.fft.irfft(coefficients, n=fine, axis=-1, norm="forward")
    return values[..., ::stride]
