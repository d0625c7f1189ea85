"""TFNO: a Fourier neural operator whose spectral weights are Tucker tensors of low rank."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError

from .fno import FNO
from .operator import AbstractOperator

__all__ = ["TFNO", "Tucker"]


class Tucker(eqx.Module):
    r"""A complex tensor $T = G \times_1 U_1 \times_2 U_2 \cdots$, stored as real numbers along a last axis.

    Args:
        shape: Of T.
        share: Of the real numbers of T that core and factors have together, at most, unless rank one has more.
        scale: Root mean square of the entries at the start.
        key: Random key.
        dtype: Real type.
    """

    core: Float[Array, " *ranks 2"]
    factors: tuple[Float[Array, "size rank 2"], ...]

    def __init__(self, shape: Sequence[int], share: float, scale: float, *, key: PRNGKeyArray, dtype: Any):
        ranks = _ranks(shape, share)
        keys = jax.random.split(key, len(shape) + 1)
        # Columns of unit variance over the root of their number keep the size of what they multiply.
        core_scale = scale / math.sqrt(2.0)
        self.core = core_scale * jax.random.normal(keys[0], (*ranks, 2), dtype)
        self.factors = tuple(
            jax.random.normal(k, (size, rank, 2), dtype) / math.sqrt(2.0 * rank)
            for k, size, rank in zip(keys[1:], shape, ranks, strict=True)
        )

    def __call__(self) -> Float[Array, " *shape 2"]:
        """Return T."""
        tensor = _complex(self.core)
        for axis, factor in enumerate(self.factors):
            tensor = jnp.moveaxis(jnp.tensordot(_complex(factor), tensor, (1, axis)), 0, axis)
        return jnp.stack([tensor.real, tensor.imag], axis=-1)


class TFNO(AbstractOperator):
    """Tensorised Fourier neural operator: spectral weights are Tucker tensors of low rank.

    It is an `FNO` whose spectral weights have at most `rank` times as many parameters, or rank one along every axis.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        rank: Share of the parameters of a dense spectral weight; 1 and more is full rank along every axis.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.
        num_dims: As for `FNO`.
        modes: As for `FNO`.
        width: As for `FNO`.
        depth: As for `FNO`.
        activation: As for `FNO`.
        lifting: As for `FNO`.
        projection: As for `FNO`.
        positions: As for `FNO`.
        padding: As for `FNO`.

    References:
        Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for
        high-resolution PDEs, TMLR (2024).
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    network: FNO
    """Without its spectral weights."""
    tensors: tuple[Tucker, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        modes: int | Sequence[int] = 16,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        lifting: int = 128,
        projection: int = 128,
        positions: bool = True,
        padding: float = 0.0,
        rank: float = 0.1,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        if not rank > 0:
            raise PdesolveError(f"`rank` must be positive, got {rank}.")
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        network_key, *keys = jax.random.split(key, depth + 1)
        network = FNO(
            in_channels,
            out_channels,
            num_dims=num_dims,
            modes=modes,
            width=width,
            depth=depth,
            activation=activation,
            lifting=lifting,
            projection=projection,
            positions=positions,
            padding=padding,
            key=network_key,
            dtype=dtype,
        )
        shapes = [weight.shape[:-1] for weight in _weights(network)]
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.network = eqx.tree_at(_weights, network, [None] * depth)
        scale = math.sqrt(2.0 / (2 * width))
        self.tensors = tuple(Tucker(s, rank, scale, key=k, dtype=dtype) for s, k in zip(shapes, keys, strict=True))

    def dense(self) -> FNO:
        """Return the FNO with the tensors multiplied out."""
        return eqx.tree_at(_weights, self.network, [tensor() for tensor in self.tensors], is_leaf=lambda x: x is None)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        return self.dense()(sample)


def _weights(network: FNO) -> list[Any]:
    return [block.convolution.weight for block in network.blocks]


def _complex(pairs: Array) -> Array:
    return jax.lax.complex(pairs[..., 0], pairs[..., 1])


def _ranks(shape: Sequence[int], share: float) -> tuple[int, ...]:
    """Return the largest ranks in proportion to the shape whose parameters are no more than the share of the whole."""
    if share >= 1.0:
        return tuple(shape)
    whole, best = math.prod(shape), (1,) * len(shape)
    for step in range(1, 1001):
        ranks = tuple(max(1, round(step / 1000 * size)) for size in shape)
        if math.prod(ranks) + sum(r * n for r, n in zip(ranks, shape, strict=True)) > share * whole:
            break
        best = ranks
    return best
