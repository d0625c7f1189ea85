"""The interface of learned operators on grids."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from pdesolve.errors import PdesolveError

__all__ = ["AbstractOperator", "check_sample"]


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
