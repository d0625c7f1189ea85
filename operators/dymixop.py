"""DyMixOp: latent dynamics as sums of linear terms and of products of local and global transforms."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import UnknownNameError
from pdesolve.nets import make_activation

from .convolution import convolution
from .difference import FiniteDifference
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions, per_axis
from .pointwise import PointwiseAffine
from .spectral import SpectralConvolution

__all__ = ["DyMixOp"]

COMPOSITIONS = ("hierarchical", "parallel", "hybrid")


class DynamicsLayer(eqx.Module):
    """F(c) = f(Q(c) + A(P(c))): linear terms Q, and products P of a global and a local transform."""

    spectral: SpectralConvolution
    local: eqx.nn.Conv
    linear: PointwiseAffine
    difference: FiniteDifference
    mixing: tuple[PointwiseAffine, PointwiseAffine]
    activation: eqx.Module

    def __init__(self, width, modes, kernel, activation, scaled, *, key, dtype):
        keys = jax.random.split(key, 7)
        num_dims = len(modes)
        spectral = SpectralConvolution(width, width, modes, key=keys[0], dtype=dtype)
        small = jax.random.uniform(keys[6], spectral.weight.shape, dtype) / width**2
        self.spectral = eqx.tree_at(lambda s: s.weight, spectral, small)
        self.local = convolution(
            width, width, num_dims=num_dims, kernel=kernel, periodic=True, key=keys[1], dtype=dtype
        )
        self.linear = PointwiseAffine(width, width, key=keys[2], dtype=dtype)
        self.difference = FiniteDifference(width, width, num_dims, scaled=scaled, key=keys[3], dtype=dtype)
        self.mixing = (
            PointwiseAffine(width, 2 * width, key=keys[4], dtype=dtype),
            PointwiseAffine(2 * width, width, key=keys[5], dtype=dtype),
        )
        self.activation = make_activation(activation, dtype)

    def __call__(self, c: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return F(c)."""
        product = self.mixing[1](self.mixing[0](self.spectral(c) * self.local(c)))
        return self.activation(self.linear(c) + self.difference(c) + product)  # type: ignore[operator]


class DyMixOp(AbstractOperator):
    r"""Latent dynamics for equations $u_t = L u + N(u)$ whose nonlinearity is a product, as $u\,u_x$ is.

    The input is reduced to `width` functions $c_0$; layers $F_l$ act on

    $$ c_l = c_{l-1} + \sigma(\lambda \tau)\, F_l(c_{l-1}), \qquad z = c_0 + \sum_l w_l F_l(c_{l-1}) + b, $$

    and z is mapped to the output, without activation. A layer is $F(c) = f(Q c + A\,(G c \odot \ell c))$ with G a
    spectral convolution, $\ell$ a local one, Q a pointwise map plus a `FiniteDifference`, A pointwise. The gate's
    $\lambda$ begins at `width`.

    Args:
        in_channels: Input functions; the frames of a history are functions of their own.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        modes: Frequencies of G, as for `SpectralConvolution`: one number for all axes, or one for each.
        width: Latent functions.
        depth: Number of layers.
        activation: f.
        kernel: Points of the local convolution along an axis; 1 in every published configuration.
        composition: `hierarchical` as above; `parallel`: every layer acts on $c_0$; `hybrid`: layers in pairs, parallel
            within a pair.
        change: $\tau$, how fast the data change: one minus the mean cosine of consecutive frames.
        as_released: As the authors' program is: there two arguments are exchanged, so that the gate is open
            ($\tau = 1$) and differences are not divided by the spacing.
        positions: Whether the coordinates i/n of each axis are further inputs.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation or composition.
        PdesolveError: If a size is out of range.

    References:
        Lai, Chen, Xu, DyMixOp, arXiv 2508.13490 (2025), and their program.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    composition: str = eqx.field(static=True)
    change: float = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    reduction: tuple[PointwiseAffine, PointwiseAffine]
    layers: tuple[DynamicsLayer, ...]
    gate: Float[Array, ""]
    weights: Float[Array, " depth"]
    bias: Float[Array, ""]
    expansion: tuple[PointwiseAffine, PointwiseAffine]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        modes: int | Sequence[int] = 12,
        width: int = 48,
        depth: int = 4,
        activation: str = "gelu",
        kernel: int = 1,
        composition: str = "hierarchical",
        change: float = 1.0,
        as_released: bool = False,
        positions: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        modes = per_axis("modes", modes, num_dims)
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims, modes=min(modes))
        check_sizes(1, width=width, depth=depth, kernel=kernel)
        if composition not in COMPOSITIONS:
            raise UnknownNameError("composition", composition, COMPOSITIONS)
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = jax.random.split(key, depth + 5)
        inputs = in_channels + (num_dims if positions else 0)
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.composition, self.positions = composition, positions
        self.change = 1.0 if as_released else float(change)
        self.reduction = (
            PointwiseAffine(inputs, 2 * width, key=keys[0], dtype=dtype),
            PointwiseAffine(2 * width, width, key=keys[1], dtype=dtype),
        )
        self.layers = tuple(
            DynamicsLayer(width, modes, kernel, activation, not as_released, key=k, dtype=dtype) for k in keys[5:]
        )
        self.gate = jnp.asarray(width, dtype)
        bound = depth**-0.5
        self.weights = jax.random.uniform(keys[2], (depth,), dtype, -bound, bound)
        self.bias = jnp.zeros((), dtype)
        self.expansion = (
            PointwiseAffine(width, 2 * width, key=keys[3], dtype=dtype),
            PointwiseAffine(2 * width, out_channels, key=keys[4], dtype=dtype),
        )

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        v = jnp.concatenate([sample, grid_positions(grid, sample.dtype)]) if self.positions else sample
        start = self.reduction[1](self.reduction[0](v))
        state, total, opened = start, start + self.bias, jax.nn.sigmoid(self.gate * self.change)
        size = {"hierarchical": 1, "parallel": len(self.layers), "hybrid": 2}[self.composition]
        for first in range(0, len(self.layers), size):
            dynamics = [layer(state) for layer in self.layers[first : first + size]]
            for weight, each in zip(self.weights[first : first + size], dynamics, strict=True):
                total = total + weight * each
            state = state + opened * sum(dynamics)
        return self.expansion[1](self.expansion[0](total))
