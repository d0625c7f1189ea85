"""The spectral convolution of Fourier neural operators."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError

__all__ = ["SpectralConvolution"]


class SpectralConvolution(eqx.Module):
    r"""A trained multiplier on the low Fourier modes of a function on a periodic grid.

    $$\hat w_o(k) = \sum_i R_{io}(k)\,\hat v_i(k), \qquad \hat v(k) = \frac1n \sum_j v(x_j)\, e^{-2\pi i k \cdot j/n},$$

    for the frequencies $-m_a \le k_a < m_a$ along every axis but the last, $0 \le k_d < m_d$ along the last, whose
    negative half follows because functions are real; all other modes of w are 0. The transform is divided by the
    number of points, so $\hat v$ are the coefficients of the Fourier series and the same R acts alike at every
    resolution. On a grid too coarse for some of the modes, these are left out.

    Real functions need $\hat w(-k) = \overline{\hat w(k)}$, which arbitrary R break where $k_d$ is 0 or the Nyquist
    frequency. There the real part is taken after the inverse transforms along the other axes. Inverse transforms of
    real functions are not defined for other input, and libraries differ in what they do.

    Parameters: $2\, c_{in} c_{out} \prod_{a<d} 2 m_a \cdot m_d$ real numbers. At the start real and imaginary parts
    are normal, with $E|R|^2 = 2 / (c_{in} + c_{out})$. They are stored as two real numbers along a last axis: an
    optimiser sees real parameters only, and needs no convention for complex gradients.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        modes: m for each axis.
        key: Random key of the parameters.
        dtype: Real type of the parameters.

    Raises:
        PdesolveError: If a size is less than 1.

    References:
        Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021, section 4.
        Kossaifi et al., neuraloperator 2.0, for the initial values and the treatment of real functions. It counts
        modes on the full axis: its `n_modes` is 2 m here, and one more on the last axis.
    """

    weight: Float[Array, "in out *kept 2"]
    modes: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self, in_channels: int, out_channels: int, modes: Sequence[int], *, key: PRNGKeyArray, dtype: Any = float
    ):
        if min(in_channels, out_channels, *modes) < 1:
            raise PdesolveError(f"channels and modes must be at least 1, got {in_channels}, {out_channels}, {modes}.")
        self.modes = tuple(modes)
        kept = (*(2 * m for m in self.modes[:-1]), self.modes[-1])
        scale = math.sqrt(1.0 / (in_channels + out_channels))
        self.weight = scale * jax.random.normal(key, (in_channels, out_channels, *kept, 2), dtype)

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the convolved functions."""
        grid, points = v.shape[1:], v.shape[-1]
        axes = tuple(range(1, v.ndim))
        v_hat = jnp.fft.rfftn(v, axes=axes, norm="forward")
        multiplier = jax.lax.complex(self.weight[..., 0], self.weight[..., 1])
        for axis, (m, n) in enumerate(zip(self.modes[:-1], grid[:-1], strict=True)):
            # Both arrays have the frequencies in the order 0, 1, ..., -2, -1; n points hold those with 2|k| <= n.
            positive, negative = min(m, (n + 1) // 2), min(m, n // 2)
            v_hat = _ends(v_hat, axis + 1, positive, negative)
            multiplier = _ends(multiplier, axis + 2, positive, negative)
        last = min(self.modes[-1], points // 2 + 1)
        w_hat = jnp.einsum("io...,i...->o...", multiplier[..., :last], v_hat[..., :last])
        for axis, (m, n) in enumerate(zip(self.modes[:-1], grid[:-1], strict=True)):
            w_hat = _spread(w_hat, axis + 1, min(m, (n + 1) // 2), min(m, n // 2), n)
        if len(grid) > 1:
            w_hat = jnp.fft.ifftn(w_hat, axes=axes[:-1], norm="forward")
        return jnp.fft.irfft(_real_ends(w_hat, points), n=points, axis=-1, norm="forward")


def _ends(a: Array, axis: int, first: int, last: int) -> Array:
    """Return the first and the last entries along an axis."""
    size = a.shape[axis]
    if first + last == size:
        return a
    parts = [
        jax.lax.slice_in_dim(a, 0, first, axis=axis),
        jax.lax.slice_in_dim(a, size - last, size, axis=axis),
    ]
    return jnp.concatenate(parts, axis=axis)


def _spread(a: Array, axis: int, first: int, last: int, size: int) -> Array:
    """Undo `_ends`, with zeros between."""
    if first + last == size:
        return a
    gap = jnp.zeros((*a.shape[:axis], size - first - last, *a.shape[axis + 1 :]), a.dtype)
    parts = [
        jax.lax.slice_in_dim(a, 0, first, axis=axis),
        gap,
        jax.lax.slice_in_dim(a, first, first + last, axis=axis),
    ]
    return jnp.concatenate(parts, axis=axis)


def _real_ends(w_hat: Complex[Array, "out *grid modes"], n: int) -> Complex[Array, "out *grid modes"]:
    """Take the real part at frequency 0 and at the Nyquist frequency of the last axis of `n` points."""
    kept = w_hat.shape[-1]
    imaginary = [0.0 if k == 0 or 2 * k == n else 1.0 for k in range(kept)]
    factor = jnp.asarray(imaginary, w_hat.real.dtype).reshape(*[1] * (w_hat.ndim - 1), kept)
    return jax.lax.complex(w_hat.real, w_hat.imag * factor)
