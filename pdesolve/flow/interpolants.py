"""Stochastic interpolants: paths between two laws with noise on the way."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import PdesolveError, UnknownNameError

__all__ = ["GAMMAS", "ONE_SIDED", "PATHS", "Coefficients", "StochasticInterpolant"]

Scalar = Float[Array, ""]


class Coefficients(NamedTuple):
    r"""$a$, $b$ and $\gamma$ at one time, or their derivatives."""

    start: Scalar
    end: Scalar
    noise: Scalar


class _Gamma(NamedTuple):
    r"""$\gamma$, $\dot\gamma$ and $\gamma\dot\gamma$, which is finite where $\dot\gamma$ is not."""

    value: Scalar
    rate: Scalar
    product: Scalar


def _brownian(t: Scalar) -> _Gamma:
    root = jnp.sqrt(t * (1.0 - t))
    return _Gamma(root, (0.5 - t) / root, 0.5 - t)


def _quadratic(t: Scalar) -> _Gamma:
    value, rate = t * (1.0 - t), 1.0 - 2.0 * t
    return _Gamma(value, rate, value * rate)


def _sine_squared(t: Scalar) -> _Gamma:
    value, rate = jnp.sin(jnp.pi * t) ** 2, jnp.pi * jnp.sin(2.0 * jnp.pi * t)
    return _Gamma(value, rate, value * rate)


def _sigmoid(t: Scalar) -> _Gamma:
    def bump(t):
        s = 10.0 * (t - 0.5)
        return jax.nn.sigmoid(s + 1.0) - jax.nn.sigmoid(s - 1.0)

    value, rate = jax.jvp(lambda t: bump(t) - bump(jnp.zeros_like(t)), (t,), (jnp.ones_like(t),))
    return _Gamma(value, rate, value * rate)


def _zero(t: Scalar) -> _Gamma:
    return _Gamma(jnp.zeros_like(t), jnp.zeros_like(t), jnp.zeros_like(t))


GAMMAS: dict[str, Callable[[Scalar], _Gamma]] = {
    "brownian": _brownian,
    "quadratic": _quadratic,
    "sigmoid": _sigmoid,
    "sine_squared": _sine_squared,
    "zero": _zero,
}
r"""Sizes of the noise on the way by name: $\sqrt{t(1-t)}$, $t(1-t)$, a difference of sigmoids, $\sin^2 \pi t$, 0."""


def _linear(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    one = jnp.ones_like(t)
    return Coefficients(1.0 - t, t, gamma.value), Coefficients(-one, one, gamma.rate)


def _trigonometric(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    angle = 0.5 * jnp.pi * t
    cos, sin, root = jnp.cos(angle), jnp.sin(angle), jnp.sqrt(1.0 - gamma.value**2)
    falling, turning = -gamma.product / root, 0.5 * jnp.pi * root
    rates = Coefficients(falling * cos - turning * sin, falling * sin + turning * cos, gamma.rate)
    return Coefficients(root * cos, root * sin, gamma.value), rates


def _encoding_decoding(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    first, zero = t < 0.5, jnp.zeros_like(t)
    value, rate = jnp.cos(jnp.pi * t) ** 2, -jnp.pi * jnp.sin(2.0 * jnp.pi * t)
    values = Coefficients(jnp.where(first, value, zero), jnp.where(first, zero, value), gamma.value)
    return values, Coefficients(jnp.where(first, rate, zero), jnp.where(first, zero, rate), gamma.rate)


def _mirror(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    zero = jnp.zeros_like(t)
    return Coefficients(zero, jnp.ones_like(t), gamma.value), Coefficients(zero, zero, gamma.rate)


def _one_sided_linear(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    zero, one = jnp.zeros_like(t), jnp.ones_like(t)
    return Coefficients(zero, t, 1.0 - t), Coefficients(zero, one, -one)


def _one_sided_trigonometric(t: Scalar, gamma: _Gamma) -> tuple[Coefficients, Coefficients]:
    angle, zero = 0.5 * jnp.pi * t, jnp.zeros_like(t)
    values = Coefficients(zero, jnp.sin(angle), jnp.cos(angle))
    return values, Coefficients(zero, 0.5 * jnp.pi * jnp.cos(angle), -0.5 * jnp.pi * jnp.sin(angle))


PATHS: dict[str, Callable[[Scalar, _Gamma], tuple[Coefficients, Coefficients]]] = {
    "encoding_decoding": _encoding_decoding,
    "linear": _linear,
    "mirror": _mirror,
    "one_sided_linear": _one_sided_linear,
    "one_sided_trigonometric": _one_sided_trigonometric,
    "trigonometric": _trigonometric,
}
"""Paths by name."""
ONE_SIDED = ("one_sided_linear", "one_sided_trigonometric")
"""Paths that begin at the noise itself, so that there is no other."""


class StochasticInterpolant(eqx.Module):
    r"""A path from $x_0$ (at $t = 0$) to $x_1$ (at $t = 1$) through noise z, standard normal and independent of both.

    $$x_t = a(t)\,x_0 + b(t)\,x_1 + \gamma(t)\,z.$$

    Its law is carried along by the velocity $b_t(x) = \mathrm{E}[\dot x_t \mid x_t = x]$, and with the score
    $s = -\mathrm{E}[z \mid x_t = x] / \gamma$ also by diffusions of any strength. $x_0$ and $x_1$ may be dependent: a
    coarse field and its fine one, the state now and the next.

    Of the paths, `linear` has $a = 1 - t$, $b = t$; `trigonometric` $\sqrt{1 - \gamma^2}$ times
    $\cos(\pi t/2)$, $\sin(\pi t/2)$; `encoding_decoding` goes to pure noise, $a = \cos^2 \pi t$, and in the second
    half back, $b = \cos^2 \pi t$; `mirror` goes from $x_1$ through noise to the same $x_1$. On the paths
    `one_sided_linear` and `one_sided_trigonometric` the noise is the start: $\gamma$ is $1 - t$ or
    $\cos(\pi t/2)$ and there is no $x_0$, nor is there for `mirror`.

    Args:
        path: One of `PATHS`.
        gamma: One of `GAMMAS`; `brownian` if None. One-sided paths have their own.

    Raises:
        UnknownNameError: If there is no such path or gamma.
        PdesolveError: If they do not go together.

    References:
        Albergo, Boffi, Vanden-Eijnden, Stochastic interpolants, arXiv:2303.08797 (2023).
    """

    path: str = eqx.field(static=True, default="linear")
    gamma: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.path not in PATHS:
            raise UnknownNameError("path", self.path, PATHS)
        if self.gamma is not None and self.gamma not in GAMMAS:
            raise UnknownNameError("gamma", self.gamma, GAMMAS)
        if self.path in ONE_SIDED and self.gamma is not None:
            raise PdesolveError(f"path {self.path!r} has its own gamma: leave out {self.gamma!r}.")
        if self.path == "trigonometric" and self.gamma == "sine_squared":
            raise PdesolveError("gamma 'sine_squared' is 1 half-way, where path 'trigonometric' would have a kink.")
        if self.path == "mirror" and self.gamma == "zero":
            raise PdesolveError("path 'mirror' without noise does not move: choose another gamma than 'zero'.")

    @property
    def has_noise(self) -> bool:
        """Whether there is noise on the way, and so a score."""
        return self.gamma != "zero"

    @property
    def has_start(self) -> bool:
        """Whether there is an $x_0$ besides the noise."""
        return self.path != "mirror" and self.path not in ONE_SIDED

    def coefficients(self, t: Scalar) -> Coefficients:
        r"""Return $a$, $b$ and $\gamma$."""
        return PATHS[self.path](t, self._gamma(t))[0]

    def rates(self, t: Scalar) -> Coefficients:
        r"""Return $\dot a$, $\dot b$ and $\dot\gamma$, of which the last may be infinite at the ends."""
        return PATHS[self.path](t, self._gamma(t))[1]

    def product(self, t: Scalar) -> Scalar:
        r"""Return $\gamma\dot\gamma$, finite everywhere."""
        if self.path not in ONE_SIDED:
            return self._gamma(t).product
        return self.coefficients(t).noise * self.rates(t).noise

    def position(
        self, start: Float[Array, "*shape"], end: Float[Array, "*shape"], z: Float[Array, "*shape"], t: Scalar
    ) -> Float[Array, "*shape"]:
        """Return $x_t$."""
        return _combine(self.coefficients(t), start, end, z)

    def velocity(
        self, start: Float[Array, "*shape"], end: Float[Array, "*shape"], z: Float[Array, "*shape"], t: Scalar
    ) -> Float[Array, "*shape"]:
        r"""Return $\dot x_t$."""
        return _combine(self.rates(t), start, end, z)

    def drift(self, start: Float[Array, "*shape"], end: Float[Array, "*shape"], t: Scalar) -> Float[Array, "*shape"]:
        r"""Return $\dot a\,x_0 + \dot b\,x_1$, the velocity without its noise."""
        rates = self.rates(t)
        return rates.start * start + rates.end * end

    def velocity_of(
        self, drift: Callable[[Array, Scalar], Array], score: Callable[[Array, Scalar], Array]
    ) -> Callable[[Array, Scalar], Array]:
        r"""Return the velocity field $b = v - \gamma\dot\gamma\,s$ from the mean v of the drift and the score s."""
        return lambda x, t: drift(x, t) - self.product(t) * score(x, t)

    def score_of(self, denoiser: Callable[[Array, Scalar], Array]) -> Callable[[Array, Scalar], Array]:
        r"""Return the score $-\eta / \gamma$ of a denoiser $\eta = \mathrm{E}[z \mid x_t]$, where $\gamma > 0$."""
        return lambda x, t: -denoiser(x, t) / self.coefficients(t).noise

    def _gamma(self, t: Scalar) -> _Gamma:
        return GAMMAS[self.gamma or "brownian"](t)


def _combine(by: Coefficients, start: Array, end: Array, z: Array) -> Array:
    return by.start * start + by.end * end + by.noise * z
