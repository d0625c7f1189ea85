"""Physics-informed diffusion: an estimate of the clean field, trained with its residual."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from ..objective import Context, PointwiseBlock, Term
from ..samplers import DataBatches
from .objective import VelocityField
from .physics import Equations
from .sampling import Integral
from .samplings import AbstractSampling, check_steps

__all__ = [
    "ESTIMATES",
    "AncestralSampling",
    "DenoisingResidual",
    "Schedule",
    "clean_estimate",
    "cosine_schedule",
    "denoising_block",
]

ESTIMATES = ("mean", "sample")
"""Where the residual is taken: at the network's estimate, the mean of clean fields, or at a sample."""

_LARGEST_RATIO = 5.0
"""Where the weight of the data term, the signal-to-noise ratio, is cut off."""
_LARGEST_BETA = 0.999


class Schedule(NamedTuple):
    r"""Noise levels k = 0 (almost clean) to T - 1 (noise).

    $$x_k = \sqrt{\bar\alpha_k}\,x + \sqrt{1 - \bar\alpha_k}\,z.$$
    """

    alpha_bar: Float[np.ndarray, " T"]
    beta: Float[np.ndarray, " T"]
    r"""$1 - \bar\alpha_k / \bar\alpha_{k - 1}$."""
    variance: Float[np.ndarray, " T"]
    r"""$\beta_k (1 - \bar\alpha_{k - 1}) / (1 - \bar\alpha_k)$, of $x_{k - 1}$ given $x_k$ and x."""
    clean: Float[np.ndarray, " T"]
    r"""$\sqrt{\bar\alpha_{k - 1}}\,\beta_k / (1 - \bar\alpha_k)$, the weight of x in the mean of $x_{k - 1}$."""
    noisy: Float[np.ndarray, " T"]
    r"""$\sqrt{1 - \beta_k}\,(1 - \bar\alpha_{k - 1}) / (1 - \bar\alpha_k)$, that of $x_k$."""


@functools.cache
def cosine_schedule(num_levels: int) -> Schedule:
    r"""Return T levels with $\bar\alpha \propto \cos^2\!\big(\tfrac{\pi}{2}\,(k / T + 0.008) / 1.008\big)$.

    References:
        Nichol, Dhariwal, Improved denoising diffusion probabilistic models, ICML (2021).
    """
    share = np.arange(num_levels + 1) / num_levels
    f = np.cos(0.5 * np.pi * (share + 0.008) / 1.008) ** 2
    beta = np.clip(1.0 - f[1:] / f[:-1], 0.0, _LARGEST_BETA)
    alpha_bar = np.cumprod(1.0 - beta)
    before = np.concatenate([[1.0], alpha_bar[:-1]])
    rest = 1.0 - alpha_bar
    return Schedule(
        alpha_bar=alpha_bar,
        beta=beta,
        variance=beta * (1.0 - before) / rest,
        clean=np.sqrt(before) * beta / rest,
        noisy=np.sqrt(1.0 - beta) * (1.0 - before) / rest,
    )


class DenoisingResidual(eqx.Module):
    r"""Two vectors of one sample `{"noise", "field", "level"}`: data and residual.

    $$z_{\mathrm{flow}} = \sqrt{\min(\mathrm{SNR}_k, 5)}\,(\hat x - x), \qquad
    z_{\mathrm{residual}} = R(\tilde x) / \sqrt{\Sigma_k},$$

    with $\hat x$ the network's estimate of the clean field at level k and $\Sigma_k$ the variance of one step back,
    that of level 1 for level 0. $\tilde x$ is $\hat x$ itself (`mean`), or the network's estimate at level 0 after one
    deterministic step from k to there (`sample`). Fields are normalised; the authors leave theirs as they are.

    References:
        Bastek, Sun, Kochmann, Physics-informed diffusion models, ICLR (2025).
    """

    equations: Equations
    num_levels: int = eqx.field(static=True, default=100)
    estimate: str = eqx.field(static=True, default="mean")

    def __check_init__(self):
        check_levels(self.num_levels)
        if self.estimate not in ESTIMATES:
            raise UnknownNameError("estimate", self.estimate, ESTIMATES)

    def __call__(self, model: VelocityField, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None):
        """Return `{"flow", "residual"}`."""
        noise, field, k = sample["noise"], sample["field"], sample["level"]
        schedule = cosine_schedule(self.num_levels)
        alpha_bar = _at(schedule.alpha_bar, k, field.dtype)
        variance = _at(np.concatenate([schedule.variance[1:2], schedule.variance[1:]]), k, field.dtype)
        x = jnp.sqrt(alpha_bar) * field + jnp.sqrt(1.0 - alpha_bar) * noise
        clean = clean_estimate(model, x, alpha_bar)
        ratio = jnp.minimum(alpha_bar / (1.0 - alpha_bar), _LARGEST_RATIO)
        physical = clean if self.estimate == "mean" else self.sampled(model, x, clean, k)
        residual = self.equations.residual(physical) / jnp.sqrt(variance)
        return {"flow": jnp.sqrt(ratio) * (clean - field), "residual": residual}

    def sampled(
        self,
        model: VelocityField,
        x: Float[Array, " channel *grid"],
        clean: Float[Array, " channel *grid"],
        k: Int[Array, ""],
    ) -> Float[Array, " channel *grid"]:
        """Return a clean field: one deterministic step from level k to level 0, and the network's estimate there."""
        levels = cosine_schedule(self.num_levels).alpha_bar
        here, first = _at(levels, k, x.dtype), float(levels[0])
        noise = (x - jnp.sqrt(here) * clean) / jnp.sqrt(1.0 - here)
        lowest = np.sqrt(first) * clean + np.sqrt(1.0 - first) * noise
        return clean_estimate(model, lowest, jnp.asarray(first, x.dtype))


class AncestralSampling(AbstractSampling):
    r"""From level T - 1 down, $x_{k - 1} = c_k\,\hat x + d_k\,x_k + \sqrt{\beta_k}\,z$, without noise at last.

    $\hat x$ is `clean_estimate`. References as `DenoisingResidual`.

    Args:
        num_levels: T, as in training.
    """

    num_levels: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        check_levels(self.num_levels)

    def __call__(self, network, noise, key, equations):
        """Go down all levels."""
        schedule, dtype = cosine_schedule(self.num_levels), noise.dtype
        deviation = np.sqrt(schedule.beta) * (np.arange(self.num_levels) > 0)

        def step(x, k):
            clean = clean_estimate(network, x, _at(schedule.alpha_bar, k, dtype))
            z = jax.random.normal(jax.random.fold_in(key, k), x.shape, dtype)
            mean = _at(schedule.clean, k, dtype) * clean + _at(schedule.noisy, k, dtype) * x
            return mean + _at(deviation, k, dtype) * z, None

        x, _ = jax.lax.scan(step, noise, jnp.arange(self.num_levels)[::-1])
        return Integral(x, jnp.asarray(self.num_levels))


def denoising_block(
    fields: Float[Array, "sample channel *grid"],
    batch_size: int,
    residual: DenoisingResidual,
    *,
    weight: float = 1e-3,
    **options,
) -> PointwiseBlock:
    r"""Return the block whose loss is the mean of $z_{\mathrm{flow}}^2$ plus $c / 2$ that of $z_{\mathrm{residual}}^2$.

    Args:
        fields: The data, normalised as `residual.equations` has it.
        batch_size: Samples of a step; each gets new noise and a new level whenever it is drawn.
        residual: Both vectors of a sample.
        weight: c.
        **options: Of `PointwiseBlock`.
    """
    size = jax.eval_shape(residual.equations.residual, fields[0]).size
    terms = (Term("flow", weight=2.0 / fields[0].size), Term("residual", weight=weight / size))
    sampler = DataBatches(data=fields, batch_size=batch_size, prepare=_with_noise_and_level(residual.num_levels))
    return PointwiseBlock(residual=residual, sampler=sampler, terms=terms, **options)


def clean_estimate(
    velocity: VelocityField, x: Float[Array, " channel *grid"], alpha_bar: Float[Array, ""]
) -> Float[Array, " channel *grid"]:
    r"""Return $\hat x$, the clean field that a velocity field sees in a noisy one.

    That one is $x = \sqrt{\bar\alpha}\,x_1 + \sqrt{1 - \bar\alpha}\,z$. Divided by
    $r = \sqrt{\bar\alpha} + \sqrt{1 - \bar\alpha}$ it lies on the linear path at $t = \sqrt{\bar\alpha} / r$, and there
    $\hat x = x / r + (1 - t)\,v(x / r, t)$: a denoiser and a velocity are one and the same.
    """
    signal, noise = jnp.sqrt(alpha_bar), jnp.sqrt(1.0 - alpha_bar)
    rest = noise / (signal + noise)
    x = x / (signal + noise)
    return x + rest * velocity(x, 1.0 - rest)


def check_levels(num_levels: int) -> None:
    """Raise a `PdesolveError` unless there are at least two noise levels."""
    check_steps(num_levels=num_levels)
    if num_levels < 2:
        raise PdesolveError(f"`num_levels` must be at least 2, got {num_levels}.")


@functools.cache  # one function for each number: another one would be compiled anew
def _with_noise_and_level(num_levels: int) -> Callable[[PRNGKeyArray, Array], dict[str, Array]]:
    def prepare(key, field):
        noise_key, level_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, field.shape, field.dtype)
        return {"noise": noise, "field": field, "level": jax.random.randint(level_key, (), 0, num_levels)}

    return prepare


def _at(table: Float[np.ndarray, " T"], k: Int[Array, ""], dtype) -> Float[Array, ""]:
    return jnp.asarray(table, dtype)[k]
