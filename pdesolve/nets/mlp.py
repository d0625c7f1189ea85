"""The multilayer perceptron."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .activation import Activation, AdaptiveActivation, make_activation
from .dense import Dense, FactorisedDense, make_dense
from .network import AbstractNetwork, check_point, check_sizes, float_dtype

__all__ = ["MLP"]


class MLP(AbstractNetwork):
    """Multilayer perceptron: h <- f(W h + b) for each hidden layer, then an affine map.

    Args:
        in_size: Entries of a point.
        out_size: Number of values.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        activation: `tanh`, `sin`, `swish`, `gelu`, or `adaptive_` before one of them.
        factorised: Whether weights are factorised (`FactorisedDense`).
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is less than 1.
    """

    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    layers: tuple[Dense | FactorisedDense, ...]
    activations: tuple[Activation | AdaptiveActivation, ...]

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        width: int = 20,
        depth: int = 3,
        activation: str = "tanh",
        factorised: bool = False,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(in_size=in_size, out_size=out_size, width=width, depth=depth)
        dtype = float_dtype(dtype)
        sizes = (in_size, *(width,) * depth, out_size)
        keys = jax.random.split(key, depth + 1)
        self.in_size, self.out_size = in_size, out_size
        self.layers = tuple(
            make_dense(size, following, key=layer_key, dtype=dtype, factorised=factorised)
            for size, following, layer_key in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.activations = tuple(make_activation(activation, dtype) for _ in range(depth))

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        h = point
        for layer, function in zip(self.layers[:-1], self.activations, strict=True):
            h = function(layer(h))
        return self.layers[-1](h)
