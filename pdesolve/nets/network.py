"""The interface of coordinate networks."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..errors import PdesolveError

__all__ = ["AbstractNetwork", "check_point", "check_sizes", "float_dtype"]


class AbstractNetwork(eqx.Module):
    """A map of one point to the values there; `jax.vmap` makes batches.

    Only plain JAX primitives are used, so that Taylor-mode and forward-mode differentiation reach through.
    """

    in_size: eqx.AbstractVar[int]
    """Entries of a point."""
    out_size: eqx.AbstractVar[int]
    """Number of values."""

    @abc.abstractmethod
    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""


def float_dtype(dtype: Any) -> Any:
    """Return `dtype`, or the default floating-point type of JAX for None."""
    return jax.dtypes.canonicalize_dtype(float) if dtype is None else jax.dtypes.canonicalize_dtype(dtype)


def check_point(point: Float[Array, " in"], in_size: int) -> None:
    """Raise a `PdesolveError` unless the array is one point: a batch might broadcast without a word."""
    if point.shape != (in_size,):
        raise PdesolveError(
            f"expected one point of shape ({in_size},), got {point.shape}. For a batch use jax.vmap(network)(points)."
        )


def check_sizes(**sizes: int) -> None:
    """Raise a `PdesolveError` naming the first argument that is less than 1."""
    for name, size in sizes.items():
        if size < 1:
            raise PdesolveError(f"`{name}` must be at least 1, got {size}.")
