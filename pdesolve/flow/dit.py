"""Diffusion transformer: a velocity field that attends between patches of a grid."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from ..nets import Dense, make_activation
from ..nets.activation import swish
from ..nets.network import check_sizes, float_dtype

__all__ = ["ATTENTIONS", "CONDITIONINGS", "DiT"]

ATTENTIONS = ("softmax", "linear")
"""Weights between all pairs of patches, or features shared by all patches: costs grow with the square, or linearly."""
CONDITIONINGS = ("mlp", "tile")
"""How given numbers enter the time code: through a perceptron, or repeated to its width."""
_FEATURES = 256
"""Numbers by which the network is told the time."""
_SLOWEST = 1e-4
"""Smallest frequency of features, over the largest."""


class _Block(eqx.Module):
    """Attention and perceptron, each normalised, shifted, scaled and gated by the code; both begin as the identity."""

    modulation: Dense
    projections: Dense
    out: Dense
    hidden: Dense
    last: Dense

    def __init__(self, width: int, expansion: int, *, key: PRNGKeyArray, dtype: Any):
        keys = jax.random.split(key, 4)
        self.modulation = _zero(width, 6 * width, dtype)
        self.projections = _xavier(width, 3 * width, key=keys[0], dtype=dtype)
        self.out = _xavier(width, width, key=keys[1], dtype=dtype)
        self.hidden = _xavier(width, expansion * width, key=keys[2], dtype=dtype)
        self.last = _xavier(expansion * width, width, key=keys[3], dtype=dtype)

    def __call__(
        self, h: Float[Array, "token width"], code: Float[Array, " width"], heads: int, attention: str, activation: Any
    ) -> Float[Array, "token width"]:
        shift, scale, gate, shift_2, scale_2, gate_2 = jnp.split(self.modulation(swish(code)), 6)
        mixed = _attend(_each(self.projections, _modulated(h, shift, scale)), heads, attention)
        h = h + gate[None] * _each(self.out, mixed)
        return h + gate_2[None] * _each(self.last, activation(_each(self.hidden, _modulated(h, shift_2, scale_2))))


class DiT(eqx.Module):
    r"""Velocity field $v(x, t)$ on a grid: a transformer of patches, modulated by the time.

    Patches of p points along every axis become tokens, with fixed sines and cosines of their place added; blocks of
    attention and perceptron follow, whose layer normalisations are shifted, scaled and gated by the time code (adaLN
    with gates that begin at zero). The last layer begins at zero, and so does the function. Linear attention is
    $\mathrm{softmax}_{feature}(q)\,(\mathrm{softmax}_{token}(k)^\top v)$.

    Published (Baldan et al. 2025), at 64 x 64 points: `width` 256, `depth` 8, `heads` 8, `patch` 4, and `time_scale` 1,
    with which all features of the time are slow; linear attention at 128 x 128.

    Args:
        channels: Number of fields.
        num_dims: Axes of the grid.
        width: Features of a token; a multiple of `heads` and of twice `num_dims`.
        depth: Number of blocks.
        activation: Of the perceptrons: `tanh`, `sin`, `swish` or `gelu`.
        heads: Of attention.
        patch: p; the points along every axis must be a multiple.
        expansion: Hidden features of a perceptron, over `width`.
        attention: `softmax` or `linear`.
        condition_size: Further numbers on which the velocity depends, given as `condition`; none if 0.
        conditioning: `mlp` or `tile` (then `condition_size` divides `width`).
        time_scale: The time is multiplied by it before its sines are taken.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation, attention or conditioning.
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Peebles, Xie, Scalable diffusion models with transformers, ICCV (2023).
        Baldan, Liu, Guardone, Thuerey, arXiv:2506.08604 (2025), and their program, for sizes and linear attention.
    """

    embedding: Dense
    time: tuple[Dense, Dense]
    condition: tuple[Dense, ...]
    blocks: tuple[_Block, ...]
    modulation: Dense
    project: Dense
    channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    patch: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    attention: str = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)
    time_scale: float = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        *,
        num_dims: int = 2,
        width: int = 256,
        depth: int = 8,
        activation: str = "gelu",
        heads: int = 8,
        patch: int = 4,
        expansion: int = 4,
        attention: str = "softmax",
        condition_size: int = 0,
        conditioning: str = "mlp",
        time_scale: float = 1000.0,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(channels=channels, num_dims=num_dims, width=width, depth=depth)
        check_sizes(heads=heads, patch=patch, expansion=expansion)
        _check(num_dims, width, heads, activation, attention, condition_size, conditioning)
        dtype = float_dtype(dtype)
        make_activation(activation, dtype)  # an unknown name is an error here
        keys = jax.random.split(key, depth + 5)
        size = channels * patch**num_dims
        self.channels, self.num_dims, self.heads, self.patch = channels, num_dims, heads, patch
        self.activation, self.attention = activation, attention
        self.condition_size, self.time_scale = condition_size, time_scale
        self.embedding = _xavier(size, width, key=keys[0], dtype=dtype)
        self.time = (
            _normal(_FEATURES, width, key=keys[1], dtype=dtype),
            _normal(width, width, key=keys[2], dtype=dtype),
        )
        perceptron = condition_size and conditioning == "mlp"
        self.condition = (
            (
                _xavier(condition_size, width, key=keys[3], dtype=dtype),
                _xavier(width, width, key=keys[4], dtype=dtype),
            )
            if perceptron
            else ()
        )
        self.blocks = tuple(_Block(width, expansion, key=k, dtype=dtype) for k in keys[5:])
        self.modulation = _zero(width, 2 * width, dtype)
        self.project = _zero(width, size, dtype)

    def __call__(
        self,
        x: Float[Array, " channel *grid"],
        t: Float[Array, ""],
        condition: Float[Array, " numbers"] | None = None,
    ) -> Float[Array, " channel *grid"]:
        """Return the velocity of one field at one time."""
        self._check(x, condition)
        tokens, code = self._tokens(x), self._code(t.astype(x.dtype), condition)
        h = _each(self.embedding, tokens) + self._places(x)
        activation = make_activation(self.activation, x.dtype)
        for block in self.blocks:
            h = block(h, code, self.heads, self.attention, activation)
        shift, scale = jnp.split(self.modulation(swish(code)), 2)
        return self._field(_each(self.project, _modulated(h, shift, scale)), x.shape)

    def _check(self, x: Array, condition: Array | None) -> None:
        if x.ndim != self.num_dims + 1 or x.shape[0] != self.channels or any(n % self.patch for n in x.shape[1:]):
            raise PdesolveError(
                f"expected one field of {self.channels} channels on a grid of {self.num_dims} axes, each a multiple of "
                f"{self.patch} points; got {x.shape}. For a batch use jax.vmap."
            )
        given = 0 if condition is None else condition.shape[0]
        if given != self.condition_size:
            raise PdesolveError(f"expected {self.condition_size} numbers in `condition`, got {given}.")

    def _tokens(self, x: Float[Array, " channel *grid"]) -> Float[Array, "token entry"]:
        """Return the values of each patch, all channels of the first point first."""
        split = [size for n in x.shape[1:] for size in (n // self.patch, self.patch)]
        axes = range(1, 2 * self.num_dims + 1)
        pieces = x.reshape(self.channels, *split).transpose(*axes[::2], *axes[1::2], 0)
        return pieces.reshape(-1, self.embedding.weight.shape[1])

    def _field(self, tokens: Float[Array, "token entry"], shape: tuple[int, ...]) -> Float[Array, " channel *grid"]:
        """Undo `_tokens`."""
        parts, dims = [n // self.patch for n in shape[1:]], self.num_dims
        pieces = tokens.reshape(*parts, *[self.patch] * dims, self.channels)
        order = [axis for a in range(dims) for axis in (a, dims + a)]
        return pieces.transpose(2 * dims, *order).reshape(shape)

    def _code(self, t: Float[Array, ""], condition: Float[Array, " numbers"] | None) -> Float[Array, " width"]:
        half = _FEATURES // 2
        angles = self.time_scale * t * _SLOWEST ** (jnp.arange(half, dtype=t.dtype) / half)
        code = self.time[1](swish(self.time[0](jnp.concatenate([jnp.cos(angles), jnp.sin(angles)]))))
        if condition is None:
            return code
        if not self.condition:
            return code + jnp.tile(condition, code.shape[0] // self.condition_size)
        return code + self.condition[1](swish(self.condition[0](condition)))

    def _places(self, x: Float[Array, " channel *grid"]) -> Float[Array, "token width"]:
        """Return sines and cosines of the place of each patch, an equal share of the width for each axis."""
        width = self.embedding.weight.shape[0]
        share = width // (2 * self.num_dims)
        frequencies = _SLOWEST ** (jnp.arange(share, dtype=x.dtype) / share)
        parts = [jnp.arange(n // self.patch, dtype=x.dtype) for n in x.shape[1:]]
        angles = [places.reshape(-1)[:, None] * frequencies[None] for places in jnp.meshgrid(*parts, indexing="ij")]
        return jnp.concatenate([wave(each) for each in angles for wave in (jnp.sin, jnp.cos)], axis=1)


def _check(
    num_dims: int, width: int, heads: int, activation: str, attention: str, condition_size: int, conditioning: str
) -> None:
    if width % heads or width % (2 * num_dims):
        raise PdesolveError(f"`width` must be a multiple of `heads` ({heads}) and of {2 * num_dims}; got {width}.")
    if activation.startswith("adaptive_"):
        raise PdesolveError(f"this network has no adaptive activations; got {activation!r}.")
    if attention not in ATTENTIONS:
        raise UnknownNameError("attention", attention, ATTENTIONS)
    if conditioning not in CONDITIONINGS:
        raise UnknownNameError("conditioning", conditioning, CONDITIONINGS)
    if condition_size < 0 or (conditioning == "tile" and condition_size and width % condition_size):
        raise PdesolveError(
            f"`condition_size` must not be negative, and divide `width` if tiled; got {condition_size} and {width}."
        )


def _attend(qkv: Float[Array, "token triple"], heads: int, attention: str) -> Float[Array, "token width"]:
    tokens, triple = qkv.shape
    q, k, v = jnp.moveaxis(qkv.reshape(tokens, 3, heads, triple // (3 * heads)), 1, 0)
    if attention == "softmax":
        weights = jax.nn.softmax(jnp.einsum("nhd,mhd->hnm", q, k) / math.sqrt(q.shape[-1]), axis=-1)
        return jnp.einsum("hnm,mhd->nhd", weights, v).reshape(tokens, -1)
    shared = jnp.einsum("nhd,nhe->hde", jax.nn.softmax(k, axis=0), v)
    return jnp.einsum("nhd,hde->nhe", jax.nn.softmax(q, axis=-1), shared).reshape(tokens, -1)


def _modulated(
    h: Float[Array, "token width"], shift: Float[Array, " width"], scale: Float[Array, " width"]
) -> Float[Array, "token width"]:
    """Normalise each token, without parameters, then scale and shift."""
    centred = h - jnp.mean(h, axis=1, keepdims=True)
    normalised = centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=1, keepdims=True) + 1e-6)
    return (1.0 + scale[None]) * normalised + shift[None]


def _each(layer: Dense, h: Float[Array, "token in"]) -> Float[Array, "token out"]:
    """Apply a layer to every token."""
    return h @ layer.weight.T + layer.bias[None]


def _xavier(in_size: int, out_size: int, *, key: PRNGKeyArray, dtype: Any) -> Dense:
    limit = math.sqrt(6.0 / (in_size + out_size))
    return Dense(jax.random.uniform(key, (out_size, in_size), dtype, -limit, limit), jnp.zeros(out_size, dtype))


def _normal(in_size: int, out_size: int, *, key: PRNGKeyArray, dtype: Any) -> Dense:
    return Dense(0.02 * jax.random.normal(key, (out_size, in_size), dtype), jnp.zeros(out_size, dtype))


def _zero(in_size: int, out_size: int, dtype: Any) -> Dense:
    return Dense(jnp.zeros((out_size, in_size), dtype), jnp.zeros(out_size, dtype))
