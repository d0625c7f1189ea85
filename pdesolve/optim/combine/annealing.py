"""Weights from the sizes of gradients: learning-rate annealing, and equal gradient norms."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ...errors import PdesolveError, UnknownNameError
from .rule import AbstractRule
from .unit_rows import UnitRows
from .weighing import PLAIN, AbstractWeighing, keep_finite

__all__ = ["GradientNormWeights", "LearningRateAnnealing"]

PRESETS = {"published": (0.9, False, False), "coded": (0.1, True, True)}
"""Rate, whether the denominator is weighted, whether weight matrices alone count."""


class Averaged(NamedTuple):
    """Weights and the number of steps."""

    weights: Float[Array, " m"]
    step: Int[Array, ""]


class LearningRateAnnealing(AbstractWeighing):
    r"""Weights that make the mean gradient of each term as large as the largest entry of a reference term's.

    $$\hat\lambda_i = \frac{\max_\theta |\nabla L_r|}{\operatorname{mean}_\theta |\nabla L_i|}, \qquad
    \lambda_i \leftarrow (1 - a)\, \lambda_i + a\, \hat\lambda_i, \qquad \lambda_r = 1.$$

    The paper and the authors' program differ, and results under this name are of either. `coded` keeps nine tenths of
    the old weight where the paper keeps one, divides by the gradient of $\lambda_i L_i$, so that $\lambda_i$ tends to
    the square root of the paper's, and looks at weight matrices only (mean of the means of the layers).

    Args:
        reference: Number of the term r, from 0; equations come first.
        preset: `published` or `coded`.
        rate: a, in place of the preset's.
        every: Steps between two renewals.
        cap: Largest weight; the paper has none, and a vanishing gradient would make it infinite.
        rule: Combines the weighted gradients.

    References:
        Wang, Teng, Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055-A3081, eqs. (40)-(41), and its program.
    """

    reference: int = eqx.field(static=True, default=0)
    preset: str = eqx.field(static=True, default="published")
    rate: float | None = eqx.field(static=True, default=None)
    every: int = eqx.field(static=True, default=10)
    cap: float = eqx.field(static=True, default=1e6)
    rule: AbstractRule = PLAIN

    def __check_init__(self):
        if self.preset not in PRESETS:
            raise UnknownNameError("preset of learning-rate annealing", self.preset, PRESETS)
        _check_average(self.rate, self.every)

    def begin(self, num_terms):
        """Ones."""
        if not 0 <= self.reference < num_terms:
            raise PdesolveError(f"`reference` {self.reference} is not among the {num_terms} terms, numbered from 0.")
        return Averaged(jnp.ones(num_terms), jnp.asarray(0, jnp.int32))

    def weigh(self, gradients, losses, traces, state):
        """Renew every so many steps."""
        rate, weighted, matrices = PRESETS[self.preset]
        rate = rate if self.rate is None else self.rate
        largest, mean = _sizes(gradients, matrices)
        denominator = mean * (state.weights if weighted else 1.0)
        ratio = jnp.minimum(largest[self.reference] / denominator, self.cap)
        new = keep_finite((1.0 - rate) * state.weights + rate * ratio, state.weights).at[self.reference].set(1.0)
        weights = jnp.where(state.step % self.every == 0, new, state.weights)
        return weights, Averaged(weights, state.step + 1)


class GradientNormWeights(AbstractWeighing):
    r"""Weights that make the gradients of all terms equally long.

    $$\hat\lambda_i = \frac{\tfrac1m \sum_j |\nabla L_j|}{|\nabla L_i|}, \qquad
    \lambda_i \leftarrow (1 - a)\, \lambda_i + a\, \hat\lambda_i.$$

    A gradient that vanishes or is not finite leaves its weight as it was, and is not in the mean.

    Args:
        rate: a.
        every: Steps between two renewals.
        cap: Largest weight.
        rule: Combines the weighted gradients.

    References:
        Wang, Sankaran, Wang, Perdikaris, An expert's guide to training physics-informed neural networks,
        arXiv:2308.08468 (2023); there with the sum in place of the mean.
    """

    rate: float = eqx.field(static=True, default=0.1)
    every: int = eqx.field(static=True, default=1000)
    cap: float = eqx.field(static=True, default=1e6)
    rule: AbstractRule = PLAIN

    def __check_init__(self):
        _check_average(self.rate, self.every)

    def begin(self, num_terms):
        """Ones."""
        return Averaged(jnp.ones(num_terms), jnp.asarray(0, jnp.int32))

    def weigh(self, gradients, losses, traces, state):
        """Renew every so many steps."""
        rows = UnitRows(gradients)
        mean = jnp.sum(rows.lengths) / jnp.maximum(jnp.sum(rows.present), 1)
        ratio = jnp.minimum(mean / jnp.where(rows.present, rows.lengths, jnp.nan), self.cap)
        new = keep_finite((1.0 - self.rate) * state.weights + self.rate * ratio, state.weights)
        weights = jnp.where(state.step % self.every == 0, new, state.weights)
        return weights, Averaged(weights, state.step + 1)


def _sizes(gradients: PyTree, matrices: bool) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Return the largest and the mean absolute entry of each row."""
    leaves = [leaf for leaf in jax.tree.leaves(gradients) if not matrices or leaf.ndim >= 3]
    if not leaves:
        raise PdesolveError("there is no weight matrix to look at; use the preset 'published'.")
    flat = [jnp.abs(leaf.reshape(leaf.shape[0], -1)) for leaf in leaves]
    largest = jnp.max(jnp.stack([jnp.max(leaf, axis=1) for leaf in flat]), axis=0)
    if matrices:
        return largest, jnp.mean(jnp.stack([jnp.mean(leaf, axis=1) for leaf in flat]), axis=0)
    count = sum(leaf.shape[1] for leaf in flat)
    return largest, jnp.asarray(sum(jnp.sum(leaf, axis=1) for leaf in flat)) / count


def _check_average(rate: float | None, every: int) -> None:
    if rate is not None and not 0 < rate <= 1:
        raise PdesolveError(f"`rate` must be above 0 and at most 1, got {rate}.")
    if every < 1:
        raise PdesolveError(f"`every` must be at least 1, got {every}.")
