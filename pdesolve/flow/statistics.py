r"""How far a set of fields is from another in law.

Each measure takes two sets of fields `(sample, channel, *grid)`, generated and data, and is nondimensional. None of
them is zero for two independent sets of the same law: compare with the value between two sets of data, the floor.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

__all__ = [
    "MEASURES",
    "covariance_error",
    "distribution_errors",
    "mean_error",
    "spectrum_error",
    "variance_error",
    "wasserstein",
]

Fields = Float[np.ndarray, "sample channel *grid"]

_DIRECTIONS = 256
"""Random directions of the sliced distance."""


def mean_error(generated: Fields, data: Fields) -> float:
    r"""Return $\|\mathrm{E}u - \mathrm{E}u'\| / (\mathrm{E}\|u' - \mathrm{E}u'\|^2)^{1/2}$ of the pointwise means."""
    return float(np.linalg.norm(generated.mean(0) - data.mean(0)) / np.sqrt(data.var(0).sum()))


def variance_error(generated: Fields, data: Fields) -> float:
    """Return the relative L2 error of the pointwise variance."""
    return _relative(generated.var(0), data.var(0))


def spectrum_error(generated: Fields, data: Fields) -> float:
    r"""Return the relative L2 error of the energy spectrum $\mathrm{E}|\hat u_k|^2$, over all channels and modes.

    Large scales, where the energy is, count most.
    """
    return _relative(_spectrum(generated), _spectrum(data))


def covariance_error(generated: Fields, data: Fields) -> float:
    """Return the relative error, in the Frobenius norm, of the covariances of all pairs of values of a field."""
    return _relative(np.cov(_flat(generated), rowvar=False), np.cov(_flat(data), rowvar=False))


def wasserstein(generated: Fields, data: Fields) -> float:
    r"""Return the sliced Wasserstein-1 distance in units of the data's standard deviation.

    The mean over 256 directions $\theta$, uniform on the unit sphere and always the same ones, of the W1 distance
    between the laws of $\langle\theta, u\rangle$, divided by the root mean square over points of the data's standard
    deviation. Both sets must have the same number of samples; W1 is then the mean distance of sorted values.

    References:
        Bonneel, Rabin, Peyre, Pfister, J. Math. Imaging Vision 51 (2015) 22-45, definition 2, here with p = 1.
    """
    first, second = _flat(generated), _flat(data)
    directions = np.random.default_rng(0).standard_normal((first.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    distance = np.abs(np.sort(first @ directions, axis=0) - np.sort(second @ directions, axis=0)).mean()
    return float(distance / np.sqrt(second.var(0).mean()))


MEASURES: dict[str, Callable[[Fields, Fields], float]] = {
    "mean_error": mean_error,
    "variance_error": variance_error,
    "spectrum_error": spectrum_error,
    "covariance_error": covariance_error,
    "wasserstein": wasserstein,
}
"""All measures by name."""


def distribution_errors(generated: Fields, data: Fields) -> dict[str, float]:
    """Return every measure by name."""
    generated, data = np.asarray(generated, dtype=float), np.asarray(data, dtype=float)
    return {name: measure(generated, data) for name, measure in MEASURES.items()}


def _relative(value: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def _flat(fields: Fields) -> Float[np.ndarray, "sample entries"]:
    return fields.reshape(len(fields), -1)


def _spectrum(fields: Fields) -> np.ndarray:
    axes = tuple(range(2, fields.ndim))
    return np.mean(np.abs(np.fft.fftn(fields, axes=axes, norm="forward")) ** 2, axis=0)
