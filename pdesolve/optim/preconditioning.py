r"""Fixed preconditioners of gradient descent, from the Hermitian square of the operator.

Gradient descent on a linearised loss converges at a rate set by the condition number of $A = J^\top J$. With parameters
$\theta = P \hat\theta$ it is that of $P^\top A P$ that counts; in terms of $\theta$ the gradient is multiplied by
$P P^\top$. Here $P P^\top$ is the inverse of the diagonal of A, or of its blocks, one for each array of parameters.

References:
    De Ryck, Bonnet, Mishra, de Bézenac, An operator preconditioning perspective on training in physics-informed machine
    learning, ICLR (2024).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import PyTree

from ..errors import PdesolveError
from ..objective import GaussNewton

__all__ = ["hermitian_square", "precondition_by_blocks", "precondition_by_diagonal"]


def hermitian_square(model: GaussNewton, params: PyTree, *, blocks: bool = False) -> PyTree:
    r"""Return the diagonal of $A = J^\top J$ in the shape of the parameters, or its blocks.

    Args:
        model: Its rows are J, as `pdesolve.objective.linearise` gives them.
        params: The parameters with respect to which rows were taken, in their shape.
        blocks: For each array of n numbers the matrix `(n, n)` of A that belongs to it, instead.

    Raises:
        PdesolveError: If the rows are of another number of parameters.
    """
    leaves, tree = jax.tree.flatten(params)
    ends = np.cumsum([leaf.size for leaf in leaves])
    if model.rows[0].shape[1] != ends[-1]:
        raise PdesolveError(f"the rows belong to {model.rows[0].shape[1]} parameters, and {ends[-1]} were given.")
    parts = [jnp.split(rows, ends[:-1], axis=1) for rows in model.rows]

    def of(columns, leaf):
        if blocks:
            return sum(part.T @ part for part in columns)
        return sum(jnp.sum(part**2, axis=0) for part in columns).reshape(leaf.shape)

    return tree.unflatten(of(columns, leaf) for columns, leaf in zip(zip(*parts, strict=True), leaves, strict=True))


def precondition_by_diagonal(diagonal: PyTree, damping: float = 1e-8) -> optax.GradientTransformation:
    r"""Return $g \mapsto (\operatorname{diag} A + \epsilon \max_i A_{ii})^{-1} g$ as an optax transformation.

    `optax.chain(precondition_by_diagonal(hermitian_square(model, params)), optax.sgd(1.0))`

    Args:
        diagonal: In the shape of the parameters.
        damping: $\epsilon$, for parameters that the loss hardly feels.

    Raises:
        PdesolveError: If damping is negative, or an entry is negative or not finite.
    """
    largest = _checked(damping, jax.tree.leaves(diagonal))
    inverse = jax.tree.map(lambda entry: 1 / (entry + damping * largest), diagonal)
    return optax.stateless(lambda updates, params: jax.tree.map(jnp.multiply, inverse, updates))


def precondition_by_blocks(blocks: PyTree, damping: float = 1e-8) -> optax.GradientTransformation:
    r"""Return $g_l \mapsto (A_{ll} + \epsilon \max_i A_{ii} I)^{-1} g_l$ for each array of parameters l.

    Args:
        blocks: Matrices `(n, n)` in the places of arrays of n numbers.
        damping: $\epsilon$; networks need it, for blocks of A are singular up to round-off.

    Raises:
        PdesolveError: If damping is negative, or a matrix with it is not positive definite.
    """
    largest = _checked(damping, [jnp.diagonal(block) for block in jax.tree.leaves(blocks)])
    factors = jax.tree.map(lambda block: cho_factor(block + damping * largest * jnp.eye(len(block)))[0], blocks)
    if not all(bool(jnp.all(jnp.isfinite(factor))) for factor in jax.tree.leaves(factors)):
        raise PdesolveError(f"a block is not positive definite; give more `damping` than {damping:g}.")

    def solve(factor, update):
        return cho_solve((factor, False), update.reshape(-1)).reshape(update.shape)

    return optax.stateless(lambda updates, params: jax.tree.map(solve, factors, updates))


def _checked(damping: float, diagonals: list) -> jax.Array:
    """Return the largest entry."""
    if not damping >= 0:
        raise PdesolveError(f"`damping` must not be negative, got {damping:g}.")
    if not all(bool(jnp.all((entry >= 0) & jnp.isfinite(entry))) for entry in diagonals):
        raise PdesolveError("the diagonal has entries that are negative or not finite.")
    return jnp.max(jnp.stack([jnp.max(entry) for entry in diagonals]))
