"""LocalNO: Fourier blocks with a finite difference beside the spectral convolution."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import make_activation

from .difference import FiniteDifference
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions, per_axis
from .pointwise import PointwiseAffine, PointwiseMLP
from .spectral import SpectralConvolution

__all__ = ["LocalNO"]


class LocalBlock(eqx.Module):
    """w = f(K v + D v + W v + b); f is left out in the last block."""

    convolution: SpectralConvolution
    difference: FiniteDifference
    skip: PointwiseAffine
    activation: eqx.Module | None

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the next functions."""
        w = self.convolution(v) + self.difference(v) + self.skip(v)
        return w if self.activation is None else self.activation(w)  # type: ignore[operator]


class LocalNO(AbstractOperator):
    """Fourier neural operator whose blocks see derivatives too, which a truncated spectrum smooths away.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        modes: Frequencies kept, as for `FNO`.
        width: Functions in a block.
        depth: Number of blocks.
        activation: Between blocks.
        lifting: Hidden channels of the first perceptron; a single affine map if 0.
        projection: Hidden channels of the last one.
        positions: Whether the coordinates i/n of each axis are further inputs.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    References:
        Liu-Schiaffini et al., Neural operators with localized integral and differential kernels, ICML (2024); without
        its integral kernels on a radius.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    lifting: PointwiseMLP
    blocks: tuple[LocalBlock, ...]
    projection: PointwiseMLP

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        modes: int | Sequence[int] = 16,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        lifting: int = 128,
        projection: int = 128,
        positions: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        modes = per_axis("modes", modes, num_dims)
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims, modes=min(modes))
        check_sizes(1, width=width, depth=depth)
        check_sizes(0, lifting=lifting, projection=projection)
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = jax.random.split(key, 3 * depth + 2)
        common = {"activation": activation, "dtype": dtype}
        inputs = in_channels + (num_dims if positions else 0)
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.positions = positions
        self.lifting = PointwiseMLP(inputs, width, lifting, key=keys[0], **common)
        self.blocks = tuple(
            LocalBlock(
                SpectralConvolution(width, width, modes, key=keys[3 * i + 2], dtype=dtype),
                FiniteDifference(width, width, num_dims, key=keys[3 * i + 3], dtype=dtype),
                PointwiseAffine(width, width, key=keys[3 * i + 4], dtype=dtype),
                make_activation(activation, dtype) if i + 1 < depth else None,
            )
            for i in range(depth)
        )
        self.projection = PointwiseMLP(width, out_channels, projection, key=keys[1], **common)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        v = self.lifting(jnp.concatenate([sample, grid_positions(grid, sample.dtype)]) if self.positions else sample)
        for block in self.blocks:
            v = block(v)
        return self.projection(v)
