"""Dense layers, plain and with random weight factorisation."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..batching import add_constant

__all__ = ["Dense", "FactorisedDense", "make_dense"]


class Dense(eqx.Module):
    """An affine map, W h + b."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __call__(self, h: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return W h + b."""
        return add_constant(self.weight @ h, self.bias)


class FactorisedDense(eqx.Module):
    """An affine map with weights W = diag(exp(s)) V; s and V are trained.

    References:
        Wang, Wang, Seidman, Perdikaris, arXiv:2210.01274 (2022), random weight factorisation.
    """

    log_scale: Float[Array, " out"]
    direction: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __call__(self, h: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return diag(exp(s)) V h + b."""
        return add_constant(jnp.exp(self.log_scale)[:, None] * self.direction @ h, self.bias)


def make_dense(
    in_size: int,
    out_size: int,
    *,
    key: PRNGKeyArray,
    dtype: Any,
    factorised: bool = False,
    mean: float = 1.0,
    deviation: float = 0.1,
) -> Dense | FactorisedDense:
    """Return a layer with Glorot normal weights, of variance 2 / (in + out), and zero bias.

    A factorised layer begins as the plain layer of the same key: W is drawn, s ~ N(mean, deviation^2), and V is
    diag(exp(-s)) W.

    Args:
        in_size: Entries of the input.
        out_size: Entries of the output.
        key: Random key.
        dtype: Type of the parameters.
        factorised: Whether weights are factorised.
        mean: Mean of s (Wang et al. advise 0.5 or 1).
        deviation: Standard deviation of s.

    References:
        Glorot and Bengio, AISTATS (2010), eq. (12), for the variance.
    """
    # Split in either case, so that the choice does not change W.
    weight_key, scale_key = jax.random.split(key)
    glorot = math.sqrt(2.0 / (in_size + out_size))
    weight = glorot * jax.random.normal(weight_key, (out_size, in_size), dtype)
    bias = jnp.zeros(out_size, dtype)
    if not factorised:
        return Dense(weight, bias)
    log_scale = mean + deviation * jax.random.normal(scale_key, (out_size,), dtype)
    return FactorisedDense(log_scale, weight * jnp.exp(-log_scale)[:, None], bias)
