"""Scaling of functions on a grid to numbers of order one."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["ChannelNormaliser"]


class ChannelNormaliser(eqx.Module):
    """(v - mean) / scale with one mean and one scale for each channel, hence free of the resolution.

    The two are leaves of the model that holds it, so that they are stored with it; they are not trained.
    """

    mean: Float[Array, " channel"]
    scale: Float[Array, " channel"]

    @staticmethod
    def fit(samples: Float[np.ndarray, "sample channel *grid"]) -> "ChannelNormaliser":
        """Return the normaliser to mean 0 and variance 1 over samples and grid; a constant channel keeps its scale."""
        axes = (0, *range(2, samples.ndim))
        deviation = samples.std(axis=axes, dtype=np.float64)
        scale = np.where(deviation > 0, deviation, 1.0)
        return ChannelNormaliser(
            jnp.asarray(samples.mean(axis=axes, dtype=np.float64), dtype=float), jnp.asarray(scale, dtype=float)
        )

    @staticmethod
    def identity(channels: int) -> "ChannelNormaliser":
        """Return the normaliser that changes nothing."""
        return ChannelNormaliser(jnp.zeros(channels), jnp.ones(channels))

    def encode(self, v: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        """Return (v - mean) / scale."""
        return (v - _column(self.mean, v)) / _column(self.scale, v)

    def decode(self, v: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        """Return mean + scale v."""
        return _column(self.mean, v) + _column(self.scale, v) * v


def _column(numbers: Float[Array, " channel"], v: Array) -> Array:
    return numbers.reshape(-1, *[1] * (v.ndim - 1))
