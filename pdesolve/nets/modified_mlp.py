"""The modified multilayer perceptron, with two gates."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .activation import Activation, AdaptiveActivation, make_activation
from .dense import Dense, FactorisedDense, make_dense
from .network import AbstractNetwork, check_point, check_sizes, float_dtype

__all__ = ["ModifiedMLP"]


class ModifiedMLP(AbstractNetwork):
    r"""Multilayer perceptron whose hidden layers mix two encodings of the point.

    $$u = f(W_u x + b_u),\quad v = f(W_v x + b_v),\quad z = f(W h + b),\quad h \leftarrow (1 - z)\,u + z\,v$$

    for each hidden layer, the first (h = x) included, then an affine map. Two further weight matrices let products
    with the point into every layer, which helps where solutions have sharp features.

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

    References:
        Wang, Teng, Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055-A3081. There the first hidden layer
        is not mixed; here it is, as in the authors' later code.
    """

    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    gates: tuple[Dense | FactorisedDense, Dense | FactorisedDense]
    gate_activation: Activation | AdaptiveActivation
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
        u_key, v_key, *keys = jax.random.split(key, depth + 3)
        self.in_size, self.out_size = in_size, out_size
        self.gates = (
            make_dense(in_size, width, key=u_key, dtype=dtype, factorised=factorised),
            make_dense(in_size, width, key=v_key, dtype=dtype, factorised=factorised),
        )
        self.gate_activation = make_activation(activation, dtype)
        self.layers = tuple(
            make_dense(size, following, key=layer_key, dtype=dtype, factorised=factorised)
            for size, following, layer_key in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.activations = tuple(make_activation(activation, dtype) for _ in range(depth))

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        u, v = (self.gate_activation(gate(point)) for gate in self.gates)
        h = point
        for layer, function in zip(self.layers[:-1], self.activations, strict=True):
            z = function(layer(h))
            h = u + z * (v - u)
        return self.layers[-1](h)
