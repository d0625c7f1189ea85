"""A trained finite difference on a periodic grid."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

__all__ = ["FiniteDifference"]


class FiniteDifference(eqx.Module):
    r"""Three-point stencils of mean zero along every axis, divided by the spacing: first derivatives, refined.

    $$(D v)_o(x) = \sum_a \frac{1}{h_a} \sum_i \sum_{s=\pm 1} K_{aois} \big( v_i(x + s h_a e_a) - v_i(x) \big),
    \qquad h_a = 1 / n_a.$$

    This is a convolution with three points whose kernel has its mean removed. Constants are mapped to zero, and on
    finer grids it tends to a first derivative with constant coefficients.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        scaled: Whether differences are divided by the spacing.
        key: Random key of the parameters.
        dtype: Type of the parameters.

    References:
        Liu-Schiaffini et al., Neural operators with localized integral and differential kernels, ICML (2024).
    """

    kernel: Float[Array, "dims out in 2"]
    """Weights of the neighbours below and above."""
    scaled: bool = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_dims: int,
        *,
        scaled: bool = True,
        key: PRNGKeyArray,
        dtype: Any = float,
    ):
        bound = 1.0 / math.sqrt(3 * in_channels)
        shape = (num_dims, out_channels, in_channels, 2)
        self.kernel = jax.random.uniform(key, shape, dtype, -bound, bound)
        self.scaled = scaled

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return D v."""
        total = jnp.zeros((self.kernel.shape[1], *v.shape[1:]), v.dtype)
        for axis, kernel in enumerate(self.kernel):
            left, right = (jnp.roll(v, shift, axis + 1) - v for shift in (1, -1))
            change = jnp.tensordot(kernel[..., 0], left, 1) + jnp.tensordot(kernel[..., 1], right, 1)
            total += change * (v.shape[axis + 1] if self.scaled else 1.0)
        return total
