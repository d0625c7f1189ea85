"""Levenberg-Marquardt: damped Gauss-Newton on the residual rows of an objective."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ..errors import PdesolveError
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["LevenbergMarquardt"]


class _Search(eqx.Module):
    """State of the search along the Levenberg-Marquardt curve."""

    damping: Float[Array, ""]
    """The damping to try next."""
    flat: Float[Array, " p"]
    loss: Float[Array, ""]
    accepted: Float[Array, ""]
    """Damping of the best step so far."""
    found: Bool[Array, ""]
    done: Bool[Array, ""]
    count: Int[Array, ""]


class LevenbergMarquardt(AbstractOptimiser):
    r"""Solve $(J^\top H J + \lambda I)\,p = -g$ with the smallest damping whose step still keeps its promise.

    With $\rho$ the ratio of actual to predicted decrease of the loss, dampings $\lambda, \lambda/f, \lambda/f^2, \dots$
    are tried while $\rho \ge \rho^*$, and the last one that passed is taken; if the first fails, $\lambda f, \lambda
    f^2, \dots$ until one passes. A small target $\rho^*$ is essential: textbook values near 1/4 take steps that are far
    too short for networks. One Jacobian serves all trials; each costs a factorisation and a loss. A factorisation that
    fails, or a loss that is not finite, counts as a failed trial.

    Args:
        damping: First $\lambda$, in units of the mean-square loss.
        factor: $f > 1$.
        target_ratio: $\rho^*$.
        probes: Most trials of smaller dampings in one step.
        attempts: Most trials in one step; when all have failed the step is `stalled`.
        min_damping: Smallest $\lambda$.

    References:
        Marquardt, J. Soc. Indust. Appl. Math. 11 (1963) 431-441; More, Lecture Notes in Math. 630 (1978) 105-116.
        Choosing the largest step above a small ratio follows the radius rule of Webb, Jerad and Cartis (2026).
    """

    damping: float = 1.0
    factor: float = 3.0
    target_ratio: float = 0.03
    probes: int = eqx.field(static=True, default=3)
    attempts: int = eqx.field(static=True, default=12)
    min_damping: float = 1e-16

    def check(self, objective):
        """Losses whose outer functions have a curvature."""
        require_losses("Levenberg-Marquardt", objective)
        if flat := [term.name for term in objective.terms if not term.outer.has_curvature]:
            raise PdesolveError(
                f"Levenberg-Marquardt needs squares or a known curvature; the loss of {', '.join(flat)} has none. "
                "Use a first-order optimiser such as adam."
            )

    def init(self, evaluation, params):
        """Return the damping."""
        flat, _ = ravel_pytree(params)
        return jnp.asarray(self.damping, dtype=flat.dtype)

    def step(self, evaluation, params, state):
        """One Gauss-Newton model, several dampings."""
        flat, _ = ravel_pytree(params)
        model = evaluation.gauss_newton(params)
        gram, diagonal = model.gram(), jnp.arange(flat.size)

        def trial(search: _Search) -> _Search:
            factor = jax.scipy.linalg.cho_factor(gram.at[diagonal, diagonal].add(search.damping))
            step = -jax.scipy.linalg.cho_solve(factor, model.gradient)
            loss, _ = evaluation.loss(model.unravel(flat + step))
            predicted = 0.5 * step @ (search.damping * step - model.gradient)
            passed = (model.loss - loss >= self.target_ratio * predicted) & (loss < model.loss) & jnp.isfinite(loss)
            smaller = jnp.maximum(search.damping / self.factor, self.min_damping)
            first = search.count == 0
            go_down = passed & (first | search.found) & (search.count < self.probes) & (smaller < search.damping)
            go_up = ~passed & ~search.found
            return _Search(
                damping=jnp.where(go_down, smaller, search.damping * self.factor),
                flat=jnp.where(passed, flat + step, search.flat),
                loss=jnp.where(passed, loss, search.loss),
                accepted=jnp.where(passed, search.damping, search.accepted),
                found=search.found | passed,
                done=~(go_down | go_up),
                count=search.count + 1,
            )

        no = jnp.asarray(False)
        start = _Search(state, flat, model.loss, state * self.factor**2, no, no, jnp.asarray(0))
        end = jax.lax.while_loop(lambda s: ~s.done & (s.count < self.attempts), trial, start)
        metrics = loss_metrics(model.loss, model.losses) | {
            "damping": end.accepted,
            "attempts": end.count,
            "gradient_norm": jnp.linalg.norm(model.gradient),
            "stalled": ~end.found,
        }
        return model.unravel(end.flat), end.accepted, metrics, None

    def refresh(self, evaluation, params, state):
        """The damping lives on, unless a stall has raised it: that says nothing about the new samples."""
        return jnp.minimum(state, self.damping)
