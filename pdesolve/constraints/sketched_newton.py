"""Newton steps on the Karush-Kuhn-Tucker equations, solved by random sketches, with an exact merit function."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from .constrained_method import AbstractConstrainedMethod
from .program import Multipliers, Program, outcome, program, require_constraints

__all__ = ["SketchedNewton", "exact_augmented_lagrangian"]

INNER = ("exact", "gaussian", "kaczmarz")
FLAT = 1e-6
"""Least eigenvalue of the reduced Hessian below which it is shifted."""


class SketchedNewtonState(NamedTuple):
    """Multipliers, penalties of the merit function, and the accuracy of inner solves."""

    multipliers: Float[Array, " m"]
    feasibility: Float[Array, ""]
    r"""$\eta_1$."""
    optimality: Float[Array, ""]
    r"""$\eta_2$."""
    accuracy: Float[Array, ""]
    r"""$\delta$."""
    step: Int[Array, ""]


class SketchedNewton(AbstractConstrainedMethod):
    r"""Minimise $f$ subject to $c = 0$ by damped Newton steps in x and y together.

    The step solves $\begin{pmatrix} B & C^\top \\ C & 0 \end{pmatrix} z = -\begin{pmatrix} \nabla\ell \\ c
    \end{pmatrix}$, with B the Hessian of the Lagrangian $\ell$, shifted where it is not positive on the null space of
    C. Equations are projected on random combinations of themselves (`gaussian`) or on blocks of themselves
    (`kaczmarz`) until the residual is small enough for the step to lower the merit function

    $$ L_\eta(x, y) = \ell + \tfrac{\eta_1}{2} |c|^2 + \tfrac{\eta_2}{2} |\nabla\ell|^2 ; $$

    where it does not, $\eta_1$ grows, $\eta_2$ and the accuracy of the inner solve shrink. The gradient of the merit
    function has the Hessian of the Lagrangian, not that of f. The number of unknowns should be some hundreds at most.

    Args:
        inner: `exact`, `gaussian` or `kaczmarz`.
        block: Equations of a sketch; by default half of them.
        tolerance: Karush-Kuhn-Tucker residual at which it has converged.
        feasibility: First $\eta_1$.
        optimality: First $\eta_2$.
        accuracy: First $\delta$.
        descent: Share of the expected decrease that a step must keep, below 1/2.
        growth: $\nu > 1$, by which penalties and accuracy change.
        shift: $\xi_B$, added to the Hessian where it is not positive.
        sweeps: Most sketches of an inner solve.
        attempts: Most inner solves, and most halvings, of a step.

    References:
        Hong, Na, Mahoney, Kolar, Constrained optimization via exact augmented Lagrangian and randomized iterative
        sketching, ICML (2023).
    """

    inner: str = eqx.field(static=True, default="gaussian")
    block: int | None = eqx.field(static=True, default=None)
    tolerance: float = 1e-6
    feasibility: float = 1.0
    optimality: float = 0.1
    accuracy: float = 0.1
    descent: float = 0.1
    growth: float = 1.5
    shift: float = 0.1
    sweeps: int = eqx.field(static=True, default=100_000)
    attempts: int = eqx.field(static=True, default=60)

    def __check_init__(self):
        if self.inner not in INNER:
            raise UnknownNameError("inner solver", self.inner, INNER)
        if self.block is not None and self.block < 1:
            raise PdesolveError(f"`block` must be at least 1, got {self.block}.")
        if not 0 < self.descent < 0.5 or not self.growth > 1:
            raise PdesolveError(
                f"`descent` must lie between 0 and 1/2 and `growth` above 1; got {self.descent} and {self.growth}."
            )

    def check(self, objective):
        """Losses and equality constraints on rows that stay."""
        require_constraints("SketchedNewton", objective, inequalities=False)

    def init(self, evaluation, params):
        """Multipliers of least squares."""
        problem, x = program(evaluation, params, "exact")
        at = problem.linearise(x)
        multipliers = -jnp.linalg.lstsq(at.equality_rows.T, at.gradient)[0]
        first = (jnp.asarray(v, x.dtype) for v in (self.feasibility, self.optimality, self.accuracy))
        return SketchedNewtonState(multipliers, *first, jnp.asarray(0))

    def step(self, evaluation, params, state):
        """One direction, accurate enough to descend, and one line search."""
        problem, x = program(evaluation, params, "exact")
        at = problem.linearise(x)
        y = state.multipliers
        multipliers = Multipliers(y, jnp.zeros(0, x.dtype))
        slope, hessian, rows = (
            at.lagrangian_gradient(multipliers),
            problem.curvature(x, at, multipliers),
            at.equality_rows,
        )
        shifted = self._positive(hessian, rows)
        m = y.size
        matrix = jnp.block([[shifted, rows.T], [rows, jnp.zeros((m, m), x.dtype)]])
        right = -jnp.concatenate([slope, at.equality])
        key = jax.random.fold_in(evaluation.key, state.step)
        direction, state, descends, steepness = self._direction(
            key, matrix, right, state, shifted, rows, (slope, hessian, at.equality)
        )

        def merit(point: Array) -> Array:
            return exact_augmented_lagrangian(
                problem, point[: x.size], point[x.size :], state.feasibility, state.optimality
            )

        point = jnp.concatenate([x, y])
        value = merit(point)
        slack = 8 * jnp.finfo(x.dtype).eps * jnp.abs(value)

        def passes(length: Array) -> Bool[Array, ""]:
            new = merit(point + length * direction)
            return jnp.isfinite(new) & (new <= value + self.descent * length * steepness + slack)

        def halve(carry):
            length, _, count = carry
            return 0.5 * length, passes(0.5 * length), count + 1

        one = jnp.ones((), x.dtype)
        start = (one, passes(one), jnp.asarray(0))
        length, found, _ = jax.lax.while_loop(lambda c: ~c[1] & (c[2] < self.attempts), halve, start)
        found &= descends
        metrics = outcome(
            at, multipliers, self.tolerance, ~found, rate=length, penalty=state.feasibility, accuracy=state.accuracy
        )
        moved = jnp.where(found & ~metrics["converged"], point + length * direction, point)
        new = state._replace(multipliers=moved[x.size :], step=state.step + 1)
        return problem.unravel(moved[: x.size]), new, metrics, None

    def _positive(self, hessian: Array, rows: Array) -> Float[Array, "p p"]:
        """Return the Hessian, shifted if it is not positive where the constraints leave freedom."""
        basis, _ = jnp.linalg.qr(rows.T, mode="complete")
        free = basis[:, rows.shape[0] :]
        if free.shape[1] == 0:
            return hessian
        least = jnp.linalg.eigvalsh(free.T @ hessian @ free)[0]
        shift = jnp.where(least < FLAT, self.shift + jnp.linalg.norm(hessian, 2), 0.0)
        return hessian + shift * jnp.eye(len(hessian), dtype=hessian.dtype)

    def _direction(self, key: PRNGKeyArray, matrix: Array, right: Array, state, shifted, rows, local):
        """Return a direction, the state it asks for, whether it descends, and the slope of the merit function."""
        slope, hessian, equality = local
        size, norm = jnp.linalg.norm(matrix, 2), jnp.linalg.norm(right)
        curvature = jnp.linalg.norm(hessian, 2)
        spread = jnp.linalg.eigvalsh(rows @ rows.T)[0] if rows.shape[0] else jnp.ones((), rows.dtype)
        least = jnp.clip(spread, 1e-8, 1.0) * jnp.minimum(self.shift, 1.0)
        condition = 20.0 * jnp.maximum(jnp.linalg.norm(shifted, 2) ** 2, 1.0) / least

        def derivative(feasibility: Array, optimality: Array, direction: Array) -> Array:
            by_x = slope + optimality * (hessian @ slope) + feasibility * (rows.T @ equality)
            by_y = equality + optimality * (rows @ slope)
            return jnp.concatenate([by_x, by_y]) @ direction

        def again(carry):
            state, direction, count, _, _ = carry
            goal = state.accuracy * norm / (size * condition)
            direction = self._solve(jax.random.fold_in(key, count), matrix, right, direction, goal)
            steepness = derivative(state.feasibility, state.optimality, direction)
            good = steepness <= -0.5 * state.optimality * norm**2
            bound = jnp.maximum(jnp.maximum(jnp.linalg.norm(rows, 2), curvature), 1.0)
            trial = (0.5 - self.descent) * state.optimality
            trial /= (1.0 + state.feasibility + state.optimality) * bound**2 * condition**2
            harder = state._replace(
                feasibility=state.feasibility * self.growth**2,
                optimality=state.optimality / self.growth,
                accuracy=jnp.maximum(jnp.minimum(state.accuracy / self.growth**4, trial), 1e-6),
            )
            kept = jax.tree.map(lambda old, new: jnp.where(good, old, new), state, harder)
            return kept, direction, count + 1, good, steepness

        start = (state, jnp.zeros_like(right), jnp.asarray(0), jnp.asarray(False), jnp.zeros((), right.dtype))
        found, direction, _, good, steepness = jax.lax.while_loop(
            lambda c: ~c[3] & (c[2] < self.attempts), again, start
        )
        # Penalties that were changed in vain are no good for the next point either.
        state = jax.tree.map(lambda new, old: jnp.where(good, new, old), found, state)
        return direction, state, good & jnp.all(jnp.isfinite(direction)), steepness

    def _solve(self, key: PRNGKeyArray, matrix: Array, right: Array, start: Array, goal: Array) -> Float[Array, " n"]:
        """Solve to a residual, from a start."""
        if self.inner == "exact":
            return jnp.linalg.lstsq(matrix, right)[0]
        n = right.size
        block = min(self.block or -(-n // 2), n)

        def project(direction, key):
            if self.inner == "gaussian":
                sketch = jax.random.normal(key, (n, block), matrix.dtype)
                part, left = sketch.T @ matrix, sketch.T @ (matrix @ direction - right)
            else:
                chosen = jax.random.permutation(key, n)[:block]
                part = matrix[chosen]
                left = part @ direction - right[chosen]
            return direction - jnp.linalg.lstsq(part, left)[0], None

        size, norm = jnp.linalg.norm(matrix), jnp.linalg.norm(right)

        def sweep(carry):
            direction, key, count, _ = carry
            key, *keys = jax.random.split(key, 9)
            direction, _ = jax.lax.scan(project, direction, jnp.stack(keys))
            return direction, key, count + 8, jnp.linalg.norm(matrix @ direction - right)

        def going(carry):
            direction, _, count, residual = carry
            # No residual is smaller than what rounding the product makes of it.
            least = 10 * jnp.finfo(right.dtype).eps * (size * jnp.linalg.norm(direction) + norm)
            return (residual > jnp.maximum(goal, least)) & (count < self.sweeps)

        residual = jnp.linalg.norm(matrix @ start - right)
        return jax.lax.while_loop(going, sweep, (start, key, jnp.asarray(0), residual))[0]

    def multipliers(self, at, state):
        """Those the steps have led to."""
        return Multipliers(state.multipliers, jnp.zeros(0, state.multipliers.dtype))

    def refresh(self, evaluation, params, state):
        """Multipliers belong to rows that stay."""
        return state


def exact_augmented_lagrangian(
    problem: Program, x: Float[Array, " p"], y: Float[Array, " m"], feasibility: Array, optimality: Array
) -> Float[Array, ""]:
    r"""Return $\ell + \frac{\eta_1}{2} |c|^2 + \frac{\eta_2}{2} |\nabla_x \ell|^2$.

    Args:
        problem: f and c.
        x: Parameters.
        y: Multipliers.
        feasibility: $\eta_1$.
        optimality: $\eta_2$.
    """
    multipliers = Multipliers(y, jnp.zeros(0, x.dtype))
    value, slope = jax.value_and_grad(problem.lagrangian)(x, multipliers)
    c = problem.equality(x)
    return value + 0.5 * feasibility * jnp.sum(c**2) + 0.5 * optimality * jnp.sum(slope**2)
