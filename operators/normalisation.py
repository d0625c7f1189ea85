"""Normalisation of the channels at each grid point alone."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

__all__ = ["PointwiseNorm"]


class PointwiseNorm(eqx.Module):
    """Layer normalisation over the channels at every point: no point sees another."""

    norm: eqx.nn.LayerNorm

    def __init__(self, channels: int, *, dtype: Any):
        self.norm = eqx.nn.LayerNorm(channels, dtype=dtype)

    def __call__(self, v: Float[Array, " channels *grid"]) -> Float[Array, " channels *grid"]:
        """Return the functions, at every point of mean 0 and variance 1 before the trained scale and shift."""
        return jax.vmap(self.norm, 1, 1)(v.reshape(v.shape[0], -1)).reshape(v.shape)
