r"""Descent preconditioned by parts of $J^\top J$: its diagonal, or a block for each leaf of the parameters."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from ..errors import PdesolveError, UnknownNameError
from ..objective import Evaluation
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["BLOCKS", "Preconditioned", "gram_blocks", "precondition_by"]

BLOCKS = ("diagonal", "leaf")


class PreconditionedState(NamedTuple):
    """Cholesky factors, or roots, of the blocks; optax's state; and a count of steps."""

    factors: PyTree
    inner: PyTree
    step: Int[Array, ""]


class Preconditioned(AbstractOptimiser):
    r"""Follow $-(D + \lambda I)^{-1} g$ by gradient descent with momentum, D a part of the Gauss-Newton matrix.

    Gradient descent on the loss of a differential operator learns as slowly as $J^\top J$ is ill-conditioned
    (`pdesolve diagnose`). Its diagonal takes out the scales of the parameters, its blocks for each weight matrix and
    bias also what happens within a layer: a cheap middle between descent and Gauss-Newton. D is renewed every so often.

    Args:
        learning_rate: Of descent.
        blocks: `diagonal` or `leaf`.
        momentum: Of descent.
        damping: $\lambda$, relative to the mean of D's diagonal.
        renew: Steps between two D.

    References:
        De Ryck, Bonnet, Mishra, de Bézenac, An operator preconditioning perspective on training in physics-informed
        machine learning, ICLR (2024), for why.
    """

    learning_rate: float = 0.1
    blocks: str = eqx.field(static=True, default="leaf")
    momentum: float = 0.9
    damping: float = 1e-3
    renew: int = eqx.field(static=True, default=50)

    def __check_init__(self):
        if self.blocks not in BLOCKS:
            raise UnknownNameError("blocks", self.blocks, BLOCKS)
        if self.renew < 1 or not self.damping > 0:
            raise PdesolveError(
                f"`renew` must be at least 1 and `damping` positive; got {self.renew} and {self.damping}."
            )

    def check(self, objective):
        """Losses whose outer functions have a curvature."""
        require_losses("Preconditioned", objective)
        if flat := [term.name for term in objective.terms if not term.outer.has_curvature]:
            raise PdesolveError(f"Preconditioned needs squares or a known curvature; {', '.join(flat)} has none.")

    def _descent(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate, momentum=self.momentum)

    def init(self, evaluation, params):
        """The first blocks are made at the first step."""
        factors = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: self._factors(evaluation, params)))
        return PreconditionedState(factors, self._descent().init(params), jnp.asarray(0))

    def step(self, evaluation, params, state):
        """One gradient, divided by the blocks."""
        factors = jax.lax.cond(
            state.step % self.renew == 0, lambda: self._factors(evaluation, params), lambda: state.factors
        )
        (loss, (losses, aux)), gradient = evaluation.value_and_gradient(params)
        scaled = precondition_by(factors, gradient)
        updates, inner = self._descent().update(scaled, state.inner, params)
        metrics = loss_metrics(loss, losses) | {"gradient_norm": optax.tree.norm(gradient)}
        new = PreconditionedState(factors, inner, state.step + 1)
        return optax.apply_updates(params, updates), new, metrics, aux.get("layer_state")

    def _factors(self, evaluation: Evaluation, params: PyTree) -> PyTree:
        """Return Cholesky factors of the damped blocks, roots of a damped diagonal; the identity where that fails."""
        blocks = gram_blocks(evaluation, params, self.blocks)
        diagonals = [jnp.diag(b) if self.blocks == "leaf" else b for b in jax.tree.leaves(blocks)]
        mean = sum(jnp.sum(d) for d in diagonals) / sum(d.size for d in diagonals)

        def factor(block):
            shift = self.damping * mean
            if self.blocks == "diagonal":
                root = jnp.sqrt(block + shift)
                return jnp.where(jnp.all(jnp.isfinite(root)) & jnp.all(root > 0), root, 1.0)
            lower = jnp.linalg.cholesky(block + shift * jnp.eye(len(block), dtype=block.dtype))
            return jnp.where(jnp.all(jnp.isfinite(lower)), lower, jnp.eye(len(block), dtype=block.dtype))

        return jax.tree.map(factor, blocks)

    def refresh(self, evaluation, params, state):
        """New samples, new blocks."""
        return state._replace(step=jnp.zeros_like(state.step))


def gram_blocks(evaluation: Evaluation, params: PyTree, blocks: str = "leaf") -> PyTree:
    r"""Return the blocks of $J^\top J$ by leaf of the parameters, `(n, n)`, or its diagonal by leaf, `(n,)`."""
    rows = jnp.concatenate(evaluation.gauss_newton(params).rows)
    leaves, structure = jax.tree.flatten(params)
    parts, start = [], 0
    for leaf in leaves:
        part = rows[:, start : start + leaf.size]
        parts.append(part.T @ part if blocks == "leaf" else jnp.sum(part**2, axis=0))
        start += leaf.size
    return structure.unflatten(parts)


def precondition_by(factors: PyTree, gradient: PyTree) -> PyTree:
    """Return the gradient divided by blocks, given by Cholesky factors `(n, n)` or by roots `(n,)` for each leaf."""

    def divide(leaf: Array, factor: Float[Array, "..."]) -> Array:
        flat = jnp.ravel(leaf)
        if factor.ndim == 1:
            return (flat / factor**2).reshape(leaf.shape)
        return jax.scipy.linalg.cho_solve((factor, True), flat).reshape(leaf.shape)

    return jax.tree.map(divide, gradient, factors)
