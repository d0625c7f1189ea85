"""Self-scaled quasi-Newton methods of the Broyden family: a dense inverse Hessian, a strong-Wolfe line search."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..errors import UnknownNameError
from .optimiser import AbstractOptimiser, loss_metrics, require_fixed_rows, require_losses

__all__ = ["SSBroyden", "broyden_update"]

MEMBERS = ("ssbroyden", "ssbfgs", "bfgs")


class SSBroydenState(NamedTuple):
    """Inverse Hessian, line search, and value and gradient where the parameters are."""

    inverse: Float[Array, "p p"]
    search: Any
    value: Float[Array, ""]
    gradient: Float[Array, " p"]


class SSBroyden(AbstractOptimiser):
    r"""Quasi-Newton steps $p = -H g$ with a self-scaled Broyden update of the dense inverse Hessian H.

    A step costs about one gradient and three passes over the $P^2$ numbers of H: many cheap steps where Gauss-Newton
    takes few dear ones, and no need of a sum of squares. It wants double precision. H is carried over a refresh of the
    samples, made symmetric, and begins anew where it is not positive definite. A direction that does not descend, and a
    line search that does not move, begin anew as well; `stalled` when that does not help either.

    Args:
        member: `ssbroyden`, `ssbfgs` (Al-Baali's scaling) or `bfgs`.
        max_linesearch_steps: Evaluations of one zoom line search.

    References:
        Urbán, Stefanou, Pons, J. Comput. Phys. (2025); `ssbfgs` after Al-Baali;
        line search: Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6.
    """

    member: str = eqx.field(static=True, default="ssbroyden")
    max_linesearch_steps: int = eqx.field(static=True, default=25)

    def __check_init__(self):
        if self.member not in MEMBERS:
            raise UnknownNameError("member of the Broyden family", self.member, MEMBERS)

    def _search(self):
        return optax.scale_by_zoom_linesearch(
            max_linesearch_steps=self.max_linesearch_steps, initial_guess_strategy="one"
        )

    def check(self, objective):
        """Losses on rows that stay the same between two refreshes."""
        require_losses("SSBroyden", objective)
        require_fixed_rows("SSBroyden", objective)

    def init(self, evaluation, params):
        """The identity."""
        flat, unravel = ravel_pytree(params)
        value, gradient = jax.value_and_grad(lambda x: evaluation.loss(unravel(x))[0])(flat)
        return SSBroydenState(jnp.eye(len(flat), dtype=flat.dtype), self._search().init(flat), value, gradient)

    def step(self, evaluation, params, state):
        """One direction, one line search, one update."""
        flat, unravel = ravel_pytree(params)
        identity = jnp.eye(len(flat), dtype=flat.dtype)

        def value(x):
            return evaluation.loss(unravel(x))[0]

        direction = -(state.inverse @ state.gradient)
        descends = direction @ state.gradient < 0  # false for NaN as well
        inverse = jnp.where(descends, state.inverse, identity)
        direction = jnp.where(descends, direction, -state.gradient)
        moved, search = self._search().update(
            direction, state.search, flat, value=state.value, grad=state.gradient, value_fn=value
        )
        after, gradient = search.value, search.grad
        good = jnp.isfinite(after) & jnp.all(jnp.isfinite(gradient))
        moved = jnp.where(good, moved, 0.0)
        stuck = ~jnp.any(moved != 0.0)
        change = gradient - state.gradient
        curved = moved @ change > jnp.finfo(flat.dtype).eps * jnp.linalg.norm(moved) * jnp.linalg.norm(change)
        updated = jax.lax.cond(
            curved & ~stuck,
            lambda: broyden_update(
                inverse, moved, change, search.learning_rate * (moved @ state.gradient), self.member
            ),
            lambda: jnp.where(stuck, identity, inverse),
        )
        fresh = jnp.all(state.inverse == identity)
        losses, aux = evaluation.term_losses(params)
        metrics = loss_metrics(state.value, losses)
        metrics |= {"gradient_norm": jnp.linalg.norm(state.gradient), "stalled": stuck & (fresh | ~descends)}
        new = SSBroydenState(
            updated,
            search,
            jnp.where(stuck, state.value, after),
            jnp.where(stuck, state.gradient, gradient),
        )
        return unravel(flat + moved), new, metrics, aux.get("layer_state")

    def refresh(self, evaluation, params, state):
        """Keep the inverse Hessian while it is positive definite; value and gradient are those of the new samples."""
        begun = self.init(evaluation, params)
        inverse = 0.5 * (state.inverse + state.inverse.T)
        definite = jnp.all(jnp.isfinite(jnp.linalg.cholesky(inverse)))
        kept = begun._replace(inverse=jnp.where(definite, inverse, begun.inverse))
        return jax.tree.map(lambda new, old: jnp.asarray(new, dtype=old.dtype), kept, state)


def broyden_update(
    inverse: Float[Array, "p p"],
    step: Float[Array, " p"],
    change: Float[Array, " p"],
    curvature: Float[Array, ""],
    member: str = "ssbroyden",
) -> Float[Array, "p p"]:
    r"""Return the updated inverse Hessian; it maps y to s, and is positive definite where H was and $y^\top s > 0$.

    $$H \leftarrow \frac1\tau \Big( H - \frac{H y\, y^\top H}{y^\top H y} + \phi\, v v^\top \Big)
    + \frac{s s^\top}{y^\top s}, \qquad
    v = \sqrt{y^\top H y}\, \Big( \frac{s}{y^\top s} - \frac{H y}{y^\top H y} \Big).$$

    With $\tau = \phi = 1$ this is BFGS; the self-scaled members choose both by $b = s^\top H^{-1} s / y^\top s$ and
    $h = y^\top H y / y^\top s$.

    Args:
        inverse: H.
        step: s.
        change: y, the change of the gradient.
        curvature: $-s^\top H^{-1} s$, which for $s = -\alpha H g$ is $\alpha\, s^\top g$.
        member: One of the family.
    """
    ys = change @ step
    mapped = inverse @ change
    yhy = change @ mapped
    b, h = -curvature / ys, yhy / ys
    tau, phi = _factors(b, h, inverse.shape[0], member)
    v = jnp.sqrt(yhy) * (step / ys - mapped / yhy)

    def outer(a):
        return a[:, None] * a[None, :]

    return (inverse - outer(mapped) / yhy + phi * outer(v)) / tau + outer(step) / ys


def _factors(b: Array, h: Array, size: int, member: str) -> tuple[Array, Array]:
    """Return tau and phi."""
    one = jnp.ones_like(b)
    tau = jnp.minimum(1.0, 1.0 / b)
    if member == "bfgs":
        return one, one
    if member == "ssbfgs":
        return tau, one
    a = jnp.maximum(b * h - 1.0, 0.0)  # Cauchy and Schwarz, but for round-off
    below = jnp.minimum(1.0, h * (1.0 - jnp.sqrt(a / (1.0 + a))))
    lowest = jnp.where(a > 1e-16, (below - 1.0) / jnp.maximum(a, 1e-16), -jnp.inf)
    theta = jnp.maximum(lowest, jnp.minimum(1.0 / below, (1.0 - b) / b))
    sigma = 1.0 + a * theta
    root = sigma ** (-1.0 / max(size - 1, 1))
    scaled = jnp.where(theta > 0, tau * jnp.minimum(root, 1.0 / theta), jnp.minimum(tau * root, sigma))
    return scaled, (1.0 - theta) / sigma
