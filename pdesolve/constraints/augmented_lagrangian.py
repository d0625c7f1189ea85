"""The method of multipliers: damped Newton or Gauss-Newton steps on the augmented Lagrangian."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..errors import PdesolveError
from ..optim.damped import damped_step
from ..optim.factorisation import cholesky_solver
from .constrained_method import AbstractConstrainedMethod
from .program import (
    Multipliers,
    check_curvature,
    outcome,
    program,
    require_constraints,
    require_curvature,
)

__all__ = ["AugmentedLagrangian"]


class AugmentedLagrangianState(NamedTuple):
    """Multipliers, penalty, and where the inner minimisation stands."""

    multipliers: Multipliers
    penalty: Float[Array, ""]
    damping: Float[Array, ""]
    violation: Float[Array, ""]
    """At the last change of the multipliers."""
    inner: Int[Array, ""]
    """Steps since then."""
    stuck: Bool[Array, ""]


class AugmentedLagrangian(AbstractConstrainedMethod):
    r"""Minimise $f$ subject to $c = 0$, $h \le 0$ by the method of multipliers.

    With $\mu > 0$ the inner problem is to make small

    $$ f + \tfrac{\mu}{2} \left| c + y/\mu \right|^2 + \tfrac{\mu}{2} \left| \max(0,\, h + z/\mu) \right|^2, $$

    for a sum of squares f again a sum of squares, whose constraint rows are shifted: a step is one of
    Levenberg-Marquardt (`damped_step`). When its gradient is below a share of the violation, after `inner_steps`, or
    when no step helps, $y \leftarrow y + \mu c$ and $z \leftarrow \max(0, z + \mu h)$, and $\mu$ grows unless the
    violation has fallen to a quarter. In training, c are residuals times $\sqrt{w/n}$.

    Args:
        penalty: First $\mu$; by default $10\,|f| / |c|^2$, between 1 and 1000.
        growth: Factor of $\mu$.
        max_penalty: Largest $\mu$.
        inner_tolerance: Gradient, as a share of the violation, at which the multipliers change.
        inner_steps: Most steps between two changes of the multipliers.
        tolerance: Karush-Kuhn-Tucker residual at which it has converged.
        curvature: `exact` second derivatives, `gauss_newton`, or `auto`: the latter where f is a sum of squares.
        damping: First damping.
        attempts: Most factorisations of a step.

    References:
        Hestenes, J. Optim. Theory Appl. 4 (1969) 303-320; Powell, in: Optimization (Academic Press, 1969) 283-298;
        Nocedal and Wright, Numerical Optimization, chapter 17. In training of networks: Lu et al., SIAM J. Sci.
        Comput. 43 (2021) B1105-B1132.
    """

    penalty: float | None = None
    growth: float = 10.0
    max_penalty: float = 1e8
    inner_tolerance: float = 0.1
    inner_steps: int = 20
    tolerance: float = 1e-8
    curvature: str = eqx.field(static=True, default="auto")
    damping: float = 1.0
    attempts: int = eqx.field(static=True, default=40)

    def __check_init__(self):
        check_curvature(self.curvature)
        if self.penalty is not None and not self.penalty > 0:
            raise PdesolveError(f"`penalty` must be positive, got {self.penalty}.")
        if not self.growth > 1:
            raise PdesolveError(f"`growth` must be above 1, got {self.growth}.")

    def check(self, objective):
        """Losses and constraints on rows that stay; Gauss-Newton needs losses with a curvature."""
        require_constraints("the augmented Lagrangian", objective)
        require_curvature(self.curvature, objective)

    def init(self, evaluation, params):
        """Multipliers zero."""
        problem, flat = program(evaluation, params, self.curvature)
        c, h = problem.equality(flat), jnp.maximum(problem.inequality(flat), 0.0)
        squares = jnp.sum(c**2) + jnp.sum(h**2)
        penalty = 10.0 * jnp.abs(problem.value(flat)) / jnp.maximum(squares, jnp.finfo(flat.dtype).tiny)
        return AugmentedLagrangianState(
            Multipliers(jnp.zeros_like(c), jnp.zeros_like(h)),
            jnp.clip(penalty, 1.0, 1e3) if self.penalty is None else jnp.asarray(self.penalty, flat.dtype),
            jnp.asarray(self.damping, flat.dtype),
            jnp.asarray(jnp.inf, flat.dtype),
            jnp.asarray(0),
            jnp.asarray(False),
        )

    def step(self, evaluation, params, state):
        """New multipliers if it is time for them, and a damped step."""
        problem, x = program(evaluation, params, self.curvature)
        at = problem.linearise(x)
        multipliers, penalty, violation, ready = self._multipliers(x, at, state)

        def augmented(x):
            above = jnp.maximum(problem.inequality(x) + multipliers.inequality / penalty, 0.0)
            shifted = problem.equality(x) + multipliers.equality / penalty
            return problem.value(x) + 0.5 * penalty * (jnp.sum(shifted**2) + jnp.sum(above**2))

        pulled = _updated(at, multipliers, penalty)
        active = at.inequality_rows * (pulled.inequality > 0)[:, None]
        hessian = problem.curvature(x, at, pulled)
        hessian += penalty * (at.equality_rows.T @ at.equality_rows + active.T @ active)
        value, gradient = augmented(x), at.lagrangian_gradient(pulled)
        end = damped_step(
            augmented,
            x,
            value,
            gradient,
            cholesky_solver(hessian, gradient),
            state.damping,
            attempts=self.attempts,
            slack=8 * jnp.finfo(x.dtype).eps * jnp.abs(value),
        )
        # A step no longer than round-off is none; where new multipliers did not help either, nothing does.
        found = end.found & (jnp.linalg.norm(end.flat - x) > 4 * jnp.finfo(x.dtype).eps * jnp.linalg.norm(x))
        hopeless = at.is_infeasible_stationary(self.tolerance) & (penalty >= self.max_penalty)
        stuck = (~found & state.stuck) | hopeless
        metrics = outcome(at, pulled, self.tolerance, stuck, penalty=penalty, damping=end.accepted)
        # Damping that was raised in vain says nothing about the next multipliers.
        damping = jnp.where(found, end.accepted, jnp.minimum(state.damping, self.damping))
        inner = jnp.where(ready, 1, state.inner + 1)
        new = AugmentedLagrangianState(multipliers, penalty, damping, violation, inner, ~found)
        return problem.unravel(jnp.where(metrics["converged"], x, end.flat)), new, metrics, None

    def _multipliers(self, x, at, state) -> tuple[Multipliers, Array, Array, Array]:
        """Return multipliers, penalty and violation as they are now, and whether they have changed."""
        new = _updated(at, state.multipliers, state.penalty)
        gradient = jnp.linalg.norm(at.lagrangian_gradient(new))
        # A constraint that is inactive by more than its multiplier allows does not count.
        below = jnp.maximum(at.inequality, -state.multipliers.inequality / state.penalty)
        violation = jnp.sqrt(jnp.sum(at.equality**2) + jnp.sum(below**2))
        close = gradient <= jnp.maximum(0.1 * self.tolerance, self.inner_tolerance * violation)
        ready = (close | state.stuck | (state.inner >= self.inner_steps)) & (state.inner > 0)
        enough = violation <= 0.25 * state.violation
        grown = jnp.minimum(state.penalty * self.growth, jnp.maximum(self.max_penalty, state.penalty))
        multipliers = Multipliers(
            jnp.where(ready, new.equality, state.multipliers.equality),
            jnp.where(ready, new.inequality, state.multipliers.inequality),
        )
        rows = jnp.sqrt(jnp.sum(at.equality_rows**2) + jnp.sum(at.inequality_rows**2))
        noise = 10 * jnp.finfo(gradient.dtype).eps * (1.0 + rows * jnp.linalg.norm(x))
        settled = violation <= jnp.maximum(0.1 * self.tolerance, noise)  # below it, round-off decides
        penalty = jnp.where(ready & ~enough & ~settled, grown, state.penalty)
        return multipliers, penalty, jnp.where(ready, violation, state.violation), ready

    def multipliers(self, at, state):
        """The next ones: with them the gradient of the Lagrangian is that which has been made small."""
        return _updated(at, state.multipliers, state.penalty)

    def refresh(self, evaluation, params, state):
        """Multipliers belong to rows that stay."""
        return state._replace(damping=jnp.minimum(state.damping, self.damping), stuck=jnp.asarray(False))


def _updated(at, multipliers: Multipliers, penalty: Array) -> Multipliers:
    """Return the multipliers that make the gradient of the augmented Lagrangian that of the Lagrangian."""
    return Multipliers(
        multipliers.equality + penalty * at.equality,
        jnp.maximum(multipliers.inequality + penalty * at.inequality, 0.0),
    )
