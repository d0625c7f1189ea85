"""Fourier neural operator."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import make_activation

from .operator import AbstractOperator, check_sample, check_sizes, grid_positions, per_axis
from .pointwise import PointwiseAffine, PointwiseMLP
from .spectral import SpectralConvolution

__all__ = ["FNO"]


class FourierBlock(eqx.Module):
    """w = f(K v + W v + b): a spectral convolution K beside a map of the channels; f is left out in the last block."""

    convolution: SpectralConvolution
    skip: PointwiseAffine
    activation: eqx.Module | None

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the next functions."""
        w = self.convolution(v) + self.skip(v)
        return w if self.activation is None else self.activation(w)  # type: ignore[operator]


class FNO(AbstractOperator):
    r"""Fourier neural operator: lifting, blocks of spectral convolutions with skip connections, projection.

    $$v_0 = P(a, x), \quad v_{l+1} = f(\mathcal{K}_l v_l + W_l v_l + b_l), \quad u = Q(v_L),$$

    with $\mathcal{K}$ a `SpectralConvolution`, no activation in the last block, and P, Q perceptrons with one hidden
    layer, applied at each point. It takes any resolution; outputs at two resolutions differ by aliasing only, which
    falls with the grid spacing. Without `positions` and `padding` it commutes with translations of a periodic grid.

    With `lifting = 0`, `projection = 128` and `activation = "gelu"` this is the network of Li et al.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        modes: m, the frequencies kept along each axis: -m ... m - 1, and 0 ... m - 1 along the last. One number for
            all axes, or one for each.
        width: Functions in a block.
        depth: Number of blocks.
        activation: `gelu`, `tanh`, `sin`, `swish`, or `adaptive_` before one of them.
        lifting: Hidden channels of P; a single affine map if 0.
        projection: Hidden channels of Q; a single affine map if 0.
        positions: Whether the coordinates i/n of each axis are further inputs.
        padding: For functions that are not periodic: zeros put behind each axis before the blocks, as a share of its
            points, and cut off after them.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, or `modes` does not fit `num_dims`.

    References:
        Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021, eqs. (2)-(4),
        figure 2; their published code for projection and last block.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    padding: float = eqx.field(static=True)
    lifting: PointwiseMLP
    blocks: tuple[FourierBlock, ...]
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
        padding: float = 0.0,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        modes = per_axis("modes", modes, num_dims)
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "num_dims": num_dims}
        check_sizes(1, **sizes, modes=min(modes, default=0), width=width, depth=depth)
        check_sizes(0, lifting=lifting, projection=projection, padding=padding)
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        lifting_key, projection_key, *keys = jax.random.split(key, 2 * depth + 2)
        common = {"activation": activation, "dtype": dtype}
        inputs = in_channels + (num_dims if positions else 0)
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.positions, self.padding = positions, float(padding)
        self.lifting = PointwiseMLP(inputs, width, lifting, key=lifting_key, **common)
        self.blocks = tuple(
            FourierBlock(
                SpectralConvolution(width, width, modes, key=keys[2 * i], dtype=dtype),
                PointwiseAffine(width, width, key=keys[2 * i + 1], dtype=dtype),
                make_activation(activation, dtype) if i + 1 < depth else None,
            )
            for i in range(depth)
        )
        self.projection = PointwiseMLP(width, out_channels, projection, key=projection_key, **common)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        v = jnp.concatenate([sample, grid_positions(grid, sample.dtype)]) if self.positions else sample
        v = self.lifting(v)
        if self.padding:
            v = jnp.pad(v, [(0, 0), *((0, math.ceil(self.padding * n)) for n in grid)])
        for block in self.blocks:
            v = block(v)
        return self.projection(v[(slice(None), *(slice(n) for n in grid))])
