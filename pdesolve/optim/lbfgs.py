"""L-BFGS with a strong-Wolfe line search, from optax."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .optimiser import AbstractOptimiser, loss_metrics, require_fixed_rows, require_losses

__all__ = ["LBFGS"]


class LBFGS(AbstractOptimiser):
    """Limited-memory BFGS on fixed samples (Nocedal and Wright, Numerical Optimization, algorithms 7.4, 3.5, 3.6).

    Args:
        memory_size: Pairs of steps and gradient differences kept.
        max_linesearch_steps: Evaluations of one zoom line search.
    """

    on_mesh = True
    memory_size: int = eqx.field(static=True, default=50)
    max_linesearch_steps: int = eqx.field(static=True, default=20)

    def _transformation(self):
        return optax.lbfgs(
            memory_size=self.memory_size,
            linesearch=optax.scale_by_zoom_linesearch(
                max_linesearch_steps=self.max_linesearch_steps, initial_guess_strategy="one"
            ),
        )

    def check(self, objective):
        """Losses on rows that stay the same between two refreshes."""
        require_losses("L-BFGS", objective)
        require_fixed_rows("L-BFGS", objective)

    def init(self, evaluation, params):
        """Return optax's state."""
        return self._transformation().init(params)

    def step(self, evaluation, params, state):
        """One direction, one line search; `stalled` when the line search leaves the parameters where they are."""

        def value(params):
            return evaluation.loss(params)[0]

        loss, gradient = optax.value_and_grad_from_state(value)(params, state=state)
        updates, state = self._transformation().update(
            gradient, state, params, value=loss, grad=gradient, value_fn=value
        )
        losses, aux = evaluation.term_losses(params)
        stalled = optax.tree.norm(updates) == 0.0
        metrics = loss_metrics(loss, losses) | {"gradient_norm": optax.tree.norm(gradient), "stalled": stalled}
        return optax.apply_updates(params, updates), state, metrics, aux.get("layer_state")

    def refresh(self, evaluation, params, state):
        """Forget pairs and value: differences across two sample sets are not curvature."""
        return jax.tree.map(lambda new, old: jnp.asarray(new, dtype=old.dtype), self.init(evaluation, params), state)
