"""Weights from how losses have fallen: ReLoBRaLo, SoftAdapt and dynamic weight averaging."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...errors import PdesolveError
from .rule import AbstractRule
from .weighing import PLAIN, AbstractWeighing, keep_finite

__all__ = ["DynamicWeightAverage", "ReLoBRaLo", "SoftAdapt", "relobralo_weights"]


class History(NamedTuple):
    """What is remembered of the losses."""

    weights: Float[Array, " m"]
    first: Float[Array, " m"]
    last: Float[Array, " m"]
    step: Int[Array, ""]


class Epochs(NamedTuple):
    """Weights, the sum of the losses of this epoch, and their means in the two before."""

    weights: Float[Array, " m"]
    gathered: Float[Array, " m"]
    last: Float[Array, " m"]
    before: Float[Array, " m"]
    step: Int[Array, ""]


class ReLoBRaLo(AbstractWeighing):
    r"""Relative loss balancing with random lookback: losses that fall slowly weigh more.

    $$\hat\lambda_i = m \operatorname{softmax}_i \frac{L_i(t)}{T L_i(t-1)}, \quad
    \hat\lambda^0_i = m \operatorname{softmax}_i \frac{L_i(t)}{T L_i(0)}, \quad
    \lambda \leftarrow \alpha\, (\rho \lambda + (1 - \rho) \hat\lambda^0) + (1 - \alpha) \hat\lambda,$$

    with $\rho$ 1 or, rarely, 0. Weights sum to m. The authors' script never updates $L_i(0)$ from 1; here it is the
    first loss. Quotients of losses do not see a loss's scale, and do not correct it.

    Args:
        temperature: T. Small values follow the largest quotient alone.
        alpha: Share of the old weights; 1 at the first step and 0 at the second.
        lookback: Probability of $\rho = 1$.
        seed: Of the lookbacks.
        rule: Combines the weighted gradients.

    References:
        Bischof and Kraus, Multi-objective loss balancing for physics-informed deep learning, arXiv:2110.09813 (2021).
    """

    temperature: float = eqx.field(static=True, default=0.1)
    alpha: float = eqx.field(static=True, default=0.999)
    lookback: float = eqx.field(static=True, default=0.999)
    seed: int = eqx.field(static=True, default=0)
    rule: AbstractRule = PLAIN

    def __check_init__(self):
        if not self.temperature > 0:
            raise PdesolveError(f"`temperature` must be positive, got {self.temperature}.")
        if not (0 <= self.alpha <= 1 and 0 <= self.lookback <= 1):
            raise PdesolveError(f"`alpha` and `lookback` must lie in [0, 1]; got {self.alpha} and {self.lookback}.")

    def begin(self, num_terms):
        """Ones."""
        return _begin(num_terms)

    def weigh(self, gradients, losses, traces, state):
        """Compare with the step before, and with the first."""
        losses = _required(losses, "ReLoBRaLo")
        draw = jax.random.fold_in(jax.random.key(self.seed), state.step)
        first = jnp.where(state.step == 0, losses, state.first)
        last = jnp.where(state.step == 0, losses, state.last)
        alpha = jnp.where(state.step == 0, 1.0, jnp.where(state.step == 1, 0.0, self.alpha))
        rho = jax.random.bernoulli(draw, self.lookback)
        new = relobralo_weights(losses, last, first, state.weights, alpha, rho, self.temperature)
        weights = keep_finite(new, state.weights)
        return weights, History(weights, first, losses, state.step + 1)


def relobralo_weights(losses, last, first, weights, alpha, rho, temperature, guard=1e-12):
    """Return the weights of one step; see `ReLoBRaLo`."""
    m = len(losses)
    hat = m * jax.nn.softmax(losses / (temperature * last + guard))
    hat_first = m * jax.nn.softmax(losses / (temperature * first + guard))
    return alpha * (rho * weights + (1 - rho) * hat_first) + (1 - alpha) * hat


class SoftAdapt(AbstractWeighing):
    r"""Weights by the last change of each loss: what falls slowly or rises weighs more.

    $\lambda_i = m \operatorname{softmax}_i \beta s_i$ with $s_i = L_i(t) - L_i(t - 1)$, by default divided by
    $\sum_j |L_j(t) - L_j(t - 1)|$. The weights sum to m, where the paper's sum to 1. At the first step they are 1.

    Args:
        beta: Positive values favour losses that fall slowly or rise.
        normalised: Whether changes are relative to each other.
        rule: Combines the weighted gradients.

    References:
        Heydari, Thompson, Mehmood, SoftAdapt, arXiv:1912.12355 (2019).
    """

    beta: float = eqx.field(static=True, default=0.1)
    normalised: bool = eqx.field(static=True, default=True)
    rule: AbstractRule = PLAIN

    def begin(self, num_terms):
        """Ones."""
        return _begin(num_terms)

    def weigh(self, gradients, losses, traces, state):
        """Look at the last change."""
        losses = _required(losses, "SoftAdapt")
        change = losses - state.last
        if self.normalised:
            total = jnp.sum(jnp.abs(change))
            change = change / jnp.where(total > 0, total, 1.0)
        new = len(losses) * jax.nn.softmax(self.beta * change)
        weights = jnp.where(state.step == 0, 1.0, keep_finite(new, state.weights))
        return weights, History(weights, state.first, losses, state.step + 1)


class DynamicWeightAverage(AbstractWeighing):
    r"""Weights by the quotient of each loss in the last two epochs.

    $\lambda_i = m \operatorname{softmax}_i (q_i / T)$ with $q_i = \bar L_i(e - 1) / \bar L_i(e - 2)$ and means over
    epochs; ones in the first two.

    Args:
        temperature: T.
        every: Steps of an epoch.
        rule: Combines the weighted gradients.

    References:
        Liu, Johns, Davison, End-to-end multi-task learning with attention, CVPR (2019).
    """

    temperature: float = eqx.field(static=True, default=2.0)
    every: int = eqx.field(static=True, default=100)
    rule: AbstractRule = PLAIN

    def __check_init__(self):
        if not self.temperature > 0 or self.every < 1:
            raise PdesolveError(f"`temperature` must be positive and `every` at least 1; got {self}.")

    def begin(self, num_terms):
        """Ones."""
        zeros = jnp.zeros(num_terms)
        return Epochs(jnp.ones(num_terms), zeros, zeros, zeros, jnp.asarray(0, jnp.int32))

    def weigh(self, gradients, losses, traces, state):
        """At the start of an epoch compare the two before."""
        losses = _required(losses, "DynamicWeightAverage")
        begins = state.step % self.every == 0
        last = jnp.where(begins, state.gathered / self.every, state.last)
        before = jnp.where(begins, state.last, state.before)
        quotient = last / jnp.where(before > 0, before, 1.0)
        new = len(losses) * jax.nn.softmax(quotient / self.temperature)
        renewed = jnp.where(state.step >= 2 * self.every, keep_finite(new, state.weights), 1.0)
        weights = jnp.where(begins, renewed, state.weights)
        gathered = jnp.where(begins, 0.0, state.gathered) + losses
        return weights, Epochs(weights, gathered, last, before, state.step + 1)


def _begin(num_terms: int) -> History:
    ones, zeros = jnp.ones(num_terms), jnp.zeros(num_terms)
    return History(ones, zeros, zeros, jnp.asarray(0, jnp.int32))


def _required(losses: Array | None, name: str) -> Array:
    if losses is None:
        raise PdesolveError(f"{name} weighs by the losses: call `combine(gradients, state, losses)`.")
    return losses
