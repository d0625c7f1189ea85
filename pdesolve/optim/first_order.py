"""Any optax transformation as an optimiser of objectives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from .combine import AbstractRule, group_terms
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["FirstOrder"]


class FirstOrder(AbstractOptimiser):
    """Follow a gradient through an optax transformation.

    Args:
        transformation: Any `optax.GradientTransformation`.
        combine: Rule that makes one gradient of the gradients of the terms; their sum if None.
        groups: Names or patterns of the terms that count as one loss to `combine`, as `group_terms` takes them; each
            term is a loss of its own if None.
        ascend: Optional pytree prefix of the parameters, True where the loss is to be made large (adversarial
            weights, multipliers): the sign of those gradients is turned.
    """

    on_mesh = True
    transformation: optax.GradientTransformation = eqx.field(static=True)
    combine: AbstractRule | None = None
    groups: tuple[tuple[str, ...], ...] | None = eqx.field(static=True, default=None)
    ascend: PyTree = None

    def check(self, objective):
        """Any outer function will do; constraints will not."""
        require_losses("a first-order optimiser", objective)
        self._groups(objective)

    def _groups(self, objective) -> tuple[tuple[str, ...], ...]:
        names = [term.name for term in objective.terms]
        return tuple((name,) for name in names) if self.groups is None else group_terms(names, self.groups)

    def init(self, evaluation, params):
        """Return optax's state, and that of the rule."""
        rule = () if self.combine is None else self.combine.init(params, len(self._groups(evaluation.objective)))
        return self.transformation.init(params), rule

    def step(self, evaluation, params, state):
        """One gradient, one update."""
        state, rule = state
        combined: dict[str, Any] = {}
        if self.combine is None:
            (loss, (losses, aux)), gradient = evaluation.value_and_gradient(params)
        else:
            groups = self._groups(evaluation.objective)
            losses, stacked, aux, fresh = self._gradients(evaluation, params, rule, groups)
            loss = jnp.asarray(sum(losses.values()))
            traces = self._traces(evaluation, params, rule, groups)
            gradient, rule, combined = self.combine.combine(
                stacked, rule, _totals(losses, groups), fresh=fresh, **traces
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

    def _gradients(self, evaluation, params, rule, groups) -> tuple[dict, PyTree, dict, Any]:
        """Return losses, stacked gradients, aux, and which rows are of this step; zero where they are not."""
        assert self.combine is not None
        chosen = self.combine.renewed(rule, evaluation.context.step)
        if chosen is None:
            losses, gradients, aux = evaluation.group_gradients(params, groups)
            return losses, jax.tree.map(lambda *leaves: jnp.stack(leaves), *gradients), aux, None

        def one(group):  # a branch of its own for each loss: only the chosen one's backward pass is run
            return lambda params: evaluation.group_gradients(params, [group])[1][0]

        stacked = jax.tree.map(lambda leaf: jnp.zeros((len(groups), *leaf.shape), leaf.dtype), params)
        for index in chosen:
            gradient = jax.lax.switch(index, [one(group) for group in groups], params)
            stacked = jax.tree.map(lambda rows, leaf, i=index: rows.at[i].set(leaf), stacked, gradient)
        losses, aux = evaluation.term_losses(params)
        return losses, stacked, aux, jnp.zeros(len(groups), bool).at[chosen].set(True)

    def _traces(self, evaluation, params, rule, groups) -> dict[str, Any]:
        """Return the traces of tangent kernels as keyword, if the rule ever asks for them."""
        assert self.combine is not None
        asked = self.combine.traced(rule, evaluation.context.step)
        if asked is None:
            return {}

        def measured():
            return _totals(evaluation.kernel_traces(params), groups)

        shape = jax.eval_shape(measured)
        return {"traces": jax.lax.cond(asked, measured, lambda: jnp.zeros(shape.shape, shape.dtype))}

    def refresh(self, evaluation, params, state):
        """Moments live on."""
        return state


def _metrics(aux: dict[str, Any]) -> dict[str, Any]:
    return dict(aux.get("metrics", {}))


def _totals(values: dict[str, Any], groups: tuple[tuple[str, ...], ...]) -> Any:
    return jnp.stack([jnp.asarray(sum(values[name] for name in group)) for group in groups])
