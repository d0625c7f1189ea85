"""Velocity fields on a periodic interval."""

import math
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..nets import Dense, make_activation, make_dense
from ..nets.network import check_sizes, float_dtype

__all__ = ["SpectralVelocity", "time_features"]

_FASTEST = 64.0
"""Largest angular frequency of the time code: features from one slow turn over [0, 1] to a tenth of a unit."""


class SpectralConvolution(eqx.Module):
    r"""Convolution over a periodic interval given by its Fourier coefficients.

    $(Kh)_k = R_k \hat h_k$ for $|k| <$ `modes`, zero beyond; the function of x is the same on every grid.

    References:
        Li et al., Fourier neural operator, ICLR (2021), eq. (5).
    """

    weight: Float[Array, "part mode out in"]
    """Real and imaginary parts of R."""

    def __call__(self, h: Float[Array, "in n"]) -> Float[Array, "out n"]:
        """Return the convolution."""
        n, modes = h.shape[1], min(self.weight.shape[1], h.shape[1] // 2 + 1)
        kernel = jax.lax.complex(self.weight[0, :modes], self.weight[1, :modes])
        h_hat = jnp.einsum("koi,ik->ok", kernel, jnp.fft.rfft(h)[:, :modes])
        return jnp.fft.irfft(jnp.pad(h_hat, ((0, 0), (0, n // 2 + 1 - modes))), n)


class _Block(eqx.Module):
    """Residual block: convolution and pointwise map, modulated by the time code, then an activation."""

    convolution: SpectralConvolution
    pointwise: Dense
    modulation: Dense
    output: Dense

    def __call__(self, h: Float[Array, "width n"], code: Float[Array, " width"], activation) -> Float[Array, "width n"]:
        scale, shift = jnp.split(self.modulation(code), 2)
        mixed = self.convolution(h) + _each(self.pointwise, h)
        return h + _each(self.output, activation((1.0 + scale[:, None]) * mixed + shift[:, None]))


class SpectralVelocity(eqx.Module):
    r"""Velocity field $v(x, t)$ of periodic functions of one variable: residual spectral convolutions, modulated by t.

    $$v = a(t)\,x + b(t)\,F(b(t)\,x, t), \qquad b = (t^2 + (1 - t)^2)^{-1/2}, \quad a = (2t - 1)\,b^2$$

    with F the network. $a\,x$ is the best velocity for data without any correlation and of unit variance, and $b$ is
    the standard deviation of what is left, so that inputs and targets of F are of order 1 at all times. The last layer
    begins at zero.

    Args:
        channels: Number of fields.
        width: Channels of a hidden layer.
        depth: Number of residual blocks.
        activation: `tanh`, `sin`, `swish` or `gelu`.
        modes: Fourier modes of a convolution, the mean included.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    References:
        Karras, Aittala, Aila, Laine, NeurIPS (2022), section 5, for the preconditioning, here for the linear path.
        Perez, Strub, de Vries, Dumoulin, Courville, AAAI (2018), for the modulation.
    """

    lift: Dense
    code: tuple[Dense, Dense]
    blocks: tuple[_Block, ...]
    project: Dense
    channels: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        *,
        width: int = 32,
        depth: int = 4,
        activation: str = "gelu",
        modes: int = 32,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(channels=channels, width=width, depth=depth, modes=modes)
        dtype = float_dtype(dtype)
        if activation.startswith("adaptive_"):
            raise PdesolveError(f"this network has no adaptive activations; got {activation!r}.")
        make_activation(activation, dtype)  # an unknown name is an error here
        lift, first, second, *keys = jax.random.split(key, 3 + depth)
        self.channels, self.activation = channels, activation
        self.lift = _dense(channels, width, key=lift, dtype=dtype)
        self.code = (
            _dense(2 * width, width, key=first, dtype=dtype),
            _dense(width, width, key=second, dtype=dtype),
        )
        self.blocks = tuple(_make_block(width, modes, depth, key=k, dtype=dtype) for k in keys)
        self.project = Dense(jnp.zeros((channels, width), dtype), jnp.zeros(channels, dtype))

    def __call__(self, x: Float[Array, "channel n"], t: Float[Array, ""]) -> Float[Array, "channel n"]:
        """Return the velocity of one field at one time."""
        if x.ndim != 2 or x.shape[0] != self.channels:
            raise PdesolveError(
                f"expected one field of shape ({self.channels}, n), got {x.shape}. For a batch use jax.vmap."
            )
        activation = make_activation(self.activation, x.dtype)
        b = jax.lax.rsqrt(t**2 + (1.0 - t) ** 2)
        code = self.code[1](activation(self.code[0](time_features(t, self.code[0].weight.shape[1]))))
        h = _each(self.lift, b * x)
        for block in self.blocks:
            h = block(h, activation(code), activation)
        return (2.0 * t - 1.0) * b**2 * x + b * _each(self.project, h)


def _each(layer: Dense, h: Float[Array, "in n"]) -> Float[Array, "out n"]:
    """Apply a layer at every grid point."""
    return layer.weight @ h + layer.bias[:, None]


def _make_block(width: int, modes: int, depth: int, *, key: PRNGKeyArray, dtype: Any) -> _Block:
    spectral, pointwise, modulation, output = jax.random.split(key, 4)
    # Each of the two parts gets half of the variance, the sum of the blocks that of one.
    weight = jax.random.normal(spectral, (2, modes, width, width), dtype) / math.sqrt(4 * width)
    output_layer = _dense(width, width, key=output, dtype=dtype)
    return _Block(
        convolution=SpectralConvolution(weight),
        pointwise=_dense(width, width, key=pointwise, dtype=dtype),
        modulation=_dense(width, 2 * width, key=modulation, dtype=dtype),
        output=eqx.tree_at(lambda d: d.weight, output_layer, output_layer.weight / math.sqrt(depth)),
    )


def time_features(t: Float[Array, ""], size: int) -> Float[Array, " size"]:
    """Return sines and cosines of t at frequencies in geometric progression."""
    angles = jnp.geomspace(1.0, _FASTEST, size // 2, dtype=t.dtype) * t
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])


def _dense(in_size: int, out_size: int, *, key: PRNGKeyArray, dtype: Any) -> Dense:
    return cast(Dense, make_dense(in_size, out_size, key=key, dtype=dtype))
