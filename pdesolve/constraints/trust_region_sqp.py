"""Sequential quadratic programming in a trust region, by a normal and a tangential step."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..errors import PdesolveError
from .constrained_method import AbstractConstrainedMethod
from .program import (
    Linearised,
    Multipliers,
    Program,
    check_curvature,
    outcome,
    program,
    require_constraints,
    require_curvature,
)

__all__ = ["TrustRegionSQP"]

FIRST_SLACK = 0.1
"""What an inequality that is violated at the start is given."""
FARTHEST = 100.0
"""Largest violation, in units of the first one or of 1: far outside f may fall faster than any penalty grows."""


class TrustRegionSQPState(NamedTuple):
    """Slack variables, radius and penalty of the merit function."""

    slack: Float[Array, " k"]
    radius: Float[Array, ""]
    penalty: Float[Array, ""]
    limit: Float[Array, ""]
    """Violation that no step may lead to."""


class TrustRegionSQP(AbstractConstrainedMethod):
    r"""Minimise $f$ subject to $c = 0$, $h \le 0$ by steps of Byrd and Omojokun.

    Inequalities become equations $h + s^2/2 = 0$ with slack variables s. With g, A, B the gradient, the Jacobian of the
    constraints and the curvature of the Lagrangian, whose multipliers are those of least squares, a step is $v + t$: v
    makes $|c + A v|$ small within 0.8 of the radius (dogleg), t makes the quadratic model small in the null space of A
    (conjugate gradients, which follow negative curvature to the boundary). The merit function is $f + \rho |c|$; a
    step that it refuses is corrected once to second order (Maratos), then the radius shrinks. Dependent constraints
    do no harm: A is inverted on its range.

    Args:
        radius: First radius.
        penalty: First $\rho$.
        tolerance: Karush-Kuhn-Tucker residual at which it has converged.
        curvature: `exact` second derivatives, `gauss_newton`, or `auto`: the latter where f is a sum of squares.
        attempts: Most radii of a step.
        cutoff: Singular values of A below this share of the largest count as zero.

    References:
        Nocedal and Wright, Numerical Optimization, section 18.5; Conn, Gould and Toint, Trust-Region Methods (2000).
        In training of networks: Cheng et al., trSQP-PINN (2024).
    """

    radius: float = 1.0
    penalty: float = 1.0
    tolerance: float = 1e-8
    curvature: str = eqx.field(static=True, default="auto")
    attempts: int = eqx.field(static=True, default=40)
    cutoff: float = 1e-10

    def __check_init__(self):
        check_curvature(self.curvature)
        for name in ("radius", "penalty"):
            if not getattr(self, name) > 0:
                raise PdesolveError(f"`{name}` must be positive, got {getattr(self, name)}.")

    def check(self, objective):
        """Losses and constraints on rows that stay; Gauss-Newton needs losses with a curvature."""
        require_constraints("trust-region SQP", objective)
        require_curvature(self.curvature, objective)

    def init(self, evaluation, params):
        """Slack as there is, and a little where there is none."""
        problem, x = program(evaluation, params, self.curvature)
        slack = jnp.sqrt(2.0 * jnp.maximum(-problem.inequality(x), FIRST_SLACK))
        _, size = _Merit(problem, x.size).parts(jnp.concatenate([x, slack]))
        first = (jnp.asarray(value, x.dtype) for value in (self.radius, self.penalty))
        return TrustRegionSQPState(slack, *first, FARTHEST * jnp.maximum(1.0, size))

    def step(self, evaluation, params, state):
        """One linearisation, as many radii as it takes."""
        problem, x = program(evaluation, params, self.curvature)
        at = problem.linearise(x)
        point = jnp.concatenate([x, state.slack])
        local = _Local.of(problem, x, at, state.slack, self.cutoff)
        merit = _Merit(problem, x.size)
        end = self._search(local, merit, point, state)
        start, x, slack = x, end.point[: x.size], end.point[x.size :]
        # A larger slack that meets its equation costs nothing.
        slack = jnp.sqrt(jnp.maximum(slack**2, -2.0 * problem.inequality(x)))
        # Where the violation is stationary, and the loss along what the constraints leave free, there is nowhere to go.
        free = jnp.linalg.norm(local.range.project(local.gradient))
        hopeless = at.is_infeasible_stationary(self.tolerance) & (free <= self.tolerance * (1.0 + jnp.abs(at.value)))
        stuck = ~end.found | hopeless
        metrics = outcome(at, local.multipliers, self.tolerance, stuck, penalty=end.penalty, radius=end.radius)
        new = state._replace(slack=slack, radius=end.radius, penalty=end.penalty)
        # Where the conditions hold already no step is taken: the next point may be a little worse.
        x, new = jax.tree.map(lambda old, new: jnp.where(metrics["converged"], old, new), (start, state), (x, new))
        return problem.unravel(x), new, metrics, None

    def _search(self, local: "_Local", merit: "_Merit", point: Array, state: TrustRegionSQPState) -> "_Search":
        value, size = merit.parts(point)
        # Below the size of the multipliers the merit function prefers to violate constraints.
        both = local.multipliers
        exactness = jnp.sqrt(jnp.sum(both.equality**2) + jnp.sum(both.inequality**2))

        def trial(search: _Search) -> _Search:
            step = local.step(search.radius)
            quadratic = local.gradient @ step + 0.5 * step @ (local.curvature @ step)
            gain = size - jnp.linalg.norm(local.constraints + local.range.rows @ step)
            round_off = 8 * jnp.finfo(point.dtype).eps
            needed = jnp.where(gain > round_off * (1.0 + size), quadratic / (0.7 * jnp.maximum(gain, 1e-300)), 0.0)
            penalty = jnp.maximum(jnp.maximum(search.penalty, 1.1 * needed), 1.2 * exactness)
            predicted = penalty * gain - quadratic
            slack = round_off * (jnp.abs(value) + penalty * size)

            def ratio(candidate: Array) -> Array:
                new_value, new_size = merit.parts(candidate)
                actual = value - new_value + penalty * (size - new_size)
                allowed = jnp.isfinite(actual) & (new_size <= state.limit)
                return jnp.where(allowed, (actual + slack) / (predicted + slack), -1.0)

            def corrected() -> tuple[Array, Array]:
                candidate = point + step
                candidate += local.range.pseudo_inverse(-merit.constraints(candidate))
                return candidate, ratio(candidate)

            first = ratio(point + step)
            candidate, quality = jax.lax.cond(first > 1e-8, lambda: (point + step, first), corrected)
            found, length = quality > 1e-8, jnp.linalg.norm(step)
            wider = jnp.where(quality >= 0.9, 7.0, jnp.where(quality >= 0.3, 2.0, 0.0)) * length
            radius = jnp.where(
                quality >= 0.3, jnp.maximum(search.radius, wider), 0.5 * jnp.minimum(search.radius, length)
            )
            return _Search(jnp.where(found, candidate, point), radius, penalty, found, search.count + 1)

        start = _Search(point, state.radius, state.penalty, jnp.asarray(False), jnp.asarray(0))
        end = jax.lax.while_loop(lambda s: ~s.found & (s.count < self.attempts), trial, start)
        return eqx.tree_at(lambda s: s.radius, end, jnp.where(end.found, end.radius, state.radius))

    def multipliers(self, at, state):
        """Those of least squares."""
        return _Range.of(at, state.slack, self.cutoff).multipliers(at)

    def refresh(self, evaluation, params, state):
        """Slack and radius live on."""
        return state


class _Search(eqx.Module):
    """Where the search for a radius has come to."""

    point: Float[Array, " n"]
    radius: Float[Array, ""]
    penalty: Float[Array, ""]
    found: Bool[Array, ""]
    count: Int[Array, ""]


class _Range(eqx.Module):
    """The Jacobian A of all constraints by parameters and slack variables, and its singular value decomposition."""

    rows: Float[Array, "m n"]
    left: Float[Array, "m r"]
    inverse: Float[Array, " r"]
    """Reciprocal singular values, zero below the cut-off."""
    right: Float[Array, "r n"]

    @staticmethod
    def of(at: Linearised, slack: Array, cutoff: float) -> "_Range":
        beside = jnp.zeros((at.equality.size, slack.size), slack.dtype)
        rows = jnp.block([[at.equality_rows, beside], [at.inequality_rows, jnp.diag(slack)]])
        left, values, right = jnp.linalg.svd(rows, full_matrices=False)
        kept = values > cutoff * jnp.max(values, initial=0.0)
        return _Range(rows, left, jnp.where(kept, 1.0 / jnp.where(kept, values, 1.0), 0.0), right)

    def multipliers(self, at: Linearised) -> Multipliers:
        """Return those with the smallest gradient of the Lagrangian."""
        gradient = _with_slack(at.gradient, self.rows.shape[1])
        both = -(self.left @ (self.inverse * (self.right @ gradient)))
        return Multipliers(both[: at.equality.size], both[at.equality.size :])

    def pseudo_inverse(self, vector: Float[Array, " m"]) -> Float[Array, " n"]:
        """Return the shortest v with A v as near to a vector as can be."""
        return self.right.T @ (self.inverse * (self.left.T @ vector))

    def project(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return the part in the null space of A."""
        right = self.right * (self.inverse > 0)[:, None]
        once = vector - right.T @ (right @ vector)
        return once - right.T @ (right @ once)  # the second time for round-off


def _with_slack(gradient: Array, length: int) -> Float[Array, " n"]:
    """Return a gradient by parameters as one by parameters and slack variables."""
    return jnp.pad(gradient, (0, length - gradient.size))


class _Local(eqx.Module):
    """The quadratic program at a point, in parameters and slack variables."""

    gradient: Float[Array, " n"]
    constraints: Float[Array, " m"]
    curvature: Float[Array, "n n"]
    range: _Range
    multipliers: Multipliers

    @staticmethod
    def of(problem: Program, x: Array, at: Linearised, slack: Array, cutoff: float) -> "_Local":
        span = _Range.of(at, slack, cutoff)
        multipliers = span.multipliers(at)
        curvature = jax.scipy.linalg.block_diag(problem.curvature(x, at, multipliers), jnp.diag(multipliers.inequality))
        constraints = jnp.concatenate([at.equality, at.inequality + 0.5 * slack**2])
        return _Local(_with_slack(at.gradient, x.size + slack.size), constraints, curvature, span, multipliers)

    def step(self, radius: Array) -> Float[Array, " n"]:
        """Return normal plus tangential step."""
        normal = self._normal(0.8 * radius)
        left = jnp.sqrt(jnp.maximum(radius**2 - normal @ normal, 0.0))
        return normal + _steihaug(
            self.gradient + self.curvature @ normal, lambda d: self.curvature @ d, self.range.project, left
        )

    def _normal(self, radius: Array) -> Float[Array, " n"]:
        """Return the dogleg for $|c + A v|$."""
        whole = self.range.pseudo_inverse(-self.constraints)
        slope = self.range.rows.T @ self.constraints
        curved = self.range.rows @ slope
        tiny = jnp.finfo(slope.dtype).tiny
        cauchy = -(slope @ slope) / jnp.maximum(curved @ curved, tiny) * slope
        length = jnp.linalg.norm(cauchy)
        short = cauchy * jnp.minimum(1.0, radius / jnp.maximum(length, tiny))
        share = _to_boundary(cauchy, whole - cauchy, radius)
        bent = cauchy + jnp.minimum(share, 1.0) * (whole - cauchy)
        return jnp.where(jnp.linalg.norm(whole) <= radius, whole, jnp.where(length >= radius, short, bent))


class _Merit(eqx.Module):
    """f and the constraints with slack, by parameters and slack variables."""

    problem: Program
    size: int = eqx.field(static=True)

    def constraints(self, point: Array) -> Float[Array, " m"]:
        x, slack = point[: self.size], point[self.size :]
        return jnp.concatenate([self.problem.equality(x), self.problem.inequality(x) + 0.5 * slack**2])

    def parts(self, point: Array) -> tuple[Array, Array]:
        return self.problem.value(point[: self.size]), jnp.linalg.norm(self.constraints(point))


def _to_boundary(start: Array, direction: Array, radius: Array) -> Float[Array, ""]:
    """Return the positive t with |start + t direction| = radius, for a start inside."""
    a = jnp.maximum(direction @ direction, jnp.finfo(start.dtype).tiny)
    b, c = start @ direction, jnp.minimum(start @ start - radius**2, 0.0)
    root = jnp.sqrt(b * b - a * c)
    return jnp.where(b > 0, -c / (b + root), (root - b) / a)


def _steihaug(gradient: Array, multiply: Callable, project: Callable, radius: Array) -> Float[Array, " n"]:
    """Return the conjugate-gradient step for a quadratic in a null space, stopped at the boundary."""
    residual = project(gradient)
    goal = jnp.minimum(0.1, jnp.sqrt(jnp.linalg.norm(residual))) * jnp.linalg.norm(residual) * 1e-2
    limit = 2 * gradient.size

    def body(carry):
        step, residual, direction, count, _ = carry
        mapped = project(multiply(direction))
        curvature = direction @ mapped
        squared = residual @ residual
        length = squared / jnp.where(curvature > 0, curvature, 1.0)
        edge = _to_boundary(step, direction, radius)
        outside = (curvature <= 0) | (length >= edge)
        step = step + jnp.where(outside, edge, length) * direction
        new = residual + length * mapped
        direction = -new + (new @ new) / squared * direction
        return step, new, direction, count + 1, outside

    def going(carry):
        _, residual, _, count, outside = carry
        return ~outside & (count < limit) & (jnp.linalg.norm(residual) > goal)

    start = (jnp.zeros_like(gradient), residual, -residual, jnp.asarray(0), jnp.asarray(False))
    return jax.lax.while_loop(going, body, start)[0]
