"""Shampoo: a preconditioner for each side of a matrix, as an optax transformation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

__all__ = ["scale_by_shampoo", "shampoo"]


class Sides(NamedTuple):
    """Statistics of both sides of a matrix, and their inverse fourth roots; those of a vector have no right side."""

    left: Float[Array, "m m"]
    right: Float[Array, "n n"]
    left_root: Float[Array, "m m"]
    right_root: Float[Array, "n n"]


class ShampooState(NamedTuple):
    """`Sides` of each matrix and sums of squares of the rest, by leaf, and the number of calls."""

    leaves: PyTree
    count: Int[Array, ""]


def scale_by_shampoo(
    eps: float = 1e-6, decay: float = 1.0, precondition_frequency: int = 1
) -> optax.GradientTransformation:
    r"""Return $L^{-1/4} G R^{-1/4}$ for every matrix, Adagrad's scaling for the rest.

    $L \leftarrow L + G G^\top$ and $R \leftarrow R + G^\top G$ begin at $\epsilon I$. With `decay` below one they are
    averages instead, and what is returned does not shrink with time.

    Args:
        eps: $\epsilon$.
        decay: Of the statistics; 1 for sums.
        precondition_frequency: Calls between two eigendecompositions.

    References:
        Gupta, Koren, Singer, Shampoo: preconditioned stochastic tensor optimization, ICML (2018), algorithm 1.
    """

    def begin(leaf):
        if leaf.ndim != 2:
            return jnp.zeros_like(leaf)
        sides = [jnp.eye(size, dtype=leaf.dtype) for size in leaf.shape]
        return Sides(*(eps * side for side in sides), *(eps**-0.25 * side for side in sides))

    def init(params):
        return ShampooState(jax.tree.map(begin, params), jnp.asarray(0))

    def update(updates, state, params=None):
        del params
        share = 1.0 if decay == 1.0 else 1.0 - decay
        renew = state.count % precondition_frequency == 0

        def one(gradient, kept):
            if gradient.ndim != 2:
                squares = decay * kept + share * gradient**2
                return gradient / jnp.sqrt(squares + eps), squares
            left = decay * kept.left + share * _product(gradient, gradient.T)
            right = decay * kept.right + share * _product(gradient.T, gradient)
            roots = jax.lax.cond(
                renew,
                lambda: (_inverse_fourth_root(left, eps), _inverse_fourth_root(right, eps)),
                lambda: (kept.left_root, kept.right_root),
            )
            return _product(_product(roots[0], gradient), roots[1]), Sides(left, right, *roots)

        leaves, structure = jax.tree.flatten(updates)
        pairs = [one(g, kept) for g, kept in zip(leaves, structure.flatten_up_to(state.leaves), strict=True)]
        scaled, kept = (structure.unflatten(part) for part in zip(*pairs, strict=True))
        return scaled, ShampooState(kept, state.count + 1)

    return optax.GradientTransformation(init, update)


def shampoo(
    learning_rate: optax.ScalarOrSchedule,
    eps: float = 1e-6,
    decay: float = 1.0,
    precondition_frequency: int = 1,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Return Shampoo; arguments as `scale_by_shampoo`, with momentum of the scaled gradient and decoupled decay."""
    trace = [optax.trace(momentum)] if momentum else []
    decayed = [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    scale = scale_by_shampoo(eps, decay, precondition_frequency)
    return optax.chain(scale, *trace, *decayed, optax.scale_by_learning_rate(learning_rate))


def _inverse_fourth_root(matrix: Float[Array, "n n"], eps: float) -> Float[Array, "n n"]:
    values, vectors = jnp.linalg.eigh(matrix)
    return _product(vectors * jnp.maximum(values, eps)[None] ** -0.25, vectors.T)


def _product(a: Array, b: Array) -> Array:
    # Statistics of low precision have no roots worth having.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
