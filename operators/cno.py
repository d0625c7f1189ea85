"""CNO: a U-shaped network of convolutions whose activations are filtered."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import make_activation

from .convolution import convolution
from .operator import AbstractOperator, check_sample, check_sizes, per_axis
from .uno import resample

__all__ = ["CNO", "FilteredActivation", "resample_mirrored"]


class FilteredActivation(eqx.Module):
    """Interpolate to a finer grid, apply f there, cut off what the wanted grid cannot hold.

    A pointwise f makes frequencies beyond those of the grid, which would come back as wrong low ones. On a grid
    `oversampling` times as fine they find room, and are removed: all those of a polynomial of that degree, most of
    those of another function.
    """

    activation: eqx.Module | None
    """f; leaky ReLU where None."""
    oversampling: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __call__(self, v: Float[Array, " width *grid"], grid: tuple[int, ...]) -> Float[Array, " width *new"]:
        """Return f(v) on the wanted grid."""
        move = resample if self.periodic else resample_mirrored
        finer = tuple(self.oversampling * max(sizes) for sizes in zip(v.shape[1:], grid, strict=True))
        v = move(v, finer)
        return move(_leaky_relu(v) if self.activation is None else self.activation(v), grid)  # type: ignore[operator]


class FilteredBlock(eqx.Module):
    """Convolution, normalisation (or none), filtered activation."""

    convolution: eqx.nn.Conv
    norm: eqx.nn.GroupNorm | None
    activation: FilteredActivation

    def __call__(self, v: Float[Array, "in *grid"], grid: tuple[int, ...] | None = None) -> Float[Array, " out *new"]:
        """Return the next functions, on another grid where one is given."""
        v = self.convolution(v)
        v = v if self.norm is None else self.norm(v)
        return self.activation(v, v.shape[1:] if grid is None else grid)


class FilteredResidual(eqx.Module):
    """v + N K2 f(N K1 v)."""

    first: FilteredBlock
    second: eqx.nn.Conv
    norm: eqx.nn.GroupNorm

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the next functions."""
        return v + self.norm(self.second(self.first(v)))


class CNO(AbstractOperator):
    """Convolutional neural operator: a U-Net between band-limited functions.

    Functions change grids, and activations are applied, by way of a finer grid and a low-pass filter
    (`FilteredActivation`), so that a layer acts on the function and not on the points that happen to carry it. On every
    grid a chain of residual blocks stands between the way down and the way up. Group normalisation stands where batch
    normalisation was, as in `UNet`.

    Filters are ideal: the spectrum of a periodic function is cut off or padded with zeros, that of another the same
    way after it has been mirrored at the ends (cosine series, points at the centres of n equal cells). The published
    program filters with short windowed sincs, and has zeros beyond the ends.

    A stencil has a size in points. With `resolution` the convolutions act on that grid, whatever the grid of the
    sample: outputs at two resolutions are then the same band-limited function, and what a sample holds beyond that
    resolution is not seen. Periodic shifts by half the coarsest spacing (more finely with more `oversampling`) commute
    with the network to round-off.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        width: Functions on the first coarser grid: half as many on the finest, twice as many on every coarser one.
        depth: Number of coarser grids, of half the points each, rounded up.
        activation: Names of `pdesolve.nets.make_activation`, or `leaky_relu` (slope 0.01).
        kernel: Points of a convolution along an axis.
        residuals: Residual blocks between the way down and the way up, on every grid but the coarsest.
        neck: Residual blocks on the coarsest grid.
        latent: Functions between the two convolutions of the first and of the last layer.
        groups: Of normalisation; must divide half the `width`.
        oversampling: How much finer the grid is on which f is applied.
        resolution: Points along every axis of the grid on which the network acts, one number for all axes or one for
            each; the grid of the sample where None.
        periodic: Whether the grid is; else zeros are beyond its ends for convolutions.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Raonic et al., Convolutional neural operators for robust and accurate learning of PDEs, NeurIPS (2023), and
        their program; without its second block on every skip connection.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    resolution: tuple[int, ...] | None = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)
    lifting: tuple[FilteredBlock, eqx.nn.Conv]
    down: tuple[FilteredBlock, ...]
    chains: tuple[tuple[FilteredResidual, ...], ...]
    """Residual blocks of every grid, the finest first."""
    inner: tuple[FilteredBlock, ...]
    up: tuple[FilteredBlock, ...]
    projection: tuple[FilteredBlock, eqx.nn.Conv]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        width: int = 32,
        depth: int = 3,
        activation: str = "leaky_relu",
        kernel: int = 3,
        residuals: int = 1,
        neck: int = 6,
        latent: int = 64,
        groups: int = 2,
        oversampling: int = 2,
        resolution: int | Sequence[int] | None = None,
        periodic: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, depth=depth, kernel=kernel, latent=latent, groups=groups, oversampling=oversampling)
        check_sizes(2, width=width)
        check_sizes(0, residuals=residuals, neck=neck)
        if width % (2 * groups):
            raise PdesolveError(f"`groups` must divide half the `width`; got {groups} and {width}.")
        if resolution is not None:
            resolution = per_axis("resolution", resolution, num_dims)
            check_sizes(2, resolution=min(resolution))
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = iter(jax.random.split(key, 4 + 3 * depth + 2 * (residuals * depth + neck)))
        sizes = {"num_dims": num_dims, "kernel": kernel, "periodic": periodic, "dtype": dtype}

        def block(a: int, b: int, normalised: bool = True) -> FilteredBlock:
            return FilteredBlock(
                convolution(a, b, key=next(keys), **sizes),
                eqx.nn.GroupNorm(groups, b, dtype=dtype) if normalised else None,
                FilteredActivation(
                    None if activation == "leaky_relu" else make_activation(activation, dtype), oversampling, periodic
                ),
            )

        def chain(a: int, count: int) -> tuple[FilteredResidual, ...]:
            norms = [eqx.nn.GroupNorm(groups, a, dtype=dtype) for _ in range(count)]
            return tuple(FilteredResidual(block(a, a), convolution(a, a, key=next(keys), **sizes), n) for n in norms)

        widths = [width // 2, *(width * 2**level for level in range(depth))]
        # What the way up has on every grid before its blocks: alone on the coarsest, beside the skip on the others.
        joined = [*(2 * w for w in widths[:-1]), widths[-1]]
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.resolution, self.periodic = resolution, periodic
        self.lifting = (block(in_channels, latent, False), convolution(latent, widths[0], key=next(keys), **sizes))
        self.down = tuple(block(widths[i], widths[i + 1]) for i in range(depth))
        self.chains = tuple(chain(w, residuals if i < depth else neck) for i, w in enumerate(widths))
        self.inner = tuple(block(joined[i + 1], joined[i + 1]) for i in reversed(range(depth)))
        self.up = tuple(block(joined[i + 1], widths[i]) for i in reversed(range(depth)))
        self.projection = (block(joined[0], latent, False), convolution(latent, out_channels, key=next(keys), **sizes))

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        if self.resolution is None:
            return self._on_own_grid(sample)
        move = resample if self.periodic else resample_mirrored
        return move(self._on_own_grid(move(sample, self.resolution)), sample.shape[1:])

    def _on_own_grid(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        v, skips = self.lifting[1](self.lifting[0](v)), []
        for chain, block in zip(self.chains, (*self.down, None), strict=True):
            skip = v
            for residual in chain:
                skip = residual(skip)
            skips.append(skip)
            if block is not None:
                v = block(v, tuple(max(2, (n + 1) // 2) for n in v.shape[1:]))
        v = skips.pop()
        for inner, block in zip(self.inner, self.up, strict=True):
            skip = skips.pop()
            v = jnp.concatenate([block(inner(v), skip.shape[1:]), skip])
        return self.projection[1](self.projection[0](v))


def resample_mirrored(v: Float[Array, " channels *grid"], grid: tuple[int, ...]) -> Float[Array, " channels *new"]:
    """Return functions on another grid by cutting off or padding their cosine series, axis by axis.

    Points are the centres (i + 1/2)/n of equal cells, beyond whose ends functions are mirrored. A sum of cosines that
    both grids hold is met exactly, a constant always.
    """
    for axis, n in enumerate(grid, start=1):
        old = v.shape[axis]
        if old == n:
            continue
        series = jax.scipy.fft.dct(v, axis=axis, norm="ortho") * jnp.asarray((n / old) ** 0.5, v.dtype)
        series = jax.lax.slice_in_dim(series, 0, min(old, n), axis=axis)
        pad = [(0, n - series.shape[axis]) if a == axis else (0, 0) for a in range(v.ndim)]
        v = jax.scipy.fft.idct(jnp.pad(series, pad), axis=axis, norm="ortho")
    return v


def _leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(x >= 0, x, 0.01 * x)
