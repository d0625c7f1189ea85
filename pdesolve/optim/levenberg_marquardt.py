"""Levenberg-Marquardt: damped Gauss-Newton on the residual rows of an objective."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["LevenbergMarquardt"]


class _Attempt(eqx.Module):
    """One trial of the damping loop."""

    flat: Float[Array, " p"]
    loss: Float[Array, ""]
    damping: Float[Array, ""]
    growth: Float[Array, ""]
    accepted: Bool[Array, ""]
    count: Int[Array, ""]


class LevenbergMarquardt(AbstractOptimiser):
    r"""Solve $(J^\top H J + \lambda I)\,p = -g$ and accept the step if the loss falls.

    With $\rho$ the ratio of actual to predicted decrease, an accepted step changes the damping by
    $\max(1/5,\; 1 - (2\rho - 1)^3)$; a refused one multiplies it by a factor that doubles with each refusal. A
    factorisation that fails, or a loss that is not finite, counts as a refusal.

    Args:
        damping: First $\lambda$, in units of the mean-square loss.
        min_damping: Smallest $\lambda$.
        attempts: Trials of one step; when all are refused the step is `stalled`.
        acceptance: Smallest $\rho$ of an accepted step.

    References:
        Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05, eq. (2.5);
        Madsen, Nielsen, Tingleff, Methods for non-linear least squares problems (2004), algorithm 3.16.
    """

    damping: float = 1.0
    min_damping: float = 1e-16
    attempts: int = eqx.field(static=True, default=12)
    acceptance: float = 1e-3

    def check(self, objective):
        """Losses whose outer functions have a curvature."""
        require_losses("Levenberg-Marquardt", objective)

    def init(self, evaluation, params):
        """Return the damping."""
        flat, _ = ravel_pytree(params)
        return jnp.asarray(self.damping, dtype=flat.dtype)

    def step(self, evaluation, params, state):
        """One Gauss-Newton model, as many dampings as it takes."""
        flat, _ = ravel_pytree(params)
        model = evaluation.gauss_newton(params)
        gram = model.gram()
        diagonal = jnp.arange(flat.size)

        def attempt(last: _Attempt) -> _Attempt:
            factor = jax.scipy.linalg.cho_factor(gram.at[diagonal, diagonal].add(last.damping))
            step = -jax.scipy.linalg.cho_solve(factor, model.gradient)
            loss, _ = evaluation.loss(model.unravel(flat + step))
            predicted = 0.5 * step @ (last.damping * step - model.gradient)
            ratio = (model.loss - loss) / jnp.maximum(predicted, jnp.finfo(flat.dtype).tiny)
            accepted = jnp.isfinite(loss) & (ratio > self.acceptance) & (loss < model.loss)
            eased = jnp.maximum(last.damping * jnp.maximum(0.2, 1.0 - (2.0 * ratio - 1.0) ** 3), self.min_damping)
            return _Attempt(
                flat=jnp.where(accepted, flat + step, flat),
                loss=jnp.where(accepted, loss, model.loss),
                damping=jnp.where(accepted, eased, last.damping * last.growth),
                growth=2.0 * last.growth,
                accepted=accepted,
                count=last.count + 1,
            )

        two = jnp.asarray(2.0, dtype=flat.dtype)
        first = _Attempt(flat, model.loss, state, two, jnp.asarray(False), jnp.asarray(0))
        last = jax.lax.while_loop(lambda a: ~a.accepted & (a.count < self.attempts), attempt, first)
        metrics = loss_metrics(model.loss, model.losses) | {
            "damping": last.damping,
            "attempts": last.count,
            "gradient_norm": jnp.linalg.norm(model.gradient),
            "stalled": ~last.accepted,
        }
        return model.unravel(last.flat), last.damping, metrics, None

    def refresh(self, evaluation, params, state):
        """The damping lives on."""
        return state
