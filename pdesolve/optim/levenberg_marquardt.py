"""Levenberg-Marquardt: damped Gauss-Newton on the residual rows of an objective."""

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..errors import PdesolveError
from .damped import damped_step
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["LevenbergMarquardt"]


class LevenbergMarquardt(AbstractOptimiser):
    r"""Solve $(J^\top H J + \lambda I)\,p = -g$ with the smallest damping whose step still keeps its promise.

    Smaller dampings are tried while the ratio $\rho$ of actual to predicted decrease stays above $\rho^*$, larger ones
    if the first fails (`damped_step`). A small target $\rho^*$ is essential: textbook values near 1/4 take steps that
    are far too short for networks. One Jacobian serves all trials; each costs a factorisation and a loss.

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
        end = damped_step(
            lambda flat: evaluation.loss(model.unravel(flat))[0],
            flat,
            model.loss,
            model.gradient,
            model.gram(),
            state,
            factor=self.factor,
            target_ratio=self.target_ratio,
            probes=self.probes,
            attempts=self.attempts,
            min_damping=self.min_damping,
        )
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
