"""What signed distances are made of, for NumPy and JAX arrays alike.

A distance is written once, for points of shape `(..., d)`: JAX differentiates it at one point, and NumPy evaluates
it at many in float64 without a compiler or a device.
"""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

__all__ = ["constant", "namespace", "norm"]


def namespace(points: Any) -> ModuleType:
    """Return `numpy` for NumPy arrays, else `jax.numpy`."""
    return np if isinstance(points, np.ndarray) else jnp


def constant(values: Any, points: Any) -> Any:
    """Return `values` as an array of the kind and dtype of `points`."""
    return namespace(points).asarray(values, dtype=points.dtype)


def norm(vectors: Any) -> Any:
    """Return Euclidean norms over the last axis, with derivative 0 (instead of NaN) at the zero vector."""
    xp = namespace(vectors)
    squares = xp.sum(vectors * vectors, axis=-1)
    is_zero = squares == 0
    return xp.where(is_zero, 0.0, xp.sqrt(xp.where(is_zero, 1.0, squares)))
