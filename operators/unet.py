"""U-Net: convolutions on ever coarser grids and back, with skip connections."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import make_activation

from .convolution import convolution
from .operator import AbstractOperator, check_sample, check_sizes

__all__ = ["UNet"]


class DoubleConvolution(eqx.Module):
    """Two times: convolution, group normalisation, activation."""

    convolutions: tuple[eqx.nn.Conv, eqx.nn.Conv]
    norms: tuple[eqx.nn.GroupNorm, eqx.nn.GroupNorm]
    activation: eqx.Module

    def __init__(self, in_channels, out_channels, groups, activation, *, key, sizes):
        first, second = jax.random.split(key)
        self.convolutions = (
            convolution(in_channels, out_channels, key=first, **sizes),
            convolution(out_channels, out_channels, key=second, **sizes),
        )
        self.norms = tuple(eqx.nn.GroupNorm(groups, out_channels, dtype=sizes["dtype"]) for _ in range(2))  # type: ignore[assignment]
        self.activation = make_activation(activation, sizes["dtype"])

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the next functions."""
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            v = self.activation(norm(convolve(v)))  # type: ignore[operator]
        return v


class UNet(AbstractOperator):
    """U-Net: convolutions on ever coarser grids and back, with skip connections.

    Widths are w, 2w, 4w, ..., the same on the last two grids. Coarser grids are made by the maximum over 2 points
    along every axis, finer ones by linear interpolation. Group
    normalisation stands where batch normalisation was: it needs no running averages, and no batch.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        width: Functions on the finest grid.
        depth: Number of coarser grids; the points along every axis must be a multiple of 2 to this power.
        activation: After each normalisation.
        kernel: Points of a convolution along an axis.
        groups: Of normalisation; must divide `width`.
        periodic: Whether the grid is; else zeros are beyond its ends.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Ronneberger, Fischer, Brox, U-Net, MICCAI (2015).
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)
    down: tuple[DoubleConvolution, ...]
    up: tuple[DoubleConvolution, ...]
    last: eqx.nn.Conv

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        width: int = 32,
        depth: int = 4,
        activation: str = "gelu",
        kernel: int = 3,
        groups: int = 4,
        periodic: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, width=width, depth=depth, kernel=kernel, groups=groups)
        if width % groups:
            raise PdesolveError(f"`groups` must divide `width`; got {groups} and {width}.")
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = iter(jax.random.split(key, 2 * depth + 2))
        sizes = {"num_dims": num_dims, "kernel": kernel, "periodic": periodic, "dtype": dtype}
        widths = [width * 2 ** min(level, max(depth - 1, 0)) for level in range(depth + 1)]
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.periodic = periodic
        steps = [(in_channels, widths[0]), *((widths[i], widths[i + 1]) for i in range(depth))]
        self.down = tuple(DoubleConvolution(a, b, groups, activation, key=next(keys), sizes=sizes) for a, b in steps)
        backward = [(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(depth))]
        self.up = tuple(DoubleConvolution(a, b, groups, activation, key=next(keys), sizes=sizes) for a, b in backward)
        self.last = convolution(width, out_channels, key=next(keys), **{**sizes, "kernel": 1})

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        multiple = 2 ** len(self.up)
        if any(n % multiple for n in sample.shape[1:]):
            raise PdesolveError(
                f"a U-Net of depth {len(self.up)} needs grids whose points are multiples of {multiple}; "
                f"got {sample.shape[1:]}."
            )
        v, skips = self.down[0](sample), []
        for block in self.down[1:]:
            skips.append(v)
            v = block(_coarser(v))
        for block in self.up:
            v = block(jnp.concatenate([_finer(v, self.periodic), skips.pop()]))
        return self.last(v)


def _coarser(v: Float[Array, " width *grid"]) -> Float[Array, " width *half"]:
    pairs = [size for n in v.shape[1:] for size in (n // 2, 2)]
    return v.reshape(v.shape[0], *pairs).max(axis=tuple(range(2, 2 * v.ndim, 2)))


def _finer(v: Float[Array, " width *grid"], periodic: bool) -> Float[Array, " width *double"]:
    """Interpolate linearly at a quarter of the spacing to both sides of every point, axis by axis."""
    for axis in range(1, v.ndim):
        edges = [(1, 1) if a == axis else (0, 0) for a in range(v.ndim)]
        padded, n = jnp.pad(v, edges, mode="wrap" if periodic else "edge"), v.shape[axis]
        below, above = (jax.lax.slice_in_dim(padded, start, start + n, axis=axis) for start in (0, 2))
        pair = jnp.stack([0.75 * v + 0.25 * below, 0.75 * v + 0.25 * above], axis=axis + 1)
        v = pair.reshape(*v.shape[:axis], 2 * n, *v.shape[axis + 1 :])
    return v
