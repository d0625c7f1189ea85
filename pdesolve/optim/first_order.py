"""Any optax transformation as an optimiser of objectives."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["FirstOrder"]

Combination = Callable[[PyTree], PyTree]
"""Gradients stacked over terms (leaves with a leading axis) to the one that is followed."""


class FirstOrder(AbstractOptimiser):
    """Follow a gradient through an optax transformation.

    Args:
        transformation: Any `optax.GradientTransformation`.
        combine: Optional rule that makes one gradient of the gradients of the terms; their sum if None.
        ascend: Optional pytree prefix of the parameters, True where the loss is to be made large (adversarial
            weights, multipliers): the sign of those gradients is turned.
    """

    transformation: optax.GradientTransformation = eqx.field(static=True)
    combine: Combination | None = None
    ascend: PyTree = None

    def check(self, objective):
        """Any outer function will do; constraints will not."""
        require_losses("a first-order optimiser", objective)

    def init(self, evaluation, params):
        """Return optax's state."""
        return self.transformation.init(params)

    def step(self, evaluation, params, state):
        """One gradient, one update."""
        if self.combine is None:
            (loss, (losses, aux)), gradient = jax.value_and_grad(evaluation.loss, has_aux=True)(params)
        else:
            losses, gradients, aux = evaluation.term_gradients(params)
            loss = jnp.asarray(sum(losses.values()))
            gradient = self.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *gradients.values()))
        if self.ascend is not None:
            gradient = jax.tree.map(
                lambda up, branch: jax.tree.map(jnp.negative, branch) if up else branch, self.ascend, gradient
            )
        # Some methods choose their step by the value of the loss.
        transformation = optax.with_extra_args_support(self.transformation)
        updates, state = transformation.update(gradient, state, params, value=loss)
        metrics = loss_metrics(loss, losses) | {"gradient_norm": optax.tree.norm(gradient), **_metrics(aux)}
        return optax.apply_updates(params, updates), state, metrics, aux.get("layer_state")

    def refresh(self, evaluation, params, state):
        """Moments live on."""
        return state


def _metrics(aux: dict[str, Any]) -> dict[str, Any]:
    return dict(aux.get("metrics", {}))
