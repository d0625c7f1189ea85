"""Random Fourier features, and a perceptron on them."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from .fixed import Fixed
from .mlp import MLP
from .network import AbstractNetwork, check_point, check_sizes, float_dtype

__all__ = ["FourierEmbedding", "FourierFeatures"]


class FourierEmbedding(eqx.Module):
    r"""Random Fourier features, $x \mapsto (\cos Bx, \sin Bx)$ with $B_{ij} \sim N(0, \text{scale}^2)$, not trained.

    Args:
        in_size: Entries of a point.
        num_features: Number of frequencies; there are twice as many features.
        scale: Standard deviation of the angular frequencies, positive; one, or one for each entry.
        key: Random key of the frequencies.
        dtype: Type of the frequencies.

    Raises:
        PdesolveError: If a size is less than 1, or `scale` is not positive or of another length.
    """

    frequencies: Fixed
    """Of an array `(num_features, in)`."""

    def __init__(
        self, in_size: int, num_features: int, scale: float | Sequence[float], *, key: PRNGKeyArray, dtype: Any
    ):
        check_sizes(in_size=in_size, num_features=num_features)
        scales = (scale,) * in_size if isinstance(scale, int | float) else tuple(scale)
        if len(scales) != in_size or not all(value > 0 for value in scales):
            raise PdesolveError(f"`scale` must be positive, one number or {in_size}, got {scale}.")
        self.frequencies = Fixed(
            jnp.asarray(scales, dtype)[None] * jax.random.normal(key, (num_features, in_size), dtype)
        )

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " 2*num_features"]:
        """Return the cosines, then the sines."""
        phases = jax.lax.stop_gradient(self.frequencies.value) @ point
        return jnp.concatenate([jnp.cos(phases), jnp.sin(phases)])


class FourierFeatures(AbstractNetwork):
    """Multilayer perceptron on random Fourier features, for solutions with high frequencies.

    Points should be scaled to about [-1, 1]^d. A `scale` near the highest angular frequency of the solution works;
    one that is much larger fits noise between the collocation points.

    Args:
        in_size: Entries of a point.
        out_size: Number of values.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        activation: `tanh`, `sin`, `swish`, `gelu`, or `adaptive_` before one of them.
        num_features: Number of random frequencies.
        scale: Standard deviation of the angular frequencies; one, or one for each entry.
        factorised: Whether weights are factorised (`FactorisedDense`).
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is less than 1, or `scale` is not positive or of another length.

    References:
        Tancik et al., NeurIPS (2020); Wang, Wang, Perdikaris, Comput. Methods Appl. Mech. Engrg. 384 (2021) 113938, for
        angular frequencies (without the factor 2 pi).
    """

    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    embedding: FourierEmbedding
    trunk: MLP

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        width: int = 20,
        depth: int = 3,
        activation: str = "tanh",
        num_features: int = 32,
        scale: float | Sequence[float] = 2.0,
        factorised: bool = False,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        embedding_key, trunk_key = jax.random.split(key)
        self.in_size, self.out_size = in_size, out_size
        self.embedding = FourierEmbedding(in_size, num_features, scale, key=embedding_key, dtype=float_dtype(dtype))
        self.trunk = MLP(
            2 * num_features,
            out_size,
            width=width,
            depth=depth,
            activation=activation,
            factorised=factorised,
            key=trunk_key,
            dtype=dtype,
        )

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        return self.trunk(self.embedding(point))
