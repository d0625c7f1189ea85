"""PirateNet: physics-informed residual adaptive network."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from .activation import Activation, AdaptiveActivation, make_activation
from .dense import Dense, FactorisedDense, make_dense
from .fourier_features import FourierEmbedding
from .network import AbstractNetwork, check_point, check_sizes, float_dtype

__all__ = ["PirateBlock", "PirateNet"]


class PirateBlock(eqx.Module):
    r"""Three dense layers, two of them gated, and an adaptive skip connection.

    $$f = \sigma(W_1 x + b_1),\; z_1 = f u + (1 - f) v,\quad g = \sigma(W_2 z_1 + b_2),\; z_2 = g u + (1 - g) v,$$
    $$h = \sigma(W_3 z_2 + b_3),\quad x \leftarrow \alpha h + (1 - \alpha) x,$$

    with one trained $\alpha$, 0 at the start, when the block is the identity.
    """

    layers: tuple[Dense | FactorisedDense, ...]
    activations: tuple[Activation | AdaptiveActivation, ...]
    alpha: Float[Array, ""]

    def __init__(self, width: int, activation: str, factorised: bool, *, key: PRNGKeyArray, dtype: Any):
        self.layers = tuple(
            make_dense(width, width, key=layer_key, dtype=dtype, factorised=factorised)
            for layer_key in jax.random.split(key, 3)
        )
        self.activations = tuple(make_activation(activation, dtype) for _ in range(3))
        self.alpha = jnp.zeros((), dtype)

    def __call__(
        self, x: Float[Array, " width"], u: Float[Array, " width"], v: Float[Array, " width"]
    ) -> Float[Array, " width"]:
        """Return the block's output for the state x and the gates u and v."""
        z = v + self._layer(0, x) * (u - v)
        z = v + self._layer(1, z) * (u - v)
        return x + self.alpha * (self._layer(2, z) - x)

    def _layer(self, index: int, z: Float[Array, " width"]) -> Float[Array, " width"]:
        return self.activations[index](self.layers[index](z))


class PirateNet(AbstractNetwork):
    """Residual network of gated blocks that begins as a linear combination of Fourier features.

    Each block is the identity at the start, so that a deep network trains as a shallow one does and grows deeper
    where that helps.

    Args:
        in_size: Entries of a point, which should be scaled to about [-1, 1]^d.
        out_size: Number of values.
        width: Units of a layer, even: half of them are the cosines of the embedding and half the sines.
        depth: Number of blocks, of three layers each.
        activation: `tanh`, `sin`, `swish`, `gelu`, or `adaptive_` before one of them.
        scale: Standard deviation of the embedding's angular frequencies.
        factorised: Whether weights are factorised (`FactorisedDense`).
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is less than 1, `width` is odd, or `scale` is not positive.

    References:
        Wang, Li, Chen, Perdikaris, J. Mach. Learn. Res. 25 (2024) 402, section 4.
    """

    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    embedding: FourierEmbedding
    gates: tuple[Dense | FactorisedDense, Dense | FactorisedDense]
    gate_activation: Activation | AdaptiveActivation
    blocks: tuple[PirateBlock, ...]
    output: Dense | FactorisedDense

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        width: int = 20,
        depth: int = 3,
        activation: str = "tanh",
        scale: float = 2.0,
        factorised: bool = False,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(in_size=in_size, out_size=out_size, width=width, depth=depth)
        if width % 2:
            raise PdesolveError(f"`width` of a PirateNet must be even (cosines and sines), got {width}.")
        dtype = float_dtype(dtype)
        embedding_key, u_key, v_key, output_key, *keys = jax.random.split(key, depth + 4)
        self.in_size, self.out_size = in_size, out_size
        self.embedding = FourierEmbedding(in_size, width // 2, scale, key=embedding_key, dtype=dtype)
        self.gates = (
            make_dense(width, width, key=u_key, dtype=dtype, factorised=factorised),
            make_dense(width, width, key=v_key, dtype=dtype, factorised=factorised),
        )
        self.gate_activation = make_activation(activation, dtype)
        self.blocks = tuple(
            PirateBlock(width, activation, factorised, key=block_key, dtype=dtype) for block_key in keys
        )
        self.output = make_dense(width, out_size, key=output_key, dtype=dtype, factorised=factorised)

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        x = self.embedding(point)
        u, v = (self.gate_activation(gate(x)) for gate in self.gates)
        for block in self.blocks:
            x = block(x, u, v)
        return self.output(x)
