"""Stochastic interpolants as objectives: velocity, drift, denoiser and score by regression on the path."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from ..objective import Context, Density, PointwiseBlock, Term
from ..samplers import AbstractSampler, DataBatches, FreshSamples
from .interpolants import StochasticInterpolant

__all__ = ["QUANTITIES", "InterpolantResidual", "interpolant_block"]

QUANTITIES = ("velocity", "drift", "denoiser", "score")
r"""What can be learned: $\mathrm{E}[\dot x_t]$, $\mathrm{E}[\dot a x_0 + \dot b x_1]$, $\mathrm{E}[z]$, and
$-\mathrm{E}[z]/\gamma$, all given $x_t = x$."""


class InterpolantResidual(eqx.Module):
    r"""Predictions and targets of one sample `{"start", "end", "noise", "time"}`: shape `(2, signs, *shape)`.

    The loss made of them is $\mathrm{E}[|f|^2 / 2 - f \cdot g]$, least where f is the mean of the target g given
    $x_t$. The targets of velocity and score are as large as $1/\gamma$ near the ends; there are two signs of the noise
    then, z and -z, whose sum is not. The squared error differs by a constant, which need not be finite.

    References:
        Albergo, Boffi, Vanden-Eijnden, arXiv:2303.08797 (2023), for the losses and antithetic pairs.
    """

    interpolant: StochasticInterpolant
    quantity: str = eqx.field(static=True, default="velocity")
    part: str | None = eqx.field(static=True, default=None)
    """Which of several networks in a dictionary is trained; the trainables are the network if None."""
    name: str = eqx.field(static=True, default="velocity")
    """Of the term."""

    def __check_init__(self):
        if self.quantity not in QUANTITIES:
            raise UnknownNameError("quantity of an interpolant", self.quantity, QUANTITIES)
        if self.quantity in ("denoiser", "score") and not self.interpolant.has_noise:
            raise PdesolveError(
                f"without noise on the way there is no {self.quantity}: choose another gamma than 'zero'."
            )

    @property
    def signs(self) -> tuple[float, ...]:
        """Signs of the noise."""
        pairs = self.quantity in ("velocity", "score") and self.interpolant.has_noise
        return (1.0, -1.0) if pairs else (1.0,)

    def __call__(self, trainables: Any, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None):
        """Return `{name: z}`."""
        model = trainables if self.part is None else trainables[self.part]
        start, end, t = sample["start"], sample["end"], sample["time"]
        pairs = []
        for sign in self.signs:
            z = sign * sample["noise"]
            x = self.interpolant.position(start, end, z, t)
            pairs.append(jnp.stack([model(x, t), self._target(start, end, z, t)]))
        return {self.name: jnp.stack(pairs, axis=1)}

    def _target(self, start: Array, end: Array, z: Array, t: Array) -> Array:
        if self.quantity == "velocity":
            return self.interpolant.velocity(start, end, z, t)
        if self.quantity == "drift":
            return self.interpolant.drift(start, end, t)
        return z if self.quantity == "denoiser" else -z / self.interpolant.coefficients(t).noise


class _AddNoiseAndTime(eqx.Module):
    """`(key, {"start", "end"})` to a sample with noise and a time uniform within the margin."""

    margin: float = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray, pair: dict[str, Array]) -> dict[str, Array]:
        noise_key, time_key = jax.random.split(key)
        end = pair["end"]
        return pair | {
            "noise": jax.random.normal(noise_key, end.shape, end.dtype),
            "time": jax.random.uniform(time_key, (), end.dtype, self.margin, 1.0 - self.margin),
        }


class _IndependentPairs(eqx.Module):
    """`key` to samples whose start and end are drawn independently, with replacement."""

    start: Float[Array, " sample *shape"]
    end: Float[Array, " sample *shape"]
    batch_size: int = eqx.field(static=True)
    prepare: _AddNoiseAndTime

    def __call__(self, key: PRNGKeyArray) -> dict[str, Array]:
        start, end, rest = jax.random.split(key, 3)
        chosen = {
            name: values[jax.random.randint(k, (self.batch_size,), 0, len(values))]
            for name, values, k in (("start", self.start, start), ("end", self.end, end))
        }
        return jax.vmap(self.prepare)(jax.random.split(rest, self.batch_size), chosen)


def interpolant_block(
    interpolant: StochasticInterpolant,
    end: Float[Array, " sample *shape"],
    batch_size: int,
    *,
    start: Float[Array, " other *shape"] | None = None,
    paired: bool = True,
    quantity: str = "velocity",
    part: str | None = None,
    name: str | None = None,
    margin: float = 1e-4,
    **options: Any,
) -> PointwiseBlock:
    r"""Return the block of one term, the mean of $f^2 - 2 f g$ over entries: the squared error up to a constant.

    Args:
        interpolant: The path.
        end: Samples of $x_1$.
        batch_size: Samples of a step.
        start: Samples of $x_0$; none for paths that have no $x_0$.
        paired: Whether start k belongs to end k; else both are drawn independently.
        quantity: One of `QUANTITIES`.
        part: Which network of a dictionary is trained, e.g. to learn velocity and score by two blocks of an objective.
        name: Of the term; that of the quantity if None.
        margin: Times are uniform between this and 1 less this.
        **options: Of `PointwiseBlock`.

    Raises:
        UnknownNameError: If there is no such quantity.
        PdesolveError: If there is a start and the path has none, or the reverse, or shapes do not fit.
    """
    if not 0.0 <= margin < 0.5:
        raise PdesolveError(f"`margin` must be at least 0 and below 1/2, got {margin}.")
    sampler = _sampler(interpolant, start, end, batch_size, paired, _AddNoiseAndTime(margin))
    residual = InterpolantResidual(interpolant, quantity, part, quantity if name is None else name)
    size = end[0].size * len(residual.signs)
    outer = Density(_matching, _matching_root)
    term = Term(residual.name, weight=2.0 / size, outer=outer)
    return PointwiseBlock(residual=residual, sampler=sampler, terms=(term,), **options)


def _sampler(
    interpolant: StochasticInterpolant,
    start: Array | None,
    end: Array,
    batch_size: int,
    paired: bool,
    prepare: Callable[[PRNGKeyArray, dict[str, Array]], dict[str, Array]],
) -> AbstractSampler:
    if (start is not None) != interpolant.has_start:
        has, was = ("an x_0", "none") if interpolant.has_start else ("no x_0", "one")
        raise PdesolveError(f"path {interpolant.path!r} has {has}; `start` gave {was}.")
    if start is None:
        # Of no weight on such a path.
        start = jnp.zeros_like(end)
    if start.shape[1:] != end.shape[1:] or (paired and len(start) != len(end)):
        raise PdesolveError(
            f"`start` and `end` must be of one shape, and as many if `paired`; got {start.shape} and {end.shape}."
        )
    if paired:
        return DataBatches({"start": start, "end": end}, batch_size, prepare)
    return FreshSamples(_IndependentPairs(start, end, batch_size, prepare), batch_size)  # type: ignore[arg-type]


def _matching(z: Float[Array, "..."]) -> Float[Array, ""]:
    return 0.5 * jnp.sum(z[0] ** 2) - jnp.sum(z[0] * z[1])


def _matching_root(z: Float[Array, " c"]) -> Float[Array, "k c"]:
    """Return (I, 0): the curvature is that of the predictions, and they come first."""
    half = z.shape[0] // 2
    return jnp.eye(half, z.shape[0], dtype=z.dtype)
