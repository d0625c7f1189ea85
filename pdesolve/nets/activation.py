"""Activations by name, and their adaptive variants with a trainable slope."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import UnknownNameError

__all__ = ["ACTIVATIONS", "Activation", "AdaptiveActivation", "make_activation"]


def sin(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the sine."""
    return jnp.sin(x)


def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the hyperbolic tangent."""
    return jnp.tanh(x)


def swish(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return x / (1 + exp(-x)), by a tanh: neither overflow nor a nested jit."""
    return 0.5 * x * (1.0 + jnp.tanh(0.5 * x))


def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the Gaussian error linear unit in its usual tanh form (Hendrycks and Gimpel, arXiv:1606.08415)."""
    return 0.5 * x * (1.0 + jnp.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"gelu": gelu, "sin": sin, "swish": swish, "tanh": tanh}
"""Activations by name; each also as `adaptive_<name>`. All are smooth, as second derivatives need."""


class Activation(eqx.Module):
    """A fixed activation."""

    function: Callable[[Array], Array] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the function of each entry."""
        return self.function(x)


class AdaptiveActivation(eqx.Module):
    """An activation with a trainable slope, x -> f(a x), a = 1 at the start.

    References:
        Jagtap, Kawaguchi, Karniadakis, J. Comput. Phys. 404 (2020) 109136, one slope per layer.
    """

    function: Callable[[Array], Array] = eqx.field(static=True)
    slope: Float[Array, ""]

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the function of each entry times the slope."""
        return self.function(self.slope * x)


def make_activation(name: str, dtype: Any) -> Activation | AdaptiveActivation:
    """Return the activation of one layer.

    Args:
        name: `tanh`, `sin`, `swish`, `gelu`, or `adaptive_` before one of them.
        dtype: Type of the slope.

    Raises:
        UnknownNameError: If there is no such activation.
    """
    plain = name.removeprefix("adaptive_")
    if plain not in ACTIVATIONS:
        raise UnknownNameError("activation", name, [*ACTIVATIONS, *(f"adaptive_{known}" for known in ACTIVATIONS)])
    if plain == name:
        return Activation(ACTIVATIONS[plain])
    return AdaptiveActivation(ACTIVATIONS[plain], jnp.ones((), dtype))
