"""Convolutions that keep the grid."""

from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

__all__ = ["convolution"]


def convolution(
    in_channels: int,
    out_channels: int,
    *,
    num_dims: int,
    kernel: int,
    periodic: bool,
    key: PRNGKeyArray,
    dtype: Any,
) -> eqx.nn.Conv:
    """Return a convolution whose output has as many points as its input.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        kernel: Points along an axis.
        periodic: Whether the grid is; else zeros are beyond its ends.
        key: Random key of the parameters.
        dtype: Type of the parameters.
    """
    mode = "CIRCULAR" if periodic else "ZEROS"
    return eqx.nn.Conv(
        num_dims, in_channels, out_channels, kernel, padding="SAME", padding_mode=mode, dtype=dtype, key=key
    )
