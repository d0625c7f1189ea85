"""U-NO: Fourier blocks on ever coarser grids and back, with skip connections."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import make_activation

from .fno import FourierBlock
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions, per_axis
from .pointwise import PointwiseAffine, PointwiseMLP
from .spectral import SpectralConvolution

__all__ = ["UNO", "resample"]


class UNO(AbstractOperator):
    r"""U-shaped neural operator: Fourier blocks on ever coarser grids and back.

    Blocks act on 1, 1/2, 1/4, ... of the points along every axis. Functions change grids by cutting off or padding
    their spectra (`resample`), so that the network takes any
    resolution. What the way down has made is given to the way up on the same grid.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        modes: Frequencies kept on the finest grid, as for `FNO`; half as many on every coarser one.
        width: Functions on the finest grid; twice as many on every coarser one.
        depth: Number of coarser grids.
        activation: As for `FNO`.
        lifting: Hidden channels of the first perceptron; a single affine map if 0.
        projection: Hidden channels of the last one.
        positions: Whether the coordinates i/n of each axis are further inputs.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    References:
        Rahman, Ross, Azizzadenesheli, U-NO: U-shaped neural operators, TMLR (2023).
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    lifting: PointwiseMLP
    down: tuple[FourierBlock, ...]
    bottom: FourierBlock
    up: tuple[FourierBlock, ...]
    projection: PointwiseMLP

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        modes: int | Sequence[int] = 16,
        width: int = 32,
        depth: int = 2,
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
        keys = iter(jax.random.split(key, 4 * depth + 6))
        common = {"activation": activation, "dtype": dtype}
        inputs = in_channels + (num_dims if positions else 0)

        def block(a: int, b: int, level: int) -> FourierBlock:
            kept = tuple(max(1, m // 2**level) for m in modes)
            return FourierBlock(
                SpectralConvolution(a, b, kept, key=next(keys), dtype=dtype),
                PointwiseAffine(a, b, key=next(keys), dtype=dtype),
                make_activation(activation, dtype),
            )

        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.positions = positions
        self.lifting = PointwiseMLP(inputs, width, lifting, key=next(keys), **common)
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = tuple(block(widths[i], widths[i + 1], i) for i in range(depth))
        self.bottom = block(widths[-1], widths[-1], depth)
        self.up = tuple(block(widths[i + 1] + widths[i], widths[i], i) for i in reversed(range(depth)))
        self.projection = PointwiseMLP(width, out_channels, projection, key=next(keys), **common)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        v = self.lifting(jnp.concatenate([sample, grid_positions(grid, sample.dtype)]) if self.positions else sample)
        skips = []
        for block in self.down:
            skips.append(v)
            v = resample(block(v), tuple(max(2, (n + 1) // 2) for n in v.shape[1:]))
        v = self.bottom(v)
        for block in self.up:
            skip = skips.pop()
            v = block(jnp.concatenate([resample(v, skip.shape[1:]), skip]))
        return self.projection(v)


def resample(v: Float[Array, " channels *grid"], grid: tuple[int, ...]) -> Float[Array, " channels *new"]:
    """Return periodic functions on another grid by cutting off or padding their spectra, axis by axis.

    Band-limited functions are met exactly. The Nyquist frequency of the coarser grid is left out.
    """
    for axis, n in enumerate(grid):
        old = v.shape[axis + 1]
        if old == n:
            continue
        v_hat = jnp.fft.rfft(v, axis=axis + 1, norm="forward")
        kept = (min(old, n) + 1) // 2
        v_hat = jax.lax.slice_in_dim(v_hat, 0, kept, axis=axis + 1)
        v = jnp.fft.irfft(v_hat, n=n, axis=axis + 1, norm="forward")
    return v
