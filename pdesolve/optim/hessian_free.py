"""Gauss-Newton without a matrix: conjugate gradients on products with the Jacobian and its transpose."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..errors import PdesolveError
from ..objective import Squares
from .control import AbstractControl, Curve, named_control
from .nncg import preconditioned_cg
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["HessianFree"]


class HessianFreeState(NamedTuple):
    """State of the rule, and the last direction."""

    rule: Float[Array, ""]
    direction: Float[Array, " p"]


class HessianFree(AbstractOptimiser):
    r"""Gauss-Newton steps for networks whose Jacobian does not fit into memory.

    $(J^\top J + \lambda I)\,p = -g$ is solved by conjugate gradients, from a share of the last direction; a product
    with $J^\top J$ costs about three evaluations of the residuals and no memory to speak of.

    Args:
        control: The rule for how far to go, as for `GaussNewton`.
        iterations: Most products of one solve.
        tolerance: Residual of the linear system, relative to the gradient.
        carried: Share of the last direction at which the next solve begins.

    References:
        Martens, Deep learning via Hessian-free optimization, ICML (2010).
    """

    control: str | AbstractControl = "ratio"
    iterations: int = eqx.field(static=True, default=100)
    tolerance: float = 1e-4
    carried: float = 0.95

    def __check_init__(self):
        named_control(self.control)
        if self.iterations < 1:
            raise PdesolveError(f"`iterations` must be at least 1, got {self.iterations}.")

    def check(self, objective):
        """Losses that are sums of squares."""
        require_losses("HessianFree", objective)
        if other := [term.name for term in objective.terms if not isinstance(term.outer, Squares)]:
            raise PdesolveError(f"HessianFree needs sums of squares; the loss of {', '.join(other)} is none.")

    def init(self, evaluation, params):
        """No direction yet."""
        flat, _ = ravel_pytree(params)
        first = jnp.asarray(named_control(self.control).init(), flat.dtype)
        return HessianFreeState(first, jnp.zeros_like(flat))

    def step(self, evaluation, params, state):
        """One linearisation, a linear system for each damping that is tried."""
        flat, unravel = ravel_pytree(params)

        def residual(x):
            return evaluation.row_residuals(unravel(x))

        values, product = jax.linearize(residual, flat)
        transposed = jax.linear_transpose(product, flat)
        gradient = transposed(values)[0]

        def solve(damping):
            step, _ = preconditioned_cg(
                lambda v: transposed(product(v))[0] + damping * v,
                -gradient,
                self.carried * state.direction,
                lambda v: v,
                tolerance=self.tolerance,
                iterations=self.iterations,
            )
            return step

        def function(x):
            return evaluation.loss(unravel(x))[0]

        def slope(x):
            return ravel_pytree(evaluation.value_and_gradient(unravel(x))[1])[0]

        loss, (losses, _) = evaluation.loss(params)
        end = named_control(self.control).search(Curve(function, slope, flat, loss, gradient, solve), state.rule)
        metrics = loss_metrics(loss, losses) | {
            "damping": end.damping,
            "attempts": end.count,
            "gradient_norm": jnp.linalg.norm(gradient),
            "stalled": ~end.found,
        }
        moved = end.flat - flat
        return unravel(end.flat), HessianFreeState(end.state, moved), metrics, None

    def refresh(self, evaluation, params, state):
        """What the rule keeps; the direction is still a guess."""
        return state._replace(rule=named_control(self.control).refresh(state.rule))
