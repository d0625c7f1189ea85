"""A velocity field for any small grid: a plain network of all values."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..nets import Dense, make_activation, make_dense
from ..nets.network import check_sizes, float_dtype
from .velocity import time_features

__all__ = ["MLPVelocity"]

_FEATURES = 32
"""Numbers by which the network is told the time."""


class MLPVelocity(eqx.Module):
    r"""Multilayer perceptron of all values of a field on a grid of `points`, and of the time.

    $$v = a(t)\,x + b(t)\,F(b(t)\,x, t), \qquad b = (t^2 + (1 - t)^2)^{-1/2}, \quad a = (2t - 1)\,b^2$$

    with F the network, for the reasons that `SpectralVelocity` has: noise, which no narrow layer would let through,
    passes by. F knows nothing of the grid's order; its last layer begins at zero.

    Args:
        channels: Number of fields.
        points: Grid points, of all axes together; the network is bound to this number.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        activation: `tanh`, `sin`, `swish` or `gelu`.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        PdesolveError: If a size is less than 1, or the activation an adaptive one.
    """

    layers: tuple[Dense, ...]
    channels: int = eqx.field(static=True)
    points: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        points: int,
        *,
        width: int = 256,
        depth: int = 3,
        activation: str = "gelu",
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(channels=channels, points=points, width=width, depth=depth)
        dtype = float_dtype(dtype)
        if activation.startswith("adaptive_"):
            raise PdesolveError(f"this network has no adaptive activations; got {activation!r}.")
        make_activation(activation, dtype)  # an unknown name is an error here
        self.channels, self.points, self.activation = channels, points, activation
        sizes = [channels * points + _FEATURES, *[width] * depth]
        keys = jax.random.split(key, depth)
        hidden = [
            cast(Dense, make_dense(into, out, key=k, dtype=dtype))
            for into, out, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        ]
        last = Dense(jnp.zeros((channels * points, width), dtype), jnp.zeros(channels * points, dtype))
        self.layers = (*hidden, last)

    def __call__(self, x: Float[Array, " channel *grid"], t: Float[Array, ""]) -> Float[Array, " channel *grid"]:
        """Return the velocity of one field at one time."""
        if x.ndim < 2 or x.shape[0] != self.channels or x.size != self.channels * self.points:
            raise PdesolveError(
                f"expected one field of {self.channels} channels on {self.points} points, got {x.shape}. "
                "For a batch use jax.vmap."
            )
        activation = make_activation(self.activation, x.dtype)
        b = jax.lax.rsqrt(t**2 + (1.0 - t) ** 2)
        h = jnp.concatenate([b * x.reshape(-1), time_features(t, _FEATURES)])
        for layer in self.layers[:-1]:
            h = activation(layer(h))
        return (2.0 * t - 1.0) * b**2 * x + b * self.layers[-1](h).reshape(x.shape)
