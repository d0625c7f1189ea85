"""SPRING: damped Gauss-Newton steps with momentum inside the least-squares problem."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from ..errors import PdesolveError
from ..linalg import gram
from ..objective import Squares
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["SPRING", "spring_direction"]


class SPRINGState(NamedTuple):
    """The last direction, and the number of steps."""

    direction: Float[Array, " p"]
    step: Int[Array, ""]


class SPRING(AbstractOptimiser):
    r"""Subsampled projected-increment natural gradient descent.

    $$\phi_k = \operatorname{argmin}_\phi\ |J \phi - r|^2 + \lambda\, |\phi - \mu\, \phi_{k-1}|^2, \qquad
    \theta \leftarrow \theta - \eta\, \phi_k / \sqrt{1 - \mu^{2k}},$$

    with the residuals r of all terms, scaled so that the loss is $\tfrac12 |r|^2$. The direction remembers what earlier
    samples have asked for, which is why points may be few and drawn anew at every step. Without momentum this is the
    energy natural gradient in Woodbury's form. The smaller of the systems in residuals and in parameters is solved.

    Args:
        damping: $\lambda$.
        momentum: $\mu$, at least 0 and below 1.
        learning_rate: $\eta$; if None the first of 1, 1/2, 1/4, ... that lowers the loss, and no step if none does.
        norm: With a fixed $\eta$, the largest squared length of a step.
        halvings: Most halvings of a search.
        attempts: Most factorisations of a step: after each that fails the damping of this step is ten times larger.

    References:
        Guzmán-Cordero, Dangel, Goldshlager, Zeinhofer, NeurIPS (2025); Goldshlager, Abrahamsen, Lin, J. Comput. Phys.
        (2024), for the momentum.
    """

    damping: float = 1e-9
    momentum: float = 0.5
    learning_rate: float | None = None
    norm: float = 1e-3
    halvings: int = eqx.field(static=True, default=30)
    attempts: int = eqx.field(static=True, default=8)

    def __check_init__(self):
        if not 0 <= self.momentum < 1:
            raise PdesolveError(f"`momentum` must be at least 0 and below 1, got {self.momentum}.")
        if not self.damping > 0:
            raise PdesolveError(f"`damping` must be positive, got {self.damping}.")

    def check(self, objective):
        """Losses that are sums of squares."""
        require_losses("SPRING", objective)
        if other := [term.name for term in objective.terms if not isinstance(term.outer, Squares)]:
            raise PdesolveError(
                f"SPRING needs sums of squares; the loss of {', '.join(other)} is none. Use ssbroyden or a first-order "
                "optimiser."
            )

    def init(self, evaluation, params):
        """No direction yet."""
        flat, _ = ravel_pytree(params)
        return SPRINGState(jnp.zeros_like(flat), jnp.asarray(0, jnp.int32))

    def step(self, evaluation, params, state):
        """One least-squares problem, one search."""
        flat, _ = ravel_pytree(params)
        model = evaluation.gauss_newton(params)
        rows, residual = jnp.concatenate(model.rows), jnp.concatenate(model.residuals)

        def solved(carry):
            damping, _, count = carry
            direction = spring_direction(rows, residual, self.momentum * state.direction, damping)
            return damping * 10.0, direction, count + 1

        def failed(carry):
            return ~jnp.all(jnp.isfinite(carry[1])) & (carry[2] < self.attempts)

        start = (jnp.asarray(self.damping, flat.dtype), jnp.full_like(flat, jnp.nan), jnp.asarray(0))
        _, direction, attempts = jax.lax.while_loop(failed, solved, start)
        good = jnp.all(jnp.isfinite(direction))
        direction = jnp.where(good, direction, 0.0)
        count = state.step + 1
        unbiased = direction / jnp.sqrt(1.0 - jnp.asarray(self.momentum, flat.dtype) ** (2 * count))
        rate = self._rate(evaluation, model, flat, unbiased)
        metrics = loss_metrics(model.loss, model.losses) | {
            "rate": rate,
            "attempts": attempts,
            "gradient_norm": jnp.linalg.norm(model.gradient),
            "stalled": ~good | (rate == 0.0) & (self.momentum == 0.0),
        }
        # A step that could not be made forgets the direction it would have gone.
        kept = jnp.where(rate > 0.0, direction, 0.0)
        count = jnp.where(rate > 0.0, count, 0)
        return model.unravel(flat - rate * unbiased), SPRINGState(kept, count), metrics, None

    def _rate(self, evaluation, model, flat, direction) -> Float[Array, ""]:
        if self.learning_rate is not None:
            longest = jnp.sqrt(self.norm / jnp.maximum(jnp.sum(direction**2), jnp.finfo(flat.dtype).tiny))
            return jnp.minimum(self.learning_rate, longest)

        def lowers(rate):
            loss, _ = evaluation.loss(model.unravel(flat - rate * direction))
            return jnp.isfinite(loss) & (loss < model.loss)

        def halve(carry):
            rate, count, _ = carry
            return 0.5 * rate, count + 1, lowers(0.5 * rate)

        one = jnp.ones((), flat.dtype)
        start = (one, jnp.asarray(0), lowers(one))
        rate, _, found = jax.lax.while_loop(lambda c: ~c[2] & (c[1] < self.halvings), halve, start)
        return jnp.where(found, rate, 0.0)

    def refresh(self, evaluation, params, state):
        """The direction lives on: that is the point of it."""
        return state


def spring_direction(
    rows: Float[Array, "n p"], residual: Float[Array, " n"], carried: Float[Array, " p"], damping: Float[Array, ""]
) -> Float[Array, " p"]:
    r"""Return the minimiser of $|J \phi - r|^2 + \lambda |\phi - c|^2$; NaN where the factorisation fails.

    Args:
        rows: J.
        residual: r.
        carried: c, the part of the last direction that is carried over.
        damping: $\lambda$.
    """
    n, p = rows.shape
    left = residual - rows @ carried
    system = gram(rows.T) if n <= p else gram(rows)
    index = jnp.arange(min(n, p))
    factor = jax.scipy.linalg.cho_factor(system.at[index, index].add(damping))
    if n <= p:
        return rows.T @ jax.scipy.linalg.cho_solve(factor, left) + carried
    return jax.scipy.linalg.cho_solve(factor, rows.T @ left) + carried
