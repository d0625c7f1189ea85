"""Residual network of convolutions at one resolution."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import make_activation

from .convolution import convolution
from .operator import AbstractOperator, check_sample, check_sizes

__all__ = ["ResNet"]


class ResidualBlock(eqx.Module):
    """v + K2 f(K1 v)."""

    first: eqx.nn.Conv
    second: eqx.nn.Conv
    activation: eqx.Module

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the next functions."""
        return v + self.second(self.activation(self.first(v)))  # type: ignore[operator]


class ResNet(AbstractOperator):
    """Residual network: blocks of two convolutions each at one resolution.

    A stencil has a size in points, not in space.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        width: Functions in a block.
        depth: Number of blocks.
        activation: Of each block.
        kernel: Points of a convolution along an axis.
        periodic: Whether the grid is; else zeros are beyond its ends.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    References:
        He, Zhang, Ren, Sun, Deep residual learning for image recognition, CVPR (2016).
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    first: eqx.nn.Conv
    blocks: tuple[ResidualBlock, ...]
    last: eqx.nn.Conv

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        kernel: int = 5,
        periodic: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, width=width, depth=depth, kernel=kernel)
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = jax.random.split(key, 2 * depth + 2)
        sizes = {"num_dims": num_dims, "kernel": kernel, "periodic": periodic, "dtype": dtype}
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.first = convolution(in_channels, width, key=keys[0], **sizes)
        self.blocks = tuple(
            ResidualBlock(
                convolution(width, width, key=keys[2 * i + 2], **sizes),
                convolution(width, width, key=keys[2 * i + 3], **sizes),
                make_activation(activation, dtype),
            )
            for i in range(depth)
        )
        self.last = convolution(width, out_channels, key=keys[1], **sizes)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        v = self.first(sample)
        for block in self.blocks:
            v = block(v)
        return self.last(v)
