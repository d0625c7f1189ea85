r"""Errors over a set of samples. Several are called relative error in the literature; each has a name of its own here.

With $e_i = p_i - y_i$ the error of sample i over all its channels and points:

- `relative_l2`: mean over samples of $\|e_i\|_2 / \|y_i\|_2$
- `relative_mse`: pooled, $\sum_i \|e_i\|_2^2 / \sum_i \|y_i\|_2^2$
- `median_relative_l1`: median over samples of $\|e_i\|_1 / \|y_i\|_1$

Numbers of different columns do not belong in one table.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["error_by_frame", "mean_relative_l2", "median_relative_l1", "relative_mse", "spectra"]


def mean_relative_l2(values: Float[np.ndarray, "sample ..."], expected: Float[np.ndarray, "sample ..."]) -> float:
    """Return the mean over samples of each sample's relative L2 error, over all its channels and points."""
    error = (values - expected).reshape(len(expected), -1)
    scale = np.linalg.norm(expected.reshape(len(expected), -1), axis=1)
    return float(np.mean(np.linalg.norm(error, axis=1) / scale))


def relative_mse(values: Float[np.ndarray, "sample ..."], expected: Float[np.ndarray, "sample ..."]) -> float:
    """Return the squared error of all samples together over the square of what was expected."""
    return float(np.sum(np.square(values - expected)) / np.sum(np.square(expected)))


def median_relative_l1(values: Float[np.ndarray, "sample ..."], expected: Float[np.ndarray, "sample ..."]) -> float:
    """Return the median over samples of each sample's relative L1 error."""
    axes = tuple(range(1, expected.ndim))
    return float(np.median(np.abs(values - expected).sum(axis=axes) / np.abs(expected).sum(axis=axes)))


def error_by_frame(
    values: Float[np.ndarray, "sample time ..."], expected: Float[np.ndarray, "sample time ..."]
) -> list[float]:
    """Return the mean relative L2 error of every frame."""
    return [mean_relative_l2(values[:, frame], expected[:, frame]) for frame in range(expected.shape[1])]


def spectra(
    values: Float[np.ndarray, "sample channel *grid"], expected: Float[np.ndarray, "sample channel *grid"]
) -> dict[str, Any]:
    r"""Return the energy of answers, of what was expected and of the error in shells of wavenumbers.

    Shell s holds the integer wave vectors k with $s - 1/2 \le |k| < s + 1/2$, counted in waves along each axis; its
    energy is $\sum |\hat u_k|^2$ of the discrete Fourier transform over the number of points, so that all shells
    together have the mean square (Parseval), means over samples and sums over channels taken. Functions that are not
    periodic have the spectrum of their periodic continuation, with its jump. Shells beyond the shortest axis are cut
    off.
    """
    grid = expected.shape[2:]
    waves = np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in grid], indexing="ij")
    shell = np.floor(np.sqrt(sum(k**2 for k in waves)) + 0.5).astype(int).ravel()
    count = min(grid) // 2 + 1

    def energy(u: np.ndarray) -> list[float]:
        transform = np.fft.fftn(u, axes=tuple(range(2, u.ndim)), norm="forward")
        squares = np.mean(np.sum(np.abs(transform) ** 2, axis=1), axis=0).ravel()
        return np.bincount(shell, squares, minlength=count)[:count].tolist()

    energies = {"answer": energy(values), "reference": energy(expected), "error": energy(values - expected)}
    return {"wavenumber": list(range(count)), **energies}
