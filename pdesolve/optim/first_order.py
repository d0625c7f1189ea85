"""Any optax transformation as an optimiser of objectives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from .combine import AbstractRule
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["FirstOrder"]


class FirstOrder(AbstractOptimiser):
    """Follow a gradient through an optax transformation.

    Args:
        transformation: Any `optax.GradientTransformation`.
        combine: Rule that makes one gradient of the gradients of the terms; their sum if None.
        ascend: Optional pytree prefix of the parameters, True where the loss is to be made large (adversarial
            weights, multipliers): the sign of those gradients is turned.
    """

    transformation: optax.GradientTransformation = eqx.field(static=True)
    combine: AbstractRule | None = None
    ascend: PyTree = None

    def check(self, objective):
        """Any outer function will do; constraints will not."""
        require_losses("a first-order optimiser", objective)

    def init(self, evaluation, params):
        """Return optax's state, and that of the rule."""
        rule = () if self.combine is None else self.combine.init(params, len(evaluation.objective.terms))
        return self.transformation.init(params), rule

    def step(self, evaluation, params, state):
        """One gradient, one update."""
        state, rule = state
        combined: dict[str, Any] = {}
        if self.combine is None:
            (loss, (losses, aux)), gradient = evaluation.value_and_gradient(params)
        else:
            losses, stacked, aux, fresh = self._gradients(evaluation, params, rule)
            loss = jnp.asarray(sum(losses.values()))
            traces = self._traces(evaluation, params, rule)
            gradient, rule, combined = self.combine.combine(
                stacked, rule, jnp.stack(list(losses.values())), fresh=fresh, **traces
            )
        if self.ascend is not None:
            gradient = jax.tree.map(
                lambda up, branch: jax.tree.map(jnp.negative, branch) if up else branch, self.ascend, gradient
            )
        # Some methods choose their step by the value of the loss.
        transformation = optax.with_extra_args_support(self.transformation)
        updates, state = transformation.update(gradient, state, params, value=loss)
        metrics = loss_metrics(loss, losses) | {"gradient_norm": optax.tree.norm(gradient), **combined, **_metrics(aux)}
        return optax.apply_updates(params, updates), (state, rule), metrics, aux.get("layer_state")

    def _gradients(self, evaluation, params, rule) -> tuple[dict, PyTree, dict, Any]:
        """Return losses, stacked gradients, aux, and which rows are of this step; zero where they are not."""
        assert self.combine is not None
        chosen = self.combine.renewed(rule, evaluation.context.step)
        if chosen is None:
            losses, gradients, aux = evaluation.term_gradients(params)
            return losses, jax.tree.map(lambda *leaves: jnp.stack(leaves), *gradients.values()), aux, None
        names = [term.name for term in evaluation.objective.terms]

        def one(name):  # a branch of its own for each term: only the chosen one's backward pass is run
            return lambda params: evaluation.term_gradients(params, [name])[1][name]

        stacked = jax.tree.map(lambda leaf: jnp.zeros((len(names), *leaf.shape), leaf.dtype), params)
        for index in chosen:
            gradient = jax.lax.switch(index, [one(name) for name in names], params)
            stacked = jax.tree.map(lambda rows, leaf, i=index: rows.at[i].set(leaf), stacked, gradient)
        losses, aux = evaluation.term_losses(params)
        return losses, stacked, aux, jnp.zeros(len(names), bool).at[chosen].set(True)

    def _traces(self, evaluation, params, rule) -> dict[str, Any]:
        """Return the traces of tangent kernels as keyword, if the rule ever asks for them."""
        assert self.combine is not None
        asked = self.combine.traced(rule, evaluation.context.step)
        if asked is None:
            return {}
        names = [term.name for term in evaluation.objective.terms]

        def measured():
            traces = evaluation.kernel_traces(params)
            return jnp.stack([traces[name] for name in names])

        shape = jax.eval_shape(measured)
        return {"traces": jax.lax.cond(asked, measured, lambda: jnp.zeros(shape.shape, shape.dtype))}

    def refresh(self, evaluation, params, state):
        """Moments live on."""
        return state


def _metrics(aux: dict[str, Any]) -> dict[str, Any]:
    return dict(aux.get("metrics", {}))
