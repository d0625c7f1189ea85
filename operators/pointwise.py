"""Maps that act on the channels at each grid point alike."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import make_activation

__all__ = ["PointwiseAffine", "PointwiseMLP"]


class PointwiseAffine(eqx.Module):
    r"""$W v(x) + b$ at every point; weights of variance 2 / (in + out) and no bias at the start."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKeyArray, dtype: Any):
        glorot = math.sqrt(2.0 / (in_channels + out_channels))
        self.weight = glorot * jax.random.normal(key, (out_channels, in_channels), dtype)
        self.bias = jnp.zeros(out_channels, dtype)

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return W v + b."""
        return jnp.tensordot(self.weight, v, 1) + self.bias.reshape(-1, *[1] * (v.ndim - 1))


class PointwiseMLP(eqx.Module):
    """Two affine maps of the channels with an activation between; a single affine map if `width` is 0.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        width: Channels between.
        activation: As for `pdesolve.nets.make_activation`.
        key: Random key of the parameters.
        dtype: Type of the parameters.
    """

    layers: tuple[PointwiseAffine, ...]
    activation: eqx.Module

    def __init__(
        self, in_channels: int, out_channels: int, width: int, *, activation: str, key: PRNGKeyArray, dtype: Any
    ):
        sizes = (in_channels, width, out_channels) if width else (in_channels, out_channels)
        self.layers = tuple(
            PointwiseAffine(a, b, key=layer_key, dtype=dtype)
            for a, b, layer_key in zip(sizes, sizes[1:], jax.random.split(key, len(sizes) - 1), strict=False)
        )
        # An affine map holds no trained slope of an activation it does not use.
        self.activation = make_activation(activation if width else activation.removeprefix("adaptive_"), dtype)

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output channels at every point."""
        for layer in self.layers[:-1]:
            v = self.activation(layer(v))  # type: ignore[operator]
        return self.layers[-1](v)
