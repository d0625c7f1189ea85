"""What is looked for in samples, block by block: numbers that are not finite, and samples that are equal."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["not_finite", "numbered", "sample_digests"]

_NAMED = 8
"""Samples that a message names; it counts all of them."""


def not_finite(values: np.ndarray) -> np.ndarray:
    """Return the indices of the samples (first axis) with a number that is not finite."""
    if values.dtype.kind != "f":
        return np.zeros(0, int)
    return np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))


def sample_digests(*arrays: np.ndarray) -> list[bytes]:
    """Return a digest of every sample: equal for samples whose numbers are equal in single precision."""
    single = [np.ascontiguousarray(array, np.float32) for array in arrays]
    return [b"".join(hashlib.sha256(array[i].tobytes()).digest() for array in single) for i in range(len(single[0]))]


def numbered(samples: Sequence[int] | Iterable[int]) -> str:
    """Return sample numbers as a list for a message: the first ones, and how many more there are."""
    entries = list(samples)
    shown = ", ".join(str(entry) for entry in entries[:_NAMED])
    return shown + (f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else "")
