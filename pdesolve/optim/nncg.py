"""NNCG: damped Newton steps by conjugate gradients with a randomised Nyström preconditioner."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..errors import PdesolveError
from .optimiser import AbstractOptimiser, loss_metrics, require_fixed_rows, require_losses

__all__ = ["NNCG", "Nystrom", "nystrom", "preconditioned_cg"]


class Nystrom(NamedTuple):
    """A symmetric matrix of low rank, by its largest eigenvectors."""

    vectors: Float[Array, "p r"]
    values: Float[Array, " r"]

    def precondition(self, damping: Float[Array, ""], x: Float[Array, " p"]) -> Float[Array, " p"]:
        r"""Return $\big( (\hat\lambda_r + \mu) U (\Lambda + \mu)^{-1} U^\top + (I - U U^\top) \big) x$."""
        along = self.vectors.T @ x
        scaled = (self.values[-1] + damping) / (self.values + damping)
        return x + self.vectors @ ((scaled - 1.0) * along)


class NNCGState(NamedTuple):
    """The preconditioner, the last direction, and a count of steps."""

    sketch: Nystrom
    direction: Float[Array, " p"]
    step: Int[Array, ""]


class NNCG(AbstractOptimiser):
    r"""Newton steps $(H + \mu I)\,d = g$ with the true Hessian, matrix-free, and Armijo's line search.

    Meant to polish what L-BFGS has left. Conjugate gradients begin at the last direction and stop at negative
    curvature; a direction that does not descend gives way to the gradient.

    Args:
        damping: $\mu$.
        rank: Of the preconditioner.
        renew: Steps between two preconditioners.
        iterations: Most products with the Hessian in one step.
        tolerance: Residual of the linear system, relative to the gradient.
        decrease: Armijo's share of the decrease expected.
        factor: By which a step is shortened.
        attempts: Most lengths.

    References:
        Rathore, Lei, Frangella, Lu, Udell, Challenges in training PINNs: a loss landscape perspective, ICML (2024);
        Frangella, Tropp, Udell, Randomized Nyström preconditioning, SIAM J. Matrix Anal. Appl. (2023).
    """

    damping: float = 1e-5
    rank: int = eqx.field(static=True, default=60)
    renew: int = eqx.field(static=True, default=20)
    iterations: int = eqx.field(static=True, default=200)
    tolerance: float = 1e-8
    decrease: float = 0.1
    factor: float = 0.5
    attempts: int = eqx.field(static=True, default=40)

    def __check_init__(self):
        for name in ("rank", "renew", "iterations", "attempts"):
            if getattr(self, name) < 1:
                raise PdesolveError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not self.damping > 0:
            raise PdesolveError(f"`damping` must be positive, got {self.damping}.")

    def check(self, objective):
        """Losses on rows that stay the same between two refreshes."""
        require_losses("NNCG", objective)
        require_fixed_rows("NNCG", objective)

    def init(self, evaluation, params):
        """No preconditioner yet, and no direction."""
        flat, _ = ravel_pytree(params)
        rank = min(self.rank, flat.size)
        sketch = Nystrom(jnp.zeros((flat.size, rank), flat.dtype), jnp.zeros(rank, flat.dtype))
        return NNCGState(sketch, jnp.zeros_like(flat), jnp.asarray(0))

    def step(self, evaluation, params, state):
        """One linear system, one line search."""
        flat, unravel = ravel_pytree(params)

        def value(x):
            return evaluation.loss(unravel(x))[0]

        loss, gradient = jax.value_and_grad(value)(flat)

        def product(v):
            return jax.jvp(jax.grad(value), (flat,), (v,))[1]

        key = jax.random.fold_in(evaluation.key, state.step)
        sketch = jax.lax.cond(
            state.step % self.renew == 0,
            lambda: nystrom(key, product, flat.size, state.sketch.values.size, flat.dtype),
            lambda: state.sketch,
        )
        good = jnp.all(jnp.isfinite(sketch.vectors)) & jnp.all(jnp.isfinite(sketch.values))
        sketch = jax.tree.map(lambda leaf: jnp.where(good, leaf, 0.0), sketch)  # then there is no preconditioner
        damping = jnp.asarray(self.damping, flat.dtype)
        direction, count = preconditioned_cg(
            lambda v: product(v) + damping * v,
            gradient,
            state.direction,
            lambda v: sketch.precondition(damping, v),
            tolerance=self.tolerance,
            iterations=self.iterations,
        )
        good = jnp.all(jnp.isfinite(direction)) & (direction @ gradient > 0)
        direction = jnp.where(good, direction, gradient)
        slope = direction @ gradient

        def enough(length):
            new = value(flat - length * direction)
            return jnp.isfinite(new) & (new <= loss - self.decrease * length * slope) & (new < loss)

        def shorten(carry):
            length, tried, _ = carry
            return self.factor * length, tried + 1, enough(self.factor * length)

        one = jnp.ones((), flat.dtype)
        start = (one, jnp.asarray(1), enough(one))
        length, _, found = jax.lax.while_loop(lambda c: ~c[2] & (c[1] < self.attempts), shorten, start)
        losses, aux = evaluation.term_losses(params)
        metrics = loss_metrics(loss, losses) | {
            "rate": jnp.where(found, length, 0.0),
            "iterations": count,
            "gradient_norm": jnp.linalg.norm(gradient),
            # From the last direction it may have been led astray; from none it was not.
            "stalled": ~found & jnp.all(state.direction == 0.0),
        }
        kept = jnp.where(found & good, direction, 0.0)
        new = jnp.where(found, flat - length * direction, flat)
        following = jnp.where(found, state.step + 1, 0)  # a new preconditioner after a failure
        return unravel(new), NNCGState(sketch, kept, following), metrics, aux.get("layer_state")

    def refresh(self, evaluation, params, state):
        """A new preconditioner; the direction is still a guess."""
        return state._replace(step=jnp.zeros_like(state.step))


def nystrom(key: PRNGKeyArray, product: Callable, size: int, rank: int, dtype) -> Nystrom:
    """Return a randomised Nyström approximation of a symmetric matrix; negative eigenvalues count as zero.

    Args:
        key: Of the test vectors.
        product: v to A v.
        size: Rows of A.
        rank: Number of test vectors.
        dtype: Type of the vectors.
    """
    basis, _ = jnp.linalg.qr(jax.random.normal(key, (size, rank), dtype))
    image = jax.lax.map(product, basis.T).T
    inner = 0.5 * (basis.T @ image + image.T @ basis)
    # A shift that makes the small matrix positive definite, and is taken out of the eigenvalues again.
    shift = jnp.finfo(dtype).eps * jnp.linalg.norm(image) + 1.1 * jnp.maximum(-jnp.linalg.eigvalsh(inner)[0], 0.0)
    factor = jnp.linalg.cholesky(inner + shift * jnp.eye(rank, dtype=dtype))
    root = jax.scipy.linalg.solve_triangular(factor, (image + shift * basis).T, lower=True).T
    vectors, values, _ = jnp.linalg.svd(root, full_matrices=False)
    return Nystrom(vectors, jnp.maximum(values**2 - shift, 0.0))


def preconditioned_cg(
    product: Callable,
    right: Float[Array, " p"],
    start: Float[Array, " p"],
    precondition: Callable,
    *,
    tolerance: float,
    iterations: int,
) -> tuple[Float[Array, " p"], Int[Array, ""]]:
    """Solve A x = b for a symmetric A; at negative curvature return what there is, and how many products it took.

    Args:
        product: v to A v.
        right: b.
        start: First x.
        precondition: v to an approximation of A's inverse times v.
        tolerance: Of the residual, relative to b.
        iterations: Most products.
    """
    residual = right - product(start)
    goal = tolerance * jnp.linalg.norm(right)
    first = precondition(residual)

    def going(carry):
        _, residual, _, _, count, curved = carry
        return curved & (count < iterations) & (jnp.linalg.norm(residual) > goal)

    def body(carry):
        x, residual, direction, weight, count, _ = carry
        mapped = product(direction)
        curvature = direction @ mapped
        curved = curvature > 0
        length = jnp.where(curved, weight / jnp.where(curved, curvature, 1.0), 0.0)
        x, residual = x + length * direction, residual - length * mapped
        smoothed = precondition(residual)
        new = residual @ smoothed
        return x, residual, smoothed + new / weight * direction, new, count + 1, curved

    carry = (start, residual, first, residual @ first, jnp.asarray(1), jnp.asarray(True))
    x, *_, count, _ = jax.lax.while_loop(going, body, carry)
    return x, count
