"""Any registered operator as a velocity field: the time becomes further input functions, constant in space."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .. import registry
from ..config import NetworkConfig
from ..errors import PdesolveError
from .velocity import time_features

__all__ = ["OperatorVelocity", "operator_velocity"]

_FEATURES = 16
"""Numbers by which the operator is told the time."""


class OperatorVelocity(eqx.Module):
    r"""Velocity field $v(x, t)$ by an operator F of functions on a grid, which is told the time.

    $$v = a(t)\,x + b(t)\,F(b(t)\,x, t), \qquad b = (t^2 + (1 - t)^2)^{-1/2}, \quad a = (2t - 1)\,b^2,$$

    so that inputs and targets of F are of order 1 at all times, as in `SpectralVelocity`. What is true of F, periodic
    shifts or any resolution, is true of v.
    """

    operator: Callable[[Float[Array, " in *grid"]], Float[Array, " channel *grid"]]
    """From the fields and sixteen functions of the time to as many fields."""
    channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " channel *grid"], t: Float[Array, ""]) -> Float[Array, " channel *grid"]:
        """Return the velocity of one field at one time."""
        if x.ndim != self.num_dims + 1 or x.shape[0] != self.channels:
            raise PdesolveError(
                f"expected one field of {self.channels} channels on a grid of {self.num_dims} axes, got {x.shape}. "
                "For a batch use jax.vmap."
            )
        t = t.astype(x.dtype)
        b = jax.lax.rsqrt(t**2 + (1.0 - t) ** 2)
        features = time_features(t, _FEATURES).reshape(-1, *[1] * self.num_dims)
        told = jnp.broadcast_to(features, (_FEATURES, *x.shape[1:]))
        return (2.0 * t - 1.0) * b**2 * x + b * self.operator(jnp.concatenate([b * x, told]))


def operator_velocity(
    network: NetworkConfig, channels: int, num_dims: int, *, key: PRNGKeyArray, dtype: Any = None
) -> OperatorVelocity:
    """Return the velocity field by the operator that `network` names.

    Args:
        network: Name, sizes and options; see `pdesolve list operators`.
        channels: Number of fields.
        num_dims: Axes of the grid.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such operator, or it has no such option.
    """
    own = ("in_channels", "out_channels", "num_dims", "width", "depth", "activation", "key", "dtype")
    constructor, _ = registry.constructor("operators", network.name, network.options, own)
    operator = constructor(
        channels + _FEATURES,
        channels,
        num_dims=num_dims,
        width=network.width,
        depth=network.depth,
        activation=network.activation,
        key=key,
        dtype=dtype,
        **network.options,
    )
    return OperatorVelocity(operator, channels, num_dims)
