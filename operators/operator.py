"""The interface of learned operators on grids."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pdesolve.errors import PdesolveError

__all__ = ["AbstractOperator", "check_sample", "check_sizes", "grid_positions", "per_axis"]


class AbstractOperator(eqx.Module):
    """A map of functions on a grid to functions on the same grid: one sample in, one out; `jax.vmap` makes batches."""

    in_channels: eqx.AbstractVar[int]
    """Input functions."""
    out_channels: eqx.AbstractVar[int]
    """Output functions."""
    num_dims: eqx.AbstractVar[int]
    """Axes of the grid."""

    @abc.abstractmethod
    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""


def check_sample(sample: Float[Array, "in *grid"], in_channels: int, num_dims: int) -> None:
    """Raise a `PdesolveError` unless the array is one sample: a batch would be taken for channels."""
    if sample.ndim != num_dims + 1 or sample.shape[0] != in_channels:
        grid = ", ".join(f"n{i + 1}" for i in range(num_dims))
        raise PdesolveError(
            f"expected one sample of shape ({in_channels}, {grid}), channels first; got {sample.shape}. "
            "For a batch use jax.vmap(operator)(samples)."
        )


def check_sizes(least: int, **sizes: float) -> None:
    """Raise a `PdesolveError` naming the first size that is below the least."""
    for name, size in sizes.items():
        if not size >= least:
            raise PdesolveError(f"`{name}` must be at least {least}, got {size}.")


def per_axis(name: str, value: int | Sequence[int], num_dims: int) -> tuple[int, ...]:
    """Return a number for each axis, given as one for all or one for each."""
    values = (value,) * num_dims if isinstance(value, int) else tuple(value)
    if len(values) != num_dims:
        raise PdesolveError(f"`{name}` must be one number or {num_dims}, one for each axis; got {values}.")
    return values


def grid_positions(grid: tuple[int, ...], dtype: Any) -> Float[Array, " dims *grid"]:
    """Return the coordinates i/n: the points of a periodic axis, whose right end is its left one."""
    axes = [jnp.arange(n, dtype=dtype) / n for n in grid]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"))
