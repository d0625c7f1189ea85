"""Weights of loss terms that change during training, before a rule combines the weighted gradients."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .rule import AbstractRule
from .sums import Sum
from .unit_rows import per_row

__all__ = ["PLAIN", "AbstractWeighing", "keep_finite"]


class AbstractWeighing(AbstractRule):
    r"""Gradients times weights $\lambda_i$ of their terms, handed on to another rule.

    Weights that would not be finite stay what they were. The metrics tell the smallest and the largest.
    """

    rule: eqx.AbstractVar[AbstractRule]
    """Combines the weighted gradients; `Sum` makes it the gradient of the weighted loss."""

    @abc.abstractmethod
    def begin(self, num_terms: int) -> PyTree:
        """Return the first state of the weights."""

    @abc.abstractmethod
    def weigh(
        self, gradients: PyTree, losses: Float[Array, " m"] | None, traces: Float[Array, " m"] | None, state: Any
    ) -> tuple[Float[Array, " m"], PyTree]:
        """Return the weights of this step, and the new state; arguments as `combine`."""

    def init(self, params, num_terms):
        """The state of the weights, and that of the rule."""
        return self.begin(num_terms), self.rule.init(params, num_terms)

    def traced(self, state, step):
        """When the rule asks."""
        return self.rule.traced(state[1], step)

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None, traces=None):
        """Weigh, then combine."""
        own, inner = state
        weights, own = self.weigh(gradients, losses, traces, own)
        weighted = jax.tree.map(lambda leaf: leaf * per_row(weights.astype(leaf.dtype), leaf), gradients)
        given = {"traces": traces} if isinstance(self.rule, AbstractWeighing) else {}
        combined, inner, metrics = self.rule.combine(weighted, inner, losses, fresh=fresh, **given)
        shown = {"smallest_weight": jnp.min(weights), "largest_weight": jnp.max(weights)}
        return combined, (own, inner), {**metrics, **shown}


def keep_finite(new: Float[Array, " m"], old: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return new weights, those that are not finite replaced by the old."""
    return jnp.where(jnp.isfinite(new), new, old)


PLAIN = Sum()
"""The default rule after a weighing."""
