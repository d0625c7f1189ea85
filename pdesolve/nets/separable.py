"""A sum of products of functions of one coordinate."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .mlp import MLP
from .network import AbstractNetwork, check_point, check_sizes

__all__ = ["Separable"]


class Separable(AbstractNetwork):
    r"""A sum of products of functions of one coordinate, each a multilayer perceptron.

    $$u_k(x) = r^{-1/2} \sum_{j=1}^{r} \prod_{i=1}^{d} f_{ijk}(x_i)$$

    One perceptron for each coordinate gives all of its functions. The right choice where a solution has low rank, as
    separation of variables finds it: sums of waves, of decaying modes, of products of sines. There it needs a tenth of
    the weights, and is better by orders of magnitude; a front that travels askew has no low rank.

    Args:
        in_size: Entries of a point.
        out_size: Number of values.
        rank: r, the number of products.
        width: Units of a hidden layer of each perceptron.
        depth: Number of its hidden layers.
        activation: `tanh`, `sin`, `swish`, `gelu`, or `adaptive_` before one of them.
        factorised: Whether weights are factorised (`FactorisedDense`).
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is less than 1.

    References:
        Cho et al., Separable physics-informed neural networks, NeurIPS (2023), who train on tensor grids.
    """

    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    rank: int = eqx.field(static=True)
    factors: tuple[MLP, ...]

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        rank: int = 8,
        width: int = 20,
        depth: int = 3,
        activation: str = "tanh",
        factorised: bool = False,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(in_size=in_size, out_size=out_size, rank=rank)
        self.in_size, self.out_size, self.rank = in_size, out_size, rank
        self.factors = tuple(
            MLP(
                1,
                rank * out_size,
                width=width,
                depth=depth,
                activation=activation,
                factorised=factorised,
                key=axis_key,
                dtype=dtype,
            )
            for axis_key in jax.random.split(key, in_size)
        )

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        values = [factor(point[i : i + 1]) for i, factor in enumerate(self.factors)]
        products = math.prod(values[1:], start=values[0])
        return jnp.sum(products.reshape(self.rank, self.out_size), axis=0) / math.sqrt(self.rank)
